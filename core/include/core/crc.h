/* Checksums. All: any context. */
#ifndef CORE_CRC_H
#define CORE_CRC_H

#include <core/types.h>

/*
 * CRC-32C (Castagnoli; RFC 3720, section B.4) as ext4, jbd2 and others chain it: no inversion
 * before or after, so crc32c(crc32c(seed, a), b) is that of a and b together. iSCSI's value of a
 * text is ~crc32c(~0, text).
 */
uint32_t crc32c(uint32_t seed, const void *bytes, size_t len);

/*
 * What as many bytes of 0 make of a sum: crc32c(crc, `zeroes` of them), in the time of a few bytes
 * when they are 4 KiB at most, a multiple of four. With seed 0 the sum is linear: that of two texts
 * of one length, XORed, is the XOR of their sums. So after a change of a few bytes a long text need
 * not be looked at again: its sum changes by crc32c_shift(crc32c(0, old ^ new), bytes behind them).
 */
uint32_t crc32c_shift(uint32_t crc, size_t zeroes);

/*
 * CRC-16 (polynomial 0xa001, bits reflected), as ext4's group descriptors without metadata_csum
 * have it.
 */
uint16_t crc16(uint16_t seed, const void *bytes, size_t len);

#endif
