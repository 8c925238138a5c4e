/*
 * Changing the tree: create, link, unlink, rename, attributes. See libos/vfs.h.
 *
 * Each function walks to the directory, locks it, looks the name up under the lock, checks what Linux
 * checks in Linux's order, calls the file system, and then brings the name cache in line.
 *
 * A directory that goes is marked dead under its own lock, after it was found empty under the same
 * lock: nobody can create anything in it any more.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/notify.h>

#include "namei.h"

static struct mutex rename_lock = MUTEX_INIT(rename_lock);

/* A place where a name is to be changed: the directory is held and locked, `d` is what it has there. */
struct place {
	struct path dir;
	struct vfs_name last;
	struct dentry *d;
	bool slash;
	char *memory;
};

static struct inode *dir_of(const struct place *p)
{
	return path_inode(&p->dir);
}

static bool last_is_dots(const struct place *p)
{
	return p->last.text[0] == '.' && (p->last.len == 1 || (p->last.len == 2 && p->last.text[1] == '.'));
}

static int place_find(struct place *p, const struct path *base, const char *text)
{
	*p = (struct place){ 0 };
	return vfs_walk_parent(base, text, &p->dir, &p->last, &p->slash, &p->memory);
}

static void place_forget(struct place *p)
{
	if (p->d)
		dentry_put(p->d);
	path_put(&p->dir);
	kfree(p->memory);
}

static int place_open(struct place *p, const struct path *base, const char *text)
{
	int error = place_find(p, base, text);

	if (error)
		return error;
	mutex_lock(&dir_of(p)->lock);
	error = dir_of(p)->dead ? -ENOENT : 0;
	if (!error && !last_is_dots(p))
		error = dentry_lookup_locked(p->dir.dentry, &p->last, &p->d);
	if (error) {
		mutex_unlock(&dir_of(p)->lock);
		place_forget(p);
	}
	return error;
}

static void place_close(struct place *p)
{
	mutex_unlock(&dir_of(p)->lock);
	place_forget(p);
}

static int may_write_dir(const struct path *dir)
{
	int error = inode_permission(path_inode(dir), 2 | 1);

	return !error && path_is_read_only(dir) ? -EROFS : error;
}

/* In a sticky directory only the owner of the file, or of the directory, removes it. */
static int may_remove(const struct place *p)
{
	int error = may_write_dir(&p->dir);

	if (error || !(dir_of(p)->mode & S_ISVTX))
		return error;
	return vfs_owns(p->d->inode) || vfs_owns(dir_of(p)) ? 0 : -EPERM;
}

static void dir_changed(struct inode *dir)
{
	inode_touch(dir, TOUCH_M | TOUCH_C);
}

/* ---- creating ---- */

static int create_at(struct place *p, uint32_t mode, uint64_t rdev, const char *target)
{
	struct inode *dir = dir_of(p), *inode;
	int error;

	if (last_is_dots(p) || p->d->inode)
		return -EEXIST;
	if (p->slash && (mode & S_IFMT) != S_IFDIR)
		return -ENOENT;
	error = may_write_dir(&p->dir);
	if (error)
		return error;
	if (!dir->ops->make)
		return -EPERM;
	error = dir->ops->make(dir, mode, rdev, target, &inode);
	if (error)
		return error;
	error = dir->ops->link(dir, &p->last, inode);
	if (!error) {
		dentry_attach(p->d, inode);
		dir_changed(dir);
		notify_name(dir, &p->last, NOTIFY_CREATE, inode_is_dir(inode));
	}
	inode_put(inode);
	return error;
}

int vfs_create(const struct path *base, const char *text, uint32_t mode, uint64_t rdev, const char *target)
{
	struct place p;
	int error = place_open(&p, base, text);

	if (error)
		return error;
	if ((mode & S_IFMT) != S_IFLNK)
		mode &= ~(vfs_context()->umask & 0777);
	error = create_at(&p, mode, rdev, target);
	place_close(&p);
	return error;
}

