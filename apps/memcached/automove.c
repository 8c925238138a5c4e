/*
 * Automove, with memcached's rules over a window of seconds (settings.slab_automove_window):
 *
 *  - a class with free chunks worth two and a half pages that has not evicted, grown or been out of
 *    memory in the whole window gives a page to the pool;
 *  - otherwise the class whose oldest item is the oldest gives a page to the class whose oldest
 *    item is the youngest among those that evict all the time, when the one is younger than the
 *    other by the ratio (settings.slab_automove_ratio).
 *
 * A window is kept as sums that move: each second enters with its numbers and leaves when the ring
 * of the last ones comes round to it.
 */
#include "automove.h"

#include <stdlib.h>
#include <string.h>

#include "lru.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"

enum { WINDOW_MAX = 3600, PAGES_TO_GIVE = 2 };

/* One second of one class. */
struct second {
	float evicted_share;       /* of all evictions */
	reltime_t age;             /* of the oldest item in COLD */
	bool evicted, dirty;
};

struct class_window {
	double evicted_share;
	uint64_t age;
	unsigned evicted, dirty;   /* seconds */
	uint64_t evictions_before, outofmemory_before;
	unsigned pages_before;
};

static struct class_window sums[SLAB_CLASSES_MAX + 1];
static struct second *ring;        /* [window][class] */
static unsigned window, now;
static uint64_t seconds_seen;

/* Another window length, or the first: all that was seen is forgotten. */
static bool window_start(void)
{
	unsigned wanted = settings.slab_automove_window;

	if (wanted > WINDOW_MAX)
		wanted = WINDOW_MAX;
	if (wanted == 0)
		wanted = 1;
	if (wanted == window)
		return true;
	free(ring);
	ring = calloc((size_t)wanted * (SLAB_CLASSES_MAX + 1), sizeof(*ring));
	window = ring ? wanted : 0;
	memset(sums, 0, sizeof(sums));
	for (unsigned id = 1; id <= slab_classes(); id++) {
		sums[id].evictions_before = class_stats[id].evictions;
		sums[id].outofmemory_before = class_stats[id].outofmemory;
		sums[id].pages_before = slab_pages_of(id);
	}
	now = 0;
	seconds_seen = 0;
	return ring != NULL;
}

/* Since the second before; counters start again at `stats reset`. */
static uint64_t grown(uint64_t counter, uint64_t before)
{
	return counter >= before ? counter - before : counter;
}

static uint64_t evictions_since(unsigned id)
{
	return grown(class_stats[id].evictions, sums[id].evictions_before);
}

static void window_leave(struct class_window *w, const struct second *s)
{
	w->evicted_share -= s->evicted_share;
	w->age -= s->age;
	w->evicted -= s->evicted;
	w->dirty -= s->dirty;
}

static void window_enter(struct class_window *w, const struct second *s)
{
	w->evicted_share += s->evicted_share;
	w->age += s->age;
	w->evicted += s->evicted;
	w->dirty += s->dirty;
}

static void class_second(unsigned id, struct second *s, uint64_t evicted_all)
{
	struct class_window *w = &sums[id];
	uint64_t evicted = evictions_since(id);

	window_leave(w, s);
	s->evicted = evicted > 0;
	s->evicted_share = evicted_all ? (float)evicted / (float)evicted_all : 0;
	s->dirty = evicted > 0 || slab_pages_of(id) > w->pages_before ||
		   grown(class_stats[id].outofmemory, w->outofmemory_before) > 0;
	s->age = lru_segment_age(id, LRU_COLD);
	window_enter(w, s);
	w->evictions_before = class_stats[id].evictions;
	w->outofmemory_before = class_stats[id].outofmemory;
	w->pages_before = slab_pages_of(id);
}

static bool has_pages_to_spare(unsigned id)
{
	size_t chunks = (size_t)slab_pages_of(id) * slab_chunks_per_page(id);

	return chunks - slab_chunks_used(id) > (size_t)slab_chunks_per_page(id) * 5 / 2 &&
	       sums[id].dirty == 0;
}

static bool evicts_steadily(unsigned id)
{
	return sums[id].evicted > window / 2 || sums[id].evicted_share / window > 0.25;
}

/* The classes with the oldest and the youngest old end. */
static bool find_unfair(unsigned *oldest, unsigned *youngest)
{
	uint64_t most = 0, least = UINT64_MAX;

	*oldest = *youngest = 0;
	for (unsigned id = 1; id <= slab_classes(); id++) {
		uint64_t age = sums[id].age / window;

		if (age > most && slab_pages_of(id) > PAGES_TO_GIVE) {
			*oldest = id;
			most = age;
		}
		if (age < least && evicts_steadily(id)) {
			*youngest = id;
			least = age;
		}
	}
	return *oldest && *youngest && (double)least < (double)most * settings.slab_automove_ratio;
}

/* A class that hoards; 0: none. */
static unsigned find_hoarder(void)
{
	for (unsigned id = 1; id <= slab_classes(); id++) {
		if (has_pages_to_spare(id))
			return id;
	}
	return 0;
}

bool automove_decide(int *from, int *to)
{
	uint64_t evicted_all = 0;
	unsigned oldest, youngest, hoarder;
	const struct second *this_second;

	if (!window_start())
		return false;
	this_second = &ring[(size_t)now * (SLAB_CLASSES_MAX + 1)];
	for (unsigned id = 1; id <= slab_classes(); id++)
		evicted_all += evictions_since(id);
	for (unsigned id = 1; id <= slab_classes(); id++)
		class_second(id, &ring[(size_t)now * (SLAB_CLASSES_MAX + 1) + id], evicted_all);
	now = (now + 1) % window;
	seconds_seen++;
	hoarder = find_hoarder();
	if (hoarder) {
		*from = (int)hoarder;
		*to = 0;
		return true;
	}
	if (seconds_seen <= window || !find_unfair(&oldest, &youngest) ||
	    !this_second[youngest].evicted)
		return false;
	*from = (int)oldest;
	*to = (int)youngest;
	return oldest != youngest;
}
