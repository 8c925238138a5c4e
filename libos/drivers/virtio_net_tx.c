/*
 * Sending through virtio-net.
 *
 * A short frame is copied into its slot, behind the header: one descriptor, and its netbuf is done
 * at once. A longer frame goes by reference: the header and the frame's pieces make one chain, and
 * the netbuf is done when the device has used it.
 *
 * A frame of one piece with room before it gets the header there and is one descriptor without a
 * copy.
 *
 * Completions are not waited for. They are reaped when half of the slots are taken, and in each
 * poll while memory of the stack is outstanding. The device is asked for an interrupt when the
 * stack goes idle with frames of its memory outstanding, or when it was told -EAGAIN. So a busy
 * stack takes no transmit interrupts, and yet no frame's memory stays lent for ever.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>

#include "virtio_net.h"

#define DROPS_LOGGED    4u
/* without segmentation a frame has few pieces; more go without a table */
#define TX_PIECES_PLAIN 8u

static unsigned slots_wanted(void)
{
	struct page_stats stats;

	page_stats(&stats);
	return stats.total_pages >= MIB(32) / PAGE_SIZE ? CONFIG_VIRTIO_NET_TX_SLOTS : 64;
}

int net_tx_create(struct virtio_net *n)
{
	struct net_tx *tx = &n->tx;

	_Static_assert(offsetof(struct net_tx_slot, copy) + NET_TX_COPY_MAX <= NET_TX_SLOT_BYTES,
		       "slot too small");
	tx->slot_count = slots_wanted();
	tx->slots = page_alloc_exact(tx->slot_count * NET_TX_SLOT_BYTES, PAGE_NET);
	return tx->slots ? 0 : -ENOMEM;
}

static void slot_put(struct net_tx *tx, struct net_tx_slot *s)
{
	s->next_free = tx->free;
	tx->free = s;
}

int net_tx_setup(struct virtio_net *n)
{
	struct net_tx *tx = &n->tx;
	bool tso = n->dev->features & (NET_F_HOST_TSO4 | NET_F_HOST_TSO6);

	tx->free = NULL;
	for (unsigned i = tx->slot_count; i-- > 0;)
		slot_put(tx, (struct net_tx_slot *)(tx->slots + i * NET_TX_SLOT_BYTES));
	tx->lent = 0;
	tx->stack_waits = false;
	tx->one_piece = virtio_has(n->dev, VIRTIO_F_VERSION_1 | VIRTIO_F_ANY_LAYOUT);
	tx->in_place = tx->one_piece && n->hdr_bytes == NET_HDR_BYTES;
	return virtq_setup(&tx->q, n->dev, 1, tx->slot_count,
			   tso ? NET_TX_PIECES : TX_PIECES_PLAIN);
}

void net_tx_destroy(struct virtio_net *n)
{
	virtq_release(&n->tx.q);
	page_free_exact(n->tx.slots, n->tx.slot_count * NET_TX_SLOT_BYTES);
}

static void slot_finish(struct net_tx *tx, struct net_tx_slot *s)
{
	struct netbuf *b = s->netbuf;

	slot_put(tx, s);
	if (b) {
		tx->lent -= !b->patient;
		netbuf_done(b);
	}
}

void net_tx_reap(struct virtio_net *n)
{
	struct net_tx_slot *s;

	while ((s = virtq_take_fast(&n->tx.q).cookie) != NULL)
		slot_finish(&n->tx, s);
}

void net_tx_reclaim(struct virtio_net *n)
{
	struct net_tx_slot *s;

	while ((s = virtq_reclaim(&n->tx.q)) != NULL)
		slot_finish(&n->tx, s);
}

/*
 * What the stack asked for, as the device reads it [5.1.6.2]. False: it cannot be asked of this
 * device.
 */
