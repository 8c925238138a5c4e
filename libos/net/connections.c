/*
 * Which connection a segment belongs to: called by lwIP for every IP packet before it looks itself.
 */
#include "interface.h"
#include "lwip/ip.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip_hooks.h"
#include "stack.h"

#define REASSEMBLY_NS (20 * NSEC_PER_SEC)

int net_ip4_input(struct pbuf *p, struct netif *in)
{
	const struct ip_hdr *ip = p->payload;

	(void)in;
	if (p->len < IP_HLEN)
		return 0;
	if (IPH_PROTO(ip) == IP_PROTO_TCP)
		net_timer_tcp_active();
	if (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF))
		net_timer_need(NET_TIMER_IP4_REASSEMBLY, REASSEMBLY_NS);
	return 0;
}

int net_ip6_input(struct pbuf *p, struct netif *in)
{
	const struct ip6_hdr *ip = p->payload;

	(void)in;
	if (p->len < IP6_HLEN)
		return 0;
	switch (IP6H_NEXTH(ip)) {
	case IP6_NEXTH_TCP:
		net_timer_tcp_active();
		break;
	case IP6_NEXTH_UDP:
		break;
	case IP6_NEXTH_ICMP6:
	case IP6_NEXTH_HOPBYHOP:
		net_timer_need(NET_TIMER_ND6, 0);   /* is anything busy afterwards? */
		break;
	default:
		net_timer_need(NET_TIMER_IP6_REASSEMBLY, IPV6_REASS_MAXAGE * NSEC_PER_SEC);
		break;
	}
	return 0;
}
