/*
 * Moving a page, chunk by chunk.
 *
 * From slab_page_leave() on, no chunk of the page is given out any more, so the page only drains. A
 * step looks at some chunks: a live item that stands alone in its chunk is copied to another one of
 * the class and takes the old one's place in the table and in its LRU list; so does a piece of a
 * large item. Where the class has no free chunk left it takes another page, as for a store, and
 * where the limit is reached its oldest item makes room, so that a page costs the class its oldest
 * items and not those that happened to lie in it. Held items are passed over and visited again; a
 * round in which only such are left is paused. An answer to a client who does not read may hold an
 * item for long: after ROUNDS_MAX rounds the move is given up, and the page stays.
 */
#include "mover.h"

#include "automove.h"
#include "cache.h"
#include "hash.h"
#include "lru.h"
#include "maintainer.h"
#include "memory.h"
#include "reclaim.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "table.h"
#include "watch.h"

enum {
	CHUNKS_A_STEP = 32,
	STEP_BYTES = 64 * 1024,   /* copied at most in a step, about */
	UNLINK_AFTER = 1000,      /* rounds; then a held large item goes from the table */
	ROUNDS_MAX = 5000,
	EVICTIONS_MAX = 8,        /* to make one chunk free */
};

static struct {
	bool running;
	unsigned page, from, to;
	unsigned chunk;           /* next to be looked at */
	unsigned busy;            /* chunks of this round that could not be freed */
	unsigned rounds;
} move;

bool mover_is_running(void)
{
	return move.running;
}

/* A class that can spare a page: each time another one, as memcached does. */
static int any_class(int but)
{
	static unsigned last;

	for (unsigned tries = 0; tries < slab_classes(); tries++) {
		last = last % slab_classes() + 1;
		if ((int)last != but && slab_pages_of(last) > 1)
			return (int)last;
	}
	return -1;
}

static bool move_begin(unsigned from, unsigned to)
{
	int page = slab_page_first(from);

	if (page < 0 || !slab_page_leave((unsigned)page))
		return false;
	move.running = true;
	move.page = (unsigned)page;
	move.from = from;
	move.to = to;
	move.chunk = move.busy = move.rounds = 0;
	maintainer_wake();
	return true;
}

enum reassign_result mover_reassign(int from, int to)
{
	if (move.running)
		return REASSIGN_RUNNING;
	if (from == to)
		return REASSIGN_SAME;
	if (from == -1)
		from = any_class(to);
	if (from < 0 || to < 0 || (unsigned)from > slab_classes() || (unsigned)to > slab_classes())
		return REASSIGN_BAD_CLASS;
	if (from == 0) {
		if (slab_pages_pooled() < 2)
			return REASSIGN_NO_SPARE;
		slab_pool_give((unsigned)to);
		stats.slabs_moved++;
		return REASSIGN_OK;
	}
	if (slab_pages_of((unsigned)from) < 2 || !move_begin((unsigned)from, (unsigned)to))
		return REASSIGN_NO_SPARE;
	return REASSIGN_OK;
}

/* A free chunk of the class outside the page, if need be of a new page or after evicting. */
static void *rescue_chunk(void)
{
	void *chunk = slab_chunk_take(move.from);

	if (!chunk && slab_page_add(move.from))
		chunk = slab_chunk_take(move.from);
	for (int i = 0; !chunk && settings.evict && i < EVICTIONS_MAX && reclaim_one(move.from);
	     i++)
		chunk = slab_chunk_take(move.from);
	if (!chunk)
		stats.slab_reassign_busy_nomem++;
	return chunk;
}

/* A linked item, alone in its chunk or held by nobody, takes another chunk. */
static bool rescue_item(struct item *it)
{
	bool was_held = it->holds > 0;
	struct item *fresh;
	size_t bytes;

	it->holds++;               /* the search for a chunk must not evict it */
	fresh = rescue_chunk();
	it->holds--;
	if (!fresh)
		return false;
	bytes = item_chunk_bytes(it);
	memcpy(fresh, it, bytes);
	fresh->holds = 0;
	if (fresh->flags & ITEM_CHUNKED)
		item_own_pieces(fresh);
	table_replace(it, fresh, key_hash(item_key(it), it->key_len));
	lru_replace(it, fresh);
	if (!was_held)
		slab_chunk_free(it, move.from);
	stats.slab_reassign_rescues++;
	return !was_held;
}

