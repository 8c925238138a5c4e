/*
 * Renaming and exchanging, in one handle.
 *
 * Everything that may fail comes first. The blocks of both names, and of ".." where a directory
 * gets another parent, are found, touched and held; so are the inodes. The new name is added, if
 * there is none to be redirected: that may find no room, and moves other entries, so the old name
 * is looked for behind it. It is taken back when something fails after it. Then the rest is
 * changed, for which nothing has to be read or allocated (change()).
 *
 * The VFS lets one rename run at a time, so the locks of two inodes are taken in any order.
 */
#include <core/errno.h>

#include "namei.h"

struct renaming {
	struct ext4_inode *from, *to;            /* directories */
	const struct vfs_name *n, *m;
	struct ext4_inode *inode, *replaced;     /* the latter may be NULL */
	bool exchange;
	struct dir_spot source, target;          /* of both names */
	struct dir_spot dots, other_dots;        /* ".." of the inode, of the other in an exchange */
};

/* Does a directory get another parent? */
static bool moves(const struct renaming *r, const struct ext4_inode *i)
{
	return inode_is_dir(&i->inode) && r->from != r->to;
}

/* ---- what may fail ---- */

static int announce(struct ext4_handle *h, const struct renaming *r)
{
	int error = ext4_inode_announce(h, r->inode);

	if (!error && r->replaced)
		error = ext4_inode_announce(h, r->replaced);
	if (!error)
		error = ext4_inode_announce(h, r->from);
	return error ? error : ext4_inode_announce(h, r->to);
}

static int hold_target(struct ext4_handle *h, struct renaming *r)
{
	const struct dir_name name = { r->m, (uint32_t)r->inode->inode.ino, r->inode->inode.mode };

	return r->replaced ? name_hold(h, r->to, r->m, r->replaced, &r->target)
			   : dir_add(h, r->to, &name, &r->target);
}

static int hold_dots(struct ext4_handle *h, struct renaming *r)
{
	static const struct vfs_name dots = { "..", 2 };
	int error = moves(r, r->inode) ? name_hold(h, r->inode, &dots, r->from, &r->dots) : 0;

	if (error || !r->exchange || !moves(r, r->replaced))
		return error;
	return name_hold(h, r->replaced, &dots, r->to, &r->other_dots);
}

/* The last link that goes is what changes first: behind it nothing fails. */
static int prepare(struct ext4_handle *h, struct renaming *r)
{
	int error = hold_target(h, r);

	if (!error)
		error = name_hold(h, r->from, r->n, r->inode, &r->source);
	if (!error)
		error = hold_dots(h, r);
	if (!error)
		error = announce(h, r);
	return error || !r->replaced || r->exchange ? error : name_lose_link(h, r->replaced);
}

static void release(struct renaming *r)
{
	buffer_put(r->source.b);
	buffer_put(r->target.b);
	buffer_put(r->dots.b);
	buffer_put(r->other_dots.b);
	r->source = r->target = r->dots = r->other_dots = (struct dir_spot){ 0 };
}

/* ---- what does not ---- */

static void change_names(struct renaming *r)
{
	if (r->replaced)
		dir_redirect(r->to, &r->target, r->inode);
	if (r->exchange)
		dir_redirect(r->from, &r->source, r->replaced);
	else
		dir_remove(r->from, &r->source);
}

static void enter(struct ext4_inode *i, struct ext4_inode *parent, struct dir_spot *dots)
{
	links_gain_subdir(parent);
	dir_redirect(i, dots, parent);
	i->parent_ino = (uint32_t)parent->inode.ino;
}

/* First all directories that leave, since there may be no room for one link more. */
static void change_parents(struct renaming *r)
{
	bool other = r->exchange && moves(r, r->replaced);

	if (other || (r->replaced && !r->exchange && inode_is_dir(&r->replaced->inode)))
		links_lose_subdir(r->to);
	if (moves(r, r->inode)) {
		links_lose_subdir(r->from);
		enter(r->inode, r->to, &r->dots);
	}
	if (other)
		enter(r->replaced, r->from, &r->other_dots);
}

static int write_inodes(struct ext4_handle *h, const struct renaming *r)
{
	int error = 0;

	inode_touch(&r->inode->inode, TOUCH_C);
	inode_touch(&r->from->inode, TOUCH_M | TOUCH_C);
	inode_touch(&r->to->inode, TOUCH_M | TOUCH_C);
	if (r->exchange) {
		inode_touch(&r->replaced->inode, TOUCH_C);
		error = ext4_inode_write(h, r->replaced);
	}
	if (!error)
		error = ext4_inode_write(h, r->inode);
	if (!error)
		error = ext4_inode_write(h, r->from);
	return error ? error : ext4_inode_write(h, r->to);
}

static int change(struct ext4_handle *h, struct renaming *r)
{
	change_names(r);
	change_parents(r);
	return write_inodes(h, r);
}

/* ---- both ---- */

static int rename_in(struct ext4_handle *h, struct renaming *r)
{
	bool half = h->half;
	int error = prepare(h, r);

	if (!error) {
		error = change(h, r);
	} else {
		if (!r->replaced && r->target.b)
			dir_remove(r->to, &r->target);
		h->half = half;
	}
	release(r);
	return error;
}

static int rename_once(struct renaming *r)
{
	struct ext4_handle h;
	int error = ext4_start(
		ext4_super_of(&r->from->inode),
		dir_add_credits(r->to) + 4 * EXT4_CREDITS_INODE + EXT4_CREDITS_ORPHAN + 4, &h);

	return error ? error : ext4_stop_with(&h, rename_in(&h, r));
}

/* A directory that takes the place of another adds no link to their parent. */
static int check_links(const struct renaming *r)
{
	bool comes = inode_is_dir(&r->inode->inode),
	     goes = r->replaced && inode_is_dir(&r->replaced->inode);

	if (r->from == r->to || comes == goes)
		return 0;
	if (comes && !links_have_room(r->to))
		return -EMLINK;
	return r->exchange && goes && !links_have_room(r->from) ? -EMLINK : 0;
}

int ext4_rename(struct inode *from, const struct vfs_name *n, struct inode *inode, struct inode *to,
		const struct vfs_name *m, struct inode *replaced, bool exchange)
{
	struct renaming r = {
		.from = ext4_of(from), .to = ext4_of(to), .n = n, .m = m, .inode = ext4_of(inode),
		.replaced = replaced ? ext4_of(replaced) : NULL, .exchange = exchange,
	};
	unsigned tries = 0;
	int error = check_links(&r);

	if (error)
		return error;
	mutex_lock(&inode->lock);
	if (replaced)
		mutex_lock(&replaced->lock);
	do {
		error = rename_once(&r);
	} while (ext4_room_may_come(ext4_super_of(from), error, &tries));
	if (replaced)
		mutex_unlock(&replaced->lock);
	mutex_unlock(&inode->lock);
	return error;
}
