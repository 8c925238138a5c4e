/*
 * What a cache does, without a protocol: find, store, count, touch, delete, flush.
 *
 * Every operation takes the hash of the key, so that a command hashes once. Everything here runs in
 * the one thread that serves (see main.c).
 */
#ifndef MEMCACHED_CACHE_H
#define MEMCACHED_CACHE_H

#include "item.h"

enum store_verb {
	STORE_SET, STORE_ADD, STORE_REPLACE, STORE_APPEND, STORE_PREPEND, STORE_CAS,
};

enum store_result {
	STORE_DONE, STORE_NOT_STORED, STORE_EXISTS, STORE_NOT_FOUND,
};

enum count_result {
	COUNT_DONE, COUNT_NOT_FOUND, COUNT_NON_NUMERIC, COUNT_NO_MEMORY, COUNT_EXISTS,
};

/* The live item of that key, or NULL. Not held: valid until something is stored or deleted. */
struct item *cache_find(const char *key, size_t len, uint32_t hash);
/* As cache_find(), and remembers that it was used. */
struct item *cache_get(const char *key, size_t len, uint32_t hash);
/* As cache_get(), with a new expiry time. */
struct item *cache_touch(const char *key, size_t len, uint32_t hash, reltime_t expires);

/*
 * Stores an item that has been filled in. `cas` != 0 asks that the present item has that number.
 * The caller keeps its hold.
 */
enum store_result cache_store(struct item *it, enum store_verb verb, uint64_t cas, uint32_t hash);
/* Adds to the number that is the value, or subtracts down to 0. *result is the new number. */
enum count_result cache_count(const char *key, size_t len, uint32_t hash, bool up, uint64_t delta,
			      uint64_t *result);
/* True if there was one. */
bool cache_delete(const char *key, size_t len, uint32_t hash);

/* Everything stored so far is gone, at once (delay 0) or in `delay` seconds. */
void cache_flush(int32_t delay);

/* Expired or flushed: as good as not there. */
bool cache_is_dead(const struct item *it);
/* Takes a linked item out. Its memory returns with the last hold. */
void cache_unlink(struct item *it);

#endif