/* The last component of an open() that may create. 1: a symbolic link, whose target is in *target. */
static int open_last(struct place *p, uint32_t flags, uint32_t mode, struct path *found, char **target)
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
		error = create_at(p, S_IFREG | (mode & 07777 & ~vfs_context()->umask), 0, NULL);
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

/* Finds or creates; *created tells which. Links at the end lead on, from the directory they are in. */
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
		if (last_is_dots(&p))
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

static int open_nameless(const struct path *base, const char *text, uint32_t flags, uint32_t mode, struct path *found)
{
	struct inode *dir, *inode;
	int error = vfs_walk(base, text, WALK_FOLLOW | WALK_DIR, found);

	if (error)
		return error;
	dir = path_inode(found);
	error = may_write_dir(found);
	if (!error)
		error = dir->ops->make ? dir->ops->make(dir, S_IFREG | (mode & 07777 & ~vfs_context()->umask), 0,
							NULL, &inode)
				       : -EOPNOTSUPP;
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
	if ((inode_kind(inode) == S_IFCHR || inode_kind(inode) == S_IFBLK) && vfs_mount_flags(p) & MS_NODEV)
		return -EACCES;
	error = inode_permission(inode, wanted);
	return !error && flags & O_NOATIME && !vfs_owns(inode) ? -EPERM : error;
}

int vfs_open(const struct path *base, const char *text, uint32_t flags, uint32_t mode, struct file **out)
{
	struct path p = { 0 };
	bool created = false;
	int error;

	if ((flags & O_TMPFILE) == O_TMPFILE) {
		created = true;
		error = (flags & O_ACCMODE) == O_RDONLY ? -EINVAL : open_nameless(base, text, flags, mode, &p);
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

int vfs_link(const struct path *of, const struct path *base, const char *text)
{
	struct inode *inode = path_inode(of);
	struct place p;
	int error = place_open(&p, base, text);

	if (error)
		return error;
	if (last_is_dots(&p) || p.d->inode)
		error = -EEXIST;
	else if (p.dir.mount != of->mount)
		error = -EXDEV;
	else if (p.slash)
		error = -ENOENT;
	else
		error = may_write_dir(&p.dir);
	if (!error && inode_is_dir(inode))
		error = -EPERM;
	if (!error && !inode->nlink && !inode->linkable)
		error = -ENOENT;
	if (!error)
		error = dir_of(&p)->ops->link ? dir_of(&p)->ops->link(dir_of(&p), &p.last, inode) : -EPERM;
	if (!error) {
		dentry_attach(p.d, inode);
		inode->linkable = false;
		inode_touch(inode, TOUCH_C);
		dir_changed(dir_of(&p));
		notify_inode(inode, NOTIFY_ATTRIB);
		notify_name(dir_of(&p), &p.last, NOTIFY_CREATE, false);
	}
	place_close(&p);
	return error;
}

/* ---- removing ---- */

/* Marks a directory that is empty as dead. Not locked by the caller. */
static int kill_dir(struct inode *inode)
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

	if (!inode)
		return -ENOENT;
	error = may_remove(p);
	if (error)
		return error;
	if (directory && !inode_is_dir(inode))
		return -ENOTDIR;
	if (!directory && inode_is_dir(inode))
		return -EISDIR;
	if (!directory && p->slash)
		return -ENOTDIR;
	if (p->d->covers)
		return -EBUSY;
	if (!dir_of(p)->ops->unlink)
		return -EPERM;
	return directory ? kill_dir(inode) : 0;
}

static int unlink_dots(const struct place *p, bool directory)
{
	if (!directory)
		return -EISDIR;
	return p->last.len == 1 ? -EINVAL : -ENOTEMPTY;
}

int vfs_unlink(const struct path *base, const char *text, bool directory)
{
	struct place p;
	int error = place_open(&p, base, text);

	if (error) /* only slashes: the root */
		return error == -EEXIST ? (directory ? -EBUSY : -EISDIR) : error;
	error = last_is_dots(&p) ? unlink_dots(&p, directory) : unlink_checks(&p, directory);
	if (!error)
		error = dir_of(&p)->ops->unlink(dir_of(&p), &p.last, p.d->inode);
	if (!error) {
		inode_touch(p.d->inode, TOUCH_C);
		dir_changed(dir_of(&p));
		dentry_drop(p.d);
		if (!directory)
			notify_inode(p.d->inode, NOTIFY_ATTRIB);
		dentry_put(p.d); /* who watches the file learns of its end first, then who watches the directory */
		p.d = NULL;
		notify_name(dir_of(&p), &p.last, NOTIFY_DELETE, directory);
	}
	place_close(&p);
	return error;
}

/* ---- renaming ---- */

static void lock_two(struct place *a, struct place *b)
{
	struct inode *first = dir_of(a), *second = dir_of(b);

	if (first == second) {
		mutex_lock(&first->lock);
		return;
	}
	if (dentry_is_above(b->dir.dentry, a->dir.dentry) ||
	    (!dentry_is_above(a->dir.dentry, b->dir.dentry) && (uintptr_t)second < (uintptr_t)first)) {
		mutex_lock(&second->lock);
		mutex_lock(&first->lock);
	} else {
		mutex_lock(&first->lock);
		mutex_lock(&second->lock);
	}
}

static void unlock_two(struct place *a, struct place *b)
{
	mutex_unlock(&dir_of(a)->lock);
	if (dir_of(a) != dir_of(b))
		mutex_unlock(&dir_of(b)->lock);
}

/* What flags and slashes ask of both ends; in Linux's order, as is what follows. */
static int rename_flags(struct place *from, struct place *to, unsigned flags)
{
	struct inode *source = from->d->inode, *target = to->d->inode;
	bool exchange = flags & RENAME_EXCHANGE;

	if (!source)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && target)
		return -EEXIST;
	if (exchange && !target)
		return -ENOENT;
	if (exchange && to->slash && !inode_is_dir(target))
		return -ENOTDIR;
	if (!inode_is_dir(source) && (from->slash || (to->slash && !exchange)))
		return -ENOTDIR;
	return 0;
}

