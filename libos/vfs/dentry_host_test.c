/*
 * Names that are forgotten by whoever has one too many, and watches that end, while their file
 * system ends. On the host only: a file system of the test's own takes its time.
 */
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/sync.h>
#include <core/test.h>
#include <core/thread.h>
#include <libos/notify.h>
#include <libos/vfs.h>

#define MANY 9000u /* names: more than may be unused */

static struct event forgetting, go_on;
static bool forgot, ended_early;

static void file_forget(struct inode *inode)
{
	event_set(&forgetting);
	event_wait(&go_on, DEADLINE_NEVER);
	__atomic_store_n(&forgot, true, __ATOMIC_RELEASE);
	kfree(inode);
}

static void root_forget(struct inode *inode)
{
	kfree(inode);
}

static const struct inode_ops file_ops = { .forget = file_forget };

static struct inode *inode_of(struct super *s, const struct inode_ops *ops, uint32_t mode)
{
	struct inode *inode = kzalloc(sizeof(*inode));

	if (inode) {
		inode_init(inode, s, NULL, mode);
		inode->ops = ops;
		inode->nlink = 1;
	}
	return inode;
}

/* Every name is there. */
static int slow_lookup(struct inode *dir, const struct vfs_name *n, struct inode **out)
{
	(void)n;
	*out = inode_of(dir->super, &file_ops, S_IFREG | 0644);
	return *out ? 0 : -1;
}

static const struct inode_ops root_ops = { .lookup = slow_lookup, .forget = root_forget };

static void slow_unmount(struct super *s)
{
	(void)s;
	ended_early = !__atomic_load_n(&forgot, __ATOMIC_ACQUIRE);
}

static const struct super_ops slow_ops = { .unmount = slow_unmount };

static int slow_mount(struct super *s, const char *source, const char *options)
{
	(void)source, (void)options;
	s->ops = &slow_ops;
	s->root = inode_of(s, &root_ops, S_IFDIR | 0755);
	return s->root ? 0 : -1;
}

static const struct fs_type slow_type = { .name = "slow", .mount = slow_mount };
FS_TYPE(slow_type);

static bool mount_at(const char *where, const char *type)
{
	struct path p;
	bool ok;

	vfs_create(NULL, where, S_IFDIR | 0755, 0, NULL);
	if (vfs_walk(NULL, where, 0, &p))
		return false;
	ok = vfs_mount(type, "", &p, 0, NULL) == 0;
	path_put(&p);
	return ok;
}

static bool unmount(const char *where)
{
	struct path p;

	return vfs_walk(NULL, where, 0, &p) == 0 && vfs_unmount(&p) == 0;
}

static void name_many(void *arg)
{
	struct path p;
	char name[24];

	(void)arg;
	for (unsigned i = 0; i < MANY; i++) {
		fmt_print(name, sizeof(name), "/many/%u", i);
		vfs_walk(NULL, name, 0, &p);
	}
}

static void end_slow(void *arg)
{
	*(bool *)arg = unmount("/slow");
}

static struct thread *start(void (*run)(void *), void *arg)
{
	static const struct thread_attr attr = {
		.name = "names", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t;

	if (thread_create(&attr, run, arg, 0, &t))
		return NULL;
	thread_start(t);
	return t;
}

static bool begin(void)
{
	forgot = ended_early = false;
	event_init(&forgetting);
	event_init(&go_on);
	vfs_mount("tmpfs", "", NULL, 0, NULL);
	return mount_at("/slow", "slow") && mount_at("/many", "tmpfs");
}

/* Time enough to do what is wrong. */
static void let_others_act(void)
{
	for (unsigned i = 0; i < 1000; i++)
		thread_yield();
}

TEST(names_that_others_forget_keep_their_file_system)
{
	struct thread *many, *ends;
	bool ended = false;
	struct path p;

	CHECK(begin());
	CHECK_EQ(vfs_walk(NULL, "/slow/x", 0, &p), 0);
	path_put(&p);
	many = start(name_many, NULL);
	CHECK(many);
	event_wait(&forgetting, DEADLINE_NEVER);
	ends = start(end_slow, &ended);
	CHECK(ends);
	let_others_act();
	event_set(&go_on);
	thread_join(many);
	thread_join(ends);
	CHECK(ended && forgot && !ended_early);
	CHECK(unmount("/many"));
}

static void forget_watch(struct watch *w)
{
	w->inode = NULL;
}

TEST(watches_that_end_keep_their_file_system)
{
	struct watch w = { .free = forget_watch };
	struct list gone = LIST_INIT(gone);
	struct thread *ends;
	bool ended = false;
	struct path p;

	CHECK(begin());
	event_set(&go_on);
	CHECK_EQ(vfs_walk(NULL, "/slow/x", 0, &p), 0);
	spin_lock(&watch_lock);
	watch_add_locked(&w, path_inode(&p));
	spin_unlock(&watch_lock);
	path_put(&p);
	spin_lock(&watch_lock);
	watch_remove_locked(&w, &gone);
	spin_unlock(&watch_lock);
	ends = start(end_slow, &ended);
	CHECK(ends);
	let_others_act();
	watches_free(&gone);
	thread_join(ends);
	CHECK(ended && forgot && !ended_early && !w.inode);
	CHECK(unmount("/many"));
}
