/*
 * Where memory for the next item comes from when the limit is reached.
 *
 * The class's own oldest items go first. A class that has none to give (it owns no page, or all its
 * old items are held by answers on their way) gets a page of another class: the one that holds the
 * item least recently used of all. All items of that page are evicted, which with pages of 64 KiB
 * are some hundreds at most, and the page changes its class. Thus no class starves, whatever sizes
 * came first, and the sum never exceeds the limit.
 */
#include "reclaim.h"

#include "cache.h"
#include "lru.h"
#include "memory.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"

enum {
	TAIL_TRIES = 8,     /* old items looked at before giving up a class */
	EVICTIONS_MAX = 16, /* for one chunk; a large item's chunks may be of other classes */
};

static bool item_is_held(const struct item *it)
{
	return it->holds > 0;
}

static void evict(struct item *it)
{
	struct class_stats *st = stats_of(it);
	bool fetched = it->flags & ITEM_FETCHED;

	if (cache_is_dead(it)) {
		st->reclaimed++;
		st->expired_unfetched += !fetched;
	} else {
		st->evictions++;
		st->evicted_nonzero += it->expires != 0;
		st->evicted_time = clock_now - it->last_used;
		st->evicted_unfetched += !fetched;
		st->evicted_active += (it->flags & ITEM_ACTIVE) != 0;
	}
	cache_unlink(it);
}

/* Frees the oldest item of the class that nobody holds. False if there is none, or only with -M. */
static bool evict_oldest(unsigned class)
{
	struct item *it = lru_oldest(class);

	for (int i = 0; it && i < TAIL_TRIES; i++, it = it->newer) {
		if (item_is_held(it)) {
			stats_of(it)->lrutail_reflocked++;
			continue;
		}
		if (!settings.evict && !cache_is_dead(it))
			continue;
		evict(it);
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

		if (it->class == 0)
			continue;
		if (it->key_len == 0)
			owner = ((struct piece *)it)->owner;
		if (item_is_held(owner))
			return false;
	}
	return true;
}

static void page_evict(unsigned page)
{
	struct item *it;

	for (unsigned n = 0; (it = slab_page_chunk(page, n)); n++) {
		if (it->class == 0)
			continue;
		evict(it->key_len == 0 ? ((struct piece *)it)->owner : it);
	}
	slab_page_remove(page);
	stats.slabs_moved++;
}

/* The class, other than `class`, whose oldest item is the oldest; 0: none has a page to lose. */
static unsigned oldest_other(unsigned class)
{
	unsigned best = 0;

	for (unsigned id = 1; id <= slab_classes(); id++) {
		if (id == class || !lru_oldest(id))
			continue;
		if (!best || lru_oldest(id)->last_used < lru_oldest(best)->last_used)
			best = id;
	}
	return best;
}

/* Moves the page of some old item of another class to this one. */
static bool page_steal(unsigned class)
{
	unsigned from = oldest_other(class);
	struct item *it = from ? lru_oldest(from) : NULL;

	for (int i = 0; it && i < TAIL_TRIES; i++, it = it->newer) {
		unsigned page = memory_page_index(it);

		if (slab_page_class(page) == class || !page_is_movable(page))
			continue;
		page_evict(page);
		return slab_page_add(class);
	}
	return false;
}

void *reclaim_chunk(unsigned class)
{
	void *chunk = class ? slab_chunk_take(class) : NULL;

	if (chunk || !class)
		return chunk;
	if (slab_page_add(class))
		return slab_chunk_take(class);
	for (int i = 0; !chunk && i < EVICTIONS_MAX && evict_oldest(class); i++)
		chunk = slab_chunk_take(class);
	if (!chunk && settings.evict && page_steal(class))
		chunk = slab_chunk_take(class);
	if (!chunk)
		class_stats[class].outofmemory++;
	return chunk;
}
