/*
 * Where a file's bytes lie: in the extents of its tree (extent.c), or in its old block map
 * (indirect.c).
 *
 * i->map_lock guards either. It is taken after a handle was opened, and given back before one is
 * restarted, since the write-back of ordered data asks for mappings inside a commit.
 */
#include "map.h"

#include <core/assert.h>
#include <core/errno.h>
#include <core/string.h>

#include "balloc.h"
#include "delayed.h"
#include "extent_change.h"
#include "indirect.h"
#include "journaled.h"

static int map_locked(struct ext4_inode *i, uint32_t at, uint32_t max, struct ext4_mapping *m)
{
	return ext4_inode_has_extents(i) ? extent_map(i, at, max, m) : indirect_map(i, at, max, m);
}

/* Of a hole, what is promised blocks. */
static void overlay_delayed(const struct ext4_inode *i, uint32_t at, uint32_t max,
			    struct ext4_mapping *m)
{
	uint32_t run = delayed_run(i, at);

	if (run)
		*m = (struct ext4_mapping){ EXT4_DELAYED, 0, MIN(run, max) };
	else if (i->delayed.count && i->delayed.first > at)
		m->len = MIN(m->len, i->delayed.first - at);
}

int ext4_map(struct ext4_inode *i, uint32_t at, uint32_t max, struct ext4_mapping *m)
{
	int error;

	assert(max > 0);
	mutex_lock(&i->map_lock);
	error = map_locked(i, at, max, m);
	if (!error && m->kind == EXT4_HOLE)
		overlay_delayed(i, at, max, m);
	mutex_unlock(&i->map_lock);
	assert(error || (m->len > 0 && m->len <= max));
	return error;
}

void ext4_map_init(struct ext4_inode *i)
{
	struct ext4_disk_extent_header *root = extent_root(i);

	memset(i->block, 0, sizeof(i->block));
	i->map_is_checked = true;
	if (!ext4_has_incompat(extent_super(i), EXT4_INCOMPAT_EXTENTS))
		return;
	i->flags |= EXT4_FL_EXTENTS;
	root->magic = EXT4_EXTENT_MAGIC;
	root->max = EXTENT_ROOT_SLOTS;
}

/* ---- filling holes ---- */

unsigned ext4_map_credits(const struct ext4_inode *i, uint32_t blocks)
{
	(void)blocks; /* one run of them, in one group */
	return EXT4_CREDITS_BALLOC + extent_credits(i);
}

/*
 * Behind the extent before, at the same distance as in the file, or where the inode's files begin.
 */
static int goal_for(struct ext4_inode *i, uint32_t at, uint64_t *goal)
{
	struct extent_path p;
	int error = extent_find(i, at, &p);

	if (error)
		return error;
	*goal = ext4_inode_goal(i);
	if (extent_leaf(&p)->at >= 0) {
		struct extent_run r = extent_unpack(
			extent_slot(extent_leaf(&p)->head, extent_leaf(&p)->at));

		*goal = r.block + (at - r.first);
	}
	extent_path_put(&p);
	return 0;
}

void map_count_blocks(struct ext4_inode *i, int64_t blocks)
{
	__atomic_fetch_add(&i->inode.blocks,
			   (uint64_t)(blocks * (int64_t)(extent_super(i)->block_bytes / 512)),
			   __ATOMIC_RELAXED);
}

static void note_change(struct ext4_handle *h, struct ext4_inode *i)
{
	i->sync_tid = i->datasync_tid = ext4_tid(h);
}

/* A hole of m->len blocks: allocates some of it, from its beginning. */
static int fill(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, unsigned flags,
		struct ext4_mapping *m)
{
	struct extent_run r = { .first = at, .unwritten = flags & EXT4_MAKE_UNWRITTEN };
	bool half = h->half;
	uint64_t goal;
	int error;

	if (!ext4_inode_has_extents(i))
		return -EOPNOTSUPP;
	error = goal_for(i, at, &goal);
	r.len = MIN(m->len, EXTENT_UNWRITTEN_MAX);
	if (!error)
		error = ext4_balloc(h, i, goal, &r.block, &r.len);
	if (error)
		return error;
	error = extent_replace(h, i, at, r.len, &r);
	if (error) {
		if (!ext4_bfree(h, i, r.block, r.len, false))
			h->half = half;
		return error;
	}
	map_count_blocks(i, r.len);
	*m = (struct ext4_mapping){ r.unwritten ? EXT4_UNWRITTEN : EXT4_MAPPED, r.block, r.len };
	note_change(h, i);
	return 0;
}

int map_make_locked(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		    unsigned flags, struct ext4_mapping *m)
{
	int error = map_locked(i, at, max, m);

	return error || m->kind != EXT4_HOLE ? error : fill(h, i, at, flags, m);
}

int map_make(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max, unsigned flags,
	     struct ext4_mapping *m)
{
	int error;

	assert(max > 0);
	mutex_lock(&i->map_lock);
	error = map_make_locked(h, i, at, max, flags, m);
	mutex_unlock(&i->map_lock);
	return error;
}

int ext4_map_make(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		  unsigned flags, struct ext4_mapping *m)
{
	int error = ext4_inode_announce(h, i);

	if (error)
		return error;
	error = map_make(h, i, at, max, flags, m);
	return map_write_inode(h, i, error); /* in any case: the tree may have got more nodes */
}

