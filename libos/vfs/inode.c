/* Inodes: references, times, permission, attributes. See libos/vfs.h. */
#include <core/assert.h>
#include <core/errno.h>
#include <core/time.h>
#include <libos/notify.h>

#include "namei.h"

#define DAY_S 86400

struct abi_timespec vfs_now(void)
{
	uint64_t ns = clock_wall_ns();

	return (struct abi_timespec){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC) };
}

void inode_init(struct inode *inode, struct super *s, const struct inode *dir, uint32_t mode)
{
	const struct vfs_context *c = vfs_context();

	inode->super = s;
	inode->refs = 1;
	inode->mode = mode;
	inode->uid = c->uid;
	inode->gid = c->gid;
	/* the group is inherited, and by directories the bit itself */
	if (dir && dir->mode & S_ISGID) {
		inode->gid = dir->gid;
		if ((mode & S_IFMT) == S_IFDIR)
			inode->mode |= S_ISGID;
		else if (mode & 010 && c->uid && !vfs_in_group(dir->gid))
			/* a program that ran as a group not the maker's */
			inode->mode &= ~(uint32_t)S_ISGID;
	}
	inode->atime = inode->mtime = inode->ctime = inode->btime = vfs_now();
	mutex_init(&inode->lock);
}

struct inode *inode_get(struct inode *inode)
{
	uint32_t before = __atomic_fetch_add(&inode->refs, 1, __ATOMIC_RELAXED);

	assert(before > 0);
	return inode;
}

/*
 * A file system that is to turn read-only says so first and asks for nameless inodes then; whoever
 * may make one counts first and asks whether it turns then. So one of both sees the other, and an
 * inode that must be deleted at its end can be.
 */
bool super_stops(const struct super *s)
{
	return __atomic_load_n(&s->turns, __ATOMIC_SEQ_CST) || s->flags & MS_RDONLY;
}

int removal_begin(struct super *s)
{
	__atomic_fetch_add(&s->nameless, 1, __ATOMIC_SEQ_CST);
	if (!super_stops(s))
		return 0;
	__atomic_fetch_sub(&s->nameless, 1, __ATOMIC_RELEASE);
	return -EROFS;
}

/* An inode without a name takes the count over. */
void removal_end(struct super *s, struct inode *inode)
{
	if (!inode || inode->nlink || __atomic_exchange_n(&inode->nameless, 1, __ATOMIC_RELAXED))
		__atomic_fetch_sub(&s->nameless, 1, __ATOMIC_RELEASE);
}

void inode_got_name(struct inode *inode)
{
	if (__atomic_exchange_n(&inode->nameless, 0, __ATOMIC_RELAXED))
		__atomic_fetch_sub(&inode->super->nameless, 1, __ATOMIC_RELEASE);
}

void inode_end(struct inode *inode)
{
	struct super *s = inode->super;
	uint32_t nameless = inode->nameless;

	inode->ops->forget(inode);
	if (nameless)
		__atomic_fetch_sub(&s->nameless, 1, __ATOMIC_RELEASE);
}

void inode_put(struct inode *inode)
{
	uint32_t before;

	if (IS_ENABLED(CONFIG_POSIX_INOTIFY) && unlikely(inode->watches)) {
		notify_inode_put_now(inode);
		return;
	}
	before = __atomic_fetch_sub(&inode->refs, 1, __ATOMIC_ACQ_REL);
	assert(before > 0);
	if (before == 1)
		inode_end(inode);
}

static int time_compare(const struct abi_timespec *a, const struct abi_timespec *b)
{
	if (a->sec != b->sec)
		return a->sec < b->sec ? -1 : 1;
	return a->nsec < b->nsec ? -1 : a->nsec > b->nsec;
}

bool inode_atime_is_due(const struct inode *inode)
{
	return time_compare(&inode->atime, &inode->mtime) <= 0 ||
	       time_compare(&inode->atime, &inode->ctime) <= 0 ||
	       (int64_t)(clock_wall_ns() / NSEC_PER_SEC) - inode->atime.sec >= DAY_S;
}