static bool fill_header(const struct virtio_net *n, const struct netbuf *b,
			struct virtio_net_hdr *h)
{
	__builtin_memset(__builtin_assume_aligned(h, 8), 0, sizeof(*h));
	if (b->needs_csum) {
		if (!(n->netdev.features & NETDEV_TX_CSUM) || b->csum_offset < b->csum_start)
			return false;
		h->flags = NET_HDR_F_NEEDS_CSUM;
		h->csum_start = b->csum_start;
		h->csum_offset = b->csum_offset - b->csum_start;
	}
	if (b->gso_size) {
		uint32_t tso = b->gso_ipv6 ? NETDEV_TSO6 : NETDEV_TSO4;

		if (!(n->netdev.features & tso) || !b->needs_csum)
			return false;
		h->gso_type = b->gso_ipv6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
		h->gso_size = b->gso_size;
		h->hdr_len = b->header_len;
	}
	return true;
}

static bool frame_is_sane(const struct virtio_net *n, const struct netbuf *b)
{
	size_t max = b->gso_size ? GSO_FRAME_MAX : n->netdev.mtu + ETH_HEADER_BYTES + 4u;

	return b->frag_count && b->frag_count <= NETBUF_FRAGS && b->len >= ETH_HEADER_BYTES &&
	       b->len <= max;
}

/* The header in a descriptor of its own, as the oldest devices want it [5.1.6.6]. */
static __attribute__((noinline)) int add_divided(struct virtio_net *n, struct net_tx_slot *s,
						 uint32_t len)
{
	paddr_t pa = arch_direct_unmap(&s->hdr);
	struct virtq_seg segs[2] = { { pa, n->hdr_bytes }, { pa + n->hdr_bytes, len } };

	return virtq_add(&n->tx.q, segs, 2, 0, s);
}

static int send_copied(struct virtio_net *n, struct netbuf *b, struct net_tx_slot *s)
{
	uint8_t *at = (uint8_t *)&s->hdr + n->hdr_bytes, *end = at + b->len;
	uint32_t len = (uint32_t)b->len;
	int error;

	for (unsigned i = 0; i < b->frag_count; i++) {
		assert(b->frags[i].len <= (size_t)(end - at));
		memcpy(at, b->frags[i].base, b->frags[i].len);
		at += b->frags[i].len;
	}
	s->netbuf = NULL;
	if (likely(n->tx.one_piece))
		error = virtq_add_one(&n->tx.q, arch_direct_unmap(&s->hdr), n->hdr_bytes + len, 0,
				      s);
	else
		error = add_divided(n, s, len);
	if (!error)
		netbuf_done(b);
	return error;
}

/* Apart, because of its large frame. */
static __attribute__((noinline)) int send_lent(struct virtio_net *n, struct netbuf *b,
					       struct net_tx_slot *s)
{
	struct virtq_seg segs[NET_TX_PIECES];
	int count = 1, error;

	segs[0] = (struct virtq_seg){ arch_direct_unmap(&s->hdr), n->hdr_bytes };
	for (unsigned i = 0; i < b->frag_count; i++) {
		count = virtq_pieces(b->frags[i].base, b->frags[i].len, segs, (unsigned)count,
				     NET_TX_PIECES);
		if (count < 0)
			return -EINVAL;
	}
	s->netbuf = b;
	error = virtq_add(&n->tx.q, segs, (unsigned)count, 0, s);
	if (!error)
		n->tx.lent += !b->patient;
	return error;
}

static inline bool has_room_for_header(const struct virtio_net *n, const struct netbuf *b)
{
	return b->headroom >= n->hdr_bytes && b->frag_count == 1 && n->tx.one_piece &&
	       virtq_is_direct(b->frags[0].base);
}

static int send_in_place(struct virtio_net *n, struct netbuf *b, struct net_tx_slot *s)
{
	uint8_t *at = (uint8_t *)b->frags[0].base - n->hdr_bytes;
	uint32_t len = n->hdr_bytes + (uint32_t)b->len;
	int error = virtq_add_one(&n->tx.q, arch_direct_unmap(at), len, 0, s);

	if (unlikely(error))
		return error;
	__builtin_memcpy(at, &s->hdr, NET_HDR_LEGACY_BYTES);
	if (likely(n->hdr_bytes == NET_HDR_BYTES))
		__builtin_memcpy(at + NET_HDR_LEGACY_BYTES, &s->hdr.num_buffers, 2);
	s->netbuf = b;
	n->tx.lent += !b->patient;
	return 0;
}

