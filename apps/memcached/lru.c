/*
 * The lists.
 *
 * A read must not cost a write to three cache lines, so it does not move the item: the first read
 * sets ITEM_FETCHED, the second ITEM_ACTIVE, and whoever later finds the item at the old end of its
 * list (maintainer.c, or reclaim.c looking for memory) moves it to where active items belong. Only
 * an item in COLD moves at once, to WARM, since it might be evicted before somebody looks. Without
 * segments the list is all there is, and then an item moves to the front at most once a minute.
 *
 * A list is therefore not in the order of last_used, and nothing may rest on such an order.
 */
#include "lru.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "settings.h"
#include "slab.h"
#include "stats.h"

enum { LRU_REST = 60 };

struct list {
	struct item *newest, *oldest;
	uint64_t length, bytes;
};

static struct list lists[SLAB_CLASSES_MAX + 1][LRU_SEGMENTS];
static struct lru_cursor *cursors;
static uint64_t bytes_all;
static uint32_t *sizes;
static size_t sizes_count;

unsigned lru_class_of(const struct item *it)
{
	return it->flags & ITEM_CHUNKED ? slab_classes() : item_class(it);
}

static struct list *list_of(const struct item *it)
{
	return &lists[lru_class_of(it)][item_segment(it)];
}

static void sizes_add(const struct item *it, int n)
{
	size_t at = (item_bytes(it) + SIZES_STEP - 1) / SIZES_STEP;

	if (sizes && at < sizes_count)
		sizes[at] += (uint32_t)n;
}

/* Into the list of its segment, without the sums over all lists. */
static void link_newest(struct item *it)
{
	struct list *l = list_of(it);

	it->newer = NULL;
	it->older = l->newest;
	if (l->newest)
		l->newest->newer = it;
	else
		l->oldest = it;
	l->newest = it;
	l->length++;
	l->bytes += item_bytes(it);
}

static void cursors_leave(const struct item *it, struct item *instead)
{
	for (struct lru_cursor *cur = cursors; cur; cur = cur->next) {
		if (cur->at == it)
			cur->at = instead;
	}
}

static void unlink_listed(struct item *it)
{
	struct list *l = list_of(it);

	assert(l->length > 0);
	if (cursors)
		cursors_leave(it, it->newer);
	if (it->newer)
		it->newer->older = it->older;
	else
		l->newest = it->older;
	if (it->older)
		it->older->newer = it->newer;
	else
		l->oldest = it->newer;
	l->length--;
	l->bytes -= item_bytes(it);
}

void lru_append(struct item *it, enum lru_segment to)
{
	item_set_segment(it, to);
	link_newest(it);
	bytes_all += item_bytes(it);
	if (sizes)
		sizes_add(it, 1);
}

/* Where an item goes that was just stored. */
static inline enum lru_segment first_segment(const struct item *it)
{
	if (settings.temp_lru && it->expires != 0 &&
	    (int64_t)it->expires - clock_now <= settings.temporary_ttl)
		return LRU_TEMP;
	return settings.lru_segmented ? LRU_HOT : LRU_COLD;
}

void lru_insert(struct item *it)
{
	lru_append(it, first_segment(it));
}

void lru_remove(struct item *it)
{
	unlink_listed(it);
	bytes_all -= item_bytes(it);
	if (sizes)
		sizes_add(it, -1);
}

void lru_replace(struct item *old, struct item *fresh)
{
	struct list *l = list_of(old);

	assert(list_of(fresh) == l && item_bytes(old) == item_bytes(fresh));
	if (cursors)
		cursors_leave(old, fresh);
	fresh->newer = old->newer;
	fresh->older = old->older;
	*(old->newer ? &old->newer->older : &l->newest) = fresh;
	*(old->older ? &old->older->newer : &l->oldest) = fresh;
}

void lru_move(struct item *it, enum lru_segment to)
{
	unlink_listed(it);
	item_set_segment(it, to);
	link_newest(it);
}

