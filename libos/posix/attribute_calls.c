/*
 * System calls about what files are: stat, permission, owner, times, size, extended attributes; and about
 * file systems: mount, statfs, sync.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/abi.h>
#include <libos/notify.h>
#include <libos/uio.h>
#include <libos/vfs.h>

#include "fd.h"
#include "syscalls.h"
#include "where.h"

#define AT_NO_AUTOMOUNT 0x800

/* ---- looking ---- */

long sys_newfstatat(int dirfd, const char *path, void *st, int flags)
{
	struct kstat k;
	struct path p;
	int error = where_find(dirfd, path, flags & ~AT_NO_AUTOMOUNT, &p);

	if (error == -EINVAL && flags & AT_EMPTY_PATH) /* a pipe or its like */
		return sys_fstat(dirfd, st);
	if (error)
		return error;
	inode_stat(path_inode(&p), &k);
	path_put(&p);
	return user_write(st, &k, sizeof(k));
}

struct abi_statx_time { int64_t sec; uint32_t nsec; int32_t pad; };

struct abi_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad;
	uint64_t ino, size, blocks, attributes_mask;
	struct abi_statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mount_id, spare[13];
};
_Static_assert(sizeof(struct abi_statx) == 256, "struct statx has 256 bytes");

static struct abi_statx_time statx_time(struct abi_timespec t)
{
	return (struct abi_statx_time){ t.sec, (uint32_t)t.nsec, 0 };
}

/* A device's number as Linux packs it. */
static uint32_t major_of(uint64_t number)
{
	return number >> 8 & 0xfff;
}

static uint32_t minor_of(uint64_t number)
{
	return (number & 0xff) | (number >> 12 & 0xfff00);
}

long sys_statx(int dirfd, const char *path, int flags, unsigned mask, void *out)
{
	const int sync_hints = 0x6000;
	const uint64_t is_mount_root = 0x2000;
	struct abi_statx x = { 0 };
	struct kstat k;
	struct path p;
	int error = where_find(dirfd, path, flags & ~(AT_NO_AUTOMOUNT | sync_hints), &p);

	(void)mask;
	if (error)
		return error;
	inode_stat(path_inode(&p), &k);
	x = (struct abi_statx){
		.mask = 0x1fff, .blksize = (uint32_t)k.blksize, .nlink = k.nlink, .uid = k.uid, .gid = k.gid,
		.mode = (uint16_t)k.mode, .ino = k.ino, .size = (uint64_t)k.size, .blocks = (uint64_t)k.blocks,
		.atime = statx_time(k.atime), .btime = statx_time(path_inode(&p)->btime),
		.ctime = statx_time(k.ctime), .mtime = statx_time(k.mtime),
		.rdev_major = major_of(k.rdev), .rdev_minor = minor_of(k.rdev),
		.dev_major = major_of(k.dev), .dev_minor = minor_of(k.dev),
		.mount_id = vfs_mount_id(&p), .attributes_mask = is_mount_root,
		.attributes = vfs_is_mount_root(&p) ? is_mount_root : 0,
	};
	path_put(&p);
	return user_write(out, &x, sizeof(x));
}

long sys_faccessat2(int dirfd, const char *path, int mode, int flags)
{
	struct path p;
	int error;

	if (mode & ~7)
		return -EINVAL;
	error = where_find(dirfd, path, flags & ~AT_EACCESS, &p);
	if (error)
		return error;
	error = !mode ? 0 : flags & AT_EACCESS ? inode_permission(path_inode(&p), (unsigned)mode)
					       : inode_permission_real(path_inode(&p), (unsigned)mode);
	if (!error && mode & 1 && inode_kind(path_inode(&p)) == S_IFREG && vfs_mount_flags(&p) & MS_NOEXEC)
		error = -EACCES;
	if (!error && mode & 2 && path_is_read_only(&p))
		error = -EROFS;
	path_put(&p);
	return error;
}

