/*
 * Reading and writing: the calls that move bytes through a descriptor.
 *
 * Vectors are copied in once, into the frame when they are few. A file with a position is read and
 * written under its position lock, as POSIX asks; streams have none.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/abi.h>
#include <libos/notify.h>
#include <libos/uio.h>

#include "blocking.h"
#include "fd.h"
#include "io.h"
#include "signal.h"
#include "syscalls.h"

#define RW_MAX 0x7ffff000ul
#define WHENCE_MAX 4 /* SEEK_HOLE */

int vectors_read(struct vectors *v, const void *user, size_t count)
{
	size_t total = 0;

	v->list = v->few;
	if (count > VECTORS_MAX)
		return -EINVAL;
	if (count > ARRAY_SIZE(v->few) && !(v->list = kmalloc(count * sizeof(*v->list))))
		return -ENOMEM;
	if (user_read(v->list, user, count * sizeof(*v->list)) < 0) {
		vectors_free(v);
		return -EFAULT;
	}
	for (size_t i = 0; i < count; i++) {
		if ((intptr_t)v->list[i].len < 0) {
			vectors_free(v);
			return -EINVAL;
		}
		v->list[i].len = MIN(v->list[i].len, RW_MAX - total);
		total += v->list[i].len;
	}
	v->uio = (struct uio){ .vecs = v->list, .vec_count = count, .left = total, .offset = -1 };
	return 0;
}

void vectors_free(struct vectors *v)
{
	if (v->list != v->few)
		kfree(v->list);
}

bool file_may(const struct file *f, bool reading)
{
	uint32_t mode = f->flags & O_ACCMODE;

	return mode == O_RDWR || mode == (reading ? O_RDONLY : O_WRONLY);
}

/* What another user writes to does not run as its owner any more. */
static void before_write(struct file *f)
{
	const struct path *p = file_path(f);

	if (p && unlikely(path_inode(p)->mode & (S_ISUID | S_ISGID)))
		vfs_drop_set_id(p);
}

/*
 * No file goes on behind the largest number there is. An offset of -1 is none, and leaves room for
 * all.
 */
static bool ends_beyond_all(const struct uio *u)
{
	return u->left > INT64_MAX - (uint64_t)u->offset;
}

kssize_t file_transfer(struct file *f, struct uio *u, bool reading)
{
	kssize_t n;

	if (!file_may(f, reading))
		return -EBADF;
	if (!(reading ? f->ops->read : f->ops->write))
		return -EINVAL;
	if (IS_ENABLED(CONFIG_VFS) && !reading && u->left)
		before_write(f);
	if (f->ops->seek && u->offset < 0) {
		mutex_lock(&f->position_lock);
		u->offset = f->position;
		n = ends_beyond_all(u) ? -EINVAL : reading ? file_read(f, u) : file_write(f, u);
		f->position = u->offset;
		mutex_unlock(&f->position_lock);
	} else {
		n = ends_beyond_all(u) ? -EINVAL : reading ? file_read(f, u) : file_write(f, u);
	}
	if (n > 0)
		notify_file(f, reading ? NOTIFY_ACCESS : NOTIFY_MODIFY);
	else if (n == -EPIPE && !reading)
		signal_raise_pipe();
	return n;
}

static kssize_t fd_transfer(int fd, struct uio *u, bool reading)
{
	struct file *f = fd_get(fd);
	kssize_t n;

	if (!f)
		return -EBADF;
	n = file_transfer(f, u, reading);
	file_put(f);
	return n;
}

long sys_read(int fd, void *buf, size_t len)
{
	struct uio_vec vec = { buf, MIN(len, RW_MAX) };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = vec.len, .offset = -1 };

	return fd_transfer(fd, &u, true);
}

long sys_write(int fd, const void *buf, size_t len)
{
	struct uio_vec vec = { (void *)buf, MIN(len, RW_MAX) };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = vec.len, .offset = -1 };

	return fd_transfer(fd, &u, false);
}

static kssize_t transfer_vectors(int fd, const void *vecs, unsigned long count, bool reading)
{
	struct file *f = fd_get(fd);
	struct vectors v;
	kssize_t n;

	if (!f)
		return -EBADF;
	n = vectors_read(&v, vecs, count);
	if (!n) {
		n = file_transfer(f, &v.uio, reading);
		vectors_free(&v);
	}
	file_put(f);
	return n;
}

