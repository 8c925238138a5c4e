/*
 * System calls about names: open, create, link, unlink, rename, read a link or a directory, change
 * the working directory. What they mean is in libos/vfs.h.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/abi.h>
#include <libos/notify.h>
#include <libos/uio.h>
#include <libos/vfs.h>

#include "../vfs/vfs.h"
#include "fd.h"
#include "open.h"
#include "syscalls.h"
#include "where.h"

/* etc.c, where there is a network: for a root that has no such files itself. */
__attribute__((weak)) int etc_open(const char *path, uint32_t flags, struct file **out)
{
	(void)path, (void)flags, (void)out;
	return -ENOENT;
}

long sys_openat(int dirfd, const char *user_path, int flags, unsigned mode)
{
	struct file *f = NULL;
	struct where w;
	int error = where_begin(&w, dirfd, user_path), fd;

	if (error)
		return error;
	fd = fd_reserve(flags & O_CLOEXEC);
	if (fd < 0) {
		where_end(&w);
		return fd;
	}
	error = vfs_open(w.base, w.text, (uint32_t)flags, mode, &f);
	if (error == -ENOENT && !(flags & O_CREAT))
		error = etc_open(w.text, (uint32_t)flags & (O_ACCMODE | O_NONBLOCK), &f);
	where_end(&w);
	fd_fill(fd, error ? NULL : f);
	return error ? error : fd;
}

struct file *open_console(void)
{
	struct file *console;

	return vfs_open(NULL, "/dev/console", O_RDWR, 0, &console) ? console_open() : console;
}

static long create(int dirfd, const char *user_path, uint32_t mode, uint64_t rdev,
		   const char *target)
{
	struct where w;
	int error = where_begin(&w, dirfd, user_path);

	if (error)
		return error;
	error = vfs_create(w.base, w.text, mode, rdev, target);
	where_end(&w);
	return error;
}

long sys_mkdirat(int dirfd, const char *path, unsigned mode)
{
	return create(dirfd, path, S_IFDIR | (mode & 01777), 0, NULL);
}

long sys_mknodat(int dirfd, const char *path, unsigned mode, unsigned rdev)
{
	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return create(dirfd, path, mode & (S_IFMT | 07777), rdev, NULL);
	default:
		return (mode & S_IFMT) == S_IFDIR ? -EPERM : -EINVAL;
	}
}

long sys_symlinkat(const char *user_target, int dirfd, const char *path)
{
	char *target = kmalloc(VFS_PATH_MAX);
	kssize_t len;
	long ret;

	if (!target)
		return -ENOMEM;
	len = user_read_string(target, user_target, VFS_PATH_MAX);
	if (len <= 0)
		ret = len ? len : -ENOENT;
	else
		ret = create(dirfd, path, S_IFLNK | 0777, 0, target);
	kfree(target);
	return ret;
}

long sys_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	struct where w;
	struct path of;
	int error;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = where_find(from_fd, from,
			   (flags & AT_EMPTY_PATH) |
				   (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW),
			   &of);
	if (error)
		return error;
	error = where_begin(&w, to_fd, to);
	if (!error) {
		error = vfs_link(&of, w.base, w.text);
		where_end(&w);
	}
	path_put(&of);
	return error;
}

long sys_unlinkat(int dirfd, const char *path, int flags)
{
	struct where w;
	int error;

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	error = where_begin(&w, dirfd, path);
	if (error)
		return error;
	error = vfs_unlink(w.base, w.text, flags & AT_REMOVEDIR);
	where_end(&w);
	return error;
}

long sys_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	struct where a, b;
	int error = where_begin(&a, from_fd, from);

	if (error)
		return error;
	error = where_begin(&b, to_fd, to);
	if (!error) {
		error = vfs_rename(a.base, a.text, b.base, b.text, flags);
		where_end(&b);
	}
	where_end(&a);
	return error;
}

long sys_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return sys_renameat2(from_fd, from, to_fd, to, 0);
}

static bool is_empty(const char *user_path)
{
	char first;

	return !user_read(&first, user_path, 1) && !first;
}

/* An empty path means the link that the descriptor itself names. */
long sys_readlinkat(int dirfd, const char *path, char *buf, int size)
{
	struct path p;
	kssize_t n;
	char *text;
	int error;

	if (size <= 0)
		return -EINVAL;
	error = where_find(dirfd, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &p);
	if (error)
		return error;
	text = kmalloc(VFS_PATH_MAX);
	if (inode_kind(path_inode(&p)) != S_IFLNK)
		n = is_empty(path) ? -ENOENT : -EINVAL;
	else
		n = text ? path_inode(&p)->ops->read_link(path_inode(&p), text, VFS_PATH_MAX)
			 : -ENOMEM;
	path_put(&p);
	n = MIN(n, size);
	if (n > 0 && user_write(buf, text, (size_t)n) < 0)
		n = -EFAULT;
	kfree(text);
	return n;
}

