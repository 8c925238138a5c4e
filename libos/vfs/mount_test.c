/* Mounts that change: bound, moved, detached, made read-only. */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/vfs.h>

static struct path at(const char *text)
{
	struct path p = { 0 };

	vfs_walk(NULL, text, WALK_FOLLOW, &p);
	return p;
}

static int mount_at(const char *where, uint32_t flags)
{
	struct path p = at(where);
	int error = vfs_mount("tmpfs", "none", &p, flags, "size=64k");

	path_put(&p);
	return error;
}

static int unmount(const char *where)
{
	struct path p = at(where);
	int error = vfs_unmount(&p);

	if (error)
		path_put(&p);
	return error;
}

static int detach(const char *where)
{
	struct path p = at(where);
	int error = vfs_detach(&p);

	if (error)
		path_put(&p);
	return error;
}

/* vfs_bind(), or with `move` vfs_move_mount(). */
static int place(const char *from, const char *to, bool move, bool recursive)
{
	struct path a = at(from), b = at(to);
	int error = move ? vfs_move_mount(&a, &b) : vfs_bind(&a, &b, recursive);

	path_put(&a);
	path_put(&b);
	return error;
}

static int remount(const char *where, uint32_t flags, bool mount_only)
{
	struct path p = at(where);
	int error = vfs_remount(&p, flags, "", mount_only);

	path_put(&p);
	return error;
}

static int dir(const char *path)
{
	return vfs_create(NULL, path, S_IFDIR | 0755, 0, NULL);
}

static bool exists(const char *path)
{
	struct path p = at(path);
	bool is = p.dentry;

	path_put(&p);
	return is;
}

/* /m is a file system with the folders a and b; each test ends it. */
static void begin(void)
{
	vfs_mount("tmpfs", "", NULL, 0, NULL);
	dir("/m");
	CHECK_EQ(mount_at("/m", 0), 0);
	CHECK(!dir("/m/a") && !dir("/m/b") && !dir("/m/a/x"));
}

TEST(mount_bind_shows_the_same_files_twice)
{
	struct path p;

	begin();
	CHECK_EQ(place("/m/a", "/m/b", false, false), 0);
	CHECK(exists("/m/b/x"));
	CHECK_EQ(dir("/m/b/y"), 0);
	CHECK(exists("/m/a/y"));
	CHECK_EQ(vfs_rename(NULL, "/m/a/y", NULL, "/m/b/z", 0), -EXDEV);
	CHECK_EQ(vfs_unlink(NULL, "/m/b", true), -EBUSY);
	p = at("/m/b/..");
	struct path up = at("/m");
	CHECK(p.dentry == up.dentry && p.mount == up.mount);
	path_put(&p);
	path_put(&up);
	CHECK_EQ(unmount("/m"), -EBUSY);
	CHECK_EQ(unmount("/m/b"), 0);
	CHECK(!exists("/m/b/x"));
	CHECK_EQ(unmount("/m"), 0);
}

TEST(mount_bind_keeps_a_file_system_whose_first_mount_went)
{
	begin();
	dir("/n");
	CHECK_EQ(place("/m/a", "/n", false, false), 0);
	CHECK_EQ(unmount("/m"), 0);
	CHECK(exists("/n/x") && !exists("/m/a"));
	CHECK_EQ(dir("/n/new"), 0);
	CHECK_EQ(unmount("/n"), 0);
}

TEST(mount_bind_with_what_is_below)
{
	begin();
	CHECK_EQ(mount_at("/m/a/x", 0), 0);
	CHECK_EQ(dir("/m/a/x/deep"), 0);
	CHECK_EQ(place("/m/a", "/m/b", false, false), 0);
	CHECK(exists("/m/b/x") && !exists("/m/b/x/deep"));
	CHECK_EQ(unmount("/m/b"), 0);
	CHECK_EQ(place("/m/a", "/m/b", false, true), 0);
	CHECK(exists("/m/b/x/deep"));
	CHECK_EQ(unmount("/m/b"), -EBUSY);
	CHECK_EQ(detach("/m"), 0);
	CHECK(!exists("/m/a"));
}

TEST(mount_bind_of_a_file_covers_a_file)
{
	begin();
	CHECK(!vfs_create(NULL, "/m/f", S_IFREG | 0644, 0, NULL) &&
	      !vfs_create(NULL, "/m/g", S_IFREG | 0600, 0, NULL));
	CHECK_EQ(place("/m/f", "/m/a", false, false), -ENOTDIR);
	CHECK_EQ(place("/m/a", "/m/f", false, false), -ENOTDIR);
	CHECK_EQ(place("/m/f", "/m/g", false, false), 0);
	struct path p = at("/m/g");
	CHECK_EQ(path_inode(&p)->mode & 07777, 0644 & ~vfs_context()->umask);
	path_put(&p);
	CHECK_EQ(vfs_unlink(NULL, "/m/g", false), -EBUSY);
	CHECK_EQ(unmount("/m/g"), 0);
	CHECK_EQ(unmount("/m"), 0);
}