long sys_faccessat(int dirfd, const char *path, int mode)
{
	return sys_faccessat2(dirfd, path, mode, 0);
}

/* ---- changing ---- */

static long change_path(int error, struct path *p, struct attr_change *a)
{
	if (error)
		return error;
	error = vfs_change(p, a);
	path_put(p);
	return error;
}

long sys_fchmod(int fd, unsigned mode)
{
	struct attr_change a = { .mask = ATTR_MODE, .mode = mode };
	struct path p;

	return change_path(where_of(fd, &p), &p, &a);
}

long sys_fchmodat(int dirfd, const char *path, unsigned mode)
{
	struct attr_change a = { .mask = ATTR_MODE, .mode = mode };
	struct path p;

	return change_path(where_find(dirfd, path, 0, &p), &p, &a);
}

static struct attr_change owners(unsigned uid, unsigned gid)
{
	const unsigned same = (unsigned)-1;

	return (struct attr_change){ .mask = ATTR_OWNED | (uid != same ? ATTR_UID : 0u) | (gid != same ? ATTR_GID : 0u),
				     .uid = uid, .gid = gid };
}

long sys_fchown(int fd, unsigned uid, unsigned gid)
{
	struct attr_change a = owners(uid, gid);
	struct path p;

	return change_path(where_of(fd, &p), &p, &a);
}

long sys_fchownat(int dirfd, const char *path, unsigned uid, unsigned gid, int flags)
{
	struct attr_change a = owners(uid, gid);
	struct path p;

	return change_path(where_find(dirfd, path, flags, &p), &p, &a);
}

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

/* One of the two times: 0, or -EINVAL. */
static int take_time(struct attr_change *a, unsigned which, const struct abi_timespec *given,
		     struct abi_timespec *to)
{
	if (given->nsec == UTIME_OMIT)
		return 0;
	if (given->nsec != UTIME_NOW && (uint64_t)given->nsec >= 1000000000)
		return -EINVAL;
	a->mask |= which;
	*to = given->nsec == UTIME_NOW ? vfs_now() : *given;
	return 0;
}

long sys_utimensat(int dirfd, const char *path, const void *user_times, int flags)
{
	struct abi_timespec times[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct attr_change a = { 0 };
	struct path p;
	int error;

	if (user_times && user_read(times, user_times, sizeof(times)) < 0)
		return -EFAULT;
	if (times[0].nsec == UTIME_NOW && times[1].nsec == UTIME_NOW)
		a.mask = ATTR_NOW;
	error = take_time(&a, ATTR_ATIME, &times[0], &a.atime);
	if (!error)
		error = take_time(&a, ATTR_MTIME, &times[1], &a.mtime);
	if (!error)
		error = path ? where_find(dirfd, path, flags, &p) : where_of(dirfd, &p);
	if (!error && !a.mask) {
		path_put(&p);
		return 0;
	}
	return change_path(error, &p, &a);
}

long sys_truncate(const char *path, long size)
{
	struct attr_change a = { .mask = ATTR_SIZE, .size = size };
	struct path p;
	int error = where_find(AT_FDCWD, path, 0, &p);

	if (!error && (error = inode_permission(path_inode(&p), 2)))
		path_put(&p);
	return change_path(error, &p, &a);
}

/* A descriptor for writing of a regular file: 0 and the path; `not_writable` for one opened for reading. */
static int writable_file(int fd, int not_writable, struct path *p)
{
	struct file *f = fd_get(fd);
	int error = f ? where_of(fd, p) : -EBADF;

	if (!error) {
		if ((f->flags & O_ACCMODE) == O_RDONLY)
			error = not_writable;
		else if (inode_kind(path_inode(p)) != S_IFREG)
			error = -EINVAL;
		if (error)
			path_put(p);
	}
	if (f)
		file_put(f);
	return error;
}

long sys_ftruncate(int fd, long size)
{
	struct attr_change a = { .mask = ATTR_SIZE, .size = size };
	struct path p;
	int error = size < 0 ? -EINVAL : writable_file(fd, -EINVAL, &p);

	return change_path(error, &p, &a);
}

long sys_fallocate(int fd, int mode, long offset, long len)
{
	struct path p;
	struct inode *inode;
	int error;

	if (offset < 0 || len <= 0)
		return -EINVAL;
	if (offset > INT64_MAX - len)
		return -EFBIG;
	error = writable_file(fd, -EBADF, &p);
	if (error)
		return error;
	inode = path_inode(&p);
	mutex_lock(&inode->lock);
	error = inode->ops->allocate ? inode->ops->allocate(inode, mode, offset, len) : -EOPNOTSUPP;
	mutex_unlock(&inode->lock);
	if (!error)
		notify_path(&p, NOTIFY_MODIFY);
	path_put(&p);
	return error;
}

/* ---- extended attributes ---- */

#define XATTR_NAME_MAX 255u
#define XATTR_SIZE_MAX KIB(64)

/* 0, or what is wrong with a name. */
static int xattr_name(char *name, const char *user)
{
	static const char *const spaces[] = { "user.", "trusted.", "security.", "system." };
	kssize_t len = user_read_string(name, user, XATTR_NAME_MAX + 1);

	if (len <= 0)
		return len == -ENAMETOOLONG || !len ? -ERANGE : (int)len;
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		if (str_starts_with(name, spaces[i]))
			return name[str_length(spaces[i])] ? 0 : -EINVAL;
	}
	return -EOPNOTSUPP;
}

