/*
 * Private to the datagrams of the lwIP back end: stream_datagrams.c and stream_datagrams_short.c.
 */
#ifndef NET_STREAM_DATAGRAMS_H
#define NET_STREAM_DATAGRAMS_H

#include "interface.h"
#include "lwip/udp.h"
#include "stream_lwip.h"

/* One received datagram: a struct short_datagram or a struct long_datagram. */
struct datagram {
	struct datagram *next;
	struct stream_datagrams *by;
	const uint8_t *data;
	uint16_t len;
	bool is_short;
};

/*
 * One that came past lwIP, described in its frame's own netbuf (stack_room). Its first answer is
 * written into the frame, behind it.
 */
struct short_datagram {
	struct datagram head;
	struct net_interface *in;
	const void *frame;                /* where it begins, */
	/* and the driver's done(), while the answer is sent in its place */
	void (*done)(struct netbuf *b);
	uint32_t address_sum;             /* of both, for the answer's checksums */
	uint16_t answer_len;              /* with headers; 0: none */
};

/* Where an answer goes: to the sender, from the address that the datagram was sent to. */
struct route {
	struct stream_datagrams *by;
	ip_addr_t remote, local;
	uint16_t remote_port;
};

struct long_datagram {
	struct datagram head;
	struct pbuf *bytes;
	struct route route;
};

struct stream_datagrams {
	struct list link;                 /* [S] loop->datagrams */
	struct list expected;             /* [S] those that the short way may deliver to */
	struct stream_loop *loop;         /* [I] */
	struct stream_datagram_ops ops;   /* [I] */
	void *user;                       /* [I] */
	int family;                       /* [I] */
	int id;                           /* [I] */
	struct udp_pcb *pcb;              /* [S] */
	struct datagram *inbox, **inbox_end; /* [S] */
	unsigned inbox_count;             /* [S] */
	struct datagram *waiting;         /* [o] */
	struct datagram *current;         /* [o] inside received() */
	struct packet *reserved;          /* [o] NULL: none, or room in the frame of `current` */
	uint16_t identification;          /* [o] of answers by the short way */
};

/* S: may one more wait? Counts one that may not. */
bool stream_datagram_is_welcome(const struct stream_datagrams *d);
/* S: it waits for its server. */
void stream_datagram_arrived(struct stream_datagrams *d, struct datagram *g);

/* stream_datagrams_short.c */
void stream_datagrams_expect(struct stream_datagrams *d);      /* S: opened */
void stream_datagrams_unexpect(struct stream_datagrams *d);    /* S: closed */
/* Who sent it, and to which address. */
void stream_short_route(const struct datagram *g, struct route *route);
/* o: room for an answer in the datagram's own frame; NULL: none, or there is one already. */
void *stream_short_reserve(const struct datagram *g, size_t len);
void stream_short_commit(struct datagram *g, size_t len);      /* o */
/* o: the headers of an answer of `len` bytes; false: it has to go through lwIP. */
bool stream_short_answer(const struct datagram *g, struct packet *k, size_t len);
void stream_short_send(struct packet *k);                      /* S and o */
enum short_end { SHORT_UNANSWERED, SHORT_ANSWERED, SHORT_DROPPED };

/*
 * S and o: sends the answer in its frame, if any (its length is noted then), and gives the frame
 * back.
 */
enum short_end stream_short_end(struct datagram *g, size_t *answer_len);
/* S: so many came by the short way, and so many were answered by it, in their frames. */
void stream_short_count(unsigned taken, unsigned answered);
void stream_short_drop(struct datagram *g);                    /* S and o: gives the frame back */

#endif