long sys_readv(int fd, const void *vecs, unsigned long count)
{
	return transfer_vectors(fd, vecs, count, true);
}

long sys_writev(int fd, const void *vecs, unsigned long count)
{
	return transfer_vectors(fd, vecs, count, false);
}

/* Positioned transfers: only files with positions have them. */
static kssize_t transfer_at(int fd, struct uio *u, int64_t offset, bool reading)
{
	struct file *f;
	kssize_t n;

	if (offset < 0)
		return -EINVAL;
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	u->offset = offset;
	n = f->ops->seek ? file_transfer(f, u, reading) : -ESPIPE;
	file_put(f);
	return n;
}

long sys_pread64(int fd, void *buf, size_t len, long offset)
{
	struct uio_vec vec = { buf, MIN(len, RW_MAX) };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = vec.len };

	return transfer_at(fd, &u, offset, true);
}

long sys_pwrite64(int fd, const void *buf, size_t len, long offset)
{
	struct uio_vec vec = { (void *)buf, MIN(len, RW_MAX) };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = vec.len };

	return transfer_at(fd, &u, offset, false);
}

static kssize_t transfer_vectors_at(int fd, const void *vecs, unsigned long count, long offset,
				    bool reading)
{
	struct vectors v;
	kssize_t n = offset < 0 ? -EINVAL : vectors_read(&v, vecs, count);

	if (n)
		return n;
	n = transfer_at(fd, &v.uio, offset, reading);
	vectors_free(&v);
	return n;
}

long sys_preadv(int fd, const void *vecs, unsigned long count, long offset)
{
	return transfer_vectors_at(fd, vecs, count, offset, true);
}

long sys_pwritev(int fd, const void *vecs, unsigned long count, long offset)
{
	return transfer_vectors_at(fd, vecs, count, offset, false);
}

long sys_lseek(int fd, long offset, int whence)
{
	struct file *f = fd_get(fd);
	long ret = -ESPIPE;

	if (!f)
		return -EBADF;
	if (whence < 0 || whence > WHENCE_MAX)
		ret = -EINVAL;
	else if (f->ops->seek)
		ret = f->ops->seek(f, offset, whence);
	file_put(f);
	return ret;
}

static long file_sync(int fd, bool data_only)
{
	struct file *f = fd_get(fd);
	long ret = -EINVAL;

	if (!f)
		return -EBADF;
	if (f->ops->sync)
		ret = f->ops->sync(f, data_only);
	file_put(f);
	return ret;
}

long sys_fsync(int fd)
{
	return file_sync(fd, false);
}

long sys_fdatasync(int fd)
{
	return file_sync(fd, true);
}

long sys_fstat(int fd, void *st)
{
	struct file *f = fd_get_any(fd);
	struct kstat k;
	long ret;

	if (!f)
		return -EBADF;
	ret = file_stat(f, &k);
	file_put(f);
	return ret ? ret : user_write(st, &k, sizeof(k));
}

static long ioctl_file(struct file *f, int fd, unsigned long request, unsigned long arg)
{
	int on;

	switch (request) {
	case FIONBIO:
		if (user_read(&on, (void *)arg, sizeof(on)) < 0)
			return -EFAULT;
		if (on)
			__atomic_fetch_or(&f->flags, O_NONBLOCK, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&f->flags, ~O_NONBLOCK, __ATOMIC_RELAXED);
		return 0;
	case FIOCLEX:
	case FIONCLEX:
		return fd_set_flags(fd, request == FIOCLEX);
	case FITRIM:
		return IS_ENABLED(CONFIG_VFS) ? file_trim(f, (void *)arg) : -ENOTTY;
	default:
		if (f->ops->ioctl)
			return f->ops->ioctl(f, request, arg);
		return IS_ENABLED(CONFIG_VFS) && request == FIONREAD ?
		       file_bytes_left(f, (int *)arg) : -ENOTTY;
	}
}

long sys_ioctl(int fd, unsigned long request, unsigned long arg)
{
	struct file *f = fd_get(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = ioctl_file(f, fd, (uint32_t)request, arg);
	file_put(f);
	return ret;
}
