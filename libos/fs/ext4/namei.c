/*
 * Operations on names: create, link, unlink; rename.c renames. Each is one handle, so a crash
 * leaves all of it or nothing.
 *
 * An inode without names is on the orphan list from the handle that took the last one away; its
 * file is deleted when nobody has it open any more (icache.c). An operation that fails half-way
 * turns a new inode into such an orphan, which takes back whatever it had been given.
 *
 * The VFS holds the locks of the directories. Those of the inodes whose links change are taken
 * here, before the handle: others write bytes and attributes of the same inode.
 */
#include <core/errno.h>
#include <core/string.h>

#include "balloc.h"
#include "map.h"
#include "namei.h"

#define LINKS_MAX 65000u
#define INHERITED (EXT4_FL_SYNC | EXT4_FL_NODUMP | EXT4_FL_NOATIME | EXT4_FL_JOURNAL_DATA)

/*
 * ---- links of directories: beyond LINKS_MAX they count as 1, which means "many" (feature
 * dir_nlink) ----
 */

bool links_have_room(const struct ext4_inode *dir)
{
	return dir->inode.nlink < LINKS_MAX ||
	       (ext4_has_ro(ext4_super_of(&dir->inode), EXT4_RO_DIR_NLINK) && dir_is_indexed(dir));
}

void links_gain_subdir(struct ext4_inode *dir)
{
	if (dir->inode.nlink == 1)
		return;
	dir->inode.nlink = dir->inode.nlink >= LINKS_MAX ? 1 : dir->inode.nlink + 1;
}

void links_lose_subdir(struct ext4_inode *dir)
{
	if (dir->inode.nlink > 2)
		dir->inode.nlink--;
}

/* ---- creating ---- */

static int fill_new(struct ext4_handle *h, struct ext4_inode *i, struct ext4_inode *dir,
		    uint64_t rdev, const char *target)
{
	switch (inode_kind(&i->inode)) {
	case S_IFREG:
		ext4_map_init(i);
		return 0;
	case S_IFDIR:
		ext4_map_init(i);
		return dir_init(h, i, (uint32_t)dir->inode.ino);
	case S_IFLNK:
		return ext4_link_write(h, i, target);
	default:
		i->inode.rdev = rdev;
		return 0;
	}
}

/* A new inode with `nlink` links, on the disk, not yet seen by others; or nothing. */
static int inode_create(struct ext4_handle *h, struct ext4_inode *dir, uint32_t mode,
			uint32_t nlink, struct ext4_inode **out)
{
	struct ext4_super *s = h->super;
	bool half = h->half;
	uint32_t ino;
	int error = ext4_ialloc(h, dir, mode, &ino);

	if (error)
		return error;
	*out = ext4_inode_new(s, &dir->inode, ino, mode);
	error = -ENOMEM;
	if (*out) {
		(*out)->inode.nlink = nlink;
		(*out)->flags = dir->flags & INHERITED;
		ext4_inode_set_ops(*out);
		error = ext4_inode_write_first(h, *out);
		if (!error)
			return 0;
		ext4_inode_abandon(s, *out);
	}
	if (!ext4_ifree_number(h, ino, (mode & S_IFMT) == S_IFDIR)) /* it never became an inode */
		h->half = half;
	return error;
}

/* What went wrong after the inode came into being: it goes as an orphan does, and that is whole. */
static int make_orphan(struct ext4_handle *h, struct ext4_inode *i, bool half)
{
	int error;

	i->inode.nlink = 0;
	error = ext4_orphan_add(h, i);
	if (!error)
		h->half = half;
	return error;
}

struct making {
	const struct vfs_name *name;     /* NULL: none yet */
	uint32_t mode;
	uint64_t rdev;
	const char *target;
};

static int make_in(struct ext4_handle *h, struct ext4_inode *dir, const struct making *m,
		   struct ext4_inode **out)
{
	bool is_dir = (m->mode & S_IFMT) == S_IFDIR, half = h->half;
	struct ext4_inode *i;
	int error;

	*out = NULL;
	error = ext4_inode_announce(h, dir);
	if (!error)
		error = ext4_orphan_announce(h);
	if (!error)
		error = inode_create(h, dir, m->mode, is_dir ? 2 : 1, &i);
	if (error)
		return error;
	*out = i;
	error = fill_new(h, i, dir, m->rdev, m->target);
	if (!error && m->name)
		error = dir_add(h, dir,
				&(struct dir_name){ m->name, (uint32_t)i->inode.ino, m->mode },
				NULL);
	if (error || !m->name) {
		int orphaned = make_orphan(h, i, half);

		return error ? error : orphaned;
	}
	error = ext4_inode_write(h, i);
	if (error)
		return error;
	if (is_dir)
		links_gain_subdir(dir);
	inode_touch(&dir->inode, TOUCH_M | TOUCH_C);
	return ext4_inode_write(h, dir);
}

