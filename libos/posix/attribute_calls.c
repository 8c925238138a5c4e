/*
 * System calls about what files are: stat, permission, owner, times, size.
 */
#include <core/errno.h>
#include <libos/abi.h>
#include <libos/notify.h>
#include <libos/uio.h>
#include <libos/vfs.h>

#include "fd.h"
#include "io.h"
#include "syscalls.h"
#include "where.h"

#define AT_NO_AUTOMOUNT 0x800

/* ---- looking ---- */

static int stat_descriptor(int fd, struct kstat *k)
{
	struct file *f = fd_get_any(fd);
	int error = f ? file_stat(f, k) : -EBADF;

	if (f)
		file_put(f);
	return error;
}

/* 0, *k and *p, to be put, which is empty for a pipe's descriptor or its like; or the errno. */
static int find_and_stat(int dirfd, const char *path, int flags, struct path *p, struct kstat *k)
{
	int error;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = where_find(dirfd, path, flags, p);
	if (!error) {
		inode_stat(path_inode(p), k);
	} else if (error == -EINVAL) { /* an empty path, and a descriptor without a place */
		*p = (struct path){ 0 };
		error = stat_descriptor(dirfd, k);
	}
	return error;
}

long sys_newfstatat(int dirfd, const char *path, void *st, int flags)
{
	struct kstat k;
	struct path p;
	int error = find_and_stat(dirfd, path, flags & ~AT_NO_AUTOMOUNT, &p, &k);

	if (error)
		return error;
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

/* What only files with a place have. */
static void statx_place(struct abi_statx *x, const struct path *p)
{
	const uint32_t birth_and_mount = 0x1800;
	const uint64_t is_mount_root = 0x2000;

	x->mask |= birth_and_mount;
	x->btime = statx_time(path_inode(p)->btime);
	x->mount_id = vfs_mount_id(p);
	x->attributes_mask = is_mount_root;
	x->attributes = vfs_is_mount_root(p) ? is_mount_root : 0;
}

long sys_statx(int dirfd, const char *path, int flags, unsigned mask, void *out)
{
	const int sync_hints = 0x6000;
	const unsigned reserved = 0x80000000;
	struct abi_statx x = { 0 };
	struct kstat k;
	struct path p;
	int error;

	if ((flags & sync_hints) == sync_hints || mask & reserved)
		return -EINVAL;
	error = find_and_stat(dirfd, path, flags & ~(AT_NO_AUTOMOUNT | sync_hints), &p, &k);
	if (error)
		return error;
	x = (struct abi_statx){
		.mask = 0x7ff, .blksize = (uint32_t)k.blksize, .nlink = k.nlink,
		.uid = k.uid, .gid = k.gid,
		.mode = (uint16_t)k.mode, .ino = k.ino, .size = (uint64_t)k.size,
		.blocks = (uint64_t)k.blocks, .atime = statx_time(k.atime),
		.ctime = statx_time(k.ctime), .mtime = statx_time(k.mtime),
		.rdev_major = major_of(k.rdev), .rdev_minor = minor_of(k.rdev),
		.dev_major = major_of(k.dev), .dev_minor = minor_of(k.dev),
	};
	if (p.dentry)
		statx_place(&x, &p);
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
	error = !mode                ? 0
		: flags & AT_EACCESS ? inode_permission(path_inode(&p), (unsigned)mode)
				     : inode_permission_real(path_inode(&p), (unsigned)mode);
	if (!error && mode & 1 && inode_kind(path_inode(&p)) == S_IFREG &&
	    vfs_mount_flags(&p) & MS_NOEXEC)
		error = -EACCES;
	if (!error && mode & 2 && path_is_read_only(&p) && !inode_is_special(path_inode(&p)))
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

	return (struct attr_change){ .mask = ATTR_OWNED | (uid != same ? ATTR_UID : 0u) |
					     (gid != same ? ATTR_GID : 0u),
				     .uid = uid,
				     .gid = gid };
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

/* Without a path the descriptor is the file, which is futimens(). */
static int utimes_find(int dirfd, const char *path, int flags, struct path *p)
{
	if (path || dirfd == AT_FDCWD)
		return where_find(dirfd, path, flags, p);
	return flags ? -EINVAL : where_of(dirfd, p);
}

long sys_utimensat(int dirfd, const char *path, const void *user_times, int flags)
{
	struct abi_timespec times[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct attr_change a = { 0 };
	struct path p;
	int error;

	if (user_times && user_read(times, user_times, sizeof(times)) < 0)
		return -EFAULT;
	if (times[0].nsec == UTIME_OMIT && times[1].nsec == UTIME_OMIT)
		return 0; /* whatever the path */
	error = utimes_find(dirfd, path, flags, &p);
	if (error)
		return error;
	if (times[0].nsec == UTIME_NOW && times[1].nsec == UTIME_NOW)
		a.mask = ATTR_NOW;
	error = take_time(&a, ATTR_ATIME, &times[0], &a.atime);
	if (!error)
		error = take_time(&a, ATTR_MTIME, &times[1], &a.mtime);
	if (error)
		path_put(&p);
	return change_path(error, &p, &a);
}

long sys_truncate(const char *path, long size)
{
	struct path p;
	int error = size < 0 ? -EINVAL : where_find(AT_FDCWD, path, 0, &p);

	if (error)
		return error;
	error = vfs_truncate(&p, size);
	path_put(&p);
	return error;
}

static bool is_regular(const struct file *f)
{
	const struct path *p = file_path(f);

	return p && inode_kind(path_inode(p)) == S_IFREG;
}

long sys_ftruncate(int fd, long size)
{
	struct attr_change a = { .mask = ATTR_SIZE, .size = size };
	struct file *f = size < 0 ? NULL : fd_get(fd);
	long error;

	if (!f)
		return size < 0 ? -EINVAL : -EBADF;
	error = is_regular(f) && file_may(f, false) ? vfs_change(file_path(f), &a) : -EINVAL;
	file_put(f);
	return error;
}

/* What cannot be allocated in: -ESPIPE for pipes, with or without a name. */
static int fallocate_check(struct file *f, long offset, long len)
{
	struct kstat k;

	if (offset < 0 || len <= 0)
		return -EINVAL;
	if (!file_may(f, false))
		return -EBADF;
	if (!is_regular(f))
		return !file_stat(f, &k) && (k.mode & S_IFMT) == S_IFIFO ? -ESPIPE : -ENODEV;
	return offset > INT64_MAX - len ? -EFBIG : 0;
}

static int allocate(const struct path *p, int mode, long offset, long len)
{
	struct inode *inode = path_inode(p);
	int error;

	mutex_lock(&inode->lock);
	error = inode->ops->allocate ? inode->ops->allocate(inode, mode, offset, len) : -EOPNOTSUPP;
	mutex_unlock(&inode->lock);
	if (!error)
		notify_path(p, NOTIFY_MODIFY);
	return error;
}

long sys_fallocate(int fd, int mode, long offset, long len)
{
	struct file *f = fd_get(fd);
	int error;

	if (!f)
		return -EBADF;
	error = fallocate_check(f, offset, len);
	if (!error)
		error = allocate(file_path(f), mode, offset, len);
	file_put(f);
	return error;
}

long file_bytes_left(struct file *f, int *user_left)
{
	int left;

	if (!is_regular(f))
		return -ENOTTY;
	left = (int)(path_inode(file_path(f))->size - f->position);
	return user_write(user_left, &left, sizeof(left));
}