/* A directory must not come to lie in itself, nor replace one that it lies in. */
static int rename_ancestry(struct place *from, struct place *to, unsigned flags)
{
	if (dentry_is_above(from->d, to->dir.dentry))
		return -EINVAL;
	if (dentry_is_above(to->d, from->dir.dentry))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

/* A directory that comes to lie in another one gets another "..", which is a write to it. */
static int may_move(const struct inode *inode, const struct place *from, const struct place *to)
{
	return inode_is_dir(inode) && dir_of(from) != dir_of(to) ? inode_permission(inode, 2) : 0;
}

static int rename_may(struct place *from, struct place *to, bool exchange)
{
	struct inode *target = to->d->inode;
	int error = may_remove(from);

	if (!error)
		error = target ? may_remove(to) : may_write_dir(&to->dir);
	if (!error)
		error = may_move(from->d->inode, from, to);
	if (!error && exchange)
		error = may_move(target, from, to);
	if (error || !target || exchange || inode_is_dir(target) == inode_is_dir(from->d->inode))
		return error;
	return inode_is_dir(target) ? -EISDIR : -ENOTDIR;
}

static int rename_checks(struct place *from, struct place *to, unsigned flags)
{
	int error = rename_flags(from, to, flags);

	if (!error)
		error = rename_ancestry(from, to, flags);
	if (!error && from->d->inode == to->d->inode)
		return 0;
	if (!error)
		error = rename_may(from, to, flags & RENAME_EXCHANGE);
	if (!error && (from->d->covers || to->d->covers))
		error = -EBUSY;
	return !error && !dir_of(from)->ops->rename ? -EPERM : error;
}

static int rename_act(struct place *from, struct place *to, bool exchange)
{
	struct inode *source = from->d->inode, *target = to->d->inode;
	int error = 0;

	if (source == target)
		return 0; /* two names of one file: POSIX says that nothing happens */
	if (target && !exchange && inode_is_dir(target))
		error = kill_dir(target);
	if (!error)
		error = dir_of(from)->ops->rename(dir_of(from), &from->last, source, dir_of(to), &to->last,
						  target, exchange);
	if (error) {
		if (target && !exchange && inode_is_dir(target))
			target->dead = false;
		return error;
	}
	if (exchange)
		dentry_exchange(from->d, to->d);
	else
		dentry_move(from->d, to->dir.dentry, to->d);
	inode_touch(source, TOUCH_C);
	if (target)
		inode_touch(target, TOUCH_C);
	dir_changed(dir_of(from));
	dir_changed(dir_of(to));
	notify_move(dir_of(from), &from->last, dir_of(to), &to->last, source, exchange ? NULL : target);
	if (exchange)
		notify_move(dir_of(to), &to->last, dir_of(from), &from->last, target, NULL);
	return 0;
}

static int rename_locked(struct place *from, struct place *to, unsigned flags)
{
	int error;

	lock_two(from, to);
	error = dir_of(from)->dead || dir_of(to)->dead ? -ENOENT : 0;
	if (!error)
		error = dentry_lookup_locked(from->dir.dentry, &from->last, &from->d);
	if (!error)
		error = dentry_lookup_locked(to->dir.dentry, &to->last, &to->d);
	if (!error)
		error = rename_checks(from, to, flags);
	if (!error)
		error = rename_act(from, to, flags & RENAME_EXCHANGE);
	unlock_two(from, to);
	return error;
}

int vfs_rename(const struct path *from_base, const char *from_text, const struct path *to_base,
	       const char *to_text, unsigned flags)
{
	struct place from, to;
	int error;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	error = place_find(&from, from_base, from_text);
	if (error)
		return error == -EEXIST ? -EBUSY : error;
	error = place_find(&to, to_base, to_text);
	if (error) {
		place_forget(&from);
		return error == -EEXIST ? -EBUSY : error;
	}
	if (from.dir.mount != to.dir.mount)
		error = -EXDEV;
	else if (last_is_dots(&from))
		error = -EBUSY;
	else if (last_is_dots(&to))
		error = flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if (!error) {
		mutex_lock(&rename_lock);
		error = rename_locked(&from, &to, flags);
		mutex_unlock(&rename_lock);
	}
	place_forget(&from);
	place_forget(&to);
	return error;
}

/* ---- attributes ---- */

static int may_resize(const struct inode *inode, int64_t size)
{
	if (inode_is_dir(inode))
		return -EISDIR;
	return inode_kind(inode) != S_IFREG || size < 0 ? -EINVAL : 0;
}

/* An owner may give his file to no one else, and to those groups only that he is in. */
static bool may_give(const struct inode *inode, const struct attr_change *a)
{
	if (a->mask & ATTR_UID && (!vfs_owns(inode) || a->uid != inode->uid))
		return false;
	return !(a->mask & ATTR_GID) || (vfs_owns(inode) && (a->gid == inode->gid || vfs_in_group(a->gid)));
}

static int may_change(const struct path *p, const struct attr_change *a)
{
	struct inode *inode = path_inode(p);
	int error = a->mask & ATTR_SIZE ? may_resize(inode, a->size) : 0;

	if (path_is_read_only(p))
		return -EROFS;
	if (error || vfs_context()->uid == 0)
		return error;
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
	if (a->mask & ATTR_SIZE && !(a->mask & ATTR_MODE) && inode_mode_written(inode) != inode->mode) {
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

int vfs_drop_set_id(const struct path *p)
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
