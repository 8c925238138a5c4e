/* Paths of system calls. See where.h. */
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/uio.h>

#include "fd.h"
#include "where.h"

int where_begin(struct where *w, int dirfd, const char *user_path)
{
	kssize_t len;

	*w = (struct where){ .text = kmalloc(VFS_PATH_MAX) };
	if (!w->text)
		return -ENOMEM;
	len = user_read_string(w->text, user_path, VFS_PATH_MAX);
	if (len < 0) {
		kfree(w->text);
		return (int)len;
	}
	if (!len || w->text[0] == '/' || dirfd == AT_FDCWD)
		return 0;
	w->dir = fd_get_any(dirfd);
	w->base = w->dir ? file_path(w->dir) : NULL;
	if (w->base && inode_is_dir(path_inode(w->base)))
		return 0;
	where_end(w);
	return w->dir ? -ENOTDIR : -EBADF;
}

void where_end(struct where *w)
{
	if (w->dir)
		file_put(w->dir);
	kfree(w->text);
}

static int place_of(struct file *f, struct path *out)
{
	const struct path *p = f ? file_path(f) : NULL;

	if (p) {
		path_get(p);
		*out = *p;
	}
	if (f)
		file_put(f);
	return p ? 0 : f ? -EINVAL : -EBADF;
}

int where_of(int fd, struct path *out)
{
	return place_of(fd_get(fd), out);
}

int where_of_any(int fd, struct path *out)
{
	return place_of(fd_get_any(fd), out);
}

int where_find(int dirfd, const char *user_path, int at_flags, struct path *out)
{
	struct where w;
	int error;

	if (at_flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = where_begin(&w, dirfd, user_path);
	if (error)
		return error;
	if (!w.text[0] && at_flags & AT_EMPTY_PATH)
		error = dirfd == AT_FDCWD ? vfs_walk(NULL, ".", 0, out) : where_of_any(dirfd, out);
	else
		error = vfs_walk(w.base, w.text, at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW,
				 out);
	where_end(&w);
	return error;
}
