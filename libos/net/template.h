/*
 * Private: headers of a connection that are the same for every segment. Stack lock. See template.c.
 */
#ifndef NET_TEMPLATE_H
#define NET_TEMPLATE_H

#include "interface.h"
#include "packet.h"

struct net_template {
	struct tcp_pcb *pcb;             /* [I] */
	struct net_interface *in;        /* where its segments leave; NULL: nothing is known yet */
	/* IPv4: of the header without length, identification and sum */
	uint32_t ip_sum;
	uint32_t pseudo_sum;             /* of both addresses and the protocol */
	uint32_t ports;                  /* the first word of the TCP header */
	uint8_t word_count, neighbour;   /* of words; index in the cache of neighbours */
	bool is_v6;
	/* Two bytes of padding, Ethernet header, IP header. */
	uint32_t words[14] __attribute__((aligned(8)));
};

/* Before lwIP is made to send something for the connection: its headers are worth learning. */
void net_template_expect(struct net_template *t);
/* The connection is gone. */
void net_template_forget(struct net_template *t);
/* Sees the frames that lwIP sends. */
void net_template_learn(struct net_interface *in, const struct pbuf *p);
/*
 * Sends a segment whose TCP header is made except for acknowledgement, window and checksum, the
 * first one behind what was sent, and keeps it until it is acknowledged, as tcp_output() would.
 * False: nothing has happened, tcp_output() must see it.
 */
bool net_template_send(struct net_template *t, struct packet *k);

/*
 * Is `mac` the link address to answer `remote` (network order) on, as the ARP cache has it? *hint
 * is where the last answer stood. False also when it is lwIP's turn to send something there, see
 * template.c.
 */
bool net_neighbour_is(struct net_interface *in, uint32_t remote, const uint8_t *mac, uint8_t *hint);
/*
 * The same, for the neighbour whose answer *hint is; false may also mean that it is another one's.
 */
bool net_neighbour_is_still(struct net_interface *in, uint32_t remote, const uint8_t *mac,
			    const uint8_t *hint);

/* For tests: false sends everything through lwIP. */
extern bool net_templates;

#endif
