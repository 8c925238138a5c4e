/*
 * The hash of a key, by one of the functions that -o hash_algorithm names: murmur3, jenkins, xxh3
 * as in memcached, or keyed. The first three start from a random seed, which keeps apart what was
 * collected elsewhere; only `keyed` holds out against somebody who looks for keys that fall
 * together whatever the seed is.
 */
#ifndef MEMCACHED_HASH_H
#define MEMCACHED_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Chooses the function and the random constants. 0, -EINVAL for an unknown name, or another errno.
 */
int hash_start(const char *algorithm);
enum hash_algorithm { HASH_MURMUR3, HASH_JENKINS, HASH_XXH3, HASH_KEYED, HASH_ALGORITHMS };
extern enum hash_algorithm hash_algorithm;         /* the one chosen */

/* By `keyed`, and by one of the others. len is at least 1. */
uint32_t hash_keyed(const char *key, size_t len);
uint32_t hash_named(const char *key, size_t len);

/* By the one chosen. */
static inline uint32_t key_hash(const char *key, size_t len)
{
	return __builtin_expect(hash_algorithm == HASH_KEYED, 1) ? hash_keyed(key, len)
								 : hash_named(key, len);
}

/* The functions themselves. */
uint32_t hash_murmur3(const char *key, size_t len, uint32_t seed);
uint32_t hash_jenkins(const char *key, size_t len, uint32_t seed);
uint32_t hash_xxh3(const char *key, size_t len, uint64_t seed);

#endif
