/*
 * Memory for items, made free when none is.
 */
#ifndef MEMCACHED_RECLAIM_H
#define MEMCACHED_RECLAIM_H

/*
 * A chunk of the class: a free one, one of a new page, one whose item has expired or is the least
 * recently used of its class (unless -M), or one of a page taken from another class. NULL when all
 * of that fails, or the class is 0.
 */
void *reclaim_chunk(unsigned class);

#endif
