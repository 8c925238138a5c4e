/*
 * fallocate(): room that is promised, holes, ranges that become zeroes.
 *
 * Room is unwritten extents, which read as zeroes and cost no writing. A hole frees the blocks that
 * lie in it as a whole; of a block at its edge the bytes are zeroed. A range of zeroes is a hole
 * whose blocks stay, unwritten, and that is filled up.
 *
 * Each works in steps, in as many handles as it takes: a crash, or a full disk, leaves the steps
 * that were done. The inode's lock is held.
 */
#include <core/errno.h>

#include "delayed.h"
#include "extent_change.h"
#include "journaled.h"
#include "map.h"

#define KEEP_SIZE  1
#define PUNCH_HOLE 2
#define ZERO_RANGE 16

/* One step from block `at` on: *len of at most `max` blocks are done. */
typedef int (*step_t)(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		      uint32_t *len);

static int step_hole(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		     uint32_t *len)
{
	return map_remove(h, i, at, max, len);
}

static int step_unwritten(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
			  uint32_t *len)
{
	return map_set_written(h, i, at, max, false, len);
}

static int step_room(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		     uint32_t *len)
{
	struct ext4_mapping m = { 0 };
	int error = map_make(h, i, at, max, EXT4_MAKE_UNWRITTEN, &m);

	*len = m.len;
	return error;
}

/* Blocks of a file that are left to be done. */
struct range {
	uint32_t at;
	uint64_t end;
};

static int run_steps(struct ext4_inode *i, struct range *r, step_t step, unsigned credits)
{
	struct ext4_handle h;
	int error = map_start(i, credits, &h);

	if (error)
		return error;
	while (!error && r->at < r->end) {
		uint32_t len = 0;

		error = map_renew(&h, i, credits);
		if (!error)
			error = step(&h, i, r->at, (uint32_t)MIN(r->end - r->at, UINT32_MAX), &len);
		if (!error)
			r->at += len;
	}
	return ext4_stop_with(&h, map_write_inode(&h, i, error));
}

static int in_steps(struct ext4_inode *i, struct range r, step_t step)
{
	unsigned credits = MAX(map_remove_credits(i), ext4_map_credits(i, 1)) +
			   2 * extent_credits(i);
	unsigned tries = 0;
	int error;

	do
		error = run_steps(i, &r, step, credits);
	while (ext4_room_may_come(extent_super(i), error, &tries));
	return error;
}

/* ---- edges ---- */

/* Zeroes within one block, if it has bytes at all. */
static int zero_part(struct ext4_inode *i, int64_t from, int64_t to)
{
	struct ext4_mapping m;
	int error;

	to = MIN(to, i->inode.size);
	if (from >= to)
		return 0;
	error = ext4_map(i, (uint32_t)(from >> extent_super(i)->block_shift), 1, &m);
	return error || !journaled_may_hold_bytes(i, &m) ? error : cache_zero(&i->bytes, from, to);
}

/* The bytes of blocks that are not covered as a whole become zeroes; *r is what is. */
static int zero_edges(struct ext4_inode *i, int64_t from, int64_t to, struct range *r)
{
	int64_t block = (int64_t)extent_super(i)->block_bytes, first = ALIGN_UP(from, block),
		end = ALIGN_DOWN(to, block);
	unsigned shift = extent_super(i)->block_shift;
	int error = zero_part(i, from, MIN(first, to));

	if (!error && end >= first)
		error = zero_part(i, end, to);
	*r = (struct range){ (uint32_t)(first >> shift), (uint64_t)MAX(end, first) >> shift };
	return error;
}

/*
 * Whole blocks of pages go, and no page comes back, while their blocks change. What is dirty is
 * written before: the transaction that made its blocks may commit before the one that takes them.
 */
static int change_blocks(struct ext4_inode *i, int64_t from, int64_t to, step_t step)
{
	unsigned shift = extent_super(i)->block_shift;
	struct range r;
	int error = zero_edges(i, from, to, &r);

	if (error || r.at >= r.end)
		return error;
	error = cache_sync(&i->bytes, (int64_t)r.at << shift, (int64_t)(r.end << shift), true);
	if (error)
		return error;
	cache_cut_begin(&i->bytes, (int64_t)r.at << shift, (int64_t)(r.end << shift));
	error = in_steps(i, r, step);
	cache_cut_end(&i->bytes);
	return error;
}

/* ---- the modes ---- */

static int make_room(struct ext4_inode *i, int64_t offset, int64_t end)
{
	unsigned shift = extent_super(i)->block_shift;
	struct range r = { (uint32_t)(offset >> shift),
			   ((uint64_t)end + extent_super(i)->block_bytes - 1) >> shift };

	return in_steps(i, r, step_room);
}

/* A file that gets larger, and new times in any case. */
static int finish(struct ext4_inode *i, int64_t size)
{
	struct ext4_handle h;
	int error = map_start(i, 0, &h);

	if (error)
		return error;
	if (size > i->inode.size) {
		delayed_set_size(i, size);
		i->datasync_tid = ext4_tid(&h);
	}
	i->sync_tid = ext4_tid(&h);
	inode_touch(&i->inode, TOUCH_M | TOUCH_C);
	return ext4_stop_with(&h, ext4_inode_write(&h, i));
}

int ext4_allocate(struct inode *inode, int mode, int64_t offset, int64_t len)
{
	struct ext4_inode *i = ext4_of(inode);
	int64_t end = offset + len;
	int error = 0;

	if (mode & ~(KEEP_SIZE | PUNCH_HOLE | ZERO_RANGE) || !ext4_inode_has_extents(i))
		return -EOPNOTSUPP;
	if (mode & PUNCH_HOLE && mode != (PUNCH_HOLE | KEEP_SIZE))
		return -EOPNOTSUPP;
	if (end > map_max_size(i))
		return -EFBIG;
	if (!(mode & KEEP_SIZE))
		error = map_allow_size(i, end);
	if (!error)
		error = delayed_settle(i, true);
	if (error)
		return error;
	if (mode & PUNCH_HOLE) {
		error = change_blocks(
			i, offset, MIN(end, ALIGN_UP(inode->size, (int64_t)PAGE_SIZE)), step_hole);
	} else {
		if (mode & ZERO_RANGE)
			error = change_blocks(i, offset, end, step_unwritten);
		if (!error)
			error = make_room(i, offset, end);
	}
	if (error)
		return error;
	return finish(i, mode & KEEP_SIZE ? 0 : end);
}
