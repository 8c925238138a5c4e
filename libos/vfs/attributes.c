/* Changing attributes: who may, and what follows for set-id bits. See libos/vfs.h. */
#include <core/errno.h>
#include <libos/notify.h>

#include "namei.h"

/* An owner may give his file to no one else, and to those groups only that he is in. */
static bool may_give(const struct inode *inode, const struct attr_change *a)
{
	if (a->mask & ATTR_UID && (!vfs_owns(inode) || a->uid != inode->uid))
		return false;
	return !(a->mask & ATTR_GID) ||
	       (vfs_owns(inode) && (a->gid == inode->gid || vfs_in_group(a->gid)));
}

static int may_change(const struct path *p, const struct attr_change *a)
{
	struct inode *inode = path_inode(p);

	if (path_is_read_only(p))
		return -EROFS;
	if (inode_is_kept(inode))
		return -EPERM;
	if (vfs_context()->uid == 0)
		return 0;
	if (!may_give(inode, a) || (a->mask & ATTR_MODE && !vfs_owns(inode)))
		return -EPERM;
	if (!(a->mask & (ATTR_ATIME | ATTR_MTIME)) || vfs_owns(inode))
		return 0;
	return a->mask & ATTR_NOW ? inode_permission(inode, 2) : -EPERM;
}

/* What follows from the change for the set-id bits. The inode's lock is held. */
static void adjust_mode(const struct inode *inode, struct attr_change *a)
{
	if (a->mask & ATTR_MODE && vfs_context()->uid && !vfs_in_group(inode->gid))
		a->mode &= ~(uint32_t)S_ISGID;
	if (a->mask & ATTR_SIZE && !(a->mask & ATTR_MODE) &&
	    inode_mode_written(inode) != inode->mode) {
		a->mask |= ATTR_MODE;
		a->mode = inode_mode_written(inode);
	}
}

/* Setting one time alone looks like the act that sets it. */
static uint32_t event_of_change(const struct attr_change *a)
{
	const uint32_t both = ATTR_ATIME | ATTR_MTIME;
	uint32_t event = a->mask & ATTR_SIZE ? NOTIFY_MODIFY : 0;

	if (a->mask & (ATTR_MODE | ATTR_UID | ATTR_GID) || (a->mask & both) == both)
		event |= NOTIFY_ATTRIB;
	else if (a->mask & both)
		event |= a->mask & ATTR_ATIME ? NOTIFY_ACCESS : NOTIFY_MODIFY;
	return event;
}

int vfs_change(const struct path *p, struct attr_change *a)
{
	struct inode *inode = path_inode(p);
	int error = may_change(p, a);

	if (error)
		return error;
	if (!inode->ops->change)
		return -EPERM;
	mutex_lock(&inode->lock);
	adjust_mode(inode, a);
	error = inode->ops->change(inode, a);
	mutex_unlock(&inode->lock);
	if (!error)
		notify_path(p, event_of_change(a));
	return error;
}

int vfs_truncate(const struct path *p, int64_t size)
{
	struct inode *inode = path_inode(p);
	int error;

	if (inode_is_dir(inode))
		return -EISDIR;
	if (inode_kind(inode) != S_IFREG)
		return -EINVAL;
	error = path_is_read_only(p) ? -EROFS : inode_permission(inode, 2);
	if (error)
		return error;
	return vfs_change(p, &(struct attr_change){ .mask = ATTR_SIZE, .size = size });
}

/* Apart from its callers, who write without it almost always. */
__attribute__((noinline)) int vfs_drop_set_id(const struct path *p)
{
	struct inode *inode = path_inode(p);
	struct attr_change a = { .mask = ATTR_MODE };
	int error = 0;

	mutex_lock(&inode->lock);
	a.mode = inode_mode_written(inode);
	if (a.mode != inode->mode && inode->ops->change)
		error = inode->ops->change(inode, &a);
	mutex_unlock(&inode->lock);
	return error;
}
