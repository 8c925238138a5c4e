/*
 * Checksums by tables. CRC-32C takes eight bytes a step: table k gives the effect that a byte has
 * once k more bytes have followed it, so the eight look-ups of a step do not wait for one another.
 *
 * The tables are made by the first call, from the polynomials alone: 8 KiB of memory, none of the
 * image. Two first calls at once write the same values. The same goes for the powers that
 * crc32c_shift() keeps.
 */
#include <core/crc.h>
#include <core/atomic.h>

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */
#define CRC16_POLYNOMIAL  0xa001u     /* reflected */

static uint32_t crc32c_tables[8][256];
static uint16_t crc16_table[256];
static uint32_t tables_are_made; /* atomic */

static uint32_t divide(uint32_t byte, uint32_t polynomial)
{
	for (int bit = 0; bit < 8; bit++)
		byte = byte & 1 ? byte >> 1 ^ polynomial : byte >> 1;
	return byte;
}

static void make_tables(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		crc32c_tables[0][byte] = divide(byte, CRC32C_POLYNOMIAL);
		crc16_table[byte] = (uint16_t)divide(byte, CRC16_POLYNOMIAL);
	}
	for (int k = 1; k < 8; k++)
		for (int byte = 0; byte < 256; byte++) {
			uint32_t before = crc32c_tables[k - 1][byte];

			crc32c_tables[k][byte] = before >> 8 ^ crc32c_tables[0][before & 255];
		}
	store_release(&tables_are_made, 1);
}

static void need_tables(void)
{
	if (unlikely(!__atomic_load_n(&tables_are_made, __ATOMIC_ACQUIRE)))
		make_tables();
}

static uint32_t crc32c_bytes(uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len; len--)
		crc = crc >> 8 ^ crc32c_tables[0][(crc ^ *p++) & 255];
	return crc;
}

/* Little-endian words, as they lie in memory. */
static uint32_t crc32c_words(uint32_t crc, const uint64_t *p, size_t words)
{
	for (; words; words--) {
		uint64_t w = *p++ ^ crc;

		crc = crc32c_tables[7][w & 255] ^ crc32c_tables[6][w >> 8 & 255] ^
		      crc32c_tables[5][w >> 16 & 255] ^ crc32c_tables[4][w >> 24 & 255] ^
		      crc32c_tables[3][w >> 32 & 255] ^ crc32c_tables[2][w >> 40 & 255] ^
		      crc32c_tables[1][w >> 48 & 255] ^ crc32c_tables[0][w >> 56];
	}
	return crc;
}

uint32_t crc32c(uint32_t seed, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	size_t head = MIN(len, -(uintptr_t)p & 7), words = (len - head) / 8;

	need_tables();
	seed = crc32c_bytes(seed, p, head);
	seed = crc32c_words(seed, (const uint64_t *)(const void *)(p + head), words);
	return crc32c_bytes(seed, p + head + 8 * words, (len - head) & 7);
}

/* Polynomials of GF(2), the coefficient of x^0 in the highest bit, modulo CRC-32C's. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (; a; a <<= 1) {
		product ^= b & -(a >> 31);
		b = b >> 1 ^ (CRC32C_POLYNOMIAL & -(b & 1));
	}
	return product;
}

/* x to the power of 8 for each byte, by squaring. */
static uint32_t power_of(size_t zeroes)
{
	uint32_t power = 1u << 31, square = 1u << 23; /* x^0, x^8 */

	for (; zeroes; zeroes >>= 1) {
		if (zeroes & 1)
			power = multiply(power, square);
		square = multiply(square, square);
	}
	return power;
}

#define POWERS 1024u /* by words: 4 KiB of text */

uint32_t crc32c_shift(uint32_t crc, size_t zeroes)
{
	static uint32_t powers[POWERS];
	size_t words = zeroes / 4;

	if (zeroes % 4 || words >= POWERS)
		return multiply(crc, power_of(zeroes));
	if (!powers[words])
		powers[words] = power_of(zeroes);
	return multiply(crc, powers[words]);
}

uint16_t crc16(uint16_t seed, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	need_tables();
	for (; len; len--)
		seed = (uint16_t)(seed >> 8 ^ crc16_table[(seed ^ *p++) & 255]);
	return seed;
}
