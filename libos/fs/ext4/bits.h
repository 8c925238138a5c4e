/* Bitmaps as ext4 has them: bit n is bit n % 8 of byte n / 8. Pure functions. */
#ifndef EXT4_BITS_H
#define EXT4_BITS_H

#include <core/types.h>

static inline bool bit_is_set(const uint8_t *map, uint32_t n)
{
	return map[n / 8] >> (n % 8) & 1;
}

void bits_set(uint8_t *map, uint32_t from, uint32_t count);
void bits_clear(uint8_t *map, uint32_t from, uint32_t count);
/* Are all of them set, or clear? */
bool bits_are(const uint8_t *map, uint32_t from, uint32_t count, bool set);
/*
 * The first bit from `from` on that is set (or clear); `end` when there is none before it. The map
 * is aligned to 8.
 */
uint32_t bits_next(const uint8_t *map, uint32_t from, uint32_t end, bool set);
uint32_t bits_count_clear(const uint8_t *map, uint32_t end);

#endif
