/*
 * Names changed by several threads in the same directories. Each thread has names of its own, which
 * nobody else touches, and knows at the end which of them there are; and all fight for some names
 * in common. Then e2fsck judges.
 *
 * And disks on which directories have two names, whose locks have no order: whoever acts there must
 * come to an end.
 *
 * Runs on one hart with all tests; "unit ext4_threads" runs it on two and four as well.
 */
#include <stdio.h>

#include <core/errno.h>
#include <core/test.h>
#include <core/thread.h>
#include <libos/vfs.h>

#include "testdisk.h"

#define WORKERS 4u
#define NAMES   40u  /* of each */
#define STEPS   1200u
#define FOLDERS 3u

struct worker {
	struct thread *thread;
	uint64_t random;
	unsigned id;
	bool is_there[FOLDERS][NAMES];
	const char *wrong;
};

static struct worker workers[WORKERS];

static unsigned below(struct worker *w, unsigned limit)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % limit;
}

static const char *own_name(char *buf, const struct worker *w, unsigned folder, unsigned n)
{
	snprintf(buf, 64, "/t/%u/thread-%u-has-name-%u", folder, w->id, n);
	return buf;
}

/* 0 when the name was not there, -EEXIST when it was. */
static void make_own(struct worker *w, unsigned folder, unsigned n)
{
	char name[64];
	bool *is_there = &w->is_there[folder][n];
	int error = vfs_create(NULL, own_name(name, w, folder, n),
			       n % 4 ? S_IFREG | 0644 : S_IFDIR | 0755, 0, NULL);

	if (error != (*is_there ? -EEXIST : 0))
		w->wrong = "create";
	*is_there = true;
}

static void remove_own(struct worker *w, unsigned folder, unsigned n)
{
	char name[64];
	bool *is_there = &w->is_there[folder][n];

	if (vfs_unlink(NULL, own_name(name, w, folder, n), n % 4 == 0) != (*is_there ? 0 : -ENOENT))
		w->wrong = "unlink";
	*is_there = false;
}

/* The same name in another folder, which may be there: then it is replaced. */
static void move_own(struct worker *w, unsigned from, unsigned to, unsigned n)
{
	char old[64], new[64];
	bool was = w->is_there[from][n];

	if (vfs_rename(NULL, own_name(old, w, from, n), NULL, own_name(new, w, to, n), 0) !=
	    (was ? 0 : -ENOENT))
		w->wrong = "rename";
	if (was && from != to) {
		w->is_there[to][n] = true;
		w->is_there[from][n] = false;
	}
}

/* Whoever comes first: any of the errors of the race, and no other. */
static void fight(struct worker *w)
{
	char one[64], two[64];
	int error;

	snprintf(one, sizeof(one), "/t/%u/common-%u", below(w, FOLDERS), below(w, 6));
	snprintf(two, sizeof(two), "/t/%u/common-%u", below(w, FOLDERS), below(w, 6));
	switch (below(w, 4)) {
	case 0: error = vfs_create(NULL, one, S_IFREG | 0644, 0, NULL); break;
	case 1: error = vfs_unlink(NULL, one, false); break;
	case 2: error = vfs_rename(NULL, one, NULL, two, RENAME_EXCHANGE); break;
	default: error = vfs_rename(NULL, one, NULL, two, 0); break;
	}
	if (error && error != -EEXIST && error != -ENOENT)
		w->wrong = "a race";
}

static void work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < STEPS && !w->wrong; i++) {
		unsigned folder = below(w, FOLDERS), n = below(w, NAMES);

		switch (below(w, 5)) {
		case 0: case 1: make_own(w, folder, n); break;
		case 2: remove_own(w, folder, n); break;
		case 3: move_own(w, folder, below(w, FOLDERS), n); break;
		default: fight(w); break;
		}
	}
}