TEST(mount_moves)
{
	begin();
	CHECK_EQ(place("/m/a", "/m/b", true, false), -EINVAL); /* no mount */
	CHECK_EQ(mount_at("/m/a", 0), 0);
	CHECK(!dir("/m/a/sub") && !mount_at("/m/a/sub", 0) && !dir("/m/a/sub/deep"));
	CHECK_EQ(place("/m/a", "/m/a/sub", true, false), -ELOOP);
	CHECK_EQ(place("/m/a", "/m/b", true, false), 0);
	CHECK(exists("/m/b/sub/deep") && exists("/m/a/x") && !exists("/m/a/sub"));
	CHECK_EQ(unmount("/m/b/sub") || unmount("/m/b") || unmount("/m"), 0);
}

TEST(mount_detached_ends_with_its_last_use)
{
	struct file *f;
	struct path inside;

	begin();
	CHECK_EQ(vfs_open(NULL, "/m/a/f", O_CREAT | O_RDWR, 0644, &f), 0);
	inside = at("/m/a");
	CHECK_EQ(unmount("/m"), -EBUSY);
	CHECK_EQ(detach("/m"), 0);
	CHECK(!exists("/m/a"));
	CHECK_EQ(vfs_create(&inside, "still", S_IFREG | 0644, 0, NULL), 0);
	CHECK_EQ(vfs_unmount(&inside), -EINVAL);
	path_put(&inside);
	file_put(f);
	CHECK_EQ(detach("/m"), -EINVAL);
	CHECK_EQ(detach("/"), -EBUSY);
}

TEST(mount_read_only_and_back)
{
	struct file *f;

	begin();
	CHECK_EQ(remount("/m/a", MS_RDONLY, false), -EINVAL);
	CHECK_EQ(vfs_open(NULL, "/m/f", O_CREAT | O_RDWR, 0644, &f), 0);
	CHECK_EQ(remount("/m", MS_RDONLY, false), -EBUSY);
	CHECK_EQ(remount("/m", MS_RDONLY, true), -EBUSY);
	file_put(f);
	CHECK_EQ(remount("/m", MS_RDONLY, false), 0);
	CHECK_EQ(dir("/m/new"), -EROFS);
	CHECK_EQ(vfs_open(NULL, "/m/f", O_RDWR, 0, &f), -EROFS);
	CHECK_EQ(remount("/m", 0, false), 0);
	CHECK_EQ(dir("/m/new"), 0);
	CHECK_EQ(place("/m/a", "/m/b", false, false), 0);
	CHECK_EQ(remount("/m/b", MS_RDONLY, true), 0); /* this view alone */
	CHECK_EQ(dir("/m/b/y"), -EROFS);
	CHECK_EQ(dir("/m/a/y"), 0);
	CHECK_EQ(unmount("/m/b"), 0);
	CHECK_EQ(unmount("/m"), 0);
}

/* Their end is a write, so what keeps them in use keeps the file system writable. */
TEST(mount_stays_writable_for_what_has_no_name)
{
	struct path held;
	struct file *f;

	begin();
	CHECK_EQ(vfs_open(NULL, "/m/f", O_CREAT | O_RDWR, 0644, &f), 0);
	file_put(f);
	CHECK_EQ(vfs_open(NULL, "/m/f", O_RDONLY, 0, &f), 0);
	CHECK_EQ(vfs_unlink(NULL, "/m/f", false), 0);
	CHECK_EQ(remount("/m", MS_RDONLY, false), -EBUSY);
	CHECK_EQ(dir("/m/new"), 0);
	CHECK_EQ(remount("/m", MS_RDONLY, true), 0);
	CHECK_EQ(remount("/m", 0, true), 0);
	file_put(f);
	held = at("/m/b");
	CHECK_EQ(vfs_rename(NULL, "/m/new", NULL, "/m/b", 0), 0);
	CHECK_EQ(remount("/m", MS_RDONLY, false), -EBUSY);
	path_put(&held);
	CHECK_EQ(vfs_open(NULL, "/m", O_TMPFILE | O_RDWR, 0644, &f), 0);
	CHECK_EQ(vfs_link(file_path(f), NULL, "/m/f"), 0);
	file_put(f);
	CHECK_EQ(remount("/m", MS_RDONLY, false), 0);
	CHECK_EQ(vfs_unlink(NULL, "/m/f", false), -EROFS);
	CHECK_EQ(unmount("/m"), 0);
}

TEST(mount_flags_mean_something)
{
	struct abi_statfs st;
	struct path p;
	struct file *f;

	begin();
	CHECK_EQ(vfs_create(NULL, "/m/null", S_IFCHR | 0666, 1 << 8 | 3, NULL), 0);
	CHECK_EQ(vfs_create(NULL, "/m/link", S_IFLNK | 0777, 0, "a"), 0);
	CHECK_EQ(remount("/m", MS_NODEV | MS_NOSYMFOLLOW | MS_NOATIME, false), 0);
	CHECK_EQ(vfs_open(NULL, "/m/null", O_RDONLY, 0, &f), -EACCES);
	CHECK_EQ(vfs_walk(NULL, "/m/link", WALK_FOLLOW, &p), -ELOOP);
	CHECK(!vfs_walk(NULL, "/m/link", 0, &p));
	vfs_statfs(&p, &st);
	path_put(&p);
	CHECK_EQ(st.flags, 0x20 | MS_NODEV | MS_NOATIME | 0x2000);
	CHECK_EQ(unmount("/m"), 0);
}
