/*
 * Private to the datagrams of the lwIP back end: stream_datagrams.c and stream_datagrams_short.c.
 */
#ifndef NET_STREAM_DATAGRAMS_H
#define NET_STREAM_DATAGRAMS_H

#include "interface.h"
#include "lwip/udp.h"
#include "stream_lwip.h"

/* Where an answer goes: to the sender, from the address that the datagram was sent to. */
struct route {
	struct stream_datagrams *by;
	ip_addr_t remote, local;
	uint16_t remote_port;
};

/* One received datagram. */
struct datagram {
	struct datagram *next;
	struct pbuf *bytes;
	struct net_interface *short_way;  /* where its answers leave with headers made of its own; NULL: lwIP's */
	uint32_t address_sum;             /* of both, for the answer's checksums */
	struct route route;               /* also for the short way, since a server may ask for it */
};

struct stream_datagrams {
	struct list link;                 /* [S] loop->datagrams */
	struct list expected;             /* [S] those that the short way may deliver to */
	struct stream_loop *loop;         /* [I] */
	struct stream_datagram_ops ops;   /* [I] */
	void *user;                       /* [I] */
	int family;                       /* [I] */
	struct udp_pcb *pcb;              /* [S] */
	struct datagram *inbox, **inbox_end; /* [S] */
	unsigned inbox_count;             /* [S] */
	struct datagram *waiting;         /* [o] */
	struct datagram *current;         /* [o] inside received() */
	struct packet *reserved;          /* [o] */
	uint16_t identification;          /* [o] of answers by the short way */
};

/* S: room for one more, or NULL: too many wait, or memory is short (counted). */
struct datagram *stream_datagram_new(struct stream_datagrams *d);
/* S: it waits for its server. */
void stream_datagram_arrived(struct stream_datagrams *d, struct datagram *g);

/* stream_datagrams_short.c */
void stream_datagrams_expect(struct stream_datagrams *d);      /* S: opened */
void stream_datagrams_unexpect(struct stream_datagrams *d);    /* S: closed */
/* o: the headers of an answer of `len` bytes; false: it has to go through lwIP. */
bool stream_short_answer(const struct datagram *g, struct packet *k, size_t len);
void stream_short_send(struct packet *k);                      /* S and o */

#endif
