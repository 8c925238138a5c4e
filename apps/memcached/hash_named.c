/*
 * The hash functions that memcached names: MurmurHash3 (x86, 32 bits), Bob Jenkins' lookup3
 * (hashlittle), and XXH3 (64 bits, of which the low half counts) with its default secret. They are
 * written here from their published definitions, for keys of 1 to 250 bytes on little-endian
 * machines; hash_test.c holds them against published results.
 */
#include <string.h>

#include "hash.h"
#include "hash_parts.h"

static inline uint32_t rotate32(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static inline uint64_t rotate64(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

/* The last 1 to 3 bytes as a number. */
static inline uint32_t read_rest(const char *p, size_t len)
{
	uint32_t v = (uint8_t)p[0];

	if (len > 1)
		v |= (uint32_t)(uint8_t)p[1] << 8;
	if (len > 2)
		v |= (uint32_t)(uint8_t)p[2] << 16;
	return v;
}

/* ---- MurmurHash3 ---- */

static inline uint32_t murmur_scramble(uint32_t k)
{
	return rotate32(k * 0xcc9e2d51, 15) * 0x1b873593;
}

uint32_t hash_murmur3(const char *key, size_t len, uint32_t seed)
{
	const char *end = key + (len & ~(size_t)3);
	uint32_t h = seed;

	for (; key < end; key += 4)
		h = rotate32(h ^ murmur_scramble(load32(key)), 13) * 5 + 0xe6546b64;
	if (len & 3)
		h ^= murmur_scramble(read_rest(key, len & 3));
	h ^= (uint32_t)len;
	h = (h ^ h >> 16) * 0x85ebca6b;
	h = (h ^ h >> 13) * 0xc2b2ae35;
	return h ^ h >> 16;
}

/* ---- lookup3 ---- */

struct triple {
	uint32_t a, b, c;
};

static inline void jenkins_mix(struct triple *t)
{
	t->a = (t->a - t->c) ^ rotate32(t->c, 4), t->c += t->b;
	t->b = (t->b - t->a) ^ rotate32(t->a, 6), t->a += t->c;
	t->c = (t->c - t->b) ^ rotate32(t->b, 8), t->b += t->a;
	t->a = (t->a - t->c) ^ rotate32(t->c, 16), t->c += t->b;
	t->b = (t->b - t->a) ^ rotate32(t->a, 19), t->a += t->c;
	t->c = (t->c - t->b) ^ rotate32(t->b, 4), t->b += t->a;
}

static inline uint32_t jenkins_final(struct triple t)
{
	t.c = (t.c ^ t.b) - rotate32(t.b, 14);
	t.a = (t.a ^ t.c) - rotate32(t.c, 11);
	t.b = (t.b ^ t.a) - rotate32(t.a, 25);
	t.c = (t.c ^ t.b) - rotate32(t.b, 16);
	t.a = (t.a ^ t.c) - rotate32(t.c, 4);
	t.b = (t.b ^ t.a) - rotate32(t.a, 14);
	return (t.c ^ t.b) - rotate32(t.b, 24);
}

uint32_t hash_jenkins(const char *key, size_t len, uint32_t seed)
{
	uint32_t start = 0xdeadbeef + (uint32_t)len + seed, last[3] = { 0 };
	struct triple t = { start, start, start };

	for (; len > 12; len -= 12, key += 12) {
		t.a += load32(key);
		t.b += load32(key + 4);
		t.c += load32(key + 8);
		jenkins_mix(&t);
	}
	memcpy(last, key, len);
	t.a += last[0];
	t.b += last[1];
	t.c += last[2];
	return jenkins_final(t);
}

/* ---- XXH3 ---- */

static const uint64_t P32_1 = 0x9e3779b1, P32_2 = 0x85ebca77, P32_3 = 0xc2b2ae3d;
static const uint64_t P64_1 = 0x9e3779b185ebca87, P64_2 = 0xc2b2ae3d27d4eb4f;
static const uint64_t P64_3 = 0x165667b19e3779f9, P64_4 = 0x85ebca77c2b2ae63;
static const uint64_t P64_5 = 0x27d4eb2f165667c5;
static const uint64_t MIX_1 = 0x165667919e3779f9, MIX_2 = 0x9fb21c651e98df25;

static const uint8_t SECRET[192] = {
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad,
	0x1c, 0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3,
	0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc,
	0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6,
	0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65,
	0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19,
	0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9,
	0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31,
	0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb,
	0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb, 0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0,
	0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16, 0xbe, 0x58, 0x7d,
	0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
	0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static inline uint64_t secret64(size_t at)
{
	return load64((const char *)SECRET + at);
}

static inline uint64_t avalanche(uint64_t h)
{
	h = (h ^ h >> 37) * MIX_1;
	return h ^ h >> 32;
}

static uint64_t xxh3_to_3(const char *p, size_t len, uint64_t seed)
{
	uint32_t bytes = (uint32_t)(uint8_t)p[0] << 16 | (uint32_t)(uint8_t)p[len / 2] << 24 |
			 (uint8_t)p[len - 1] | (uint32_t)len << 8;
	uint64_t h = bytes ^ ((uint64_t)(uint32_t)(secret64(0) ^ secret64(0) >> 32) + seed);

	h = (h ^ h >> 33) * P64_2;
	h = (h ^ h >> 29) * P64_3;
	return h ^ h >> 32;
}

static uint64_t xxh3_to_8(const char *p, size_t len, uint64_t seed)
{
	uint64_t in = load32(p + len - 4) + ((uint64_t)load32(p) << 32), h;

	seed ^= (uint64_t)__builtin_bswap32((uint32_t)seed) << 32;
	h = in ^ ((secret64(8) ^ secret64(16)) - seed);
	h = (h ^ rotate64(h, 49) ^ rotate64(h, 24)) * MIX_2;
	h = (h ^ ((h >> 35) + len)) * MIX_2;
	return h ^ h >> 28;
}

static uint64_t xxh3_to_16(const char *p, size_t len, uint64_t seed)
{
	uint64_t low = load64(p) ^ ((secret64(24) ^ secret64(32)) + seed);
	uint64_t high = load64(p + len - 8) ^ ((secret64(40) ^ secret64(48)) - seed);

	return avalanche(len + __builtin_bswap64(low) + high + fold(low, high));
}

static inline uint64_t mix16(const char *p, size_t at, uint64_t seed)
{
	return fold(load64(p) ^ (secret64(at) + seed), load64(p + 8) ^ (secret64(at + 8) - seed));
}

static uint64_t xxh3_to_128(const char *p, size_t len, uint64_t seed)
{
	uint64_t h = len * P64_1;

	for (size_t i = 0, pairs = (len - 1) / 32 + 1; i < pairs; i++) {
		h += mix16(p + 16 * i, 32 * i, seed);
		h += mix16(p + len - 16 * (i + 1), 32 * i + 16, seed);
	}
	return avalanche(h);
}

static uint64_t xxh3_to_240(const char *p, size_t len, uint64_t seed)
{
	uint64_t h = len * P64_1;

	for (size_t i = 0; i < 8; i++)
		h += mix16(p + 16 * i, 16 * i, seed);
	h = avalanche(h);
	for (size_t i = 8; i < len / 16; i++)
		h += mix16(p + 16 * i, 16 * (i - 8) + 3, seed);
	h += mix16(p + len - 16, 136 - 17, seed);
	return avalanche(h);
}

enum { STRIPE = 64, LANES = 8 };

static void stripe_add(uint64_t *lanes, const char *p, size_t at)
{
	for (size_t i = 0; i < LANES; i++) {
		uint64_t in = load64(p + 8 * i), key = in ^ secret64(at + 8 * i);

		lanes[i ^ 1] += in;
		lanes[i] += (uint32_t)key * (key >> 32);
	}
}

/* Up to 1 KiB. The seed, which would change the secret here, goes into the length. */
static uint64_t xxh3_long(const char *p, size_t len, uint64_t seed)
{
	uint64_t lanes[LANES] = { P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1 };
	uint64_t h = (len ^ seed) * P64_1;

	for (size_t i = 0; i < (len - 1) / STRIPE; i++)
		stripe_add(lanes, p + STRIPE * i, 8 * i);
	stripe_add(lanes, p + len - STRIPE, sizeof(SECRET) - STRIPE - 7);
	for (size_t i = 0; i < LANES; i += 2)
		h += fold(lanes[i] ^ secret64(11 + 8 * i), lanes[i + 1] ^ secret64(11 + 8 * i + 8));
	return avalanche(h);
}

uint32_t hash_xxh3(const char *key, size_t len, uint64_t seed)
{
	if (len <= 3)
		return (uint32_t)xxh3_to_3(key, len, seed);
	if (len <= 8)
		return (uint32_t)xxh3_to_8(key, len, seed);
	if (len <= 16)
		return (uint32_t)xxh3_to_16(key, len, seed);
	if (len <= 128)
		return (uint32_t)xxh3_to_128(key, len, seed);
	return (uint32_t)(len <= 240 ? xxh3_to_240(key, len, seed) : xxh3_long(key, len, seed));
}
