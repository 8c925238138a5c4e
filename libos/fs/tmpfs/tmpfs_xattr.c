/* Extended attributes of tmpfs: a short list for each inode. The inode's lock is held. */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "tmpfs.h"

#define XATTR_CREATE  1
#define XATTR_REPLACE 2

struct xattr {
	struct list link;
	size_t size, name_len;
	char *value, name[];
};

static struct xattr *find(struct tmpfs_inode *t, const char *name)
{
	struct xattr *x;

	list_for_each(x, &t->xattrs, link) {
		if (str_equal(x->name, name))
			return x;
	}
	return NULL;
}

static void forget(struct xattr *x)
{
	list_remove(&x->link);
	kfree(x->value);
	kfree(x);
}

kssize_t tmpfs_xattr_get(struct inode *inode, const char *name, void *buf, size_t size)
{
	struct xattr *x = find(tmpfs_of(inode), name);

	if (!x)
		return -ENODATA;
	if (size && size < x->size)
		return -ERANGE;
	if (size)
		memcpy(buf, x->value, x->size);
	return (kssize_t)x->size;
}

static int add(struct tmpfs_inode *t, const char *name, char *value, size_t size)
{
	size_t len = str_length(name);
	struct xattr *x = kmalloc(sizeof(*x) + len + 1);

	if (!x)
		return -ENOMEM;
	x->size = size;
	x->name_len = len;
	x->value = value;
	memcpy(x->name, name, len + 1);
	list_push_back(&t->xattrs, &x->link);
	return 0;
}

/* `value` NULL removes. */
int tmpfs_xattr_set(struct inode *inode, const char *name, const void *value, size_t size,
		    int flags)
{
	struct tmpfs_inode *t = tmpfs_of(inode);
	struct xattr *old = find(t, name);
	char *copy;
	int error;

	if (old && flags & XATTR_CREATE)
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE || !value))
		return -ENODATA;
	if (value) {
		copy = kmalloc(MAX(size, 1u));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, value, size);
		error = add(t, name, copy, size);
		if (error) {
			kfree(copy);
			return error;
		}
	}
	if (old)
		forget(old);
	return 0;
}

kssize_t tmpfs_xattr_list(struct inode *inode, char *buf, size_t size)
{
	size_t total = 0;
	struct xattr *x;

	list_for_each(x, &tmpfs_of(inode)->xattrs, link) {
		size_t len = x->name_len + 1;

		if (size && total + len > size)
			return -ERANGE;
		if (size)
			memcpy(buf + total, x->name, len);
		total += len;
	}
	return (kssize_t)total;
}

void tmpfs_xattr_forget(struct tmpfs_inode *t)
{
	while (!list_is_empty(&t->xattrs))
		forget(list_first(&t->xattrs, struct xattr, link));
}
