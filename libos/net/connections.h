/*
 * Private: TCP connections that the stack keeps track of. Stack lock. See connections.c.
 */
#ifndef NET_CONNECTIONS_H
#define NET_CONNECTIONS_H

#include <core/types.h>

#include "lwip/ip_addr.h"

struct list;
struct tcp_pcb;
struct net_template;

/* Before tcp_listen: connections that arrive at this pcb will be tracked. */
void net_connection_expect(struct tcp_pcb *pcb);
/* After tcp_connect: 0, or -ENOMEM. */
int net_connection_track(struct tcp_pcb *pcb);
/* gone(owner) when lwIP frees the tracked connection, for whatever reason; NULL: nobody. */
void net_connection_watch(struct tcp_pcb *pcb, void (*gone)(void *owner), void *owner);
/*
 * What it was lent and still names (loans.h); NULL: it is not tracked, so it can be lent nothing.
 */
struct list *net_connection_loans(struct tcp_pcb *pcb);
/*
 * The application is done with it: from now on it must make progress. Without an acknowledgement of
 * anything new for two minutes it is reset (its owner, if any is left, is told as by any reset).
 */
void net_connection_closing(struct tcp_pcb *pcb);
void net_connections_expire(void);             /* looks, at most once a second */
size_t net_connection_count(void);
/*
 * The first sequence number of a connection: `sequence`, or a later one where it takes the place of
 * one that was in TIME_WAIT and has used numbers up to there.
 */
uint32_t net_connection_sequence(const ip_addr_t *local, uint16_t local_port,
				 const ip_addr_t *remote, uint16_t remote_port, uint32_t sequence);
struct net_template *net_connection_template(struct tcp_pcb *pcb); /* of a tracked one */

/*
 * The pcb of a segment in the words of its headers, NULL without one: addresses and ports (remote
 * first, then local, as a segment that arrives has them) in network order. IPv6 addresses that
 * belong to a zone are not found.
 */
struct tcp_pcb *net_connection_find_ip4(uint32_t remote, uint32_t local, uint32_t ports);
struct tcp_pcb *net_connection_find_ip6(const uint32_t remote[4], const uint32_t local[4],
					uint32_t ports);

#endif
