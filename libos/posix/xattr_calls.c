/* System calls about extended attributes: names, namespaces, who may. */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/abi.h>
#include <libos/notify.h>
#include <libos/uio.h>
#include <libos/vfs.h>

#include "syscalls.h"
#include "where.h"

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

/*
 * Attributes that the system itself acts by, such as access control lists: nobody here would heed
 * them, so none is made; those that a disk brings can be read.
 */
static bool is_system(const char *name)
{
	return str_starts_with(name, "system.");
}

/*
 * May the caller set (or see) an attribute of that name? Values of "security." can be seen by all.
 */
static int xattr_may(const struct path *p, const char *name, bool set)
{
	const struct inode *inode = path_inode(p);
	bool root = vfs_context()->uid == 0;

	if (set && path_is_read_only(p))
		return -EROFS;
	if (set && is_system(name))
		return -EOPNOTSUPP;
	if (str_starts_with(name, "security.") || is_system(name))
		return set && !root ? -EPERM : 0;
	if (str_starts_with(name, "trusted."))
		return root ? 0 : set ? -EPERM : -ENODATA;
	if (inode_kind(inode) != S_IFREG && !inode_is_dir(inode))
		return set ? -EPERM : -ENODATA;
	if (set && inode_is_dir(inode) && inode->mode & S_ISVTX && !vfs_owns(inode))
		return -EPERM;
	return inode_permission(inode, set ? 2 : 4);
}

static long xattr_set(int error, struct path *p, const char *user_name, const void *user_value,
		      size_t size, int flags, bool removes)
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
	if (!error && !removes && !(value = kmalloc(MAX(size, 1u))))
		error = -ENOMEM;
	if (!error && size && user_read(value, user_value, size) < 0)
		error = -EFAULT;
	if (!error && flags & ~3)
		error = -EINVAL;
	if (!error)
		error = xattr_may(p, name, true);
	if (!error) {
		mutex_lock(&inode->lock);
		error = inode->ops->xattr_set
				? inode->ops->xattr_set(inode, name, value, size, flags)
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
		n = inode->ops->xattr_get ? inode->ops->xattr_get(inode, name, buf, size)
					  : -EOPNOTSUPP;
		mutex_unlock(&inode->lock);
	}
	if (n == -ENODATA && is_system(name))
		n = -EOPNOTSUPP;
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

#define XATTR_CALLS(prefix, type, find)                                                            \
	long sys_##prefix##setxattr(type of, const char *name, const void *value, size_t size,     \
				    int flags)                                                     \
	{                                                                                          \
		struct path p;                                                                     \
		return xattr_set(find(of, &p), &p, name, value, size, flags, false);               \
	}                                                                                          \
	long sys_##prefix##getxattr(type of, const char *name, void *value, size_t size)           \
	{                                                                                          \
		struct path p;                                                                     \
		return xattr_get(find(of, &p), &p, name, value, size);                             \
	}                                                                                          \
	long sys_##prefix##listxattr(type of, char *list, size_t size)                             \
	{                                                                                          \
		struct path p;                                                                     \
		return xattr_list(find(of, &p), &p, list, size);                                   \
	}                                                                                          \
	long sys_##prefix##removexattr(type of, const char *name)                                  \
	{                                                                                          \
		struct path p;                                                                     \
		return xattr_set(find(of, &p), &p, name, NULL, 0, 0, true);                        \
	}

XATTR_CALLS(, const char *, FOLLOWED)
XATTR_CALLS(l, const char *, NOT_FOLLOWED)
XATTR_CALLS(f, int, where_of)
