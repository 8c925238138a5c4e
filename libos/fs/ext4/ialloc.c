/*
 * Inode numbers: which are free, and which one a new file gets.
 *
 * Directories are spread, files stay with their directory, after Orlov: a directory below the root
 * goes to a group that is emptier than the average; one further down stays near its parent as long
 * as that group is not too full. Within a group the lowest free number is taken, so that what was
 * never used of the inode table stays at its end, where itable_unused says that it need not be read
 * (group_descr.rst).
 *
 * A number is free again in the transaction that freed it. That is enough: whoever takes it within
 * that transaction writes the same blocks, and both become durable together.
 */
#include <core/errno.h>
#include <core/string.h>
#include <core/time.h>

#include "bits.h"
#include "group.h"

static uint32_t free_blocks_of(const struct ext4_super *s, uint32_t g)
{
	return __atomic_load_n(&s->group[g].free_blocks, __ATOMIC_RELAXED);
}

static uint32_t free_inodes_of(const struct ext4_super *s, uint32_t g)
{
	return __atomic_load_n(&s->group[g].free_inodes, __ATOMIC_RELAXED);
}

static uint32_t group_of(const struct ext4_super *s, uint64_t ino)
{
	return (uint32_t)((ino - 1) / s->inodes_per_group);
}

/* ---- which group ---- */

/*
 * For a directory in the root: of the groups that are emptier than the average, that with the
 * fewest directories.
 */
static uint32_t spread(const struct ext4_super *s)
{
	uint64_t inodes = s->free_inodes / s->groups, blocks = s->free_blocks / s->groups;
	uint32_t best = 0, fewest = UINT32_MAX;

	for (uint32_t g = 0; g < s->groups; g++) {
		uint32_t dirs = __atomic_load_n(&s->group[g].dirs, __ATOMIC_RELAXED);

		if (dirs < fewest && free_inodes_of(s, g) && free_inodes_of(s, g) >= inodes &&
		    free_blocks_of(s, g) >= blocks) {
			fewest = dirs;
			best = g;
		}
	}
	return best;
}

/*
 * For a directory further down: its parent's group, or the next one with room for it and its files.
 */
static uint32_t stay_near(const struct ext4_super *s, uint32_t parent)
{
	uint64_t inodes = s->free_inodes / s->groups / 4, blocks = s->free_blocks / s->groups / 4;

	for (uint32_t n = 0; n < s->groups; n++) {
		uint32_t g = (uint32_t)(((uint64_t)parent + n) % s->groups);

		if (free_inodes_of(s, g) > inodes && free_blocks_of(s, g) > blocks)
			return g;
	}
	return parent;
}

static uint32_t wanted_group(const struct ext4_super *s, const struct ext4_inode *dir,
			     uint32_t mode)
{
	uint32_t parent = group_of(s, dir->inode.ino);

	if ((mode & S_IFMT) != S_IFDIR)
		return parent;
	if (dir->inode.ino == EXT4_ROOT_INO || dir->flags & EXT4_FL_TOPDIR)
		return spread(s);
	return stay_near(s, parent);
}

/* ---- taking one of a group; its lock is held ---- */

/* A group whose inodes are used has a block bitmap that means something. */
static int need_block_bitmap(struct ext4_handle *h, uint32_t group)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	struct buffer *b;
	int error;

	if (!group_has_checksum(s) || !(g->desc->flags & EXT4_GROUP_BLOCK_UNINIT))
		return 0;
	error = ext4_block_bitmap(s, group, &b);
	if (error)
		return error;
	error = ext4_touch(h, b);
	if (!error) {
		g->desc->flags &= (uint16_t)~EXT4_GROUP_BLOCK_UNINIT;
		ext4_block_bitmap_csum_set(s, group, b);
	}
	buffer_put(b);
	return error;
}

static bool is_uninit(const struct ext4_super *s, const struct ext4_group *g)
{
	return group_has_checksum(s) && g->desc->flags & EXT4_GROUP_INODE_UNINIT;
}

/* The group's first inode: its bitmap, computed so far, means something from now on. */
static void begin_use(struct ext4_super *s, uint32_t group, struct buffer *bitmap)
{
	s->group[group].desc->flags &= (uint16_t)~EXT4_GROUP_INODE_UNINIT;
	s->group[group].itable_unused = s->inodes_per_group;
	ext4_inode_bitmap_csum_set(s, group, bitmap);
}

static void note_taken(struct ext4_super *s, struct ext4_group *g, uint32_t index, bool dir)
{
	g->free_inodes--;
	g->dirs += dir;
	__atomic_fetch_sub(&s->free_inodes, 1, __ATOMIC_RELAXED);
	if (group_has_checksum(s))
		g->itable_unused = MIN(g->itable_unused, s->inodes_per_group - 1 - index);
}