/* May the caller set (or see) an attribute of that name? Values of "security." can be seen by all. */
static int xattr_may(const struct path *p, const char *name, bool set)
{
	const struct inode *inode = path_inode(p);
	bool root = vfs_context()->uid == 0;

	if (set && path_is_read_only(p))
		return -EROFS;
	if (str_starts_with(name, "security.") || str_starts_with(name, "system."))
		return set && !root ? -EPERM : 0;
	if (str_starts_with(name, "trusted."))
		return root ? 0 : set ? -EPERM : -ENODATA;
	if (inode_kind(inode) != S_IFREG && !inode_is_dir(inode))
		return set ? -EPERM : -ENODATA;
	if (set && inode_is_dir(inode) && inode->mode & S_ISVTX && !vfs_owns(inode))
		return -EPERM;
	return inode_permission(inode, set ? 2 : 4);
}

static long xattr_set(int error, struct path *p, const char *user_name, const void *user_value, size_t size,
		      int flags, bool removes)
{
	char name[XATTR_NAME_MAX + 1];
	void *value = NULL;
	struct inode *inode;

	if (error)
		return error;
	inode = path_inode(p);
	error = xattr_name(name, user_name);
	if (!error && size > XATTR_SIZE_MAX)
		error = -E2BIG;
	if (!error && !removes && !(value = kmalloc(MAX(size, 1))))
		error = -ENOMEM;
	if (!error && size && user_read(value, user_value, size) < 0)
		error = -EFAULT;
	if (!error && flags & ~3)
		error = -EINVAL;
	if (!error)
		error = xattr_may(p, name, true);
	if (!error) {
		mutex_lock(&inode->lock);
		error = inode->ops->xattr_set ? inode->ops->xattr_set(inode, name, value, size, flags)
					      : -EOPNOTSUPP;
		if (!error)
			inode_touch(inode, TOUCH_C);
		mutex_unlock(&inode->lock);
		if (!error)
			notify_path(p, NOTIFY_ATTRIB);
	}
	kfree(value);
	path_put(p);
	return error;
}

/* Hands a value or a list to the caller; n is what the file system said. */
static long xattr_out(kssize_t n, void *user, const void *buf, size_t size)
{
	return n > 0 && size && user_write(user, buf, (size_t)n) < 0 ? -EFAULT : n;
}

