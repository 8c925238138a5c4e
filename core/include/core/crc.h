/* Checksums. All: any context. */
#ifndef CORE_CRC_H
#define CORE_CRC_H

#include <core/types.h>

/*
 * CRC-32C (Castagnoli; RFC 3720, section B.4) as ext4, jbd2 and others chain it: no inversion before or after,
 * so crc32c(crc32c(seed, a), b) is that of a and b together. iSCSI's value of a text is ~crc32c(~0, text).
 */
uint32_t crc32c(uint32_t seed, const void *bytes, size_t len);

/*
 * Sums of changes. With seed 0 the sum is linear: that of two texts of one length, XORed, is the XOR of their sums. And zeroes
 * that follow multiply it: crc32c(c, n zeroes) is crc32c_multiply(c, crc32c_power(n)). So after a change of a few
 * bytes a long text need not be looked at again.
 */
uint32_t crc32c_power(size_t zeroes);
uint32_t crc32c_multiply(uint32_t a, uint32_t b);

/* CRC-16 (polynomial 0xa001, bits reflected), as ext4's group descriptors without metadata_csum have it. */
uint16_t crc16(uint16_t seed, const void *bytes, size_t len);

#endif
