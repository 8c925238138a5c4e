/* inotify where tests/abi cannot look: file systems that go, instances that go, threads beside. */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <libos/notify.h>

#include "fd.h"
#include "syscalls.h"

#define ALL 0xfffu

struct seen { int wd; uint32_t mask, cookie, len; };

static int instance(void)
{
	vfs_mount("tmpfs", "", NULL, 0, NULL);
	vfs_create(NULL, "/n", S_IFDIR | 0755, 0, NULL);
	return (int)sys_inotify_init1(O_NONBLOCK);
}

/* The path lies at the beginning of a page, which may be read to its end. */
static long add_watch(int fd, const char *path, uint32_t mask)
{
	static char page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

	str_copy(page, sizeof(page), path);
	return sys_inotify_add_watch(fd, page, mask);
}

/* The next event that has no name, or none. */
static struct seen next(int fd)
{
	struct seen s = { 0 };
	struct uio_vec vec = { &s, sizeof(s) };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = sizeof(s), .offset = -1, .from_kernel = true
	};
	struct file *f = fd_get(fd);

	f->ops->read(f, &u);
	file_put(f);
	return s;
}

TEST(inotify_says_that_a_file_system_has_gone)
{
	int fd = instance();
	struct path at;

	CHECK(!vfs_walk(NULL, "/n", WALK_DIR, &at) && !vfs_mount("tmpfs", "", &at, 0, NULL));
	path_put(&at);
	CHECK_EQ(vfs_create(NULL, "/n/f", S_IFREG | 0644, 0, NULL), 0);
	CHECK_EQ(add_watch(fd, "/n/f", ALL), 1);
	/* a watch is no use of it */
	CHECK(!vfs_walk(NULL, "/n", WALK_DIR, &at) && !vfs_unmount(&at));
	CHECK_EQ(next(fd).mask, NOTIFY_UNMOUNT);
	CHECK_EQ(next(fd).mask, NOTIFY_IGNORED);
	CHECK_EQ(next(fd).mask, 0);
	CHECK_EQ(watch_count, 0);
	CHECK_EQ(fd_close(fd), 0);
}

TEST(inotify_instances_end_with_their_watches_and_events)
{
	int one = instance(), two = instance();

	CHECK_EQ(vfs_create(NULL, "/n/f", S_IFREG | 0644, 0, NULL), 0);
	CHECK_EQ(add_watch(one, "/n/f", ALL), 1);
	CHECK_EQ(add_watch(two, "/n/f", ALL), 1);
	CHECK_EQ(vfs_unlink(NULL, "/n/f", false), 0);
	CHECK_EQ(next(one).mask, NOTIFY_ATTRIB);
	CHECK_EQ(add_watch(one, "/n", ALL), 2);
	CHECK_EQ(watch_count, 1);
	CHECK_EQ(fd_close(one), 0); /* with a watch, and events unread */
	CHECK_EQ(watch_count, 0);
	CHECK_EQ(next(two).mask, NOTIFY_ATTRIB);
	CHECK_EQ(next(two).mask, NOTIFY_DELETE_SELF);
	CHECK_EQ(next(two).mask, NOTIFY_IGNORED);
	CHECK_EQ(fd_close(two), 0);
}

static uint32_t stop; /* atomic */

static void make_and_remove(void *arg)
{
	const char *path = arg;

	for (int i = 0; i < 500; i++) {
		vfs_create(NULL, path, S_IFREG | 0644, 0, NULL);
		vfs_unlink(NULL, path, false);
		thread_yield();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
}

TEST(inotify_watches_of_files_that_come_and_go_leave_nothing)
{
	static const struct thread_attr attr = {
		.name = "maker", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t;
	int fd = instance();

	stop = 0;
	CHECK_EQ(thread_create(&attr, make_and_remove, "/n/f", 0, &t), 0);
	thread_start(t);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		long wd = add_watch(fd, "/n/f", ALL);

		CHECK(wd > 0 || wd == -ENOENT);
		if (wd > 0 && wd % 2)
			sys_inotify_rm_watch(fd, (int)wd);
		while (next(fd).mask)
			;
		thread_yield();
	}
	thread_join(t);
	CHECK_EQ(watch_count, 0);
	CHECK_EQ(fd_close(fd), 0);
}