static bool rescue_piece(struct piece *p)
{
	struct piece *fresh;

	p->owner->holds++;
	fresh = rescue_chunk();
	p->owner->holds--;
	if (!fresh)
		return false;
	memcpy(fresh, p, sizeof(*p) + p->len);
	item_replace_piece(p->owner, p, fresh);
	slab_chunk_free(p, move.from);
	stats.slab_reassign_chunk_rescues++;
	return true;
}

/* Held, and so large that it cannot be copied aside: out of the table with it, in the end. */
static void unlink_if_stuck(struct item *it)
{
	if (move.rounds < UNLINK_AFTER)
		return;
	stats.slab_reassign_busy_deletes++;
	cache_unlink(it);
}

/* Frees a chunk that is in use. False: not now. */
static bool chunk_empty(struct item *chunk)
{
	struct item *it = chunk->key_len == 0 ? ((struct piece *)chunk)->owner : chunk;

	if (!item_is_linked(it))
		return false;       /* being filled, or being sent for the last time */
	if (it->holds == 0 && cache_is_dead(it)) {
		reclaim_dead(it);
		stats.slab_reassign_inline_reclaim++;
		return true;
	}
	if (it->holds > 0 && (it->flags & ITEM_CHUNKED)) {
		unlink_if_stuck(it);
		return false;
	}
	if (it == chunk ? rescue_item(it) : rescue_piece((struct piece *)chunk))
		return true;
	if (it->holds > 0 || !settings.evict || lru_length(move.from) > 0)
		return false;
	reclaim_evict(it);          /* a class of nothing but pieces has nobody else to evict */
	return true;
}

static void move_end(void)
{
	move.running = false;
	slab_page_remove(move.page);
	if (move.to != 0)
		slab_pool_give(move.to);
	stats.slabs_moved++;
}

static void move_give_up(void)
{
	move.running = false;
	slab_page_stay(move.page);
}

/* All chunks were visited: done, once more, or enough. */
static bool round_end(void)
{
	if (move.busy == 0) {
		move_end();
		return memory_is_over_limit();
	}
	stats.slab_reassign_busy_items += move.busy;
	move.chunk = move.busy = 0;
	if (++move.rounds >= ROUNDS_MAX || (!settings.evict && move.rounds > 1))
		move_give_up();
	return false;              /* whoever holds them needs time */
}

/* Memory has to be given up: from the pool, or a page of the class with the oldest items. */
static bool give_up_begin(void)
{
	unsigned from;

	if (slab_pool_release())
		return true;
	from = reclaim_oldest_class(0);
	if (from && move_begin(from, 0))
		return true;
	for (from = 1; from <= slab_classes(); from++) {
		if (slab_pages_of(from) > 0)
			return move_begin(from, 0);
	}
	return false;
}

bool mover_step(void)
{
	size_t bytes = 0;

	if (!move.running)
		return memory_is_over_limit() && give_up_begin();
	for (int i = 0; i < CHUNKS_A_STEP && bytes < STEP_BYTES; i++) {
		struct item *chunk = slab_page_chunk(move.page, move.chunk);

		if (!chunk)
			return round_end();
		move.chunk++;
		if (chunk->class_segment == 0)
			continue;
		bytes += slab_chunk_bytes(move.from);
		if (!chunk_empty(chunk))
			move.busy++;
	}
	return true;
}

bool mover_second(void)
{
	int from, to;
	bool begun;

	if (settings.slab_automove == 0 || !settings.slab_reassign || !automove_decide(&from, &to))
		return false;
	begun = mover_reassign(from, to) == REASSIGN_OK;
	if (watched(WATCH_SYSTEM))
		watch_slab_move(from, to, begun);
	return begun;
}
