/*
 * Opening by name: what is found, created on the way, or has no name (O_TMPFILE); and whether the
 * caller may. What becomes of the inode is in open_file.c.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/notify.h>

#include "place.h"

/*
 * The last component of an open() that may create. 1: a symbolic link, whose target is in *target.
 */
static int open_last(struct place *p, uint32_t flags, uint32_t mode, struct path *found,
		     char **target)
{
	struct inode *inode = p->d->inode;
	bool create = !inode;
	kssize_t n;
	int error;

	if (p->slash)
		return -EISDIR;
	if (inode && flags & O_EXCL)
		return -EEXIST;
	if (create) {
		error = place_create(p, S_IFREG | (mode & 07777 & ~vfs_context()->umask), 0, NULL);
		if (error)
			return error;
	} else if (inode_kind(inode) == S_IFLNK) {
		if (flags & O_NOFOLLOW || vfs_mount_flags(&p->dir) & MS_NOSYMFOLLOW)
			return -ELOOP;
		if (inode->ops->leads && inode->ops->leads(inode))
			return inode->ops->jump(inode, found);
		*target = kzalloc(VFS_PATH_MAX);
		n = *target ? inode->ops->read_link(inode, *target, VFS_PATH_MAX - 1) : -ENOMEM;
		return n < 0 ? (int)n : 1;
	}
	*found = (struct path){ p->dir.mount, p->d };
	path_get(found);
	path_enter_mounts(found);
	return create ? 2 : 0;
}

/*
 * Finds or creates; *created tells which. Links at the end lead on, from the directory they are in.
 */
static int open_create(const struct path *base, const char *text, uint32_t flags, uint32_t mode,
		       struct path *found, bool *created)
{
	struct path from = { 0 };
	char *memory = NULL;
	int ret = -ELOOP;

	for (unsigned links = 0; links <= VFS_LINKS_MAX; links++) {
		char *target = NULL;
		struct place p;

		ret = place_open(&p, from.dentry ? &from : base, text);
		if (ret == -EEXIST && !(flags & O_EXCL)) /* only slashes */
			ret = -EISDIR;
		if (ret)
			break;
		if (place_is_dots(&p))
			ret = flags & O_EXCL ? -EEXIST : -EISDIR;
		else
			ret = open_last(&p, flags, mode, found, &target);
		path_put(&from);
		if (ret == 1) {
			path_get(&p.dir);
			from = p.dir;
		}
		place_close(&p);
		kfree(memory);
		text = memory = target;
		if (ret != 1)
			break;
		ret = -ELOOP;
	}
	path_put(&from);
	kfree(memory);
	*created = ret == 2;
	return ret < 0 ? ret : 0;
}

static int make_nameless(struct inode *dir, uint32_t mode, struct inode **out)
{
	int error;

	if (!dir->ops->make)
		return -EOPNOTSUPP;
	error = removal_begin(dir->super);
	if (error)
		return error;
	error = dir->ops->make(dir, S_IFREG | (mode & 07777 & ~vfs_context()->umask), 0, NULL, out);
	removal_end(dir->super, error ? NULL : *out);
	return error;
}

static int open_nameless(const struct path *base, const char *text, uint32_t flags, uint32_t mode,
			 struct path *found)
{
	struct inode *dir, *inode;
	int error = vfs_walk(base, text, WALK_FOLLOW | WALK_DIR, found);

	if (error)
		return error;
	dir = path_inode(found);
	error = dir_may_change(found);
	if (!error)
		error = make_nameless(dir, mode, &inode);
	if (!error) {
		struct dentry *d = dentry_nameless(found->dentry, inode);

		if (d) {
			inode->linkable = !(flags & O_EXCL);
			dentry_put(found->dentry);
			found->dentry = d;
			return 0;
		}
		inode_put(inode);
		error = -ENOMEM;
	}
	path_put(found);
	return error;
}

static unsigned access_of(uint32_t flags)
{
	static const uint8_t wanted[4] = { 4, 2, 4 | 2, 4 | 2 };

	return wanted[flags & O_ACCMODE] | (flags & O_TRUNC ? 2 : 0);
}

static int may_open(const struct path *p, uint32_t flags, bool created)
{
	struct inode *inode = path_inode(p);
	unsigned wanted = access_of(flags);
	int error;

	if (flags & O_DIRECTORY && !inode_is_dir(inode))
		return -ENOTDIR;
	if (inode_kind(inode) == S_IFLNK)
		return -ELOOP;
	if (inode_is_dir(inode) && (wanted & 2 || flags & O_CREAT))
		return -EISDIR;
	if (created)
		return 0;
	if (wanted & 2 && path_is_read_only(p) && inode_kind(inode) == S_IFREG)
		return -EROFS;
	if (wanted & 2 && inode->append_only && (!(flags & O_APPEND) || flags & O_TRUNC))
		return -EPERM;
	if ((inode_kind(inode) == S_IFCHR || inode_kind(inode) == S_IFBLK) &&
	    vfs_mount_flags(p) & MS_NODEV)
		return -EACCES;
	error = inode_permission(inode, wanted);
	return !error && flags & O_NOATIME && !vfs_owns(inode) ? -EPERM : error;
}

int vfs_open(const struct path *base, const char *text, uint32_t flags, uint32_t mode,
	     struct file **out)
{
	struct path p = { 0 };
	bool created = false;
	int error;

	if (flags & O_PATH) /* what only names a place creates and cuts nothing */
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
	if (flags & O_TMPFILE & ~O_DIRECTORY && (flags & (O_TMPFILE | O_CREAT)) != O_TMPFILE)
		return -EINVAL;
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		created = true;
		error = (flags & O_ACCMODE) == O_RDONLY
				? -EINVAL
				: open_nameless(base, text, flags, mode, &p);
		flags &= ~O_TMPFILE;
	} else if (flags & O_CREAT) {
		error = flags & O_DIRECTORY ? -EINVAL
					    : open_create(base, text, flags, mode, &p, &created);
	} else {
		error = vfs_walk(base, text, flags & O_NOFOLLOW ? 0 : WALK_FOLLOW, &p);
	}
	if (error)
		return error;
	if (!(flags & O_PATH))
		error = may_open(&p, flags, created);
	else if (flags & O_DIRECTORY && !inode_is_dir(path_inode(&p)))
		error = -ENOTDIR;
	if (!error && flags & O_TRUNC && !created && inode_kind(path_inode(&p)) == S_IFREG) {
		struct attr_change a = { .mask = ATTR_SIZE };

		error = vfs_change(&p, &a);
	}
	if (!error)
		error = open_inode(&p, flags, out);
	if (!error && !(flags & O_PATH))
		notify_path(&p, NOTIFY_OPEN);
	path_put(&p);
	return error;
}