static unsigned make_credits(const struct ext4_inode *dir, const struct making *m)
{
	return EXT4_CREDITS_IALLOC + EXT4_CREDITS_ORPHAN + 2 * EXT4_CREDITS_INODE +
	       dir_add_credits(dir) + ext4_map_credits(dir, 1) + 1 +
	       (m->target ? ext4_link_credits(str_length(m->target)) : 0);
}

static int make_once(struct ext4_inode *dir, const struct making *m, struct inode **out)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	struct ext4_handle h;
	struct ext4_inode *i;
	int error = ext4_start(s, make_credits(dir, m), &h);

	if (error)
		return error;
	error = make_in(&h, dir, m, &i);
	if (i)
		ext4_inode_publish(s, i);
	error = ext4_stop_with(&h, error);
	if (!error)
		*out = &i->inode;
	else if (i)
		inode_put(&i->inode);
	return error;
}

static int make(struct inode *inode, const struct making *m, struct inode **out)
{
	struct ext4_inode *dir = ext4_of(inode);
	unsigned tries = 0;
	int error;

	if ((m->mode & S_IFMT) == S_IFDIR && !links_have_room(dir))
		return -EMLINK;
	if (m->target && str_length(m->target) >= ext4_super_of(inode)->block_bytes)
		return -ENAMETOOLONG;
	do {
		error = make_once(dir, m, out);
	} while (ext4_room_may_come(ext4_super_of(inode), error, &tries));
	return error;
}

static int ext4_create(struct inode *dir, const struct vfs_name *n, uint32_t mode, uint64_t rdev,
		       const char *target, struct inode **out)
{
	return make(dir, &(struct making){ n, mode, rdev, target }, out);
}

static int ext4_make(struct inode *dir, uint32_t mode, uint64_t rdev, const char *target,
		     struct inode **out)
{
	return make(dir, &(struct making){ NULL, mode, rdev, target }, out);
}

/* ---- more names ---- */

/* A file without names comes off the orphan list; if it does not, the name is taken back. */
static int add_link(struct ext4_handle *h, struct ext4_inode *dir, const struct vfs_name *n,
		    struct ext4_inode *i)
{
	const struct dir_name name = { n, (uint32_t)i->inode.ino, i->inode.mode };
	bool half = h->half;
	struct dir_spot spot;
	int error = dir_add(h, dir, &name, &spot);

	if (error)
		return error;
	if (!i->inode.nlink)
		error = ext4_orphan_remove(h, i);
	if (error) {
		dir_remove(dir, &spot);
		h->half = half;
	}
	buffer_put(spot.b);
	return error;
}

static int link_in(struct ext4_handle *h, struct ext4_inode *dir, const struct vfs_name *n,
		   struct ext4_inode *i)
{
	int error = ext4_inode_announce(h, i);

	if (!error)
		error = ext4_inode_announce(h, dir);
	if (!error)
		error = add_link(h, dir, n, i);
	if (error)
		return error;
	i->inode.nlink++;
	inode_touch(&i->inode, TOUCH_C);
	inode_touch(&dir->inode, TOUCH_M | TOUCH_C);
	error = ext4_inode_write(h, i);
	return error ? error : ext4_inode_write(h, dir);
}

static int link_once(struct ext4_inode *dir, const struct vfs_name *n, struct ext4_inode *i)
{
	struct ext4_handle h;
	int error = ext4_start(ext4_super_of(&dir->inode),
			       dir_add_credits(dir) + 2 * EXT4_CREDITS_INODE + EXT4_CREDITS_ORPHAN,
			       &h);

	return error ? error : ext4_stop_with(&h, link_in(&h, dir, n, i));
}

static int ext4_link(struct inode *dir, const struct vfs_name *n, struct inode *inode)
{
	unsigned tries = 0;
	int error;

	mutex_lock(&inode->lock);
	do {
		error = inode->nlink < LINKS_MAX ? link_once(ext4_of(dir), n, ext4_of(inode))
						 : -EMLINK;
	} while (ext4_room_may_come(ext4_super_of(dir), error, &tries));
	mutex_unlock(&inode->lock);
	return error;
}

