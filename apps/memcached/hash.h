/*
 * The hash of a key: fast for short keys, and different in every run, so that nobody outside can
 * choose keys that fall together.
 */
#ifndef MEMCACHED_HASH_H
#define MEMCACHED_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Chooses the random constants. 0 or negative errno. */
int hash_start(void);
uint32_t key_hash(const char *key, size_t len);

#endif