static bool start(struct worker *w)
{
	static const struct thread_attr attr = {
		.name = "names", .priority = THREAD_PRIORITY_APP, .hart = -1
	};

	if (thread_create(&attr, work, w, 0, &w->thread) != 0)
		return false;
	thread_start(w->thread);
	return true;
}

static bool is_as_known(const struct worker *w)
{
	char name[64];
	struct path p;

	for (unsigned folder = 0; folder < FOLDERS; folder++) {
		for (unsigned n = 0; n < NAMES; n++) {
			bool found = !vfs_walk(NULL, own_name(name, w, folder, n), 0, &p);

			if (found)
				path_put(&p);
			if (found != w->is_there[folder][n])
				return false;
		}
	}
	return true;
}

TEST(ext4_threads_change_names_in_the_same_directories)
{
	static const char *const kinds[] = { DEBIAN_13 " -b 1024", TESTDISK_COMMON
					     ",metadata_csum,^has_journal -b 1024" };

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		CHECK(testdisk_make(kinds[k], 8, "mkdir 0 1 2"));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		for (unsigned i = 0; i < WORKERS; i++) {
			workers[i] = (struct worker){ .id = i, .random = 1000 * k + i };
			CHECK(start(&workers[i]));
		}
		for (unsigned i = 0; i < WORKERS; i++)
			thread_join(workers[i].thread);
		for (unsigned i = 0; i < WORKERS; i++) {
			if (workers[i].wrong)
				test_print("thread %u: %s\n", i, workers[i].wrong);
			CHECK(!workers[i].wrong);
		}
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
		CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), 0);
		for (unsigned i = 0; i < WORKERS; i++)
			CHECK(is_as_known(&workers[i]));
		CHECK_EQ(testdisk_unmount(), 0);
	}
}

/* ---- directories with two names ---- */

struct act {
	const char *path, *to; /* to NULL: rmdir */
};

/*
 * Each pair locks the same two directories, the other one first, if it takes the disk's word for
 * what lies where.
 */
static const struct act acts[2][4] = {
	{ { "/t/a/b", NULL }, { "/t/e/c", NULL }, { "/t/d/g", NULL }, { "/t/a/f", "/t/a/b/f" } },
	{ { "/t/a/b/loop", NULL },
	  { "/t/d/c/f", "/t/e/f" },
	  { "/t/e/g/f", "/t/d/f" },
	  { "/t/a/b/loop/b", "/t/a/b/b" } },
};

struct actor {
	struct thread *thread;
	const struct act *acts;
	unsigned refused;
};

static void act_on_and_on(void *arg)
{
	struct actor *a = arg;

	for (unsigned i = 0; i < STEPS; i++) {
		const struct act *what = &a->acts[i % 4];
		int error = what->to ? vfs_rename(NULL, what->path, NULL, what->to, 0)
				     : vfs_unlink(NULL, what->path, true);

		a->refused += error == -EUCLEAN;
	}
}

TEST(ext4_threads_come_to_an_end_where_directories_have_two_names)
{
	static const struct thread_attr attr = {
		.name = "acts", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct actor actors[2] = { { .acts = acts[0] }, { .acts = acts[1] } };

	CHECK(testdisk_make(DEBIAN_12, 8, "mkdir -p a/b d/c e/g; touch a/f a/b/h d/c/f e/g/f"));
	CHECK_EQ(
		testdisk_shell(
			"for i in 'a a/b/loop' 'd/c e/c' 'e/g d/g'; do debugfs -w -R \"link $i\" disk; done"),
		0);
	CHECK(testdisk_load(8));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(thread_create(&attr, act_on_and_on, &actors[i], 0, &actors[i].thread), 0);
		thread_start(actors[i].thread);
	}
	for (unsigned i = 0; i < 2; i++)
		thread_join(actors[i].thread);
	CHECK(actors[0].refused + actors[1].refused > 0);
	CHECK_EQ(testdisk_unmount(), 0);
}
