/*
 * Blocks: finding free ones, and taking them.
 *
 * A search looks at what is taken in memory (space.c): what the disk says is in use, what was freed
 * a moment ago (bfree.c), and what is set aside for others (reserve.c).
 *
 * It begins at the goal, so that a file goes on where it ends, takes the first run there that is
 * long enough, then looks in the groups behind, and is content with ever shorter runs before it
 * gives up. A group whose longest run is known to be too short is not looked at.
 *
 * Locks: a group's lock.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>

#include "bits.h"
#include "delayed.h"
#include "space.h"

void balloc_open(struct ext4_super *s)
{
	spin_init(&s->space_lock);
	list_init(&s->freed);
	list_init(&s->reserves);
	s->freeing = 0;
}

void balloc_close(struct ext4_super *s)
{
	freed_close(s);
	for (uint32_t n = 0; s->group && n < s->groups; n++) {
		buffer_put(s->group[n].bitmap);
		kfree(s->group[n].taken);
	}
}

/* ---- searching ---- */

/* A run of free bits, `len` of them from `from`. */
struct run {
	uint32_t from, len;
};

/* The first free run at or behind `from` with `want` blocks, else the longest that was seen. */
static struct run find_run(const struct ext4_group *g, uint32_t from, uint32_t end, uint32_t want)
{
	struct run best = { 0 };

	while (from < end && best.len < want) {
		uint32_t start = bits_next(g->taken, from, end, false);

		from = bits_next(g->taken, start, MIN(end, start + want), true);
		if (from - start > best.len)
			best = (struct run){ start, from - start };
	}
	return best;
}

/* The first of them that is long enough, as long as it is. */
static struct run first_run(const struct ext4_group *g, uint32_t from, uint32_t end, uint32_t least)
{
	while (from < end) {
		uint32_t start = bits_next(g->taken, from, end, false);

		from = bits_next(g->taken, start, end, true);
		if (from - start >= least && from > start)
			return (struct run){ start, from - start };
	}
	return (struct run){ 0 };
}

static bool find_in_group(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t want,
			  struct run *r)
{
	struct ext4_group *g = &s->group[group];
	uint32_t end = ext4_group_blocks(s, group);

	*r = find_run(g, from, end, want);
	if (r->len >= want)
		return true;
	*r = find_run(g, 0, end, want);
	if (r->len >= want)
		return true;
	g->largest_run = r->len;
	return false;
}

/* Takes a run that was found: on the disk as far as `use_count`, the rest is set aside. */
static int take(struct ext4_handle *h, uint32_t group, const struct run *r, uint32_t use_count)
{
	struct ext4_group *g = &h->super->group[group];
	int error = space_use(h, group, r->from, MIN(use_count, r->len));

	if (error)
		return error;
	bits_set(g->taken, r->from, r->len);
	g->available -= r->len;
	g->next = r->from + r->len;
	return 0;
}

/* What is asked for, and what was found. */
struct search {
	struct ext4_handle *handle;
	uint64_t goal;
	/* so many blocks would be good, and so many of them are used at once */
	uint32_t want, use;
	uint64_t block;
	uint32_t len;
};

static int take_found(struct search *q, uint32_t group, const struct run *r)
{
	int error = take(q->handle, group, r, q->use);

	q->block = ext4_group_first_block(q->handle->super, group) + r->from;
	q->len = r->len;
	return error;
}

/* -ENOSPC: no run of `least` blocks in this group. */
static int search_group(struct search *q, uint32_t group, uint32_t from, uint32_t least)
{
	struct ext4_super *s = q->handle->super;
	struct ext4_group *g = &s->group[group];
	struct run r;
	int error;

	if (g->taken ? g->largest_run < least : g->free_blocks < least)
		return -ENOSPC;
	mutex_lock(&g->lock);
	error = space_load(s, group);
	if (!error)
		error = find_in_group(s, group, from, least, &r) ? 0 : -ENOSPC;
	if (!error) { /* as much of it as is wanted */
		uint32_t end = MIN(ext4_group_blocks(s, group), r.from + q->want);

		r.len = bits_next(g->taken, r.from, end, true) - r.from;
		error = take_found(q, group, &r);
	}
	mutex_unlock(&g->lock);
	return error;
}

/* At the goal itself: however short, it goes on there. */
static int search_goal(struct search *q, uint32_t group, uint32_t from)
{
	struct ext4_super *s = q->handle->super;
	struct ext4_group *g = &s->group[group];
	struct run r = { .from = from };
	int error;

	mutex_lock(&g->lock);
	error = space_load(s, group);
	if (!error && bit_is_set(g->taken, from))
		error = -ENOSPC;
	if (!error) {
		r.len = bits_next(g->taken, from, MIN(ext4_group_blocks(s, group), from + q->want),
				  true) -
			from;
		error = take_found(q, group, &r);
	}
	mutex_unlock(&g->lock);
	return error;
}

