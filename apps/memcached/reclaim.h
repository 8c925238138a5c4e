/*
 * Memory for items, made free when none is.
 */
#ifndef MEMCACHED_RECLAIM_H
#define MEMCACHED_RECLAIM_H

#include <stdbool.h>

#include "item.h"

/*
 * A chunk of the class: a free one, one of a new page, one whose item has expired or is the least
 * recently used of its class (unless -M), or one of a page taken from another class. NULL when all
 * of that fails, or the class is 0.
 */
void *reclaim_chunk(unsigned class);

/* Takes out one item of the class, dead ones first. False: there is none to give. */
bool reclaim_one(unsigned class);
/* Takes out a dead item, and counts it as reclaimed. */
void reclaim_dead(struct item *it);
/* Takes out a live item, and counts it as evicted. */
void reclaim_evict(struct item *it);
/* The class, other than `but`, that holds the item least recently used; 0: all are empty. */
unsigned reclaim_oldest_class(unsigned but);

#endif
