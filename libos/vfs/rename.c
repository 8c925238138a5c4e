/*
 * Renaming: both directories locked at once, checks in Linux's order, then the file system and the
 * name cache.
 *
 * Renames run one at a time (rename_lock), so that what lies above what stays true while it is
 * relied on.
 */
#include <core/errno.h>
#include <libos/notify.h>

#include "place.h"

static struct mutex rename_lock = MUTEX_INIT(rename_lock);

static void lock_two(struct place *a, struct place *b)
{
	struct inode *first = place_dir(a), *second = place_dir(b);

	if (first == second) {
		mutex_lock(&first->lock);
		return;
	}
	if (dentry_is_above(b->dir.dentry, a->dir.dentry) ||
	    (!dentry_is_above(a->dir.dentry, b->dir.dentry) &&
	     (uintptr_t)second < (uintptr_t)first)) {
		mutex_lock(&second->lock);
		mutex_lock(&first->lock);
	} else {
		mutex_lock(&first->lock);
		mutex_lock(&second->lock);
	}
}

static void unlock_two(struct place *a, struct place *b)
{
	mutex_unlock(&place_dir(a)->lock);
	if (place_dir(a) != place_dir(b))
		mutex_unlock(&place_dir(b)->lock);
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
	return inode_is_dir(inode) && place_dir(from) != place_dir(to) ? inode_permission(inode, 2)
								       : 0;
}

static int rename_may(struct place *from, struct place *to, bool exchange)
{
	struct inode *target = to->d->inode;
	int error = place_may_remove(from);

	if (!error)
		error = target ? place_may_remove(to) : dir_may_change(&to->dir);
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
	return !error && !place_dir(from)->ops->rename ? -EPERM : error;
}

/* In the file system. A directory that is replaced is dead before it goes. */
static int rename_inodes(struct place *from, struct place *to, bool exchange)
{
	struct inode *source = from->d->inode, *target = to->d->inode;
	bool kills = target && !exchange && inode_is_dir(target);
	int error = removal_begin(source->super);

	if (error)
		return error;
	if (kills)
		error = dir_kill(target);
	if (!error)
		error = place_dir(from)->ops->rename(place_dir(from), &from->last, source,
						     place_dir(to), &to->last, target, exchange);
	if (error && kills)
		target->dead = false;
	removal_end(source->super, target);
	return error;
}

static int rename_act(struct place *from, struct place *to, bool exchange)
{
	struct inode *source = from->d->inode, *target = to->d->inode;
	int error;

	if (source == target)
		return 0; /* two names of one file: POSIX says that nothing happens */
	error = rename_inodes(from, to, exchange);
	if (error)
		return error;
	if (exchange)
		dentry_exchange(from->d, to->d);
	else
		dentry_move(from->d, to->dir.dentry, to->d);
	notify_move(place_dir(from), &from->last, place_dir(to), &to->last, source,
		    exchange ? NULL : target);
	if (exchange)
		notify_move(place_dir(to), &to->last, place_dir(from), &from->last, target, NULL);
	return 0;
}

static int rename_locked(struct place *from, struct place *to, unsigned flags)
{
	int error;

	lock_two(from, to);
	error = place_dir(from)->dead || place_dir(to)->dead ? -ENOENT : 0;
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

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
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
	else if (place_is_dots(&from))
		error = -EBUSY;
	else if (place_is_dots(&to))
		error = flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if (!error && path_is_read_only(&from.dir))
		error = -EROFS;
	if (!error) {
		mutex_lock(&rename_lock);
		error = rename_locked(&from, &to, flags);
		mutex_unlock(&rename_lock);
	}
	place_forget(&from);
	place_forget(&to);
	return error;
}