static int send(struct virtio_net *n, struct netbuf *b, struct net_tx_slot *s)
{
	size_t len = b->len; /* the netbuf is the stack's again once it is done */
	int error;

	if (has_room_for_header(n, b))
		error = send_in_place(n, b, s);
	else
		error = len <= NET_TX_COPY_MAX ? send_copied(n, b, s) : send_lent(n, b, s);
	if (likely(!error)) {
		n->tx.free = s->next_free;
		n->netdev.tx_packets++;
		n->netdev.tx_bytes += len;
	}
	return error;
}

int net_tx_transmit(struct virtio_net *n, struct netbuf *b)
{
	struct net_tx *tx = &n->tx;
	int error;

	if (unlikely(!frame_is_sane(n, b)))
		goto refuse;
	if (unlikely(!tx->free || tx->q.free_count <= tx->q.size / 2))
		net_tx_reap(n);
	if (unlikely(!tx->free))
		goto full;
	if (unlikely(!fill_header(n, b, &tx->free->hdr)))
		goto refuse;
	error = send(n, b, tx->free);
	if (likely(!error))
		return 0;
	if (error == -EAGAIN)
		goto full;
refuse:
	if (n->netdev.tx_dropped++ < DROPS_LOGGED)
		log_warn("%s: a frame of %zu bytes in %u pieces cannot be sent", n->netdev.name,
			 b->len, b->frag_count);
	return -EINVAL;
full:
	tx->stack_waits = true;
	return -EAGAIN;
}

/* Room behind the header of the next slot, for a device that takes both in one piece. */
void *net_tx_room(struct virtio_net *n, size_t len)
{
	struct net_tx *tx = &n->tx;

	if (unlikely(len - ETH_HEADER_BYTES > NET_TX_COPY_MAX - ETH_HEADER_BYTES ||
		     len > n->netdev.mtu + ETH_HEADER_BYTES + 4u || !tx->one_piece))
		return NULL;
	if (unlikely(!tx->free || tx->q.free_count <= tx->q.size / 2))
		net_tx_reap(n);
	if (unlikely(!tx->free || !tx->q.free_count))
		return NULL;
	tx->free->hdr = (struct virtio_net_hdr){ 0 }; /* first: a legacy header is shorter */
	return (uint8_t *)&tx->free->hdr + n->hdr_bytes;
}

void net_tx_written(struct virtio_net *n, size_t len, uint16_t csum_start, uint16_t csum_offset)
{
	struct net_tx_slot *s = n->tx.free;

	assert(!csum_offset || (n->netdev.features & NETDEV_TX_CSUM && csum_offset > csum_start));
	s->netbuf = NULL;
	if (csum_offset) {
		s->hdr.flags = NET_HDR_F_NEEDS_CSUM;
		s->hdr.csum_start = csum_start;
		s->hdr.csum_offset = csum_offset - csum_start;
	}
	virtq_add_one(&n->tx.q, arch_direct_unmap(&s->hdr), (uint32_t)(n->hdr_bytes + len), 0, s);
	n->tx.free = s->next_free;
	n->netdev.tx_packets++;
	n->netdev.tx_bytes += len;
}

bool net_tx_arm_closer(struct virtio_net *n)
{
	struct net_tx *tx = &n->tx;
	unsigned ahead = virtq_outstanding(&tx->q);

	if (!tx->lent && !tx->stack_waits) {
		virtq_interrupt_off(&tx->q);
		tx->interrupt_on = false;
		return true;
	}
	/* Waiting for room: when a quarter is left. Waiting for memory: when everything is sent. */
	if (tx->stack_waits)
		ahead = ahead * 3 / 4;
	tx->interrupt_on = true;
	return virtq_interrupt_after(&tx->q, MAX(ahead, 1u));
}
