/*
 * Addresses: what bootargs give is taken as it stands, the rest is asked from the network.
 *
 *   ip=10.0.2.15/24 gw=10.0.2.2 dns=10.0.2.3,10.0.2.4   static IPv4; without ip= DHCP is used
 *   ip=none                                             no IPv4 on the interface
 *   ip6=fec0::15/64 gw6=fec0::2                         static IPv6, in addition to SLAAC
 *   ip6=none                                            no IPv6 on the interface
 *
 * A static prefix other than /64 is accepted and treated as /64: lwIP decides by 64-bit prefixes
 * what is on the link.
 */
#include <core/boot.h>
#include <core/log.h>
#include <core/thread.h>
#include <libos/net.h>

#include <string.h>

#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/ip.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "stack.h"

BOOT_OPTION(ip, "ip=ADDR/PREFIX: static IPv4 address instead of DHCP; ip=none: no IPv4");
BOOT_OPTION(gw, "gw=ADDR: IPv4 router");
BOOT_OPTION(dns, "dns=ADDR[,ADDR]: name servers");
BOOT_OPTION(ip6, "ip6=ADDR/64: static IPv6 address beside SLAAC; ip6=none: no IPv6");
BOOT_OPTION(gw6, "gw6=ADDR: IPv6 router");

static struct waitq configured_waitq = WAITQ_INIT(configured_waitq);

/* Cuts "ADDR/PREFIX" into a NUL-terminated address and a number; false when it is malformed. */
static bool split_prefix(const char *text, char *addr, size_t max, unsigned *prefix, unsigned limit)
{
	size_t n = 0;

	while (text[n] && text[n] != '/') {
		if (n + 1 >= max)
			return false;
		addr[n] = text[n];
		n++;
	}
	addr[n] = 0;
	if (!text[n])
		return true;
	for (*prefix = 0, n++; text[n]; n++) {
		if (text[n] < '0' || text[n] > '9' || *prefix > limit)
			return false;
		*prefix = *prefix * 10 + (unsigned)(text[n] - '0');
	}
	return *prefix <= limit;
}

static bool option_ip4(const char *name, ip4_addr_t *out)
{
	const char *text = boot_option(name);

	ip4_addr_set_zero(out);
	if (!text)
		return false;
	if (ip4addr_aton(text, out))
		return true;
	log_error("net: %s=%s is not an IPv4 address", name, text);
	return false;
}

static void configure_ip4_static(struct netif *netif, const char *text)
{
	char addr_text[NET_ADDRESS_TEXT_MAX];
	ip4_addr_t ip, mask, gw;
	unsigned prefix = 24;

	if (!split_prefix(text, addr_text, sizeof(addr_text), &prefix, 32) ||
	    !ip4addr_aton(addr_text, &ip)) {
		log_error("net: ip=%s is not ADDR/PREFIX; using DHCP", text);
		dhcp_start(netif);
		return;
	}
	ip4_addr_set_u32(&mask, prefix ? lwip_htonl(UINT32_MAX << (32 - prefix)) : 0);
	option_ip4("gw", &gw);
	netif_set_addr(netif, &ip, &mask, &gw);
}

static void configure_ip4(struct netif *netif)
{
	const char *text = boot_option("ip");

	if (!text)
		dhcp_start(netif);
	else if (strcmp(text, "none") != 0)
		configure_ip4_static(netif, text);
}

static void add_ip6_static(struct netif *netif, const char *text)
{
	char addr_text[NET_ADDRESS_TEXT_MAX];
	unsigned prefix = 64;
	ip6_addr_t ip;
	s8_t slot;

	if (!split_prefix(text, addr_text, sizeof(addr_text), &prefix, 128) ||
	    !ip6addr_aton(addr_text, &ip)) {
		log_error("net: ip6=%s is not ADDR/PREFIX", text);
		return;
	}
	ip6_addr_assign_zone(&ip, IP6_UNICAST, netif);
	if (netif_add_ip6_address(netif, &ip, &slot) == ERR_OK)
		netif_ip6_addr_set_state(netif, slot, IP6_ADDR_PREFERRED);
}

