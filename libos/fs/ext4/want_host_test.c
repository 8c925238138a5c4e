/*
 * ext4 where memory is wanting for long, in the middle of what moves something from one place to
 * another: the operation is done as a whole or not at all, and the file system goes on.
 *
 * Each allocation of an operation in turn fails, and all behind it. The operation says so, or does
 * without; once there is memory again it succeeds, from the same state as before. It is tried on a
 * disk that was just mounted, whose blocks are not in memory, in a directory large enough to have
 * an index.
 */
#include <arch/shortage.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "crash_acts.h"
#include "crash_model.h"
#include "ext4.h"
#include "testdisk.h"

#define NAMES 60u /* of 40 bytes: three leaves of 1 KiB */

struct operation {
	const char *name;
	int (*act)(void);
	int (*undo)(void);
	int (*needs)(void);              /* before the first, or NULL */
};

static struct file *nameless, *before_it; /* on the list of orphans */

static struct super *super_of_disk(void)
{
	struct super *s;
	struct path p;

	if (vfs_walk(NULL, "/t", 0, &p) != 0)
		return NULL;
	s = path_inode(&p)->super;
	path_put(&p);
	return s;
}

/* ---- what is tried ---- */

#define LONG   "a-new-name-that-may-ask-for-another-leaf"
#define LONGER "/t/d/" LONG

static int rename_file(void) { return vfs_rename(NULL, "/t/d/f", NULL, LONGER, 0); }
static int rename_file_back(void) { return vfs_rename(NULL, LONGER, NULL, "/t/d/f", 0); }

static int move_folder(void) { return vfs_rename(NULL, "/t/e", NULL, "/t/d/e", 0); }
static int move_folder_back(void) { return vfs_rename(NULL, "/t/d/e", NULL, "/t/e", 0); }

static int replace_file(void) { return vfs_rename(NULL, "/t/g", NULL, "/t/d/f", 0); }

static int replace_file_back(void)
{
	int error = vfs_rename(NULL, "/t/d/f", NULL, "/t/g", 0);

	return error ? error : vfs_create(NULL, "/t/d/f", S_IFREG | 0644, 0, NULL);
}

static int exchange(void) { return vfs_rename(NULL, "/t/e", NULL, "/t/d/below", RENAME_EXCHANGE); }

static int link_nameless(void)
{
	struct path p = *file_path(nameless);

	return vfs_link(&p, NULL, "/t/d/linked");
}

static int unlink_linked(void) { return vfs_unlink(NULL, "/t/d/linked", false); }

static int grow_label(void) { return crash_set_label("/t/g", 3); }
static int shrink_label(void) { return crash_set_label("/t/g", 1); }

static int delete_file(void) { return vfs_unlink(NULL, "/t/g", false); }

static int delete_file_back(void)
{
	int error = vfs_create(NULL, "/t/g", S_IFREG | 0644, 0, NULL);

	return error ? error : shrink_label();
}

static int make_file(void) { return vfs_create(NULL, "/t/d/" LONG, S_IFREG | 0644, 0, NULL); }
static int make_folder(void) { return vfs_create(NULL, "/t/d/" LONG, S_IFDIR | 0755, 0, NULL); }
static int make_link(void)
{
	return vfs_create(NULL, "/t/d/" LONG, S_IFLNK | 0777, 0, LONG "/" LONG);
}
static int remove_made(void) { return vfs_unlink(NULL, "/t/d/" LONG, false); }
static int remove_folder(void) { return vfs_unlink(NULL, "/t/d/" LONG, true); }

static int make_nameless(void)
{
	struct file *f;
	int error = vfs_open(NULL, "/t", O_TMPFILE | O_RDWR, 0600, &f);

	if (!error)
		file_put(f);
	return error;
}

static int nothing(void) { return 0; }

static const struct operation operations[] = {
	{ "creation", make_file, remove_made, NULL },
	{ "mkdir", make_folder, remove_folder, NULL },
	{ "symlink", make_link, remove_made, NULL },
	{ "a file without names", make_nameless, nothing, NULL },
	{ "rename in a directory", rename_file, rename_file_back, NULL },
	{ "rename of a directory", move_folder, move_folder_back, NULL },
	{ "rename over a file", replace_file, replace_file_back, NULL },
	{ "exchange", exchange, exchange, NULL },
	{ "link of a file without names", link_nameless, unlink_linked, NULL },
	{ "attribute that moves to a block", grow_label, shrink_label, NULL },
	{ "attribute that moves to the inode", shrink_label, grow_label, grow_label },
	{ "deletion", delete_file, delete_file_back, NULL },
};

