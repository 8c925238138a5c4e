/*
 * Private: packets, the blocks in which output is built. Stack lock unless a line says otherwise.
 *
 * A packet holds everything that one small frame needs, in one piece: lwIP's pbuf and TCP segment,
 * the driver's netbuf, room for the headers of Ethernet, IP and TCP or UDP, and the payload behind
 * it, so that a server's bytes are written once, into the place that the device reads. To lwIP it
 * is an ordinary pbuf with its bytes in lwIP's own memory.
 */
#ifndef NET_PACKET_H
#define NET_PACKET_H

#include <core/assert.h>
#include <core/types.h>
#include <libos/netdev.h>

#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"

/* Ethernet 14, IPv6 40, TCP 20, and 14 to spare for the device's own */
#define PACKET_HEADERS     88
#define PACKET_SMALL_BYTES 512
#define PACKET_ROOM        1460     /* payload of a large packet */

/* A piece of a stream's output: a packet, or bytes lent by the server. See stream_output.c. */
struct output_piece {
	struct output_piece *next;
	bool is_loan;
};

/* Of a netbuf, as much as one piece needs. */
#define PACKET_NETBUF offsetof(struct netbuf, frags[1])

struct packet {
	struct pbuf_custom custom;        /* first: lwIP hands it back by this address */
	/* of whoever holds it: a stream, a loop's stock, the pool */
	struct output_piece piece;
	uint16_t room;                    /* bytes of payload there is place for */
	struct tcp_seg segment;           /* see packet_owns_segment() */
	uint64_t netbuf[PACKET_NETBUF / 8]; /* see packet_netbuf() */
	uint8_t headers[PACKET_HEADERS];
	uint8_t payload[];
};

#define PACKET_SMALL_ROOM (PACKET_SMALL_BYTES - sizeof(struct packet))

enum packet_size { PACKET_SMALL, PACKET_LARGE, PACKET_SIZES };

/* One with pbuf.ref 1 and no payload, or NULL: memory is short. */
struct packet *packet_alloc(enum packet_size size);
/* Drops the holder's reference; the last one brings it back to the pool. */
void packet_put(struct packet *k);
/* What the free ones take of the network's memory. */
size_t packets_idle_bytes(void);

static inline struct packet *packet_of(struct output_piece *piece)
{
	return container_of(piece, struct packet, piece);
}

/*
 * For sending the packet as it is: made with it, done() drops a reference. In use while somebody
 * else holds one.
 */
static inline struct netbuf *packet_netbuf(struct packet *k)
{
	return (struct netbuf *)((uintptr_t)k + offsetof(struct packet, netbuf));
}

/* Bytes of payload so far; before headers are put in front of them. */
static inline uint16_t packet_len(const struct packet *k)
{
	return k->custom.pbuf.len;
}

static inline void packet_set_len(struct packet *k, size_t len)
{
	k->custom.pbuf.len = k->custom.pbuf.tot_len = (uint16_t)len;
}

/*
 * lwIP frees a segment apart from its pbuf. Those inside packets are told from others by their
 * address: heap objects are aligned to 16 bytes, these lie 8 bytes off.
 */
_Static_assert(offsetof(struct packet, segment) % 16 == 8, "told from heap objects by alignment");
_Static_assert(offsetof(struct packet, payload) % 8 == 0, "IP headers and payload are aligned");
static inline bool packet_owns_segment(const void *segment)
{
	return (uintptr_t)segment & 8;
}

#endif
