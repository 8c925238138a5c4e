/*
 * The hash table: finds an item by its key, and grows one bucket at a time.
 */
#ifndef MEMCACHED_TABLE_H
#define MEMCACHED_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "item.h"

/*
 * For about `items_max` items, with 2^power buckets to begin with (0: as few as may be). 0 or
 * -ENOMEM.
 */
int table_start(size_t items_max, unsigned power);
/* More items than that will come. False: no memory; the chains get longer. */
bool table_expect(size_t items_max);
struct item *table_find(const char *key, size_t len, uint32_t hash);
/* The key must not be in the table. */
void table_insert(struct item *it, uint32_t hash);
/* The item must be in the table. */
void table_remove(struct item *it, uint32_t hash);
/* Puts `fresh` in the place of `old`, which has the same key. */
void table_replace(struct item *old, struct item *fresh, uint32_t hash);

/*
 * A walk through all items, a bucket at a time, while the table may change and grow: what is there
 * all the time is seen once.
 */
struct table_walk {
	uint32_t next, end;
};
void table_walk_start(struct table_walk *w);
/* Calls each() for the items of the next bucket. False: that was the end. */
bool table_walk_step(struct table_walk *w, void (*each)(const struct item *it, void *arg),
		     void *arg);

size_t table_items(void);
unsigned table_power(void);        /* as memcached counts: log2 of the buckets, rounded down */
size_t table_bytes(void);

#endif
