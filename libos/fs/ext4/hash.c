/*
 * Hashes of names, by which directories are ordered (directory.rst, "Hash Tree Directories"): half
 * of MD4's rounds (RFC 1320), TEA as a compression function, and the first one, kept for old disks.
 * Each takes the name's characters as signed or as unsigned, as the machine did that made the file
 * system.
 */
#include <core/string.h>

#include "dir.h"

/* Next to last: the last value marks the end of a directory. */
#define HASH_LAST 0xfffffffeu

static uint32_t character(const char *p, bool is_unsigned)
{
	return is_unsigned ? (uint8_t)*p : (uint32_t)(int32_t)(int8_t)*p;
}

/* `words` words of the name, four characters each; what is missing is filled with its length. */
static void to_words(const char *name, size_t len, bool is_unsigned, uint32_t *out, unsigned words)
{
	uint32_t pad = (uint32_t)len | (uint32_t)len << 8;
	size_t used = MIN(len, words * 4u);

	pad |= pad << 16;
	for (unsigned w = 0; w < words; w++) {
		out[w] = pad;
		for (size_t i = w * 4; i < MIN(used, w * 4 + 4); i++)
			out[w] = character(name + i, is_unsigned) + (out[w] << 8);
	}
}

static uint32_t rotate(uint32_t x, unsigned by)
{
	return x << by | x >> (32 - by);
}

/* ---- MD4, each round over half a block ---- */

static uint32_t select(uint32_t x, uint32_t y, uint32_t z) { return z ^ (x & (y ^ z)); }
static uint32_t majority(uint32_t x, uint32_t y, uint32_t z) { return (x & y) + ((x ^ y) & z); }
static uint32_t parity(uint32_t x, uint32_t y, uint32_t z) { return x ^ y ^ z; }

struct round {
	uint32_t add;
	uint8_t word[8], by[4];
};

static const struct round rounds[3] = {
	{ 0, { 0, 1, 2, 3, 4, 5, 6, 7 }, { 3, 7, 11, 19 } },
	{ 0x5a827999, { 1, 3, 5, 7, 0, 2, 4, 6 }, { 3, 5, 9, 13 } },
	{ 0x6ed9eba1, { 3, 7, 2, 6, 1, 5, 0, 4 }, { 3, 9, 11, 15 } },
};

/* Inlined, each round has its function and constants in it. */
static inline __attribute__((always_inline)) void
half_round(uint32_t v[4], const uint32_t in[8], const struct round *r,
	   uint32_t (*mix)(uint32_t x, uint32_t y, uint32_t z))
{
	#pragma GCC unroll 8
	for (unsigned i = 0; i < 8; i++) { /* a, d, c, b take turns */
		unsigned a = (4 - i % 4) % 4;

		v[a] += mix(v[(a + 1) % 4], v[(a + 2) % 4], v[(a + 3) % 4]) + in[r->word[i]] +
			r->add;
		v[a] = rotate(v[a], r->by[i % 4]);
	}
}

static void half_md4(uint32_t state[4], const uint32_t in[8])
{
	uint32_t v[4];

	memcpy(v, state, sizeof(v));
	half_round(v, in, &rounds[0], select);
	half_round(v, in, &rounds[1], majority);
	half_round(v, in, &rounds[2], parity);
	for (unsigned i = 0; i < 4; i++)
		state[i] += v[i];
}

/* ---- the Tiny Encryption Algorithm: the name is the key ---- */

static void tea(uint32_t state[4], const uint32_t key[4])
{
	uint32_t y = state[0], z = state[1], sum = 0;

	for (unsigned i = 0; i < 16; i++) {
		sum += 0x9e3779b9;
		y += ((z << 4) + key[0]) ^ (z + sum) ^ ((z >> 5) + key[1]);
		z += ((y << 4) + key[2]) ^ (y + sum) ^ ((y >> 5) + key[3]);
	}
	state[0] += y;
	state[1] += z;
}

static uint32_t legacy(const char *name, size_t len, bool is_unsigned)
{
	uint32_t now = 0x12a3fe2d, before = 0x37abe8f9;

	for (size_t i = 0; i < len; i++) {
		uint32_t next = before + (now ^ character(name + i, is_unsigned) * 7152373);

		if (next & 0x80000000)
			next -= 0x7fffffff;
		before = now;
		now = next;
	}
	return now << 1;
}

static const uint32_t *seed_or_default(const uint32_t seed[4])
{
	static const uint32_t md4[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };

	return seed[0] | seed[1] | seed[2] | seed[3] ? seed : md4;
}

struct dir_hash ext4_hash(const uint32_t seed[4], uint8_t version, bool is_unsigned,
			  const char *name, size_t len)
{
	unsigned words = version == EXT4_HASH_TEA ? 4 : 8;
	struct dir_hash h = { 0 };
	uint32_t state[4], in[8];

	memcpy(state, seed_or_default(seed), sizeof(state));
	if (version == EXT4_HASH_LEGACY) {
		h.major = legacy(name, len, is_unsigned);
	} else {
		for (size_t at = 0; at < len; at += words * 4u) {
			to_words(name + at, len - at, is_unsigned, in, words);
			if (version == EXT4_HASH_TEA)
				tea(state, in);
			else
				half_md4(state, in);
		}
		h.major = state[version == EXT4_HASH_TEA ? 0 : 1];
		h.minor = state[version == EXT4_HASH_TEA ? 1 : 2];
	}
	h.major &= ~1u;
	if (h.major == HASH_LAST)
		h.major = HASH_LAST - 2;
	return h;
}
