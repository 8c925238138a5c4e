/* Bitmaps: see bits.h. Words are looked at eight bytes at a time where that is possible. */
#include "bits.h"

#include <core/string.h>

/* Bits [from, to) of a byte. */
static uint8_t mask(unsigned from, unsigned to)
{
	return (uint8_t)((0xffu << from) & (0xffu >> (8 - to)));
}

static void fill(uint8_t *map, uint32_t from, uint32_t count, bool set)
{
	uint32_t end = from + count;

	while (from < end) {
		uint32_t stop = MIN(end, (from / 8 + 1) * 8);
		uint8_t m = mask(from % 8, stop - from / 8 * 8);

		if (m == 0xff) {
			uint32_t bytes = (end - from) / 8;

			memset(map + from / 8, set ? 0xff : 0, bytes);
			from += bytes * 8;
			continue;
		}
		map[from / 8] = set ? map[from / 8] | m : map[from / 8] & (uint8_t)~m;
		from = stop;
	}
}

void bits_set(uint8_t *map, uint32_t from, uint32_t count)
{
	fill(map, from, count, true);
}

void bits_clear(uint8_t *map, uint32_t from, uint32_t count)
{
	fill(map, from, count, false);
}

/* The lowest bit of a word that is not zero. */
static uint32_t lowest(uint64_t word)
{
	uint32_t n = 0;

	for (unsigned half = 32; half; half /= 2) {
		if (!(word & ((1ull << half) - 1))) {
			word >>= half;
			n += half;
		}
	}
	return n;
}

uint32_t bits_next(const uint8_t *map, uint32_t from, uint32_t end, bool set)
{
	const uint64_t *words = (const uint64_t *)(const void *)map;

	while (from < end) {
		uint64_t w = (set ? words[from / 64] : ~words[from / 64]) & ~0ull << (from % 64);

		if (w)
			return MIN(end, (from & ~63u) + lowest(w));
		from = (from & ~63u) + 64;
	}
	return end;
}

bool bits_are(const uint8_t *map, uint32_t from, uint32_t count, bool set)
{
	return bits_next(map, from, from + count, !set) == from + count;
}

static uint32_t count_set(uint64_t w)
{
	w -= w >> 1 & 0x5555555555555555ull;
	w = (w & 0x3333333333333333ull) + (w >> 2 & 0x3333333333333333ull);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (uint32_t)(w * 0x0101010101010101ull >> 56);
}

uint32_t bits_count_clear(const uint8_t *map, uint32_t end)
{
	const uint64_t *words = (const uint64_t *)(const void *)map;
	uint32_t set = 0;

	for (uint32_t n = 0; n < end / 64; n++)
		set += count_set(words[n]);
	if (end % 64)
		set += count_set(words[end / 64] & ((1ull << end % 64) - 1));
	return end - set;
}
