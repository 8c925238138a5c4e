/*
 * Private: Linux socket addresses to and from lwIP's.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <core/types.h>
#include <libos/socket.h>

#include "lwip/err.h"
#include "lwip/ip_addr.h"

/*
 * Reads a sockaddr_in or sockaddr_in6. An IPv4-mapped IPv6 address becomes IPv4. 0, -EINVAL (too
 * short), -EAFNOSUPPORT.
 */
int net_address_read(const void *sockaddr, size_t len, ip_addr_t *ip, uint16_t *port);

/* Writes the form of `family`: IPv4 as a mapped address for AF_INET6, "any" as zeros. */
void net_address_write(struct socket_name *out, int family, const ip_addr_t *ip, uint16_t port);

/* An address the machine has, or "any". Stack lock. */
bool net_address_is_local(const ip_addr_t *ip);

/* An lwIP error as a negative errno. */
int net_errno(err_t err);

#endif