void inode_touch(struct inode *inode, unsigned which)
{
	struct abi_timespec now = vfs_now();

	if (which & TOUCH_A_ALWAYS || (which & TOUCH_A && inode_atime_is_due(inode)))
		inode->atime = now;
	if (which & TOUCH_M)
		inode->mtime = now;
	if (which & TOUCH_C)
		inode->ctime = now;
}

bool vfs_in_group(uint32_t gid)
{
	const struct vfs_context *c = vfs_context();

	for (unsigned i = 0; i < c->group_count; i++) {
		if (c->groups[i] == gid)
			return true;
	}
	return c->gid == gid;
}

bool vfs_owns(const struct inode *inode)
{
	const struct vfs_context *c = vfs_context();

	return c->uid == 0 || c->uid == inode->uid;
}

static int permission_of(const struct inode *inode, unsigned wanted, uint32_t uid, bool in_group)
{
	unsigned shift = uid == inode->uid ? 6 : in_group ? 3 : 0;
	unsigned have = inode->mode >> shift & 7;

	if (wanted & 2 && inode->super->flags & MS_RDONLY && !inode_is_special(inode))
		return -EROFS;
	if (wanted & 2 && inode->immutable)
		return -EPERM;
	if (!(wanted & ~have))
		return 0;
	/* Root may do everything but execute what nobody may. */
	if (uid == 0 && (!(wanted & 1) || inode_is_dir(inode) || inode->mode & 0111))
		return 0;
	return -EACCES;
}

int inode_permission(const struct inode *inode, unsigned wanted)
{
	return permission_of(inode, wanted, vfs_context()->uid, vfs_in_group(inode->gid));
}

int inode_permission_real(const struct inode *inode, unsigned wanted)
{
	const struct vfs_context *c = vfs_context();
	bool in_group = c->real_gid == inode->gid ||
			(c->gid != inode->gid && vfs_in_group(inode->gid));

	return permission_of(inode, wanted, c->real_uid, in_group);
}

uint32_t inode_mode_written(const struct inode *inode)
{
	uint32_t mode = inode->mode;

	if (vfs_context()->uid == 0)
		return mode;
	mode &= ~(uint32_t)S_ISUID;
	return mode & 010 || !vfs_in_group(inode->gid) ? mode & ~(uint32_t)S_ISGID : mode;
}

void inode_stat(struct inode *inode, struct kstat *st)
{
	mutex_lock(&inode->lock);
	*st = (struct kstat){
		.dev = inode->super->dev, .ino = inode->ino, .mode = inode->mode,
		.nlink = inode->nlink, .uid = inode->uid, .gid = inode->gid, .rdev = inode->rdev,
		.size = inode->size, .blksize = PAGE_SIZE, .blocks = (int64_t)inode->blocks,
		.atime = inode->atime, .mtime = inode->mtime, .ctime = inode->ctime,
	};
	mutex_unlock(&inode->lock);
}

void inode_apply(struct inode *inode, const struct attr_change *a)
{
	if (a->mask & ATTR_MODE)
		inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	if (a->mask & ATTR_UID)
		inode->uid = a->uid;
	if (a->mask & ATTR_GID)
		inode->gid = a->gid;
	/* A file of another owner does not run as that owner by surprise. */
	if (a->mask & (ATTR_UID | ATTR_GID | ATTR_OWNED) && (inode->mode & S_IFMT) != S_IFDIR)
		inode->mode &= ~(S_ISUID | (inode->mode & 010 ? S_ISGID : 0));
	if (a->mask & ATTR_ATIME)
		inode->atime = a->atime;
	if (a->mask & ATTR_MTIME)
		inode->mtime = a->mtime;
	inode_touch(inode, TOUCH_C);
}