static long xattr_get(int error, struct path *p, const char *user_name, void *user, size_t size)
{
	char name[XATTR_NAME_MAX + 1];
	struct inode *inode;
	void *buf = NULL;
	kssize_t n;

	if (error)
		return error;
	inode = path_inode(p);
	size = MIN(size, XATTR_SIZE_MAX);
	n = xattr_name(name, user_name);
	if (!n)
		n = xattr_may(p, name, false);
	if (!n && size && !(buf = kmalloc(size)))
		n = -ENOMEM;
	if (!n) {
		mutex_lock(&inode->lock);
		n = inode->ops->xattr_get ? inode->ops->xattr_get(inode, name, buf, size) : -EOPNOTSUPP;
		mutex_unlock(&inode->lock);
	}
	n = xattr_out(n, user, buf, size);
	kfree(buf);
	path_put(p);
	return n;
}

/* Takes the names out that others than root do not see; what is left. */
static kssize_t hide_trusted(char *list, kssize_t size)
{
	kssize_t kept = 0;

	for (kssize_t at = 0; at < size;) {
		kssize_t len = (kssize_t)str_length(list + at) + 1;

		if (!str_starts_with(list + at, "trusted.")) {
			memmove(list + kept, list + at, (size_t)len);
			kept += len;
		}
		at += len;
	}
	return kept;
}

static kssize_t list_all(struct inode *inode, char **list)
{
	kssize_t n = -EOPNOTSUPP;

	mutex_lock(&inode->lock);
	if (inode->ops->xattr_list)
		n = inode->ops->xattr_list(inode, NULL, 0);
	if (n > 0 && !(*list = kmalloc((size_t)n)))
		n = -ENOMEM;
	if (n > 0)
		n = inode->ops->xattr_list(inode, *list, (size_t)n);
	mutex_unlock(&inode->lock);
	return n;
}

static long xattr_list(int error, struct path *p, char *user, size_t size)
{
	char *list = NULL;
	kssize_t n;

	if (error)
		return error;
	n = list_all(path_inode(p), &list);
	if (n > 0 && vfs_context()->uid)
		n = hide_trusted(list, n);
	if (n > 0 && size)
		n = (size_t)n > size ? -ERANGE : xattr_out(n, user, list, size);
	kfree(list);
	path_put(p);
	return n;
}

#define FOLLOWED(path, p)     where_find(AT_FDCWD, path, 0, p)
#define NOT_FOLLOWED(path, p) where_find(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, p)

#define XATTR_CALLS(prefix, type, find)                                                              \
	long sys_##prefix##setxattr(type of, const char *name, const void *value, size_t size,      \
				    int flags)                                                      \
	{                                                                                            \
		struct path p;                                                                       \
		return xattr_set(find(of, &p), &p, name, value, size, flags, false);                 \
	}                                                                                            \
	long sys_##prefix##getxattr(type of, const char *name, void *value, size_t size)            \
	{                                                                                            \
		struct path p;                                                                       \
		return xattr_get(find(of, &p), &p, name, value, size);                               \
	}                                                                                            \
	long sys_##prefix##listxattr(type of, char *list, size_t size)                              \
	{                                                                                            \
		struct path p;                                                                       \
		return xattr_list(find(of, &p), &p, list, size);                                      \
	}                                                                                            \
	long sys_##prefix##removexattr(type of, const char *name)                                   \
	{                                                                                            \
		struct path p;                                                                       \
		return xattr_set(find(of, &p), &p, name, NULL, 0, 0, true);                          \
	}

XATTR_CALLS(, const char *, FOLLOWED)
XATTR_CALLS(l, const char *, NOT_FOLLOWED)
XATTR_CALLS(f, int, where_of)

/* ---- file systems ---- */

static long statfs_out(int error, struct path *p, void *out)
{
	struct abi_statfs st;

	if (error)
		return error;
	vfs_statfs(p, &st);
	path_put(p);
	return user_write(out, &st, sizeof(st));
}

