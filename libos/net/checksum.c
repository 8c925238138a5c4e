/*
 * The Internet checksum (RFC 1071) eight bytes at a time: one's complement sums may be formed in
 * any word size and byte order, and folded at the end. Carries of the 64-bit sum are caught by
 * adding two 32-bit halves to a sum that cannot overflow within a frame.
 */
#include <core/types.h>

#include "checksum.h"
#include "lwip/opt.h"

typedef uint64_t __attribute__((may_alias, aligned(1))) word64;
typedef uint32_t __attribute__((may_alias, aligned(1))) word32;
typedef uint16_t __attribute__((may_alias, aligned(1))) word16;

static inline uint64_t sum_block(const uint8_t *p)
{
	uint64_t a = *(const word64 *)p, b = *(const word64 *)(p + 8);

	return (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32);
}

static uint64_t sum_tail(const uint8_t *p, int len)
{
	uint64_t sum = 0;

	for (; len >= 4; p += 4, len -= 4)
		sum += *(const word32 *)p;
	if (len >= 2) {
		sum += *(const word16 *)p;
		p += 2;
		len -= 2;
	}
	if (len)
		sum += *p;
	return sum;
}

/* The folded sum, not complemented, in memory order: what lwIP expects of LWIP_CHKSUM. */
uint16_t net_checksum(const void *data, int len)
{
	const uint8_t *p = data;
	uint64_t sum = 0;

	for (; len >= 16; p += 16, len -= 16)
		sum += sum_block(p);
	sum += sum_tail(p, len);
	return (uint16_t)net_fold(sum);
}