/* ---- directories ---- */

struct abi_dirent {
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type;
	char name[];
};

struct dirent_sink {
	struct dir_sink sink;
	uint8_t *bytes;
	size_t size, used;
	bool full;  /* there was an entry more */
};

static bool add_dirent(struct dir_sink *s, const char *name, size_t len, uint64_t ino,
		       uint32_t mode, uint64_t next)
{
	struct dirent_sink *d = container_of(s, struct dirent_sink, sink);
	size_t bytes = ALIGN_UP(offsetof(struct abi_dirent, name) + len + 1, 8ul);
	struct abi_dirent *e = (struct abi_dirent *)(d->bytes + d->used);

	d->full = bytes > d->size - d->used;
	if (d->full)
		return false;
	memset(e, 0, bytes);
	e->ino = ino;
	e->next = (int64_t)next;
	e->len = (uint16_t)bytes;
	e->type = (uint8_t)((mode & S_IFMT) >> 12);
	memcpy(e->name, name, len);
	d->used += bytes;
	return true;
}

static long read_dir(struct file *f, struct inode *dir, struct dirent_sink *d, void *user)
{
	uint64_t position;
	int error;

	mutex_lock(&f->position_lock);
	mutex_lock(&dir->lock);
	position = (uint64_t)f->position;
	error = dir->dead ? -ENOENT : dir->ops->iterate(dir, &d->sink, &position);
	if (!error)
		file_accessed(f);
	mutex_unlock(&dir->lock);
	if (!error && !d->used && d->full)
		error = -EINVAL; /* not even one entry fits */
	if (!error && user_write(user, d->bytes, d->used) < 0)
		error = -EFAULT; /* the next call gives the same entries */
	else
		f->position = (int64_t)position;
	mutex_unlock(&f->position_lock);
	if (!error || error == -EINVAL)
		notify_file(f, NOTIFY_ACCESS);
	return error ? error : (long)d->used;
}

long sys_getdents64(int fd, void *buf, unsigned size)
{
	struct file *f = fd_get(fd);
	const struct path *p = f ? file_path(f) : NULL;
	struct dirent_sink d = { .sink.add = add_dirent, .size = MIN(size, KIB(16)) };
	long n = !f ? -EBADF : !p || !inode_is_dir(path_inode(p)) ? -ENOTDIR : 0;

	if (!n && !(d.bytes = kmalloc(MAX(d.size, 1u))))
		n = -ENOMEM;
	if (!n)
		n = read_dir(f, path_inode(p), &d, buf);
	kfree(d.bytes);
	if (f)
		file_put(f);
	return n;
}

/* ---- the working directory ---- */

/* *which becomes p, whose reference it takes over. */
static long change_dir(struct path *p, struct path *which)
{
	struct vfs_context *c = vfs_context();
	long error = inode_is_dir(path_inode(p)) ? inode_permission(path_inode(p), 1) : -ENOTDIR;

	if (!error && which == &c->root && c->uid)
		error = -EPERM;
	if (!error)
		vfs_set_path(which, p);
	path_put(p); /* the old one, or the one refused */
	return error;
}

long sys_chdir(const char *path)
{
	struct path p;
	int error = where_find(AT_FDCWD, path, 0, &p);

	return error ? error : change_dir(&p, &vfs_context()->cwd);
}

long sys_fchdir(int fd)
{
	struct path p;
	int error = where_of_any(fd, &p);

	return error == -EINVAL ? -ENOTDIR : error ? error : change_dir(&p, &vfs_context()->cwd);
}

long sys_chroot(const char *path)
{
	struct path p;
	int error = where_find(AT_FDCWD, path, 0, &p);

	return error ? error : change_dir(&p, &vfs_context()->root);
}

long sys_getcwd(char *buf, size_t size)
{
	char *text = kmalloc(VFS_PATH_MAX);
	struct path cwd;
	kssize_t n;

	vfs_get_context_path(&vfs_context()->cwd, &cwd);
	n = text ? vfs_get_path(&cwd, text, VFS_PATH_MAX) : -ENOMEM;
	path_put(&cwd);
	if (n > 0 && (size_t)n > size)
		n = -ERANGE;
	if (n > 0 && user_write(buf, text, (size_t)n) < 0)
		n = -EFAULT;
	kfree(text);
	return n;
}

long sys_umask(unsigned mask)
{
	return (long)__atomic_exchange_n(&vfs_context()->umask, mask & 0777, __ATOMIC_RELAXED);
}
