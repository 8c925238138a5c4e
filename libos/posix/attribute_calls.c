/*
 * System calls about what files are: stat, permission, owner, times, size.
 */
#include <core/errno.h>
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
