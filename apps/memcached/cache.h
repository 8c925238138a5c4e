/*
 * What a cache does, without a protocol: find, store, count, touch, delete, flush.
 *
 * Every operation takes the hash of the key, so that a command hashes once. Everything here runs in
 * the one thread that serves (see main.c).
 */
#ifndef MEMCACHED_CACHE_H
#define MEMCACHED_CACHE_H

#include "item.h"
#include "lru.h"

enum store_verb {
	STORE_SET, STORE_ADD, STORE_REPLACE, STORE_APPEND, STORE_PREPEND, STORE_CAS,
	STORE_APPEND_OR_NEW, STORE_PREPEND_OR_NEW,
};

struct store_terms {
	uint64_t cas;              /* != 0: only if the present item has this number */
	uint64_t new_cas;          /* the number to give; 0: the next one */
	bool stale_allowed;        /* an older `cas` still stores, but as stale */
	struct item *stored;       /* out, if STORE_DONE: what is now in the cache */
};

enum store_result {
	STORE_DONE, STORE_NOT_STORED, STORE_EXISTS, STORE_NOT_FOUND,
};

enum count_op { COUNT_UP, COUNT_DOWN, COUNT_TIMES, COUNT_OVER };

struct count_terms {
	enum count_op op;
	uint64_t delta;            /* not 0 for COUNT_OVER */
	uint64_t cas;              /* != 0: only if the present item has this number */
	uint64_t result;           /* out, if COUNT_DONE: the new number, */
	struct item *item;         /* and the item that holds it */
};

enum count_result {
	COUNT_DONE, COUNT_NOT_FOUND, COUNT_NON_NUMERIC, COUNT_NO_MEMORY, COUNT_EXISTS,
};

void cache_start(void);

/* The live item of that key, or NULL. Not held: valid until something is stored or deleted. */
struct item *cache_find(const char *key, size_t len, uint32_t hash);
/* As cache_find(), and remembers that it was used. */
struct item *cache_get(const char *key, size_t len, uint32_t hash);
/*
 * As cache_get() for the commonest case: the item is known to be in use, is in one piece, and
 * nobody watches. NULL: cache_get() has to look. Made to be inlined.
 */
struct item *cache_get_again(const char *key, size_t len, uint32_t hash);
/* Remembers that the item was used. */
void cache_used(struct item *it);
/* As cache_get(), with a new expiry time. */
struct item *cache_touch(const char *key, size_t len, uint32_t hash, reltime_t expires);

/* Stores an item that has been filled in. The caller keeps its hold. */
enum store_result cache_store(struct item *it, enum store_verb verb, struct store_terms *t,
			      uint32_t hash);
/*
 * Stores a value that is all there over the present one, in the same chunk. False: that cannot be
 * done (there is none, somebody reads it, it needs another chunk, somebody watches), and a new item
 * has to be stored.
 */
bool cache_overwrite(const char *key, size_t len, uint32_t hash, const struct item_terms *terms,
		     const char *value);
/* Adds to the number that is the value, or subtracts down to 0. */
enum count_result cache_count(const char *key, size_t len, uint32_t hash, struct count_terms *t);
/* A CAS number never given before. */
uint64_t cache_next_cas(void);
/* The last one given, which a warm restart goes on from. */
uint64_t cache_last_cas(void);
void cache_set_last_cas(uint64_t cas);
/* True if there was one. */
bool cache_delete(const char *key, size_t len, uint32_t hash);

/* Everything stored so far is gone, at once (delay 0) or in `delay` seconds. */
void cache_flush(int32_t delay);
/* For a warm restart: the second of a flush that waits (0: none), */
reltime_t cache_flush_due(void);
void cache_set_flush_due(reltime_t due);
/* an item that was in the cache before, whose key is not in it now, */
void cache_restore(struct item *it, uint64_t cas, reltime_t last_used, enum lru_segment segment,
		   uint32_t hash);
/* and everything out again, memory and all. */
void cache_drop_all(void);
/* The time up to which everything is, or will be, flushed; 0: never. */
reltime_t cache_flushed_until(void);

/* Expired or flushed: as good as not there. */
bool cache_is_dead(const struct item *it);
/* Takes a linked item out. Its memory returns with the last hold. */
void cache_remove(struct item *it, uint32_t hash);
void cache_unlink(struct item *it);        /* hashes its key */

#endif