static int take_bit(struct ext4_handle *h, uint32_t group, struct buffer *bitmap, bool dir,
		    uint32_t *index)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	uint32_t from = group ? 0 : s->first_ino - 1;
	int error;

	*index = bits_next(bitmap->data, from, s->inodes_per_group, false);
	if (*index >= s->inodes_per_group)
		return ext4_damaged(s, "group", 0, g->inode_bitmap,
				    "group %u: %u free inodes are not in its bitmap", group,
				    g->free_inodes);
	error = ext4_touch(h, bitmap);
	if (!error)
		error = ext4_touch(h, g->buffer);
	if (!error)
		error = need_block_bitmap(h, group);
	if (error)
		return error;
	bits_set(bitmap->data, *index, 1);
	if (is_uninit(s, g))
		begin_use(s, group, bitmap);
	else
		inode_bitmap_csum_flip(s, group, bitmap, *index);
	note_taken(s, g, *index, dir);
	ext4_group_write(s, group);
	return 0;
}

/* -ENOSPC: the group has none. */
static int take_in(struct ext4_handle *h, uint32_t group, bool dir, uint32_t *ino)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	struct buffer *bitmap;
	uint32_t index;
	int error = -ENOSPC;

	if (!free_inodes_of(s, group))
		return -ENOSPC;
	mutex_lock(&g->lock);
	if (g->free_inodes)
		error = ext4_inode_bitmap(s, group, &bitmap);
	if (!error) {
		error = take_bit(h, group, bitmap, dir, &index);
		buffer_put(bitmap);
	}
	mutex_unlock(&g->lock);
	if (!error)
		*ino = group * s->inodes_per_group + index + 1;
	return error;
}

int ext4_ialloc(struct ext4_handle *h, struct ext4_inode *dir, uint32_t mode, uint32_t *ino)
{
	struct ext4_super *s = h->super;
	uint32_t first = wanted_group(s, dir, mode);
	bool half = h->half;
	int error = -ENOSPC;

	for (uint32_t n = 0; n < s->groups && error == -ENOSPC; n++)
		error = take_in(h, (uint32_t)(((uint64_t)first + n) % s->groups),
				(mode & S_IFMT) == S_IFDIR, ino);
	if (error)
		h->half = half;
	return error;
}

/* ---- giving one back ---- */

/*
 * The group's bitmap, to be put, in which the bit is set; it and the descriptor are touched. The
 * lock is held.
 */
static int touch_for(struct ext4_handle *h, uint32_t group, uint32_t index, struct buffer **out)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	int error = ext4_inode_bitmap(s, group, out);

	if (error)
		return error;
	if (!bit_is_set((*out)->data, index))
		error = ext4_damaged(s, "group", group * s->inodes_per_group + index + 1,
				     g->inode_bitmap, "an inode in use is free in its bitmap");
	if (!error)
		error = ext4_touch(h, *out);
	if (!error)
		error = ext4_touch(h, g->buffer);
	if (error)
		buffer_put(*out);
	return error;
}

static int clear_bit(struct ext4_handle *h, uint32_t group, uint32_t index, bool dir)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	struct buffer *bitmap;
	int error = touch_for(h, group, index, &bitmap);

	if (error)
		return error;
	bits_clear(bitmap->data, index, 1);
	g->free_inodes++;
	g->dirs -= dir && g->dirs;
	__atomic_fetch_add(&s->free_inodes, 1, __ATOMIC_RELAXED);
	inode_bitmap_csum_flip(s, group, bitmap, index);
	ext4_group_write(s, group);
	buffer_put(bitmap);
	return 0;
}

int ext4_ifree_number(struct ext4_handle *h, uint32_t ino, bool dir)
{
	uint32_t group = group_of(h->super, ino);
	bool half = h->half;
	int error;

	mutex_lock(&h->super->group[group].lock);
	error = clear_bit(h, group, (ino - 1) % h->super->inodes_per_group, dir);
	mutex_unlock(&h->super->group[group].lock);
	if (error)
		h->half = half;
	return error;
}

int ext4_ifree_announce(struct ext4_handle *h, struct ext4_inode *i)
{
	struct ext4_super *s = h->super;
	uint32_t group = group_of(s, i->inode.ino);
	bool half = h->half;
	struct buffer *bitmap;
	int error = ext4_inode_announce(h, i);

	if (error)
		return error;
	mutex_lock(&s->group[group].lock);
	error = touch_for(h, group, ((uint32_t)i->inode.ino - 1) % s->inodes_per_group, &bitmap);
	mutex_unlock(&s->group[group].lock);
	if (!error)
		buffer_put(bitmap);
	h->half = half;
	return error;
}

/*
 * A small one would be taken for the next inode of the orphan list, so a clock that was never set
 * does not count.
 */
static uint32_t deletion_time(const struct ext4_super *s)
{
	uint32_t now = (uint32_t)(clock_wall_ns() / NSEC_PER_SEC);

	return MAX(now, MAX(s->disk->mkfs_time, s->inodes + 1));
}

int ext4_ifree(struct ext4_handle *h, struct ext4_inode *i)
{
	int error;

	i->dtime = deletion_time(h->super);
	i->inode.nlink = 0;
	error = ext4_inode_write(h, i);
	if (error)
		return error;
	return ext4_ifree_number(h, (uint32_t)i->inode.ino, inode_is_dir(&i->inode));
}
