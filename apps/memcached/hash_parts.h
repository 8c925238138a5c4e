/*
 * What several hash functions are made of: numbers read from anywhere in a key, and a product
 * folded.
 */
#ifndef MEMCACHED_HASH_PARTS_H
#define MEMCACHED_HASH_PARTS_H

#include <stdint.h>
#include <string.h>

static inline uint64_t load64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The halves of a product of 128 bits, one on the other. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
