/*
 * Private: folding of Internet checksums (RFC 1071). checksum.c adds up; so do those who know their
 * headers.
 */
#ifndef NET_CHECKSUM_H
#define NET_CHECKSUM_H

#include <core/types.h>

/*
 * A sum of 16-bit words, formed in 32 bits. Adding it to itself with its halves exchanged leaves in
 * the upper half the sum of both, with the carry that one's complement brings round.
 */
static inline uint32_t net_fold_short(uint32_t sum)
{
	return (sum + (sum << 16 | sum >> 16)) >> 16;
}

/* The same for a sum of 32-bit words, formed in 64 bits. */
static inline uint32_t net_fold(uint64_t sum)
{
	return net_fold_short((uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32));
}

#endif
