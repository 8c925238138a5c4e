/*
 * Which items were used last: four lists for each slab class, newest first.
 *
 * HOT takes what is new, COLD is where items go that nobody asks for and whence they are evicted,
 * WARM keeps those that were asked for at least twice, and TEMP takes what lives so short that it
 * is not worth moving. Without segments (`lru mode flat`, -o no_lru_maintainer) everything is in
 * COLD.
 */
#ifndef MEMCACHED_LRU_H
#define MEMCACHED_LRU_H

#include "item.h"

enum lru_segment { LRU_HOT, LRU_WARM, LRU_COLD, LRU_TEMP, LRU_SEGMENTS };

/* A place in a list, oldest items first, that stays good while the list changes. */
struct lru_cursor {
	struct lru_cursor *next;   /* of all cursors */
	struct item *at;           /* the item that comes next, NULL at the end */
};

/* The class under which an item is listed: large ones under the largest. */
unsigned lru_class_of(const struct item *it);

/* A new item goes into the list that its time to live and the settings choose. */
void lru_insert(struct item *it);
/* Puts the item, which is in no list, at the new end of one. */
void lru_append(struct item *it, enum lru_segment to);
void lru_remove(struct item *it);
/* Puts `fresh` in the place of `old`, with which it has size and class in common. */
void lru_replace(struct item *old, struct item *fresh);
/* Moves the item to the new end of a list of its class. */
void lru_move(struct item *it, enum lru_segment to);
/*
 * As lru_remove() and lru_insert(), for an item that was stored anew in its place and is as large
 * as before.
 */
void lru_renew(struct item *it);
/* The item was looked at for a store that then did not happen. */
void lru_update(struct item *it);

/* The item was read. The third read and those after it cost a test of a flag. */
void lru_touch_slow(struct item *it);
static inline void lru_touch(struct item *it)
{
	if (!(it->flags & ITEM_ACTIVE))
		lru_touch_slow(it);
}

struct item *lru_oldest(unsigned class, enum lru_segment segment);
uint64_t lru_length(unsigned class);
uint64_t lru_segment_length(unsigned class, enum lru_segment segment);
/* Seconds since the oldest item of the list was used; 0 if there is none. */
reltime_t lru_segment_age(unsigned class, enum lru_segment segment);
/* Header, key and value of all that are listed. */
uint64_t lru_bytes(unsigned class);
uint64_t lru_segment_bytes(unsigned class, enum lru_segment segment);
uint64_t lru_bytes_all(void);

/* Sets the cursor on the oldest item; until lru_cursor_close() it stays where it should be. */
void lru_cursor_open(struct lru_cursor *cur, unsigned class, enum lru_segment segment);
/* The item under the cursor, which moves on to the next newer one; NULL at the end. */
struct item *lru_cursor_next(struct lru_cursor *cur);
void lru_cursor_close(struct lru_cursor *cur);

/* -o track_sizes: how many items there are of 32 * (n - 1) + 1 to 32 * n bytes. */
enum { SIZES_STEP = 32 };
int lru_sizes_start(size_t item_size_max);
bool lru_sizes_are_tracked(void);
size_t lru_sizes_count(void);              /* n is below this */
uint32_t lru_sizes_at(size_t n);

#endif
