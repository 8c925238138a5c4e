/*
 * Receiving through virtio-net.
 *
 * A fixed number of buffers goes round: with the device (posted), lent to the stack, returned by
 * it, spare. A frame is lent to the stack where it lies. The stack may keep it for long, so when
 * fewer than posted_min buffers are left with the device, short frames are copied into memory of
 * their own size and long ones dropped: a stack that keeps everything can slow the device down but
 * not starve it.
 *
 * Each buffer has a descriptor of its own for good, so posting one writes its number into the ring
 * and nothing else.
 *
 * Every number in a header and in a used entry is the device's word, read once and checked.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>

#include "virtio_net.h"

#define BUFFER_BYTES_PLAIN  2048u
#define BUFFER_BYTES_MERGED PAGE_SIZE /* 64 KiB frames then fit into NETBUF_FRAGS pieces */
#define BUFFERS_MIN         32u
#define RX_MEMORY_SHARE     64u       /* at most this fraction of all memory */
#define IP_ALIGN            4u

/* A frame copied out of its buffer because buffers are short. */
struct net_rx_copy {
	struct netbuf netbuf;
	struct virtio_net *net;
	uint8_t data[];
};

static struct net_rx_buffer *buffer_at(struct net_rx *rx, unsigned i)
{
	return (struct net_rx_buffer *)(rx->pool + i * rx->buffer_bytes);
}

static void spare_push(struct net_rx *rx, struct net_rx_buffer *b)
{
	b->next_free = rx->spare;
	rx->spare = b;
}

