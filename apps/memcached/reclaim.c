/*
 * Where memory for the next item comes from when the limit is reached.
 *
 * The class's own items go first, from the old end of COLD; when COLD is empty, HOT and WARM give
 * their oldest to it. A class that has none to give (it owns no page, or all its old items are held
 * by answers on their way) gets a page of another class: the one that holds the item least recently
 * used of all. All items of that page are evicted, which with pages of 64 KiB are some hundreds at
 * most, and the page changes its class. Thus no class starves, whatever sizes came first, and the
 * sum never exceeds the limit. What can wait is done in smaller steps, by mover.c.
 */
#include "reclaim.h"

#include "cache.h"
#include "lru.h"
#include "memory.h"
#include "mover.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "watch.h"

enum {
	TAIL_TRIES = 5,     /* old items looked at before giving up a list */
	RECLAIMS_MAX = 16,  /* for one chunk; a large item's chunks may be of other classes */
};

void reclaim_dead(struct item *it)
{
	struct class_stats *st = stats_of(it);

	st->reclaimed++;
	st->expired_unfetched += !(it->flags & ITEM_FETCHED);
	cache_unlink(it);
}

void reclaim_evict(struct item *it)
{
	struct class_stats *st = stats_of(it);

	st->evictions++;
	st->evicted_nonzero += it->expires != 0;
	st->evicted_time = item_idle(it);
	st->evicted_unfetched += !(it->flags & ITEM_FETCHED);
	st->evicted_active += (it->flags & ITEM_ACTIVE) != 0;
	if (watched(WATCH_EVICTIONS))
		watch_eviction(it);
	cache_unlink(it);
}

static void take_out(struct item *it)
{
	if (cache_is_dead(it))
		reclaim_dead(it);
	else
		reclaim_evict(it);
}

/* The oldest item of the list that may go, among the last few. */
static struct item *tail_candidate(unsigned class, enum lru_segment segment)
{
	struct item *it = lru_oldest(class, segment);

	for (int i = 0; it && i < TAIL_TRIES; i++, it = it->newer) {
		if (it->holds > 0)
			stats_of(it)->lrutail_reflocked++;
		else if (settings.evict || cache_is_dead(it))
			return it;
	}
	return NULL;
}

bool reclaim_one(unsigned class)
{
	static const enum lru_segment order[] = { LRU_COLD, LRU_HOT, LRU_WARM, LRU_TEMP };

	for (unsigned i = 0; i < LRU_SEGMENTS; i++) {
		struct item *it = tail_candidate(class, order[i]);

		if (!it)
			continue;
		if (order[i] == LRU_HOT || order[i] == LRU_WARM) {
			lru_move(it, LRU_COLD);
			stats_of(it)->moves_to_cold++;
		}
		take_out(it);
		if (settings.slab_automove == 2 && settings.slab_reassign)
			mover_reassign(-1, (int)class);
		return true;
	}
	return false;
}

/* Can everything in the page be thrown out now? */
static bool page_is_movable(unsigned page)
{
	struct item *it;

	for (unsigned n = 0; (it = slab_page_chunk(page, n)); n++) {
		const struct item *owner = it;

		if (it->class_segment == 0)
			continue;
		if (it->key_len == 0)
			owner = ((struct piece *)it)->owner;
		if (owner->holds > 0)
			return false;
	}
	return true;
}

static void page_evict(unsigned page)
{
	struct item *it;

	for (unsigned n = 0; (it = slab_page_chunk(page, n)); n++) {
		if (it->class_segment != 0)
			take_out(it->key_len == 0 ? ((struct piece *)it)->owner : it);
	}
	slab_page_remove(page);
	stats.slabs_moved++;
}

/* The oldest of the lists' old ends: what the class would miss least. */
static struct item *oldest_of(unsigned class)
{
	struct item *oldest = NULL;

	for (unsigned s = 0; s < LRU_SEGMENTS; s++) {
		struct item *it = lru_oldest(class, (enum lru_segment)s);

		if (it && (!oldest || it->last_used < oldest->last_used))
			oldest = it;
	}
	return oldest;
}

unsigned reclaim_oldest_class(unsigned but)
{
	const struct item *oldest = NULL;
	unsigned best = 0;

	for (unsigned id = 1; id <= slab_classes(); id++) {
		const struct item *it = id == but ? NULL : oldest_of(id);

		if (it && (!oldest || it->last_used < oldest->last_used)) {
			oldest = it;
			best = id;
		}
	}
	return best;
}

/* Moves the page of some old item of another class to this one. */
static bool page_steal(unsigned class)
{
	unsigned from = reclaim_oldest_class(class);
	struct item *it = from ? oldest_of(from) : NULL;

	for (int i = 0; it && i < TAIL_TRIES; i++, it = it->newer) {
		unsigned page = memory_page_index(it);

		if (slab_page_class(page) == class || slab_page_is_leaving(page) ||
		    !page_is_movable(page))
			continue;
		if (!slab_page_leave(page))
			return false;
		page_evict(page);
		return slab_page_add(class);
	}
	return false;
}

void *reclaim_chunk(unsigned class)
{
	void *chunk = class ? slab_chunk_take(class) : NULL;
	unsigned reclaims = 0;

	if (chunk || !class)
		return chunk;
	if (slab_page_add(class))
		return slab_chunk_take(class);
	for (; !chunk && reclaims < RECLAIMS_MAX && reclaim_one(class); reclaims++)
		chunk = slab_chunk_take(class);
	class_stats[class].direct_reclaims += reclaims;
	if (!chunk && settings.evict && page_steal(class))
		chunk = slab_chunk_take(class);
	if (!chunk)
		class_stats[class].outofmemory++;
	return chunk;
}