/* The next round is content with less; the last one with single blocks. */
static uint32_t shorter(uint32_t run)
{
	return run > 1 ? MAX(run / 4, 1u) : 0;
}

static int search_all(struct search *q)
{
	struct ext4_super *s = q->handle->super;
	uint32_t group = space_group_of(s, q->goal),
		 from = (uint32_t)(q->goal - ext4_group_first_block(s, group));
	int error = search_goal(q, group, from);

	for (uint32_t least = q->want; error == -ENOSPC && least; least = shorter(least)) {
		error = search_group(q, group, from, least);
		for (uint32_t n = 1; error == -ENOSPC && n < s->groups; n++)
			error = search_group(q, (uint32_t)(((uint64_t)group + n) % s->groups), 0,
					     least);
	}
	return error;
}

/* ---- the interface ---- */

uint64_t balloc_kept_for_root(const struct ext4_super *s)
{
	uint64_t kept = s->disk->reserved_blocks_lo;

	if (ext4_has_incompat(s, EXT4_INCOMPAT_64BIT))
		kept |= (uint64_t)s->disk->reserved_blocks_hi << 32;
	return kept;
}

/*
 * Root may use the last blocks; so may metadata of files that exist, and who was promised blocks.
 */
static bool is_for_others(const struct ext4_handle *h, const struct ext4_inode *i, uint32_t count)
{
	const struct ext4_super *s = h->super;

	if (!i || h->places || s->free_blocks >= balloc_kept_for_root(s) + count)
		return false;
	return vfs_context()->uid != 0 && vfs_context()->uid != s->disk->def_resuid;
}

uint64_t ext4_inode_goal(const struct ext4_inode *i)
{
	const struct ext4_super *s = ext4_super_of(&i->inode);
	uint32_t group = (uint32_t)(((uint32_t)i->inode.ino - 1) / s->inodes_per_group);

	if (group >= s->groups)
		return s->first_data_block;
	return ext4_group_first_block(s, group) +
	       MIN(s->group[group].next, ext4_group_blocks(s, group) - 1);
}

static int find_and_use(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, uint64_t *block,
			uint32_t *count)
{
	struct ext4_super *s = h->super;
	struct search q = { .handle = h, .goal = goal, .use = MIN(*count, s->blocks_per_group) };
	int error;

	if (!ext4_blocks_are_valid(s, goal, 1))
		q.goal = s->first_data_block;
	error = i ? reserve_use(h, i, goal, block, count) : -ENOSPC;
	if (error != -ENOSPC)
		return error;
	freed_collect(s);
	if (i)
		balloc_drop_reserve(i);
	q.want = MIN(q.use + (i ? reserve_size(i) : 0), s->blocks_per_group);
	do
		error = search_all(&q);
	while (error == -ENOSPC && reserve_drop_all(s));
	if (error)
		return error;
	*block = q.block;
	*count = MIN(q.use, q.len);
	if (q.len > q.use)
		reserve_set(s, i, q.block + q.use, q.len - q.use);
	return 0;
}

int ext4_balloc(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, uint64_t *block,
		uint32_t *count)
{
	uint32_t wanted = *count;
	int error;

	assert(wanted > 0);
	if (is_for_others(h, i, wanted) || !delayed_claim(h, i, wanted))
		return -ENOSPC;
	error = find_and_use(h, i, goal, block, count);
	delayed_unclaim(h, i, wanted);
	return error;
}

int ext4_block_make(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, struct buffer **out)
{
	bool half = h->half;
	uint32_t count = 1;
	uint64_t block;
	int error = ext4_balloc(h, i, goal, &block, &count);

	if (error)
		return error;
	error = ext4_buffer_make(h, block, out);
	/* nobody has changed it: there is nothing to revoke */
	if (error && !ext4_bfree(h, i, block, 1, false))
		h->half = half;
	return error;
}

/* ---- free blocks that are set aside for a while ---- */

int balloc_take_run(struct ext4_super *s, uint32_t group, uint32_t least, uint32_t *from)
{
	struct ext4_group *g = &s->group[group];
	uint32_t end = ext4_group_blocks(s, group);
	struct run r = { 0 };
	int error;

	freed_collect(s);
	mutex_lock(&g->lock);
	error = space_load(s, group);
	if (!error)
		r = first_run(g, *from, end, least);
	if (r.len) {
		bits_set(g->taken, r.from, r.len);
		g->available -= r.len;
		*from = r.from;
	}
	mutex_unlock(&g->lock);
	return error ? error : (int)r.len;
}

void balloc_put_run(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count)
{
	space_give(s, ext4_group_first_block(s, group) + from, count);
}