/* Any thread: the stack is done with a frame. */
static void frame_done(struct netbuf *frame)
{
	struct net_rx_buffer *b = container_of(frame, struct net_rx_buffer, netbuf);
	struct net_rx *rx = &b->net->rx;

	while (b) {
		struct net_rx_buffer *rest = b->next_merged;
		struct net_rx_buffer *top = __atomic_load_n(&rx->returned, __ATOMIC_RELAXED);

		do {
			b->next_free = top;
		} while (!__atomic_compare_exchange_n(&rx->returned, &top, b, true,
						      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
		b = rest;
	}
}

static void copy_done(struct netbuf *frame)
{
	struct net_rx_copy *c = container_of(frame, struct net_rx_copy, netbuf);

	__atomic_fetch_sub(&c->net->rx.copies, 1, __ATOMIC_RELAXED);
	kfree(c);
}

static void buffer_init(struct virtio_net *n, struct net_rx_buffer *b, uint16_t id)
{
	b->net = n;
	b->id = id;
	b->next_merged = NULL;
	b->netbuf = (struct netbuf){ .done = frame_done };
	list_init(&b->netbuf.link);
	spare_push(&n->rx, b);
}

/* Not more than the device's queue has descriptors; 0 for a queue of nonsense. */
static unsigned buffers_for(struct virtio_net *n, size_t share)
{
	unsigned count = (unsigned)CLAMP(share, BUFFERS_MIN, (size_t)CONFIG_VIRTIO_NET_RX_BUFFERS);
	unsigned offered = n->dev->transport->queue_size_max(n->dev, 0);

	if (offered > VIRTQ_SIZE_MAX)
		return 0;
	return MIN(count, virtq_size_for(MIN(offered, (unsigned)CONFIG_VIRTIO_NET_RX_BUFFERS)));
}

int net_rx_create(struct virtio_net *n)
{
	struct net_rx *rx = &n->rx;
	struct page_stats stats;
	size_t share;

	page_stats(&stats);
	share = stats.total_pages * PAGE_SIZE / RX_MEMORY_SHARE;
	rx->buffer_bytes =
		n->netdev.features & NETDEV_LRO ? BUFFER_BYTES_MERGED : BUFFER_BYTES_PLAIN;
	rx->buffer_count = buffers_for(n, share / rx->buffer_bytes);
	if (!rx->buffer_count)
		return -EPROTO;
	rx->pool = page_alloc_exact(rx->buffer_count * rx->buffer_bytes, PAGE_NET);
	if (!rx->pool)
		return -ENOMEM;
	for (unsigned i = 0; i < rx->buffer_count; i++)
		buffer_init(n, buffer_at(rx, i), (uint16_t)i);
	return 0;
}

/* Where the frame begins in a buffer depends on the header agreed upon. */
static void prepare(struct virtio_net *n, struct net_rx_buffer *b)
{
	uint8_t *at = b->data + n->rx.pad;

	b->netbuf.frags[0].base = at + n->hdr_bytes;
	b->netbuf.room = (uint16_t)(n->rx.room - n->hdr_bytes);
	virtq_prepare(&n->rx.q, b->id, arch_direct_unmap(at), n->rx.room, VIRTQ_DESC_F_WRITE, b);
}

int net_rx_setup(struct virtio_net *n)
{
	struct net_rx *rx = &n->rx;
	int error;

	rx->pad = (IP_ALIGN - (n->hdr_bytes + ETH_HEADER_BYTES) % IP_ALIGN) % IP_ALIGN;
	rx->room = (unsigned)(rx->buffer_bytes - sizeof(struct net_rx_buffer)) - rx->pad;
	assert(rx->room >= n->hdr_bytes + ETH_HEADER_BYTES + 4 + 1500);
	rx->interrupt_on = false;
	rx->merges = virtio_has(n->dev, NET_F_MRG_RXBUF);
	rx->vouches = n->netdev.features & NETDEV_RX_CSUM;
	rx->segments = n->netdev.features & NETDEV_LRO;
	error = virtq_setup(&rx->q, n->dev, 0, CONFIG_VIRTIO_NET_RX_BUFFERS, 0);
	if (error)
		return error;
	for (unsigned i = 0; i < rx->buffer_count; i++)
		prepare(n, buffer_at(rx, i));
	return 0;
}

void net_rx_destroy(struct virtio_net *n)
{
	virtq_release(&n->rx.q);
	if (n->rx.pool)
		page_free_exact(n->rx.pool, n->rx.buffer_count * n->rx.buffer_bytes);
}

static void post_all(struct net_rx *rx, const struct net_rx_buffer *b)
{
	for (; b; b = b->next_free)
		virtq_offer(&rx->q, b->id);
}

/*
 * One notification at most, and seldom that. Buffers may be with the device as frames that are sent
 * (netdev.h), of which nobody else asks whether they are done.
 */
static void refill(struct virtio_net *n)
{
	struct net_rx *rx = &n->rx;

	if (virtq_has_used(&n->tx.q))
		net_tx_reap(n);
	if (__atomic_load_n(&rx->returned, __ATOMIC_RELAXED))
		post_all(rx, __atomic_exchange_n(&rx->returned, NULL, __ATOMIC_ACQUIRE));
	post_all(rx, rx->spare);
	rx->spare = NULL;
	virtq_kick_early(&rx->q);
}

void net_rx_start(struct virtio_net *n)
{
	struct net_rx *rx = &n->rx;

	refill(n);
	rx->posted_min = virtq_outstanding(&rx->q) / 4;
	rx->posted_good = virtq_outstanding(&rx->q) - virtq_outstanding(&rx->q) / 8;
}

void net_rx_reclaim(struct virtio_net *n)
{
	struct net_rx_buffer *b;

	while ((b = virtq_reclaim(&n->rx.q)) != NULL)
		spare_push(&n->rx, b);
}

/* Buffers of a frame, from `first` on, are not wanted by anybody. */
static void discard(struct net_rx *rx, struct net_rx_buffer *first)
{
	while (first) {
		struct net_rx_buffer *rest = first->next_merged;

		spare_push(rx, first);
		first = rest;
	}
}

/*
 * The further buffers of a merged frame [5.1.6.4]. They must all be there: the device publishes
 * them together. False: they are not, and the device is broken.
 */
static __attribute__((noinline)) bool gather(struct virtio_net *n, struct net_rx_buffer *first,
					     unsigned num_buffers)
{
	struct netbuf *frame = &first->netbuf;
	struct net_rx_buffer *last = first;

	if (num_buffers == 0 || (num_buffers > NETBUF_FRAGS && !planted(NET_NUM_BUFFERS))) {
		virtio_break(n->dev, "a frame of no buffers, or of too many");
		return false;
	}
	for (unsigned i = 1; i < num_buffers; i++) {
		struct virtq_done done = virtq_take_prepared(&n->rx.q);
		struct net_rx_buffer *b = done.cookie;

		if (!b) {
			virtio_break(n->dev, "a merged frame without its last buffers");
			return false;
		}
		b->next_merged = NULL;
		last->next_merged = b;
		last = b;
		frame->frags[i].base = b->data + n->rx.pad; /* no header here */
		frame->frags[i].len = done.written;
		frame->len += done.written;
	}
	frame->frag_count = (uint16_t)num_buffers;
	return true;
}

/* What the device found out about the frame; believed only as far as it was asked. */
static inline void take_offloads(const struct net_rx *rx, const struct virtio_net_hdr *h,
				 struct netbuf *frame)
{
	bool vouched = h->flags & (NET_HDR_F_NEEDS_CSUM | NET_HDR_F_DATA_VALID);
	uint8_t gso_type = *(const volatile uint8_t *)&h->gso_type;

	frame->csum_good = vouched && rx->vouches;
	frame->gso_size = 0;
	if (unlikely(gso_type) && rx->segments) {
		frame->gso_size = h->gso_size;
		frame->gso_ipv6 = gso_type == NET_GSO_TCPV6;
	}
}

/* Makes a frame of the used buffer. False: the device lied, and the buffers are spare again. */
static bool assemble(struct virtio_net *n, struct net_rx_buffer *b, uint32_t len)
{
	struct netbuf *frame = &b->netbuf;
	uint32_t hdr_bytes = n->hdr_bytes;
	const struct virtio_net_hdr *h;
	unsigned num_buffers;

	b->next_merged = NULL;
	if (unlikely(len < hdr_bytes) && !planted(NET_SHORT_HEADER)) {
		virtio_break(n->dev, "a frame shorter than its header");
		goto lie;
	}
	h = (const void *)((const uint8_t *)frame->frags[0].base - hdr_bytes);
	frame->frags[0].len = frame->len = (uint32_t)(len - hdr_bytes);
	frame->frag_count = 1;
	take_offloads(&n->rx, h, frame);
	if (!n->rx.merges)
		return true;
	num_buffers = *(const volatile uint16_t *)&h->num_buffers;
	if (likely(num_buffers == 1) || gather(n, b, num_buffers))
		return true;
lie:
	discard(&n->rx, b);
	return false;
}

/* A copy of a frame of one buffer; NULL when there are too many already, or no memory. */
static __attribute__((noinline)) struct netbuf *frame_copy(struct virtio_net *n,
							   const struct netbuf *frame)
{
	struct net_rx_copy *c = NULL;

	if (frame->frag_count == 1 &&
	    __atomic_load_n(&n->rx.copies, __ATOMIC_RELAXED) < n->rx.buffer_count)
		c = kmalloc(sizeof(*c) + frame->len);
	if (!c)
		return NULL;
	__atomic_fetch_add(&n->rx.copies, 1, __ATOMIC_RELAXED);
	c->net = n;
	c->netbuf = (struct netbuf){ .done = copy_done, .frag_count = 1, .len = frame->len,
				     .room = (uint16_t)frame->len, .csum_good = frame->csum_good };
	list_init(&c->netbuf.link);
	c->netbuf.frags[0].base = c->data;
	c->netbuf.frags[0].len = frame->len;
	memcpy(c->data, frame->frags[0].base, frame->len);
	return &c->netbuf;
}

/*
 * Buffers are short: the frame itself if the stack has given back enough, a copy, or NULL when
 * dropped.
 */
static __attribute__((noinline)) struct netbuf *rather_copy(struct virtio_net *n,
							    struct net_rx_buffer *b)
{
	struct netbuf *copy;

	refill(n);
	if (virtq_outstanding(&n->rx.q) >= n->rx.posted_min)
		return &b->netbuf;
	copy = frame_copy(n, &b->netbuf);
	discard(&n->rx, b);
	n->netdev.rx_dropped += !copy;
	return copy;
}

static inline void deliver(struct virtio_net *n, struct net_rx_buffer *b)
{
	struct net_rx *rx = &n->rx;
	struct netbuf *frame = &b->netbuf;

	if (unlikely(virtq_outstanding(&rx->q) < rx->posted_min))
		frame = rather_copy(n, b);
	if (unlikely(!frame))
		return;
	n->netdev.rx_packets++;
	n->netdev.rx_bytes += frame->len;
	n->netdev.upper->input(&n->netdev, frame);
}

/* What has arrived when it is called: frames that come meanwhile are the next call's. */
unsigned net_rx_poll(struct virtio_net *n, unsigned budget)
{
	struct net_rx *rx = &n->rx;
	unsigned frames = 0;

	if (virtq_has_used(&rx->q))
		virtq_look(&rx->q);
	while (frames < budget && rx->q.used_next != rx->q.used_seen) {
		struct virtq_done done = virtq_take_prepared(&rx->q);
		struct net_rx_buffer *b = done.cookie;

		if (unlikely(!b || !assemble(n, b, done.written)))
			break;
		frames++;
		if (likely(b->netbuf.len - ETH_HEADER_BYTES <= UINT16_MAX - ETH_HEADER_BYTES)) {
			deliver(n, b);
		} else {
			n->netdev.rx_dropped++;
			discard(rx, b);
		}
	}
	if (net_rx_is_low(rx))
		refill(n);
	return frames;
}
