/*
 * The parts of the virtio network driver: virtio_net.c (the device), virtio_net_rx.c,
 * virtio_net_tx.c.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include <core/types.h>
#include <libos/netdev.h>

#include "virtqueue.h"

/* Feature bits [5.1.3]. */
#define NET_F_CSUM       (1ULL << 0)
#define NET_F_GUEST_CSUM (1ULL << 1)
#define NET_F_MTU        (1ULL << 3)
#define NET_F_MAC        (1ULL << 5)
#define NET_F_GUEST_TSO4 (1ULL << 7)
#define NET_F_GUEST_TSO6 (1ULL << 8)
#define NET_F_HOST_TSO4  (1ULL << 11)
#define NET_F_HOST_TSO6  (1ULL << 12)
#define NET_F_MRG_RXBUF  (1ULL << 15)
#define NET_F_STATUS     (1ULL << 16)

/* The header before every frame [5.1.6]. */
#define NET_HDR_F_NEEDS_CSUM 1u
#define NET_HDR_F_DATA_VALID 2u
enum { NET_GSO_NONE = 0, NET_GSO_TCPV4 = 1, NET_GSO_TCPV6 = 4 };

struct virtio_net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers;    /* legacy without mergeable buffers: not there [5.1.6.1] */
};

/*
 * The header of a frame that at most wants a checksum, as the words in which it lies; put together
 * in registers, where the structure would go through memory. Little endian.
 */
static inline void virtio_net_put_header(uint8_t *at, bool needs_csum, unsigned csum_start,
					 unsigned csum_offset)
{
	uint64_t low = (needs_csum ? NET_HDR_F_NEEDS_CSUM : 0) |
		       (uint64_t)csum_start << 8 * offsetof(struct virtio_net_hdr, csum_start);
	uint32_t high = (uint16_t)csum_offset;

	_Static_assert(offsetof(struct virtio_net_hdr, csum_offset) == sizeof(low),
		       "the words' limits");
	__builtin_memcpy(at, &low, sizeof(low));
	__builtin_memcpy(at + sizeof(low), &high, sizeof(high));
}

#define NET_HDR_BYTES        12u
#define NET_HDR_LEGACY_BYTES 10u
#define ETH_HEADER_BYTES     14u
#define GSO_FRAME_MAX        (65535u + ETH_HEADER_BYTES)

/*
 * A receive buffer: bookkeeping first, then what the device fills. Equal pieces of one block of
 * pages; the device is given only `data`.
 */
struct net_rx_buffer {
	struct netbuf netbuf; /* valid while lent to the stack as a frame's first buffer */
	struct virtio_net *net;            /* [I] */
	struct net_rx_buffer *next_free;   /* on the list of returned buffers */
	struct net_rx_buffer *next_merged; /* the frame goes on in this one */
	uint16_t id;                       /* [I] its descriptor */
	uint8_t data[] __attribute__((aligned(8)));
};

struct net_rx {
	struct virtqueue q;
	uint8_t *pool;                     /* [I] buffer_count buffers of buffer_bytes */
	size_t buffer_bytes;
	unsigned buffer_count, pad; /* pad: before the header, so that the IP header is aligned */
	unsigned room;                     /* what the device may write into one buffer */
	/* negotiated: merged buffers, good checksums, large receive */
	bool merges, vouches, segments;
	unsigned posted_min;               /* below this, frames are copied rather than lent */
	unsigned posted_good; /* from here on, buffers that came back may wait for more */
	uint32_t copies;                   /* [atomic] copies not yet given back */
	struct net_rx_buffer *returned; /* [atomic] a stack: pushed by anybody, emptied by poll() */
	struct net_rx_buffer *spare;       /* not with the device, not lent */
	bool interrupt_on;
};

/*
 * Frames up to this length are copied beside their header and need one descriptor and no waiting.
 */
#define NET_TX_COPY_MAX   NETDEV_SHORT_MAX

struct net_tx_slot {
	struct netbuf *netbuf;             /* NULL: the frame was copied into `copy` */
	struct net_tx_slot *next_free;
	struct virtio_net_hdr hdr __attribute__((aligned(8)));
	uint8_t copy[];
};

