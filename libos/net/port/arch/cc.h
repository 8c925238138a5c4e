/*
 * lwIP's view of the compiler and of core: types come from the compiler's own headers, assertions
 * end in core's panic, random numbers in the random generator. Included first by every lwIP file.
 */
#ifndef NET_PORT_ARCH_CC_H
#define NET_PORT_ARCH_CC_H

#include <core/assert.h>
#include <core/types.h>

typedef intptr_t ssize_t;

#define BYTE_ORDER LITTLE_ENDIAN

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H   1
#define LWIP_NO_CTYPE_H    1
#define LWIP_NO_LIMITS_H   1
#define INT_MAX            __INT_MAX__
#define SSIZE_MAX          __LONG_MAX__
#define LWIP_ERR_T         int

#define X8_F  "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"

#define PACK_STRUCT_STRUCT __attribute__((packed))

#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS 1
/* With Zbb all eight bytes turn round in one instruction; two of them alone take four. */
#define lwip_htons(x)                                                                              \
	(IS_ENABLED(CONFIG_RISCV_ZBB) ? (uint16_t)(__builtin_bswap64((uint16_t)(x)) >> 48)         \
				      : __builtin_bswap16((uint16_t)(x)))
#define lwip_htonl(x) ((uint32_t)__builtin_bswap32((uint32_t)(x)))
#define htonl(x) lwip_htonl(x)   /* nd6.c spells it so */

#define LWIP_PLATFORM_DIAG(x)   ((void)0)
#define LWIP_PLATFORM_ASSERT(x) panic("lwip: %s (%s:%d)", x, __FILE__, __LINE__)

uint32_t net_random32(void);
#define LWIP_RAND() net_random32()

/* libos/net/chksum.c: the Internet checksum, eight bytes at a time. */
uint16_t net_checksum(const void *data, int len);
#define LWIP_CHKSUM net_checksum

#endif
