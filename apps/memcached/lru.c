/*
 * One list for each slab class.
 *
 * Moving an item on every read would write to three cache lines for each GET, so an item moves at
 * most once in LRU_REST seconds; last_used is the time of that move, and so the lists are in the
 * order of last_used. cache_flush() rests on that order.
 */
#include "lru.h"

#include <assert.h>

#include "slab.h"

enum { LRU_REST = 60 };

struct list {
	struct item *newest, *oldest;
	uint64_t length, bytes;
};

static struct list lists[SLAB_CLASSES_MAX + 1];

unsigned lru_class_of(const struct item *it)
{
	return it->flags & ITEM_CHUNKED ? slab_classes() : it->class;
}

void lru_insert(struct item *it)
{
	struct list *l = &lists[lru_class_of(it)];

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

void lru_remove(struct item *it)
{
	struct list *l = &lists[lru_class_of(it)];

	assert(l->length > 0);
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

void lru_move(struct item *it)
{
	if (clock_now - it->last_used < LRU_REST)
		return;
	it->last_used = clock_now;
	lru_remove(it);
	lru_insert(it);
}

void lru_touch(struct item *it)
{
	if (it->flags & ITEM_FETCHED)
		it->flags |= ITEM_ACTIVE;
	it->flags |= ITEM_FETCHED;
	lru_move(it);
}

struct item *lru_newest(unsigned class)
{
	return lists[class].newest;
}

struct item *lru_oldest(unsigned class)
{
	return lists[class].oldest;
}

uint64_t lru_length(unsigned class)
{
	return lists[class].length;
}

uint64_t lru_bytes(unsigned class)
{
	return lists[class].bytes;
}
