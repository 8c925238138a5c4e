/*
 * Private: one Ethernet interface, a netdev below and an lwIP netif above. Stack lock throughout.
 */
#ifndef NET_INTERFACE_H
#define NET_INTERFACE_H

#include <core/list.h>
#include <core/types.h>
#include <libos/netdev.h>

#include "lwip/netif.h"
#include "packet.h"

#define NET_HEADERS_MAX 128

/* One frame on its way out, from net_transmit() to the device's done(). Stack lock. */
struct transmission {
	struct netbuf netbuf;
	union {
		struct list age;          /* under way, oldest first */
		struct transmission *next_free;
	};
	uint64_t serial;
	struct net_interface *in;
	/* our references; more than one when segments were merged */
	struct pbuf *chains[NETBUF_FRAGS];
	unsigned chain_count;
	uint8_t headers[NET_HEADERS_MAX]; /* of merged segments */
};

/* What the next segment must continue to be merged into the open transmission. */
struct net_merge {
	struct transmission *open;        /* NULL: none; else not yet handed to the device */
	uint32_t next_seq;
	uint16_t header_len;              /* Ethernet, IP and TCP */
	uint16_t segment_len;             /* payload of the first; of all but the last */
	uint16_t pieces;                  /* of payload */
	bool is_v6, is_full;              /* full: the last segment was as long as the first */
};

struct net_interface {
	struct list link;
	struct netif netif;
	struct netdev *dev;
	struct list waiting;      /* struct transmission: the device's ring was full */
	unsigned waiting_count;
	unsigned lent_frames;     /* receive buffers of the driver that lwIP or a socket holds */
	struct net_merge merge;
	bool needs_kick;
	uint16_t check_always;    /* NETIF_CHECKSUM_CHECK_* of frames the device has not verified */
};

err_t net_transmit(struct netif *netif, struct pbuf *p);        /* netif->linkoutput */
bool net_transmit_packet(struct net_interface *in, struct packet *k, unsigned csum_start,
			 /* with headers; csum_start 0: its checksum is there. False: dropped */
			 unsigned csum_at);
/*
 * A frame that needs neither memory nor a queue: to the device, or (false) not at all. The caller
 * counts it.
 */
bool net_transmit_netbuf(struct net_interface *in, struct netbuf *b);
void net_transmit_count(unsigned frames);
void net_transmit_submit(struct net_interface *in, struct transmission *t); /* device or queue */
void net_transmit_retry(struct net_interface *in);              /* the ring has room again */
/*
 * merge.c: true when the frame was added to the open transmission, which is referenced by it then.
 */
bool net_merge_append(struct net_interface *in, struct pbuf *p);
/* Keeps a new transmission open if others may follow; false: submit it now. */
bool net_merge_open(struct net_interface *in, struct transmission *t);
void net_merge_close(struct net_interface *in);                 /* submits the open one, if any */
/* one frame: past lwIP (predict.c), or */
void net_receive(struct net_interface *in, struct netbuf *b);
void net_receive_by_lwip(struct net_interface *in, struct netbuf *b); /* through it (receive.c) */
/* A frame of one piece as a pbuf of `len` bytes from `at` on; NULL: it must be copied. */
struct pbuf *net_receive_lend(struct net_interface *in, struct netbuf *b, unsigned at,
			      unsigned len);

#endif
