/*
 * The hash table: linear hashing.
 *
 * With 2^n <= buckets < 2^(n+1), a hash selects a bucket by its n+1 low bits, or by n bits if that
 * bucket does not exist yet. Growing adds the bucket at the end and moves there what belongs there
 * from the one bucket that held it so far, so the table grows by one short chain for each insert
 * and never pauses. Buckets live in segments that are allocated as they are reached, and a
 * directory of segments, small and made once, finds them.
 *
 * When the memory for a segment is refused because slab pages have it all, the table asks for it
 * (memory_want()) and the mover gives up a page; meanwhile the chains are longer. Afterwards the
 * table catches up, two buckets for each insert.
 */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "hash.h"
#include "maintainer.h"
#include "memory.h"
#include "settings.h"

enum {
	SEGMENT = 1024,                    /* buckets in a segment */
	/* to begin with: 32 KiB, so that some thousand items share no buckets */
	FIRST = 4 * SEGMENT,
	GROW_MAX = 2,                      /* buckets that one insert adds */
};

static struct item ***directory;
static size_t directory_len;
static uint32_t buckets, mask;             /* mask = 2^(n+1) - 1 */
static size_t items, segments;

static bool segment_add(void)
{
	size_t bytes = SEGMENT * sizeof(struct item *);

	if (segments == directory_len)
		return false;
	if (!memory_take(bytes)) {
		memory_want(bytes);
		maintainer_notice();
		return false;
	}
	memory_want(0);
	directory[segments] = calloc(SEGMENT, sizeof(struct item *));
	if (!directory[segments]) {
		memory_give(bytes);
		return false;
	}
	segments++;
	return true;
}

bool table_expect(size_t items_max)
{
	size_t len = items_max / SEGMENT + 1;
	struct item ***larger;

	if (len <= directory_len)
		return true;
	larger = realloc(directory, len * sizeof(*directory));
	if (!larger)
		return false;
	directory = larger;
	directory_len = len;
	return true;
}

int table_start(size_t items_max, unsigned power)
{
	size_t first = FIRST;

	while (first >> power == 0 && power > 0)
		first *= 2;
	if (!table_expect(items_max > first ? items_max : first))
		return -ENOMEM;
	while (segments * SEGMENT < first) {
		if (!segment_add())
			return -ENOMEM;
	}
	buckets = (uint32_t)first;
	mask = 2 * buckets - 1;
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
	for (int i = 0; i < GROW_MAX && items > buckets && settings.hash_grows; i++)
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

void table_walk_start(struct table_walk *w)
{
	w->next = 0;
	w->end = buckets;
}

/*
 * A bucket, and those that were split off from it since the walk began: a split moves items from
 * bucket b to one whose number is b with a higher bit set.
 */
static void walk_bucket(const struct table_walk *w, uint32_t index,
			void (*each)(const struct item *, void *), void *arg)
{
	for (const struct item *it = *bucket_at(index); it; it = it->chain)
		each(it, arg);
	for (uint64_t bit = SEGMENT; index + bit < buckets; bit *= 2) {
		if (bit > index && index + bit >= w->end)
			walk_bucket(w, (uint32_t)(index + bit), each, arg);
	}
}

bool table_walk_step(struct table_walk *w, void (*each)(const struct item *it, void *arg),
		     void *arg)
{
	if (w->next >= w->end)
		return false;
	walk_bucket(w, w->next++, each, arg);
	return true;
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