/* ---- fewer ---- */

int name_lose_link(struct ext4_handle *h, struct ext4_inode *i)
{
	uint32_t left = inode_is_dir(&i->inode) || !i->inode.nlink ? 0 : i->inode.nlink - 1;
	int error;

	if (!i->inode.nlink)
		return ext4_damaged(h->super, "inode", (uint32_t)i->inode.ino, 0,
				    "it has a name, but counts no links");
	error = left ? ext4_inode_announce(h, i) : ext4_orphan_add(h, i);
	if (error)
		return error;
	i->inode.nlink = left;
	inode_touch(&i->inode, TOUCH_C);
	return ext4_inode_write(h, i);
}

static int find_expected(struct ext4_inode *dir, const struct vfs_name *n,
			 const struct ext4_inode *inode, struct dir_spot *spot)
{
	int error = dir_find(dir, n, spot);

	if (error)
		return error == -ENOENT ? dir_damaged(dir, 0, "a name that was there is gone")
					: error;
	if (spot->e->inode == inode->inode.ino)
		return 0;
	buffer_put(spot->b);
	return dir_damaged(dir, spot->at, "a name leads elsewhere than it did");
}

int name_hold(struct ext4_handle *h, struct ext4_inode *dir, const struct vfs_name *n,
	      const struct ext4_inode *inode, struct dir_spot *spot)
{
	int error = find_expected(dir, n, inode, spot);

	if (!error) {
		error = ext4_touch(h, spot->b);
		if (error)
			buffer_put(spot->b);
	}
	if (error)
		spot->b = NULL;
	return error;
}

static int unlink_in(struct ext4_handle *h, struct ext4_inode *dir, const struct vfs_name *n,
		     struct ext4_inode *i)
{
	bool half = h->half;
	struct dir_spot spot;
	int error = name_hold(h, dir, n, i, &spot);

	if (!error)
		error = ext4_inode_announce(h, dir);
	if (!error)
		error = name_lose_link(h, i);
	if (!error) {
		dir_remove(dir, &spot);
		if (inode_is_dir(&i->inode))
			links_lose_subdir(dir);
		inode_touch(&dir->inode, TOUCH_M | TOUCH_C);
		error = ext4_inode_write(h, dir);
	} else {
		h->half = half;
	}
	buffer_put(spot.b);
	return error;
}

static int ext4_unlink(struct inode *dir, const struct vfs_name *n, struct inode *inode)
{
	struct ext4_handle h;
	int error;

	mutex_lock(&inode->lock);
	error = ext4_start(ext4_super_of(dir), 1 + 2 * EXT4_CREDITS_INODE + EXT4_CREDITS_ORPHAN,
			   &h);
	if (!error)
		error = ext4_stop_with(&h, unlink_in(&h, ext4_of(dir), n, ext4_of(inode)));
	mutex_unlock(&inode->lock);
	return error;
}

/* ---- attributes ---- */

static int ext4_change(struct inode *inode, const struct attr_change *a)
{
	struct attr_change fit = *a;
	struct ext4_handle h;
	int error = a->mask & ATTR_SIZE ? ext4_resize(inode, a->size) : 0;

	if (!error)
		error = map_start(ext4_of(inode), 0, &h);
	if (error)
		return error;
	ext4_time_fit(ext4_of(inode), &fit.atime);
	ext4_time_fit(ext4_of(inode), &fit.mtime);
	inode_apply(inode, &fit);
	return ext4_stop_with(&h, ext4_inode_write(&h, ext4_of(inode)));
}

#define COMMON                                                                                     \
	.change = ext4_change, .xattr_get = ext4_xattr_get, .xattr_set = ext4_xattr_set,           \
	.xattr_list = ext4_xattr_list, .sync = ext4_sync_inode, .forget = ext4_inode_forget

const struct inode_ops ext4_dir_inode_ops = {
	.lookup = ext4_lookup, .create = ext4_create, .make = ext4_make, .link = ext4_link,
	.unlink = ext4_unlink, .rename = ext4_rename, .iterate = ext4_iterate,
	.is_empty = ext4_dir_is_empty, COMMON,
};

const struct inode_ops ext4_file_inode_ops = { .allocate = ext4_allocate, COMMON };

const struct inode_ops ext4_link_inode_ops = { .read_link = ext4_read_link, COMMON };

const struct inode_ops ext4_special_inode_ops = { COMMON };