/* ---- trying it ---- */

struct trial {
	const struct operation *operation;
	int error;
};

static void act(void *arg)
{
	struct trial *t = arg;

	t->error = t->operation->act();
}

/* In another thread, since this one is spared. *allocations: as many as it asked for. */
static int act_in_need(const struct operation *o, uint64_t place, uint64_t *allocations)
{
	static const struct thread_attr attr = {
		.name = "act", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct trial trial = { o, 0 };
	struct thread *t;

	if (thread_create(&attr, act, &trial, 0, &t) != 0)
		return -ENOMEM;
	host_shortage(place, UINT64_MAX);
	thread_start(t);
	thread_join(t);
	*allocations = host_allocations();
	host_shortage(0, 0);
	return trial.error;
}

static int open_disk(void)
{
	int error = testdisk_mount(0, "commit=600");

	if (!error)
		error = vfs_open(NULL, "/t", O_TMPFILE | O_RDWR, 0600, &nameless);
	if (!error)
		error = vfs_open(NULL, "/t", O_TMPFILE | O_RDWR, 0600, &before_it);
	return error;
}

static int close_disk(void)
{
	file_put(nameless);
	file_put(before_it);
	return testdisk_unmount();
}

static bool complain(const struct operation *o, uint64_t place, const char *what, int error)
{
	test_print("%s: %s, error %d, without memory from allocation %llu on\n", o->name, what,
		   error, (unsigned long long)place);
	return false;
}

/* What was done before is in its place, and no block is in memory or known to the journal. */
static void forget_blocks(struct ext4_super *s)
{
	journal_checkpoint(s->journal);
	buffers_reclaim(&s->buffers, SIZE_MAX);
}

/* *done: there was no want of memory. */
static bool try_place(const struct operation *o, uint64_t place, bool *done)
{
	uint64_t allocations;
	int error = open_disk();

	if (error)
		return complain(o, place, "mount", error);
	forget_blocks(super_of_disk()->own);
	error = act_in_need(o, place, &allocations);
	*done = allocations < place;
	if (error != 0 && (error != -ENOMEM || *done))
		return complain(o, place, "it fails", error);
	if (error)
		error = o->act();
	if (error)
		return complain(o, place, "it is not as before", error);
	error = o->undo();
	if (error)
		return complain(o, place, "it is not done", error);
	error = close_disk();
	return error ? complain(o, place, "unmount", error) : true;
}

static bool try_operation(const struct operation *o)
{
	bool well = true, done = false;

	if (o->needs)
		well = open_disk() == 0 && o->needs() == 0 && close_disk() == 0;
	for (uint64_t place = 1; well && !done; place++)
		well = try_place(o, place, &done);
	if (well && o->needs)
		well = open_disk() == 0 && o->act() == 0 && close_disk() == 0;
	if (well && testdisk_judge() != 0)
		well = complain(o, 0, "e2fsck is not content", 0);
	return well;
}

/* ---- the disk ---- */

static int fill_directory(void)
{
	char path[80];
	int error = 0;

	for (unsigned n = 0; !error && n < NAMES; n++) {
		fmt_print(path, sizeof(path), "/t/d/one-of-many-names-that-fill-the-leaves-%03u",
			  n);
		error = vfs_create(NULL, path, S_IFREG | 0644, 0, NULL);
	}
	return error;
}

static int make_disk(void)
{
	if (!testdisk_make("-b 1024 " DEBIAN_13, 4, "mkdir -p d/below e/f; touch d/f g"))
		return -EIO;
	int error = open_disk();

	if (!error)
		error = fill_directory();
	if (!error)
		error = shrink_label();
	return error ? error : close_disk();
}

TEST(ext4_keeps_what_moves_whole_for_want_of_memory)
{
	CHECK_EQ(make_disk(), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++)
		CHECK(try_operation(&operations[i]));
}
