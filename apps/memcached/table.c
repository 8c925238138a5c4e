/*
 * The hash table: linear hashing.
 *
 * With 2^n <= buckets < 2^(n+1), a hash selects a bucket by its n+1 low bits, or by n bits if that
 * bucket does not exist yet. Growing adds the bucket at the end and moves there what belongs there
 * from the one bucket that held it so far, so the table grows by one short chain for each insert
 * and never pauses. Buckets live in segments that are allocated as they are reached, and a
 * directory of segments, small and made once, finds them.
 *
 * When the memory for a segment is refused, the chains grow longer; nothing else happens.
 */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "hash.h"
#include "memory.h"

enum { SEGMENT = 1024 };                   /* buckets in a segment */

static struct item ***directory;
static size_t directory_len;
static uint32_t buckets, mask;             /* mask = 2^(n+1) - 1 */
static size_t items, segments;

static bool segment_add(void)
{
	size_t bytes = SEGMENT * sizeof(struct item *);

	if (segments == directory_len || !memory_take(bytes))
		return false;
	directory[segments] = calloc(SEGMENT, sizeof(struct item *));
	if (!directory[segments])
		return false;
	segments++;
	return true;
}

int table_start(size_t items_max)
{
	directory_len = items_max / SEGMENT + 1;
	directory = calloc(directory_len, sizeof(*directory));
	if (!directory || !segment_add())
		return -ENOMEM;
	buckets = SEGMENT;
	mask = 2 * SEGMENT - 1;
	return 0;
}

static struct item **bucket_at(uint32_t index)
{
	return &directory[index / SEGMENT][index % SEGMENT];
}

static struct item **bucket_of(uint32_t hash)
{
	uint32_t index = hash & mask;

	return bucket_at(index < buckets ? index : index & mask >> 1);
}

/* Adds one bucket and moves there what now belongs there. */
static void table_grow(void)
{
	uint32_t added = buckets;
	struct item **from, **to;

	if (added / SEGMENT == segments && !segment_add())
		return;
	from = bucket_at(added & mask >> 1);
	to = bucket_at(added);
	while (*from) {
		struct item *it = *from;

		if ((key_hash(item_key(it), it->key_len) & mask) == added) {
			*from = it->chain;
			it->chain = NULL;
			*to = it;
			to = &it->chain;
		} else {
			from = &it->chain;
		}
	}
	if (++buckets > mask)
		mask = 2 * mask + 1;
}

struct item *table_find(const char *key, size_t len, uint32_t hash)
{
	struct item *it = *bucket_of(hash);

	while (it && !item_has_key(it, key, len))
		it = it->chain;
	return it;
}

/* The link that points to the item. */
static struct item **link_of(struct item *it, uint32_t hash)
{
	struct item **link = bucket_of(hash);

	while (*link != it) {
		assert(*link);
		link = &(*link)->chain;
	}
	return link;
}

void table_insert(struct item *it, uint32_t hash)
{
	struct item **bucket = bucket_of(hash);

	it->chain = *bucket;
	*bucket = it;
	items++;
	if (items > buckets)
		table_grow();
}

void table_remove(struct item *it, uint32_t hash)
{
	*link_of(it, hash) = it->chain;
	it->chain = it;
	items--;
}

void table_replace(struct item *old, struct item *fresh, uint32_t hash)
{
	struct item **link = link_of(old, hash);

	fresh->chain = old->chain;
	*link = fresh;
	old->chain = old;
}

size_t table_items(void)
{
	return items;
}

unsigned table_power(void)
{
	return 31 - (unsigned)__builtin_clz(buckets);
}

size_t table_bytes(void)
{
	return segments * SEGMENT * sizeof(struct item *) + directory_len * sizeof(*directory);
}
