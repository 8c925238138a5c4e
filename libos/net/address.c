/*
 * Linux socket addresses to and from lwIP's, and lwIP's errors as Linux's numbers.
 */
#include "address.h"

#include <core/errno.h>

#include <string.h>

#include "lwip/err.h"
#include "lwip/ip6_addr.h"
#include "lwip/netif.h"

struct sockaddr_ip4 {            /* struct sockaddr_in */
	uint16_t family;
	uint16_t port;           /* network order */
	uint32_t address;
	uint8_t zero[8];
};

struct sockaddr_ip6 {            /* struct sockaddr_in6 */
	uint16_t family;
	uint16_t port;
	uint32_t flow;
	uint32_t address[4];
	uint32_t scope;
};

static void read_ip6(const struct sockaddr_ip6 *sa, ip_addr_t *ip)
{
	ip6_addr_t v6;

	memcpy(v6.addr, sa->address, sizeof(v6.addr));
	ip6_addr_clear_zone(&v6);
	if (ip6_addr_isipv4mappedipv6(&v6)) {
		ip_addr_set_ip4_u32(ip, sa->address[3]);
		return;
	}
	if (ip6_addr_has_scope(&v6, IP6_UNKNOWN) && sa->scope && sa->scope <= UINT8_MAX)
		ip6_addr_set_zone(&v6, (u8_t)sa->scope);
	ip_addr_copy_from_ip6(*ip, v6);
}

int net_address_read(const void *sockaddr, size_t len, ip_addr_t *ip, uint16_t *port)
{
	struct sockaddr_ip4 v4;
	struct sockaddr_ip6 v6;

	if (len < sizeof(v4))
		return -EINVAL;
	memcpy(&v4, sockaddr, sizeof(v4));
	*port = lwip_ntohs(v4.port);
	if (v4.family == SOCKET_AF_INET) {
		ip_addr_set_ip4_u32(ip, v4.address);
		return 0;
	}
	if (v4.family != SOCKET_AF_INET6)
		return -EAFNOSUPPORT;
	if (len < sizeof(v6))
		return -EINVAL;
	memcpy(&v6, sockaddr, sizeof(v6));
	read_ip6(&v6, ip);
	return 0;
}

static void write_ip6(struct sockaddr_ip6 *sa, const ip_addr_t *ip)
{
	if (IP_IS_V6_VAL(*ip)) {
		memcpy(sa->address, ip_2_ip6(ip)->addr, sizeof(sa->address));
		sa->scope = ip6_addr_zone(ip_2_ip6(ip));
	} else if (!IP_IS_ANY_TYPE_VAL(*ip) && !ip_addr_isany(ip)) {
		sa->address[2] = lwip_htonl(0xffff);
		sa->address[3] = ip4_addr_get_u32(ip_2_ip4(ip));
	}
}

void net_address_write(struct socket_name *out, int family, const ip_addr_t *ip, uint16_t port)
{
	struct sockaddr_ip4 v4 = { .family = SOCKET_AF_INET, .port = lwip_htons(port) };
	struct sockaddr_ip6 v6 = { .family = SOCKET_AF_INET6, .port = lwip_htons(port) };

	if (family == SOCKET_AF_INET6) {
		write_ip6(&v6, ip);
		out->len = sizeof(v6);
		memcpy(out->bytes, &v6, sizeof(v6));
		return;
	}
	if (IP_IS_V4_VAL(*ip))
		v4.address = ip4_addr_get_u32(ip_2_ip4(ip));
	out->len = sizeof(v4);
	memcpy(out->bytes, &v4, sizeof(v4));
}

bool net_address_is_local(const ip_addr_t *ip)
{
	struct netif *netif;

	if (ip_addr_isany(ip) || ip_addr_isloopback(ip))
		return true;
	NETIF_FOREACH(netif) {
		if (IP_IS_V4(ip) && ip4_addr_eq(ip_2_ip4(ip), netif_ip4_addr(netif)))
			return true;
		if (IP_IS_V6(ip) && netif_get_ip6_addr_match(netif, ip_2_ip6(ip)) >= 0)
			return true;
	}
	return false;
}

int net_errno(err_t err)
{
	switch (err) {
	case ERR_OK:         return 0;
	case ERR_MEM:        return -ENOMEM;
	case ERR_BUF:        return -ENOBUFS;
	case ERR_TIMEOUT:    return -ETIMEDOUT;
	case ERR_RTE:        return -ENETUNREACH;
	case ERR_INPROGRESS: return -EINPROGRESS;
	case ERR_WOULDBLOCK: return -EAGAIN;
	case ERR_USE:        return -EADDRINUSE;
	case ERR_ALREADY:    return -EALREADY;
	case ERR_ISCONN:     return -EISCONN;
	case ERR_CONN:       return -ENOTCONN;
	case ERR_IF:         return -ENETDOWN;
	case ERR_ABRT:       return -ETIMEDOUT;  /* lwIP gave up: retries or keep-alive exhausted */
	case ERR_RST:        return -ECONNRESET;
	case ERR_CLSD:       return -ENOTCONN;
	default:             return -EINVAL;
	}
}