int map_unmake(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint64_t block)
{
	int error;

	mutex_lock(&i->map_lock);
	error = extent_replace(h, i, at, 1, NULL);
	if (!error)
		error = ext4_bfree(h, i, block, 1, false);
	if (!error)
		map_count_blocks(i, -1);
	mutex_unlock(&i->map_lock);
	return error ? error : ext4_inode_write(h, i);
}

/* ---- steps ---- */

int map_start(struct ext4_inode *i, unsigned credits, struct ext4_handle *h)
{
	int error = ext4_start(extent_super(i), credits + EXT4_CREDITS_INODE, h);

	if (error)
		return error;
	error = ext4_inode_announce(h, i);
	return error ? ext4_stop_with(h, error) : 0;
}

int map_renew(struct ext4_handle *h, struct ext4_inode *i, unsigned credits)
{
	int error;

	h->half = false;
	if (ext4_credits(h) >= credits || ext4_extend(h, credits))
		return 0;
	error = ext4_inode_write(h, i);
	if (!error)
		error = ext4_restart(h, credits + EXT4_CREDITS_INODE);
	return error ? error : ext4_inode_announce(h, i);
}

int map_write_inode(struct ext4_handle *h, struct ext4_inode *i, int error)
{
	bool half = h->half;
	int written = ext4_inode_write(h, i);

	if (error)
		h->half = half;
	return error ? error : written;
}

/* ---- unwritten extents ---- */

int map_make_room(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, unsigned spare)
{
	int error;

	mutex_lock(&i->map_lock);
	error = extent_make_room(h, i, at, spare);
	mutex_unlock(&i->map_lock);
	return error;
}

int map_set_written(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		    bool written, uint32_t *len)
{
	struct extent_run r = { .first = at, .unwritten = !written };
	struct ext4_mapping m;
	int error;

	mutex_lock(&i->map_lock);
	error = map_locked(i, at, written ? max : MIN(max, EXTENT_UNWRITTEN_MAX), &m);
	*len = m.len;
	if (!error && m.kind == (written ? EXT4_UNWRITTEN : EXT4_MAPPED) &&
	    ext4_inode_has_extents(i)) {
		r.block = m.block;
		r.len = m.len;
		error = extent_replace(h, i, at, m.len, &r);
		note_change(h, i);
	}
	mutex_unlock(&i->map_lock);
	return error;
}

/* ---- holes ---- */

/* in one step: small groups would ask for more credits than a small journal has */
#define FREE_GROUPS_MAX 16u

uint32_t map_free_max(const struct ext4_inode *i)
{
	return MIN(journaled_free_max(i), FREE_GROUPS_MAX * extent_super(i)->blocks_per_group);
}

int map_remove(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
	       uint32_t *len)
{
	struct ext4_mapping m;
	int error;

	mutex_lock(&i->map_lock);
	error = map_locked(i, at, MIN(max, map_free_max(i)), &m);
	*len = m.len;
	if (!error && m.kind != EXT4_HOLE) {
		error = ext4_inode_has_extents(i) ? ext4_bfree_announce(h, i, m.block, m.len)
						  : -EOPNOTSUPP;
		if (!error)
			error = extent_replace(h, i, at, m.len, NULL);
		if (!error)
			error = ext4_bfree(h, i, m.block, m.len, journaled_is_revoked(i));
		if (!error)
			map_count_blocks(i, -(int64_t)m.len);
		note_change(h, i);
	}
	mutex_unlock(&i->map_lock);
	return error;
}

unsigned map_remove_credits(const struct ext4_inode *i)
{
	const struct ext4_super *s = extent_super(i);
	uint32_t groups = MIN(EXT4_EXTENT_LEN_MAX / s->blocks_per_group, FREE_GROUPS_MAX) + 2;

	return 2 * groups + extent_credits(i) + (journaled_is_revoked(i) ? JOURNALED_FREE_MAX : 0);
}

/* The last mapped block at or behind `from`, by way of the tree's right edge. */
int map_last(struct ext4_inode *i, uint32_t from, struct extent_run *last)
{
	struct extent_path p;
	int error;

	*last = (struct extent_run){ 0 };
	mutex_lock(&i->map_lock);
	error = extent_find(i, UINT32_MAX, &p);
	if (!error) {
		if (extent_leaf(&p)->at >= 0)
			*last = extent_unpack(
				extent_slot(extent_leaf(&p)->head, extent_leaf(&p)->at));
		extent_path_put(&p);
		if (last->first + (uint64_t)last->len <= from)
			last->len = 0;
	}
	mutex_unlock(&i->map_lock);
	return error;
}

#define SMALL_FILE_MAX 0x7fffffff

static void set_large_file(struct ext4_super *s)
{
	s->disk->feature_ro_compat |= EXT4_RO_LARGE_FILE;
	s->ro_compat |= EXT4_RO_LARGE_FILE;
}

int map_allow_size(struct ext4_inode *i, int64_t size)
{
	struct ext4_super *s = extent_super(i);

	if (size <= SMALL_FILE_MAX || ext4_has_ro(s, EXT4_RO_LARGE_FILE))
		return 0;
	return ext4_super_change(s, set_large_file);
}

int64_t map_max_size(const struct ext4_inode *i)
{
	const struct ext4_super *s = extent_super(i);
	uint64_t numbers = s->block_bytes / sizeof(uint32_t);

	if (ext4_inode_has_extents(i))
		return (int64_t)((EXTENT_LBLK_END - 1) << s->block_shift);
	return (int64_t)((12 + numbers + numbers * numbers + numbers * numbers * numbers)
			 << s->block_shift);
}