#define NET_TX_SLOT_BYTES 256u
/* fragments, page crossings of 64 KiB, the header */
#define NET_TX_PIECES     (NETBUF_FRAGS + 17u + 1u)

struct net_tx {
	struct virtqueue q;
	bool interrupt_on;
	uint8_t *slots;                    /* [I] slot_count slots of NET_TX_SLOT_BYTES */
	unsigned slot_count;
	struct net_tx_slot *free;
	unsigned lent;                     /* outstanding frames whose pieces belong to the stack */
	bool stack_waits;                  /* transmit() said -EAGAIN */
	bool one_piece;                    /* negotiated: header and frame may share a descriptor */
	bool in_place;                     /* the same, and the header is NET_HDR_BYTES long */
};

struct virtio_net {
	struct netdev netdev;
	struct virtio_device *dev;
	unsigned hdr_bytes;
	bool started;
	bool config_changed;               /* [atomic] set by the interrupt handler */
	bool dead;                         /* it did not come back from a reset */
	struct net_rx rx;
	struct net_tx tx;
};

/* Memory for `want` buffers or fewer, as the machine's size allows. 0 or -ENOMEM. Once. */
int net_rx_create(struct virtio_net *n);
int net_rx_setup(struct virtio_net *n);     /* after each negotiation */
void net_rx_start(struct virtio_net *n);    /* after DRIVER_OK: posts every buffer */
unsigned net_rx_poll(struct virtio_net *n, unsigned budget);
void net_rx_reclaim(struct virtio_net *n);  /* after a reset */
void net_rx_destroy(struct virtio_net *n);

/* The device could have more buffers. */
static inline bool net_rx_is_low(const struct net_rx *rx)
{
	return unlikely(virtq_outstanding(&rx->q) < rx->posted_good);
}

int net_tx_create(struct virtio_net *n);
int net_tx_setup(struct virtio_net *n);
int net_tx_transmit(struct virtio_net *n, struct netbuf *b);
void net_tx_reap(struct virtio_net *n);
void *net_tx_room(struct virtio_net *n, size_t len);
void net_tx_written(struct virtio_net *n, size_t len, uint16_t csum_start, uint16_t csum_offset);
/*
 * What net_tx_transmit() does for a frame that needs nothing else: one piece of the direct map that
 * nobody waits for, with room for the header before it, while slots abound. False: not such a
 * frame, or not now.
 */
static inline bool net_tx_in_place(struct virtio_net *n, struct netbuf *b)
{
	struct net_tx *tx = &n->tx;
	struct net_tx_slot *s = tx->free;
	unsigned csum_start = 0, csum_offset = 0;
	uint8_t *at = (uint8_t *)b->frags[0].base - NET_HDR_BYTES;

	if (unlikely(!b->patient || b->frag_count != 1 || b->gso_size ||
		     b->headroom < NET_HDR_BYTES || !tx->in_place || !s ||
		     tx->q.free_count <= tx->q.size / 2 ||
		     b->len - ETH_HEADER_BYTES > n->netdev.mtu + 4u || !virtq_is_direct(at)))
		return false;
	if (likely(b->needs_csum)) {
		if (unlikely(!(n->netdev.features & NETDEV_TX_CSUM) ||
			     b->csum_offset < b->csum_start))
			return false;
		csum_start = b->csum_start;
		csum_offset = b->csum_offset - csum_start;
	}
	virtio_net_put_header(at, b->needs_csum, csum_start, csum_offset);
	s->netbuf = b;
	tx->free = s->next_free;
	virtq_add_one(&tx->q, arch_direct_unmap(at), NET_HDR_BYTES + (uint32_t)b->len, 0, s);
	n->netdev.tx_packets++;
	n->netdev.tx_bytes += b->len;
	return true;
}

bool net_tx_arm_closer(struct virtio_net *n);
/* Asks for an interrupt if anybody waits. False: reap first. */
static inline bool net_tx_arm(struct virtio_net *n)
{
	if (likely(!n->tx.lent && !n->tx.stack_waits && !n->tx.interrupt_on))
		return true;
	return net_tx_arm_closer(n);
}
void net_tx_reclaim(struct virtio_net *n);
void net_tx_destroy(struct virtio_net *n);

#endif
