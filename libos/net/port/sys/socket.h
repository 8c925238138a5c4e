/*
 * The address types that <libos/stream.h> needs, laid out as Linux has them, for the one file that
 * implements that header without a C library (stream_lwip.c).
 */
#ifndef NET_PORT_SYS_SOCKET_H
#define NET_PORT_SYS_SOCKET_H

#include <stdint.h>

typedef uint32_t socklen_t;
typedef uint16_t sa_family_t;

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

struct sockaddr_storage {
	sa_family_t ss_family;
	char ss_padding[128 - sizeof(long) - sizeof(sa_family_t)];
	unsigned long ss_align;
};

#endif