long sys_statfs(const char *path, void *out)
{
	struct path p;

	return statfs_out(where_find(AT_FDCWD, path, 0, &p), &p, out);
}

long sys_fstatfs(int fd, void *out)
{
	struct path p;

	return statfs_out(where_of_any(fd, &p), &p, out);
}

#define MOUNT_TEXT 1024u

struct mount_texts {
	char source[MOUNT_TEXT], type[MOUNT_TEXT], options[MOUNT_TEXT];
};

static int optional_text(char *text, const char *user)
{
	kssize_t n = user ? user_read_string(text, user, MOUNT_TEXT) : 0;

	if (!user)
		text[0] = '\0';
	return n < 0 ? (int)n : 0;
}

static int read_texts(struct mount_texts *t, const char *source, const char *type, const void *options)
{
	int error = optional_text(t->source, source);

	if (!error)
		error = optional_text(t->type, type);
	return error ? error : optional_text(t->options, options);
}

/* Times of access are relative unless the caller says otherwise; the upper half may be an old magic number. */
static uint32_t mount_flags(unsigned long flags)
{
	const unsigned long magic = 0xc0ed0000, mask = 0xffff0000;

	if ((flags & mask) == magic)
		flags &= ~mask;
	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		flags |= MS_RELATIME;
	else
		flags &= ~(unsigned long)MS_RELATIME;
	return (uint32_t)flags;
}

/* With a second place as the source: bind or move. */
static int mount_place(const char *source, const struct path *at, uint32_t flags)
{
	struct path from;
	int error;

	if (!source || !*source)
		return -EINVAL;
	error = vfs_walk(NULL, source, WALK_FOLLOW, &from);
	if (error)
		return error;
	if (flags & MS_BIND)
		error = vfs_bind(&from, at, flags & MS_REC);
	else
		error = vfs_move_mount(&from, at);
	path_put(&from);
	return error;
}

static int mount_at(const struct mount_texts *t, const char *source, const struct path *at, uint32_t flags)
{
	const uint32_t propagation = 0x1a0000; /* unbindable, slave, shared */

	if (flags & MS_REMOUNT)
		return vfs_remount(at, flags, t->options, flags & MS_BIND);
	if (flags & (MS_BIND | MS_MOVE))
		return mount_place(source ? t->source : NULL, at, flags);
	if (flags & propagation)
		return -EINVAL;
	if (flags & MS_PRIVATE)
		return 0; /* as they all are */
	return *t->type ? vfs_mount(t->type, t->source, at, flags, t->options) : -EINVAL;
}

long sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)
{
	struct mount_texts *t = kmalloc(sizeof(*t));
	struct path at = { 0 };
	int error = t ? read_texts(t, source, type, data) : -ENOMEM;

	if (!error && vfs_context()->uid)
		error = -EPERM;
	if (!error)
		error = where_find(AT_FDCWD, target, 0, &at);
	if (!error)
		error = mount_at(t, source, &at, mount_flags(flags));
	path_put(&at);
	kfree(t);
	return error;
}

long sys_umount2(const char *target, int flags)
{
	const int force = 1, detach = 2, nofollow = 8;
	struct path at;
	int error;

	if (flags & ~(force | detach | nofollow))
		return -EINVAL;
	error = where_find(AT_FDCWD, target, flags & nofollow ? AT_SYMLINK_NOFOLLOW : 0, &at);
	if (error)
		return error;
	error = vfs_context()->uid ? -EPERM : flags & detach ? vfs_detach(&at) : vfs_unmount(&at);
	if (error)
		path_put(&at);
	return error;
}

long sys_sync(void)
{
	vfs_sync_all();
	return 0;
}

long sys_syncfs(int fd)
{
	return fd_is_open(fd) ? vfs_sync_all() : -EBADF;
}
