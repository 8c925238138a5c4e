/*
 * The hash of a key, by one of the functions that -o hash_algorithm names: murmur3, jenkins, xxh3 as
 * in memcached, or keyed. The first three start from a random seed, which keeps apart what was
 * collected elsewhere; only `keyed` holds out against somebody who looks for keys that fall together
 * whatever the seed is.
 */
#ifndef MEMCACHED_HASH_H
#define MEMCACHED_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Chooses the function and the random constants. 0, -EINVAL for an unknown name, or another errno. */
int hash_start(const char *algorithm);
/* len is at least 1. */
uint32_t key_hash(const char *key, size_t len);

/* The functions themselves. */
uint32_t hash_murmur3(const char *key, size_t len, uint32_t seed);
uint32_t hash_jenkins(const char *key, size_t len, uint32_t seed);
uint32_t hash_xxh3(const char *key, size_t len, uint64_t seed);

#endif
