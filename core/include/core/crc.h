/* Checksums. All: any context. */
#ifndef CORE_CRC_H
#define CORE_CRC_H

#include <core/types.h>

/*
 * CRC-32C (Castagnoli; RFC 3720, section B.4) as ext4, jbd2 and others chain it: no inversion before or after,
 * so crc32c(crc32c(seed, a), b) is that of a and b together. iSCSI's value of a text is ~crc32c(~0, text).
 */
uint32_t crc32c(uint32_t seed, const void *bytes, size_t len);

/* CRC-16 (polynomial 0xa001, bits reflected), as ext4's group descriptors without metadata_csum have it. */
uint16_t crc16(uint16_t seed, const void *bytes, size_t len);

#endif
