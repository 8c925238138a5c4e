/*
 * Which items were used last: a list for each slab class, newest first.
 */
#ifndef MEMCACHED_LRU_H
#define MEMCACHED_LRU_H

#include "item.h"

/* The class under which an item is listed: large ones under the largest. */
unsigned lru_class_of(const struct item *it);
void lru_insert(struct item *it);
void lru_remove(struct item *it);
/* Moves the item to the front, unless it was there a moment ago. */
void lru_move(struct item *it);
/* The item was read: remembers that, and moves it. */
void lru_touch(struct item *it);
struct item *lru_newest(unsigned class);
struct item *lru_oldest(unsigned class);
uint64_t lru_length(unsigned class);
/* Header, key and value of all that are listed. */
uint64_t lru_bytes(unsigned class);

#endif