/* Within its list: the sums stay as they are. */
static inline void move_to_newest(struct list *l, struct item *it)
{
	if (l->newest == it)
		return;
	if (cursors)
		cursors_leave(it, it->newer);
	it->newer->older = it->older;
	*(it->older ? &it->older->newer : &l->oldest) = it->newer;
	it->newer = NULL;
	it->older = l->newest;
	l->newest->newer = it;
	l->newest = it;
}

void lru_renew(struct item *it)
{
	enum lru_segment to = first_segment(it);

	if (item_segment(it) == to)
		move_to_newest(list_of(it), it);
	else
		lru_move(it, to);
}

/* Without segments: to the front, unless it was there a moment ago. */
static void update_flat(struct item *it)
{
	if (item_idle(it) < LRU_REST)
		return;
	item_stamp(it);
	lru_move(it, (enum lru_segment)item_segment(it));
}

void lru_update(struct item *it)
{
	if (!settings.lru_segmented) {
		update_flat(it);
		return;
	}
	item_stamp(it);
	if (item_segment(it) == LRU_COLD && (it->flags & ITEM_ACTIVE)) {
		it->flags &= (uint8_t)~ITEM_ACTIVE;
		lru_move(it, LRU_WARM);
		stats_of(it)->moves_to_warm++;
	}
}

__attribute__((noinline)) void lru_touch_slow(struct item *it)
{
	if (!settings.lru_segmented) {
		it->flags |= ITEM_FETCHED;
		update_flat(it);
	} else if (!(it->flags & ITEM_FETCHED)) {
		it->flags |= ITEM_FETCHED;
	} else {
		it->flags |= ITEM_ACTIVE;
		lru_update(it);
	}
}

struct item *lru_oldest(unsigned class, enum lru_segment segment)
{
	return lists[class][segment].oldest;
}

uint64_t lru_segment_length(unsigned class, enum lru_segment segment)
{
	return lists[class][segment].length;
}

uint64_t lru_segment_bytes(unsigned class, enum lru_segment segment)
{
	return lists[class][segment].bytes;
}

reltime_t lru_segment_age(unsigned class, enum lru_segment segment)
{
	const struct item *it = lists[class][segment].oldest;

	return it ? item_idle(it) : 0;
}

uint64_t lru_length(unsigned class)
{
	uint64_t sum = 0;

	for (unsigned s = 0; s < LRU_SEGMENTS; s++)
		sum += lists[class][s].length;
	return sum;
}

uint64_t lru_bytes(unsigned class)
{
	uint64_t sum = 0;

	for (unsigned s = 0; s < LRU_SEGMENTS; s++)
		sum += lists[class][s].bytes;
	return sum;
}

uint64_t lru_bytes_all(void)
{
	return bytes_all;
}

void lru_cursor_open(struct lru_cursor *cur, unsigned class, enum lru_segment segment)
{
	cur->at = lists[class][segment].oldest;
	cur->next = cursors;
	cursors = cur;
}

struct item *lru_cursor_next(struct lru_cursor *cur)
{
	struct item *it = cur->at;

	if (it)
		cur->at = it->newer;
	return it;
}

void lru_cursor_close(struct lru_cursor *cur)
{
	struct lru_cursor **link = &cursors;

	while (*link != cur) {
		assert(*link);
		link = &(*link)->next;
	}
	*link = cur->next;
}

int lru_sizes_start(size_t item_size_max)
{
	sizes_count = item_size_max / SIZES_STEP + 2;
	sizes = calloc(sizes_count, sizeof(*sizes));
	return sizes ? 0 : -ENOMEM;
}

bool lru_sizes_are_tracked(void)
{
	return sizes != NULL;
}

size_t lru_sizes_count(void)
{
	return sizes_count;
}

uint32_t lru_sizes_at(size_t n)
{
	return sizes[n];
}
