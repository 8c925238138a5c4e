/*
 * The hash table's longest step, and its walk, without a server: table.c with a hash function that
 * counts how often it is called, which is once for each item that growing looks at.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../apps/memcached/hash.h"
#include "../../apps/memcached/maintainer.h"
#include "../../apps/memcached/memory.h"
#include "../../apps/memcached/settings.h"
#include "../../apps/memcached/table.h"

enum { ITEMS = 1000000, STEP_MAX = 40, KEY_BYTES = 8 };

struct settings settings = { .hash_grows = true };
bool maintainer_rests;
static size_t used, limit = SIZE_MAX, wanted;
static unsigned hashes, most_hashes;
static unsigned char *seen;

void maintainer_wake(void)
{
}

bool memory_take(size_t bytes)
{
	if (used + bytes > limit)
		return false;
	used += bytes;
	return true;
}

void memory_give(size_t bytes)
{
	used -= bytes;
}

void memory_want(size_t bytes)
{
	wanted = bytes;
}

static uint32_t mix(uint64_t key)
{
	key = (key ^ key >> 31) * 0x9e3779b97f4a7c15;
	return (uint32_t)(key >> 32);
}

enum hash_algorithm hash_algorithm = HASH_KEYED;

uint32_t hash_named(const char *key, size_t len)
{
	(void)key, (void)len;
	abort();
}

uint32_t hash_keyed(const char *key, size_t len)
{
	uint64_t number;

	assert(len == KEY_BYTES);
	memcpy(&number, key, sizeof(number));
	hashes++;
	return mix(number);
}

static struct item *item_make(uint64_t number)
{
	struct item *it = calloc(1, sizeof(*it) + KEY_BYTES);

	assert(it);
	it->chain = it;
	it->key_len = KEY_BYTES;
	memcpy(it->data, &number, sizeof(number));
	return it;
}

static void insert(uint64_t number)
{
	hashes = 0;
	table_insert(item_make(number), mix(number));
	if (hashes > most_hashes)
		most_hashes = hashes;
}

static bool is_found(uint64_t number)
{
	return table_find((const char *)&number, KEY_BYTES, mix(number)) != NULL;
}

static void see(const struct item *it, void *arg)
{
	uint64_t number;

	(void)arg;
	memcpy(&number, it->data, sizeof(number));
	assert(seen[number] < 255);
	seen[number]++;
}

/* A million inserts: none of them looks at more than a few items, and the chains stay short. */
static void growing_never_pauses(void)
{
	for (uint64_t i = 0; i < ITEMS; i++)
		insert(i);
	for (uint64_t i = 0; i < ITEMS; i++)
		assert(is_found(i));
	assert(!is_found(ITEMS));
	assert(table_power() == 19);    /* 2^19 <= a million < 2^20 */
	printf("the longest of %d inserts looked at %u items\n", ITEMS, most_hashes);
	assert(most_hashes <= STEP_MAX);
}

/* A walk while the table grows by half sees what was there from the start, once. */
static void a_walk_sees_everything_once(void)
{
	struct table_walk walk;
	uint64_t next = ITEMS;

	seen = calloc(2 * ITEMS, 1);
	assert(seen);
	table_walk_start(&walk);
	while (table_walk_step(&walk, see, NULL)) {
		if (next < ITEMS + ITEMS / 2)
			insert(next++);
	}
	for (uint64_t i = 0; i < ITEMS; i++)
		assert(seen[i] == 1);
	for (uint64_t i = ITEMS; i < next; i++)
		assert(seen[i] <= 1);
	assert(most_hashes <= STEP_MAX);
}

/* Refused memory is asked for, and once there is some the table catches up in small steps. */
static void a_starved_table_catches_up(void)
{
	uint64_t next = 2 * ITEMS, end = next + 200000;
	unsigned before;

	limit = used;
	while (next < end)
		insert(next++);
	assert(wanted > 0 && table_power() <= 20);
	limit = SIZE_MAX;
	before = (unsigned)table_items();
	most_hashes = 0;
	for (end = next + 400000; next < end; next++)
		insert(next);
	assert(wanted == 0 && table_items() == before + 400000);
	assert(table_power() == 21);
	assert(most_hashes <= 2 * STEP_MAX);
	for (uint64_t i = 2 * ITEMS; i < next; i++)
		assert(is_found(i));
}

int main(void)
{
	assert(table_start(ITEMS / 2, 12) == 0);
	assert(table_expect(4 * ITEMS));
	growing_never_pauses();
	a_walk_sees_everything_once();
	a_starved_table_catches_up();
	return 0;
}
