/*
 * Receiving through virtio-net.
 *
 * A fixed number of buffers goes round: with the device (posted), lent to the stack, returned by
 * it, spare. A frame is lent to the stack where it lies. The stack may keep it for long, so when
 * fewer than posted_min buffers are left with the device, short frames are copied into memory of
 * their own size and long ones dropped: a stack that keeps everything can slow the device down but
 * not starve it.
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

static void buffer_init(struct virtio_net *n, struct net_rx_buffer *b)
{
	b->net = n;
	b->next_merged = NULL;
	b->netbuf = (struct netbuf){ .done = frame_done };
	list_init(&b->netbuf.link);
	spare_push(&n->rx, b);
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
	rx->buffer_count = (unsigned)CLAMP(share / rx->buffer_bytes, BUFFERS_MIN,
					   CONFIG_VIRTIO_NET_RX_BUFFERS);
	rx->pool = page_alloc_exact(rx->buffer_count * rx->buffer_bytes, PAGE_NET);
	if (!rx->pool)
		return -ENOMEM;
	for (unsigned i = 0; i < rx->buffer_count; i++)
		buffer_init(n, buffer_at(rx, i));
	return 0;
}

int net_rx_setup(struct virtio_net *n)
{
	struct net_rx *rx = &n->rx;

	rx->pad = (IP_ALIGN - (n->hdr_bytes + ETH_HEADER_BYTES) % IP_ALIGN) % IP_ALIGN;
	rx->room = (unsigned)(rx->buffer_bytes - sizeof(struct net_rx_buffer)) - rx->pad;
	assert(rx->room >= n->hdr_bytes + ETH_HEADER_BYTES + 4 + 1500);
	rx->interrupt_on = false;
	return virtq_setup(&rx->q, n->dev, 0, CONFIG_VIRTIO_NET_RX_BUFFERS, 0);
}

void net_rx_destroy(struct virtio_net *n)
{
	virtq_release(&n->rx.q);
	if (n->rx.pool)
		page_free_exact(n->rx.pool, n->rx.buffer_count * n->rx.buffer_bytes);
}

static bool post(struct net_rx *rx, struct net_rx_buffer *b)
{
	paddr_t pa = arch_direct_unmap(b->data + rx->pad);

	return virtq_add_one(&rx->q, pa, rx->room, VIRTQ_DESC_F_WRITE, b) == 0;
}

/* Gives the device what the stack has given back; one notification at most, and seldom that. */
static void refill(struct net_rx *rx)
{
	struct net_rx_buffer *b = NULL, *next;

	if (__atomic_load_n(&rx->returned, __ATOMIC_RELAXED))
		b = __atomic_exchange_n(&rx->returned, NULL, __ATOMIC_ACQUIRE);
	for (; b; b = next) {
		next = b->next_free;
		if (unlikely(!post(rx, b)))
			spare_push(rx, b);
	}
	while (unlikely((b = rx->spare) != NULL)) {
		next = b->next_free;
		if (!post(rx, b))
			break;
		rx->spare = next;
	}
	virtq_kick(&rx->q);
}

void net_rx_start(struct virtio_net *n)
{
	struct net_rx *rx = &n->rx;

	refill(rx);
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
		uint32_t len;
		struct net_rx_buffer *b = virtq_take(&n->rx.q, &len);

		if (!b) {
			virtio_break(n->dev, "a merged frame without its last buffers");
			return false;
		}
		b->next_merged = NULL;
		last->next_merged = b;
		last = b;
		frame->frags[i].base = b->data + n->rx.pad;
		frame->frags[i].len = len;
		frame->len += len;
	}
	frame->frag_count = (uint16_t)num_buffers;
	return true;
}

/* What the device found out about the frame; believed only as far as it was asked. */
static void take_offloads(const struct virtio_net *n, const struct virtio_net_hdr *h,
			  struct netbuf *frame)
{
	bool vouched = h->flags & (NET_HDR_F_NEEDS_CSUM | NET_HDR_F_DATA_VALID);
	uint8_t gso_type = *(const volatile uint8_t *)&h->gso_type;

	frame->csum_good = vouched && (n->netdev.features & NETDEV_RX_CSUM);
	frame->gso_size = n->netdev.features & NETDEV_LRO && gso_type ? h->gso_size : 0;
	frame->gso_ipv6 = gso_type == NET_GSO_TCPV6;
}

/* Makes a frame of the used buffer. False: the device lied, and the buffers are spare again. */
static bool assemble(struct virtio_net *n, struct net_rx_buffer *b, uint32_t len)
{
	struct netbuf *frame = &b->netbuf;
	const struct virtio_net_hdr *h = (const void *)(b->data + n->rx.pad);
	uint32_t hdr_bytes = n->hdr_bytes;
	unsigned num_buffers;

	b->next_merged = NULL;
	if (unlikely(len < hdr_bytes) && !planted(NET_SHORT_HEADER)) {
		virtio_break(n->dev, "a frame shorter than its header");
		goto lie;
	}
	frame->frags[0].base = (const uint8_t *)h + hdr_bytes;
	frame->frags[0].len = frame->len = (uint32_t)(len - hdr_bytes);
	frame->frag_count = 1;
	frame->csum_good = false;
	frame->gso_size = 0;
	if (n->netdev.features & (NETDEV_RX_CSUM | NETDEV_LRO))
		take_offloads(n, h, frame);
	if (!virtio_has(n->dev, NET_F_MRG_RXBUF))
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
				     .csum_good = frame->csum_good };
	list_init(&c->netbuf.link);
	c->netbuf.frags[0].base = c->data;
	c->netbuf.frags[0].len = frame->len;
	memcpy(c->data, frame->frags[0].base, frame->len);
	return &c->netbuf;
}

static void deliver(struct virtio_net *n, struct net_rx_buffer *b)
{
	struct net_rx *rx = &n->rx;
	struct netbuf *frame = &b->netbuf;

	if (unlikely(virtq_outstanding(&rx->q) < rx->posted_min))
		refill(rx);
	if (unlikely(virtq_outstanding(&rx->q) < rx->posted_min)) {
		frame = frame_copy(n, frame);
		discard(rx, b);
	}
	if (unlikely(!frame)) {
		n->netdev.rx_dropped++;
		return;
	}
	n->netdev.rx_packets++;
	n->netdev.rx_bytes += frame->len;
	n->netdev.upper->input(&n->netdev, frame);
}

unsigned net_rx_poll(struct virtio_net *n, unsigned budget)
{
	struct net_rx *rx = &n->rx;
	unsigned frames = 0;

	while (frames < budget) {
		struct virtq_done done = virtq_take_fast(&rx->q);
		struct net_rx_buffer *b = done.cookie;

		if (!b || !assemble(n, b, done.written))
			break;
		frames++;
		if (likely(b->netbuf.len >= ETH_HEADER_BYTES && b->netbuf.len <= UINT16_MAX)) {
			deliver(n, b);
		} else {
			n->netdev.rx_dropped++;
			discard(rx, b);
		}
	}
	if (frames) {
		n->netdev.upper->input_done(&n->netdev);
		if (virtq_outstanding(&rx->q) < rx->posted_good)
			refill(rx);
	}
	return frames;
}

bool net_rx_arm(struct virtio_net *n)
{
	if (unlikely(virtq_outstanding(&n->rx.q) < n->rx.posted_good))
		refill(&n->rx);
	n->rx.interrupt_on = true;
	return virtq_interrupt_after(&n->rx.q, 1);
}
