/*
 * The hash table: finds an item by its key, and grows one bucket at a time.
 */
#ifndef MEMCACHED_TABLE_H
#define MEMCACHED_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "item.h"

/* For at most `items_max` items. 0 or -ENOMEM. */
int table_start(size_t items_max);
struct item *table_find(const char *key, size_t len, uint32_t hash);
/* The key must not be in the table. */
void table_insert(struct item *it, uint32_t hash);
/* The item must be in the table. */
void table_remove(struct item *it, uint32_t hash);
/* Puts `fresh` in the place of `old`, which has the same key. */
void table_replace(struct item *old, struct item *fresh, uint32_t hash);

size_t table_items(void);
unsigned table_power(void);        /* as memcached counts: log2 of the buckets, rounded down */
size_t table_bytes(void);

#endif
