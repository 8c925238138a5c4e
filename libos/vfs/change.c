/*
 * Changing the tree: create, link, unlink. rename.c and open_name.c stand on the places found here.
 * See libos/vfs.h.
 *
 * Each function walks to the directory, locks it, looks the name up under the lock, checks what
 * Linux checks in Linux's order, calls the file system, and then brings the name cache in line.
 *
 * A directory that goes is marked dead under its own lock, after it was found empty under the same
 * lock: nobody can create anything in it any more.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/notify.h>

#include "place.h"

int place_find(struct place *p, const struct path *base, const char *text)
{
	*p = (struct place){ 0 };
	return vfs_walk_parent(base, text, &p->dir, &p->last, &p->slash, &p->memory);
}

void place_forget(struct place *p)
{
	if (p->d)
		dentry_put(p->d);
	path_put(&p->dir);
	kfree(p->memory);
}

int place_open(struct place *p, const struct path *base, const char *text)
{
	int error = place_find(p, base, text);

	if (error)
		return error;
	mutex_lock(&place_dir(p)->lock);
	error = place_dir(p)->dead ? -ENOENT : 0;
	if (!error && !place_is_dots(p))
		error = dentry_lookup_locked(p->dir.dentry, &p->last, &p->d);
	if (error) {
		mutex_unlock(&place_dir(p)->lock);
		place_forget(p);
	}
	return error;
}

void place_close(struct place *p)
{
	mutex_unlock(&place_dir(p)->lock);
	place_forget(p);
}

int dir_may_change(const struct path *dir)
{
	int error = inode_permission(path_inode(dir), 2 | 1);

	return !error && path_is_read_only(dir) ? -EROFS : error;
}

/* In a sticky directory only the owner of the file, or of the directory, removes it. */
int place_may_remove(const struct place *p)
{
	int error = dir_may_change(&p->dir);

	if (!error && (place_dir(p)->append_only || inode_is_kept(p->d->inode)))
		return -EPERM;
	if (error || !(place_dir(p)->mode & S_ISVTX))
		return error;
	return vfs_owns(p->d->inode) || vfs_owns(place_dir(p)) ? 0 : -EPERM;
}

/* ---- creating ---- */

/* With a special file of his own making anybody could write to the disk itself. */
static bool is_device(uint32_t mode)
{
	return (mode & S_IFMT) == S_IFCHR || (mode & S_IFMT) == S_IFBLK;
}

int place_create(struct place *p, uint32_t mode, uint64_t rdev, const char *target)
{
	struct inode *dir = place_dir(p), *inode;
	int error;

	if (place_is_dots(p) || p->d->inode)
		return -EEXIST;
	if (p->slash && (mode & S_IFMT) != S_IFDIR)
		return -ENOENT;
	error = dir_may_change(&p->dir);
	if (error)
		return error;
	if (!dir->ops->create || (is_device(mode) && rdev && vfs_context()->uid))
		return -EPERM;
	error = dir->ops->create(dir, &p->last, mode, rdev, target, &inode);
	if (error)
		return error;
	dentry_attach(p->d, inode);
	notify_name(dir, &p->last, NOTIFY_CREATE, inode_is_dir(inode));
	inode_put(inode);
	return 0;
}

int vfs_create(const struct path *base, const char *text, uint32_t mode, uint64_t rdev,
	       const char *target)
{
	struct place p;
	int error = place_open(&p, base, text);

	if (error)
		return error;
	if ((mode & S_IFMT) != S_IFLNK)
		mode &= ~(vfs_context()->umask & 0777);
	error = place_create(&p, mode, rdev, target);
	place_close(&p);
	return error;
}

int vfs_link(const struct path *of, const struct path *base, const char *text)
{
	struct inode *inode = path_inode(of);
	struct place p;
	int error = place_open(&p, base, text);

	if (error)
		return error;
	if (place_is_dots(&p) || p.d->inode)
		error = -EEXIST;
	else if (p.dir.mount != of->mount)
		error = -EXDEV;
	else if (p.slash)
		error = -ENOENT;
	else
		error = dir_may_change(&p.dir);
	if (!error && (inode_is_dir(inode) || inode_is_kept(inode)))
		error = -EPERM;
	if (!error && !inode->nlink && !inode->linkable)
		error = -ENOENT;
	if (!error)
		error = place_dir(&p)->ops->link
				? place_dir(&p)->ops->link(place_dir(&p), &p.last, inode)
				: -EPERM;
	if (!error) {
		dentry_attach(p.d, inode);
		inode->linkable = false;
		inode_got_name(inode);
		notify_inode(inode, NOTIFY_ATTRIB);
		notify_name(place_dir(&p), &p.last, NOTIFY_CREATE, false);
	}
	place_close(&p);
	return error;
}

/* ---- removing ---- */

/* Marks a directory that is empty as dead. Not locked by the caller. */
int dir_kill(struct inode *inode)
{
	int error = 0;

	mutex_lock(&inode->lock);
	if (!planted(VFS_FULL_DIRECTORY) && !inode->ops->is_empty(inode))
		error = -ENOTEMPTY;
	else
		inode->dead = true;
	mutex_unlock(&inode->lock);
	return error;
}

static int unlink_checks(struct place *p, bool directory)
{
	struct inode *inode = p->d->inode;
	int error;

	if (path_is_read_only(&p->dir))
		return -EROFS;
	if (!inode)
		return -ENOENT;
	if (!directory && p->slash)
		return inode_is_dir(inode) ? -EISDIR : -ENOTDIR;
	error = place_may_remove(p);
	if (error)
		return error;
	if (directory && !inode_is_dir(inode))
		return -ENOTDIR;
	if (!directory && inode_is_dir(inode))
		return -EISDIR;
	if (p->d->covers)
		return -EBUSY;
	if (!place_dir(p)->ops->unlink)
		return -EPERM;
	return directory ? dir_kill(inode) : 0;
}

static int unlink_dots(const struct place *p, bool directory)
{
	if (!directory)
		return -EISDIR;
	return p->last.len == 1 ? -EINVAL : -ENOTEMPTY;
}

static int remove_name(const struct place *p, bool directory)
{
	struct inode *inode = p->d->inode;
	int error = removal_begin(inode->super);

	if (!error) {
		error = place_dir(p)->ops->unlink(place_dir(p), &p->last, inode);
		removal_end(inode->super, inode);
	}
	if (error && directory)
		inode->dead = false;
	return error;
}

int vfs_unlink(const struct path *base, const char *text, bool directory)
{
	struct place p;
	int error = place_open(&p, base, text);

	if (error) /* only slashes: the root */
		return error == -EEXIST ? (directory ? -EBUSY : -EISDIR) : error;
	error = place_is_dots(&p) ? unlink_dots(&p, directory) : unlink_checks(&p, directory);
	if (!error)
		error = remove_name(&p, directory);
	if (!error) {
		dentry_drop(p.d);
		if (!directory)
			notify_inode(p.d->inode, NOTIFY_ATTRIB);
		/* who watches the file learns of its end first, then who watches the directory */
		dentry_put(p.d);
		p.d = NULL;
		notify_name(place_dir(&p), &p.last, NOTIFY_DELETE, directory);
	}
	place_close(&p);
	return error;
}
