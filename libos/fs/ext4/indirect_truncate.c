/*
 * Old block maps: freeing blocks from the file's end (indirect.c has the format). A step frees one
 * run of neighbours, or one block of numbers that has become empty, so it changes a bounded number
 * of buffers, and between two steps the map is whole.
 */
#include <core/errno.h>

#include "indirect.h"
#include "journaled.h"
#include "map.h"

#define DIRECT 12u
#define TREES  3u

/* A place that holds numbers: a block of them, or the inode's own (buffer NULL). */
struct numbers {
	struct buffer *buffer;
	uint32_t *v, count;
	uint64_t first;      /* block of the file that v[0] stands for, or that begins below it */
	unsigned levels;     /* below each number */
};

static uint64_t span(const struct ext4_super *s, unsigned levels)
{
	return 1ull << (levels * (s->block_shift - 2));
}

static int touch(struct ext4_handle *h, const struct numbers *n)
{
	if (n->buffer)
		return ext4_touch(h, n->buffer);
	h->half = true; /* numbers in the inode */
	return 0;
}

static int last_used(const struct numbers *n)
{
	int at = (int)n->count - 1;

	while (at >= 0 && !n->v[at])
		at--;
	return at;
}

/* The block of numbers that entry `at` names. */
static int descend(struct ext4_super *s, const struct ext4_inode *i, const struct numbers *n,
		   int at, struct numbers *below)
{
	int error;

	if (!ext4_blocks_may_be_files(i, n->v[at], 1))
		return ext4_damaged(s, "block map", (uint32_t)i->inode.ino, n->v[at],
				    "a block outside the file system, or one of its own");
	error = buffer_read(&s->buffers, n->v[at], &below->buffer);
	if (error)
		return error;
	below->v = (uint32_t *)(void *)below->buffer->data;
	below->count = s->block_bytes / sizeof(uint32_t);
	below->levels = n->levels - 1;
	below->first = n->first + (uint64_t)at * span(s, n->levels);
	return 0;
}

/* An entry and what it names, which is a block of numbers without any. */
static int free_numbers(struct ext4_handle *h, struct ext4_inode *i, const struct numbers *n,
			int at)
{
	uint32_t block = n->v[at];
	int error = touch(h, n);

	if (error)
		return error;
	n->v[at] = 0;
	map_count_blocks(i, -1);
	return ext4_bfree(h, i, block, 1, true);
}

/* The last run of neighbours, as far as it lies behind `from`. *more: something was there. */
static int free_run(struct ext4_handle *h, struct ext4_inode *i, const struct numbers *n, int at,
		    uint32_t from, bool *more)
{
	int first = at, error;

	*more = n->first + (uint64_t)at >= from;
	if (!*more)
		return 0;
	while (first > 0 && n->v[first - 1] + 1 == n->v[first] &&
	       n->first + (uint64_t)first > from &&
	       (uint32_t)(at - first) + 1 < journaled_free_max(i))
		first--;
	error = touch(h, n);
	if (!error)
		error = ext4_bfree(h, i, n->v[first], (uint32_t)(at - first + 1),
				   journaled_is_revoked(i));
	if (error)
		return error;
	for (int k = first; k <= at; k++)
		n->v[k] = 0;
	map_count_blocks(i, -(int64_t)(at - first + 1));
	return 0;
}

/* The last used number in or below `n`, which has one. */
static int free_last(struct ext4_handle *h, struct ext4_inode *i, struct numbers n, uint32_t from,
		     bool *more)
{
	struct numbers above = { 0 };
	int at = last_used(&n), at_above = 0, error = 0;

	while (!error && n.levels && at >= 0) {
		struct numbers below;

		error = descend(h->super, i, &n, at, &below);
		if (error)
			break;
		buffer_put(above.buffer);
		above = n;
		at_above = at;
		n = below;
		at = last_used(&n);
	}
	if (!error && at < 0) {
		*more = true;
		error = free_numbers(h, i, &above, at_above);
	} else if (!error) {
		error = free_run(h, i, &n, at, from, more);
	}
	buffer_put(n.buffer);
	buffer_put(above.buffer);
	return error;
}

int indirect_free_step(struct ext4_handle *h, struct ext4_inode *i, uint32_t from, bool *more)
{
	struct ext4_super *s = h->super;
	uint64_t first[TREES + 1] = { 0, DIRECT, DIRECT + span(s, 1),
				      DIRECT + span(s, 1) + span(s, 2) };

	*more = false;
	for (unsigned tree = TREES; tree > 0; tree--) {
		struct numbers n = { NULL, i->block + DIRECT + tree - 1, 1, first[tree], tree };

		if (n.v[0])
			return free_last(h, i, n, from, more);
	}
	if (last_used(&(struct numbers){ NULL, i->block, DIRECT, 0, 0 }) < 0)
		return 0;
	return free_last(h, i, (struct numbers){ NULL, i->block, DIRECT, 0, 0 }, from, more);
}
