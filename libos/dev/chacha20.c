/*
 * ChaCha20, RFC 8439: sixteen words, ten double rounds, and the start added to the end.
 */
#include "chacha20.h"

#include <core/string.h>

static inline uint32_t rotl(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* Little endian, as RFC 8439 has it and every machine of ours is. */
static inline uint32_t load32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, 4);
	return x;
}

static inline void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b, *d = rotl(*d ^ *a, 16);
	*c += *d, *b = rotl(*b ^ *c, 12);
	*a += *b, *d = rotl(*d ^ *a, 8);
	*c += *d, *b = rotl(*b ^ *c, 7);
}

static void double_round(uint32_t x[16])
{
	for (int i = 0; i < 4; i++)
		quarter_round(&x[i], &x[4 + i], &x[8 + i], &x[12 + i]);
	for (int i = 0; i < 4; i++)
		quarter_round(&x[i], &x[4 + (i + 1) % 4], &x[8 + (i + 2) % 4],
			      &x[12 + (i + 3) % 4]);
}

void chacha20_block(uint8_t out[CHACHA20_BLOCK_BYTES], const uint8_t key[CHACHA20_KEY_BYTES],
		    uint32_t counter, const uint8_t nonce[12])
{
	uint32_t start[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }, x[16];

	for (int i = 0; i < 8; i++)
		start[4 + i] = load32(key + 4 * i);
	start[12] = counter;
	for (int i = 0; i < 3; i++)
		start[13 + i] = load32(nonce + 4 * i);
	memcpy(x, start, sizeof(x));
	for (int i = 0; i < 10; i++)
		double_round(x);
	for (int i = 0; i < 16; i++)
		x[i] += start[i];
	memcpy(out, x, sizeof(x));
}
