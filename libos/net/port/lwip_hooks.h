/*
 * The places where lwIP asks us: which connection a segment belongs to (connections.c) and where a
 * connection's sequence numbers start (isn.c).
 */
#ifndef NET_PORT_LWIP_HOOKS_H
#define NET_PORT_LWIP_HOOKS_H

struct pbuf;
struct netif;

uint32_t net_initial_sequence(const void *local_ip, uint16_t local_port, const void *remote_ip,
			      uint16_t remote_port);
#define LWIP_HOOK_TCP_ISN net_initial_sequence

int net_ip4_input(struct pbuf *p, struct netif *in);
#define LWIP_HOOK_IP4_INPUT net_ip4_input

int net_ip6_input(struct pbuf *p, struct netif *in);
#define LWIP_HOOK_IP6_INPUT net_ip6_input

#endif
