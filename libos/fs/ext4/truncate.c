/*
 * Files that shrink.
 *
 * Blocks are freed an extent at a time, from the file's end. Each step leaves a whole tree, so
 * between two steps the handle may be stopped and started again when the transaction has no more
 * room. A truncated or deleted file is on the orphan list meanwhile: after a crash its remaining
 * blocks are freed at mounting (orphan.c).
 */
#include <core/errno.h>

#include "balloc.h"
#include "delayed.h"
#include "indirect.h"
#include "journaled.h"
#include "map.h"

static bool has_blocks(const struct ext4_inode *i)
{
	uint32_t kind = inode_kind(&i->inode);

	if (i->flags & EXT4_FL_INLINE_DATA)
		return false;
	return kind == S_IFREG || kind == S_IFDIR || (kind == S_IFLNK && !ext4_link_is_fast(i));
}

/* Frees the last extent, or what of it lies behind `from`. */
static int extent_free_step(struct ext4_handle *h, struct ext4_inode *i, uint32_t from, bool *more)
{
	struct extent_run last;
	uint32_t at, len;
	int error = map_last(i, from, &last);

	*more = last.len;
	if (error || !last.len)
		return error;
	at = MAX(last.first, from);
	len = MIN(last.first + last.len - at, map_free_max(i));
	return map_remove(h, i, last.first + last.len - len, len, &len);
}

static int free_step(struct ext4_handle *h, struct ext4_inode *i, uint32_t from, bool *more)
{
	int error;

	if (ext4_inode_has_extents(i))
		return extent_free_step(h, i, from, more);
	mutex_lock(&i->map_lock);
	error = indirect_free_step(h, i, from, more);
	mutex_unlock(&i->map_lock);
	return error;
}

static int truncate_steps(struct ext4_handle *h, struct ext4_inode *i, uint32_t from)
{
	bool more = true;
	int error = 0;

	while (!error && more) {
		error = map_renew(h, i, map_remove_credits(i));
		if (!error)
			error = free_step(h, i, from, &more);
	}
	return error;
}

int ext4_truncate(struct ext4_inode *i, int64_t size)
{
	struct ext4_super *s = extent_super(i);
	uint64_t from = ((uint64_t)size + s->block_bytes - 1) >> s->block_shift;
	struct ext4_handle h;
	int error;

	balloc_drop_reserve(i);
	if (!has_blocks(i) || from >= EXTENT_LBLK_END || !i->inode.blocks)
		return 0;
	error = map_start(i, map_remove_credits(i), &h);
	if (error)
		return error;
	error = truncate_steps(&h, i, (uint32_t)from);
	return ext4_stop_with(&h, map_write_inode(&h, i, error));
}

/* ---- changing the size ---- */

/*
 * The last block keeps its bytes up to `size`, and zeroes behind: the file may grow again. The
 * zeroes must be durable with the new size; bytes that go through the journal are in it before
 * that.
 */
static int zero_tail(struct ext4_inode *i, int64_t size)
{
	struct ext4_super *s = extent_super(i);
	int64_t end = MIN(ALIGN_UP(size, (int64_t)s->block_bytes), i->inode.size);
	struct ext4_mapping m;
	int error;

	if (size >= end)
		return 0;
	error = ext4_map(i, (uint32_t)(size >> s->block_shift), 1, &m);
	if (error || !journaled_may_hold_bytes(i, &m))
		return error;
	error = cache_zero(&i->bytes, size, end);
	return error || !journaled_is(i) ? error : cache_sync(&i->bytes, size, end, true);
}

/* The handle after which the file has its new size, whatever is left to be freed. */
static int set_size(struct ext4_inode *i, int64_t size, bool shrinks)
{
	struct ext4_handle h;
	int error = map_start(i, EXT4_CREDITS_ORPHAN, &h);

	if (error)
		return error;
	if (shrinks) {
		ext4_order_bytes(&h, i);
		error = ext4_orphan_add(&h, i);
	}
	if (!error) {
		delayed_set_size(i, size);
		i->sync_tid = i->datasync_tid = ext4_tid(&h);
		inode_touch(&i->inode, TOUCH_M | TOUCH_C);
		error = ext4_inode_write(&h, i);
	}
	return ext4_stop_with(&h, error);
}

static int leave_orphans(struct ext4_inode *i)
{
	struct ext4_handle h;
	int error = ext4_start(extent_super(i), EXT4_CREDITS_ORPHAN + EXT4_CREDITS_INODE, &h);

	return error ? error : ext4_stop_with(&h, ext4_orphan_remove(&h, i));
}

/*
 * A transaction that began to commit before the size changed may still show the bytes that are
 * thrown away now, and so needs them on the disk; one that commits later shows the new size.
 */
static void settle(struct ext4_inode *i)
{
	struct ext4_super *s = extent_super(i);

	if (s->journal)
		journal_settle_ordered(s->journal, &i->ordered);
}

/* Does the file have blocks behind its end, as fallocate() may have set them aside? */
static int look_behind(struct ext4_inode *i, bool *any)
{
	struct ext4_super *s = extent_super(i);
	struct extent_run last = { 0 };
	int error = 0;

	if (ext4_inode_has_extents(i))
		error = map_last(i,
				 (uint32_t)(((uint64_t)i->inode.size + s->block_bytes - 1) >>
					    s->block_shift),
				 &last);
	*any = last.len;
	return error;
}

static int resize_up(struct ext4_inode *i, int64_t size)
{
	int error = map_allow_size(i, size);

	return error ? error : set_size(i, size, false);
}

int ext4_resize(struct inode *inode, int64_t size)
{
	struct ext4_inode *i = ext4_of(inode);
	bool shrinks = size < inode->size;
	int error = 0;

	if (size > map_max_size(i))
		return -EFBIG;
	if (size == inode->size)
		error = look_behind(i, &shrinks);
	if (error || !shrinks)
		return error ? error : resize_up(i, size);
	error = size ? delayed_settle(i, true) : 0; /* some of it may stay */
	if (!error)
		error = zero_tail(i, size);
	if (!error)
		error = set_size(i, size, true);
	if (error)
		return error;
	settle(i);
	cache_cut_begin(&i->bytes, size, INT64_MAX);
	if (!size)
		delayed_drop(i, 0);
	error = ext4_truncate(i, size);
	cache_cut_end(&i->bytes);
	return error ? error : leave_orphans(i);
}
