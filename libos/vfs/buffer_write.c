/*
 * Buffers on their way home: the dirty ones of a file system without a journal, and what is
 * discarded.
 *
 * The mark BUFFER_DIRTY goes with a place on the cache's list and a reference; all three change
 * under the cache's lock.
 */
#include <core/errno.h>
#include <libos/blkbatch.h>

#include "buffer_parts.h"

/*
 * A writer takes the mark off before it starts. So a mark that is seen here is taken off later, and
 * the writer then finds what the caller has changed.
 */
int buffer_mark_dirty(struct buffer *b)
{
	struct buffer_cache *c = b->cache;
	int error = 0;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (buffer_flags(b) & BUFFER_DIRTY)
		return 0;
	spin_lock(&c->lock);
	if (!(buffer_flags(b) & BUFFER_VALID)) {
		error = -EIO;
	} else if (!(buffer_flags(b) & BUFFER_DIRTY)) {
		buffer_flags_set(b, BUFFER_DIRTY);
		buffer_hold_locked(b);
		list_push_back(&c->dirty, &b->link);
		c->dirty_count++;
	}
	spin_unlock(&c->lock);
	return error;
}

/*
 * [c] Takes the mark off, with `clear` others: true if it was there, and its reference is the
 * caller's.
 */
static bool clean_locked(struct buffer *b, uint32_t clear)
{
	bool was = buffer_flags(b) & BUFFER_DIRTY;

	buffer_flags_clear(b, BUFFER_DIRTY | clear);
	if (was) {
		list_remove(&b->link);
		b->cache->dirty_count--;
	}
	return was;
}

static bool clean(struct buffer *b, uint32_t clear)
{
	bool was;

	spin_lock(&b->cache->lock);
	was = clean_locked(b, clear);
	spin_unlock(&b->cache->lock);
	return was;
}

void buffer_discard(struct buffer *b)
{
	bool was_dirty;

	buffer_make_busy(b);
	was_dirty = clean(b, BUFFER_VALID | BUFFER_VERIFIED);
	buffer_end_busy(b, 0);
	if (was_dirty)
		buffer_put(b);
}

int buffer_write(struct buffer *b, uint32_t blk_flags)
{
	struct buffer_cache *c = b->cache;
	bool was_dirty;
	int error;

	buffer_make_busy(b);
	was_dirty = clean(b, 0);
	error = blkdev_write(c->dev, buffer_place(b), b->data, c->block_bytes, blk_flags);
	buffer_end_busy(b, 0);
	if (was_dirty)
		buffer_put(b);
	return error;
}

/* The oldest dirty buffer, held; NULL: none. */
static struct buffer *dirty_next(struct buffer_cache *c)
{
	struct buffer *b = NULL;

	spin_lock(&c->lock);
	if (!list_is_empty(&c->dirty)) {
		b = list_first(&c->dirty, struct buffer, link);
		buffer_hold_locked(b);
	}
	spin_unlock(&c->lock);
	return b;
}

#define WRITE_AT_ONCE 64u

/*
 * Who has begun others waits for none, or two writers could wait for each other. Puts what it does
 * not take.
 */
static bool may_start(struct buffer *b, bool has_others)
{
	if (!has_others) {
		buffer_make_busy(b);
		return true;
	}
	if (buffer_try_busy(b))
		return true;
	buffer_put(b);
	return false;
}

static int write_some(struct buffer_cache *c, struct blk_batch *batch, uint64_t *left)
{
	struct buffer *written[WRITE_AT_ONCE], *b;
	unsigned n = 0;
	int error;

	for (; n < WRITE_AT_ONCE && *left && (b = dirty_next(c)); --*left) {
		if (!may_start(b, n > 0))
			break;
		if (!clean(b, 0)) { /* written or discarded in the meantime */
			buffer_end_busy(b, 0);
			buffer_put(b);
			continue;
		}
		blk_batch_add(batch, BLK_WRITE, buffer_place(b), b->data, c->block_bytes, 0);
		buffer_put(b); /* the mark's */
		written[n++] = b;
	}
	error = blk_batch_wait(batch);
	while (n) {
		buffer_end_busy(written[--n], 0);
		buffer_put(written[n]);
	}
	return error;
}

/* What gets dirty meanwhile need not be written: the count bounds it. */
int buffers_write(struct buffer_cache *c)
{
	struct blk_batch batch;
	uint64_t left = c->dirty_count;
	int first = 0;

	blk_batch_init(&batch, c->dev);
	while (left && c->dirty_count) {
		int error = write_some(c, &batch, &left);

		first = first ? first : error;
	}
	return first;
}