/*
 * lwIP learns routers from their advertisements only. A static one is entered into its (public)
 * table with the longest lifetime; its hardware address is then asked for like any neighbour's.
 */
static void add_ip6_router(struct netif *netif)
{
	const char *text = boot_option("gw6");
	struct nd6_neighbor_cache_entry *n = &neighbor_cache[LWIP_ND6_NUM_NEIGHBORS - 1];
	ip6_addr_t gw;

	if (!text)
		return;
	if (!ip6addr_aton(text, &gw)) {
		log_error("net: gw6=%s is not an IPv6 address", text);
		return;
	}
	ip6_addr_assign_zone(&gw, IP6_UNICAST, netif);
	ip6_addr_copy(n->next_hop_address, gw);
	n->netif = netif;
	n->isrouter = 1;
	n->state = ND6_INCOMPLETE;
	n->counter.probes_sent = 1;
	default_router_list[LWIP_ND6_NUM_ROUTERS - 1].neighbor_entry = n;
	default_router_list[LWIP_ND6_NUM_ROUTERS - 1].invalidation_timer = UINT32_MAX;
}

static void configure_ip6(struct netif *netif)
{
	const char *text = boot_option("ip6");

	if (text && strcmp(text, "none") == 0)
		return;
	netif_create_ip6_linklocal_address(netif, 1);
	if (text)
		add_ip6_static(netif, text);
	add_ip6_router(netif);
	netif_set_ip6_autoconfig_enabled(netif, 1);
}

static void configure_dns(void)
{
	const char *text = boot_option("dns");
	char one[NET_ADDRESS_TEXT_MAX];
	ip_addr_t server;
	u8_t index = 0;

	while (text && *text && index < DNS_MAX_SERVERS) {
		size_t n = 0;

		while (*text && *text != ',' && n + 1 < sizeof(one))
			one[n++] = *text++;
		one[n] = 0;
		if (ipaddr_aton(one, &server))
			dns_setserver(index++, &server);
		else
			log_error("net: dns=%s is not an address", one);
		text += *text != 0;
	}
}

static bool has_address(const struct netif *netif)
{
	if (!ip4_addr_isany(netif_ip4_addr(netif)))
		return true;
	for (int i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
			return true;
	return false;
}

static bool is_configured; /* written under the stack lock */

/* lwIP calls this when an address of the interface has changed. */
static void status_changed(struct netif *netif)
{
	bool now = netif_is_up(netif) && has_address(netif);

	if (now && !is_configured)
		log_info("net: %c%c%d has address %s", netif->name[0], netif->name[1], netif->num,
			 ip4addr_ntoa(netif_ip4_addr(netif)));
	__atomic_store_n(&is_configured, now, __ATOMIC_RELEASE);
	if (now)
		waitq_wake_all(&configured_waitq);
}

void net_configure(void)
{
	struct netif *netif = net_interface_first();

	if (!netif)
		return;
	netif_set_status_callback(netif, status_changed);
	netif_set_up(netif);
	configure_ip4(netif);
	configure_ip6(netif);
	configure_dns();
	status_changed(netif);
}

bool net_is_configured(void)
{
	return __atomic_load_n(&is_configured, __ATOMIC_ACQUIRE);
}

int net_wait_configured(uint64_t deadline_ns)
{
	return waitq_wait(&configured_waitq, net_is_configured(), deadline_ns, true);
}

size_t net_dns_server(unsigned index, char text[NET_ADDRESS_TEXT_MAX])
{
	const ip_addr_t *server;
	size_t len = 0;

	if (index >= DNS_MAX_SERVERS)
		return 0;
	net_enter();
	server = dns_getserver((u8_t)index);
	if (!ip_addr_isany(server) && ipaddr_ntoa_r(server, text, NET_ADDRESS_TEXT_MAX))
		len = strlen(text);
	net_leave();
	return len;
}
