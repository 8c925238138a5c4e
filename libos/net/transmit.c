/*
 * Sending frames, and knowing when nobody names their bytes any more.
 *
 * lwIP hands down a chain of pbufs; its pieces become the fragments of a netbuf, the chain is
 * referenced until the device has let go, and the device is kicked once at the end of the batch.
 * A full ring queues the frame here, up to a bound.
 *
 * Bytes that an application lent to TCP may be reused when they are acknowledged *and* no
 * transmission that names them is under way. Transmissions therefore carry serial numbers and stand
 * in a list in the order they were made; net_transmit_mark() taken at the acknowledgement (when no
 * segment names the bytes any more) has passed as soon as every older transmission is done. Usually
 * none is, since devices are reaped before the acknowledgement is even read. Packets that leave
 * alone, and answers in the frames of their questions, hold nothing lent: they are no
 * transmissions, and their netbufs are their own.
 *
 * All under the stack lock.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>

#include "interface.h"
#include "loans.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "stack.h"
#include "template.h"

COUNTER(net_tx_frames, "frames handed to devices");
COUNTER(net_tx_linearized, "frames copied because they had too many pieces");
COUNTER(net_tx_waited, "frames that found the device's ring full");
COUNTER(net_drop_tx_memory, "frames dropped: no memory to describe or copy them");
COUNTER(net_drop_tx_queue, "frames dropped: the queue before the full ring is full");
COUNTER(net_drop_tx_device, "frames dropped: the device cannot send them");

#define WAITING_MAX 1024
#define FREE_MAX    128
#define MERGE_WORTH 566u    /* shorter frames are not worth waiting for a second */

static struct list under_way = LIST_INIT(under_way);
static uint64_t last_serial;
static struct kmem_cache *transmissions;

uint64_t net_transmit_mark(void)
{
	return last_serial;
}

bool net_transmit_has_passed(uint64_t mark)
{
	return list_is_empty(&under_way) ||
	       list_first(&under_way, struct transmission, age)->serial > mark;
}

/*
 * Those that are free, for the next frames: as many as a driver has under way before it asks which
 * are done.
 */
static struct transmission *free_transmissions;
static unsigned free_count;

static struct transmission *transmission_alloc(void)
{
	struct transmission *t = free_transmissions;

	if (likely(t)) {
		free_transmissions = t->next_free;
		free_count--;
		return t;
	}
	if (!transmissions)
		transmissions = kmem_cache_create("net-transmission", sizeof(*t), CACHE_LINE);
	return transmissions ? kmem_cache_alloc(transmissions) : NULL;
}

static void transmission_free(struct transmission *t)
{
	if (unlikely(free_count >= FREE_MAX)) {
		kmem_cache_free(transmissions, t);
		return;
	}
	t->next_free = free_transmissions;
	free_transmissions = t;
	free_count++;
}

static inline void drop_reference(struct pbuf *p)
{
	if (p->ref > 1)
		p->ref--;
	else if (likely((p->flags & PBUF_FLAG_IS_CUSTOM) && !p->next))
		((struct pbuf_custom *)p)->custom_free_function(p);
	else
		pbuf_free(p);
}

static void transmission_end(struct transmission *t)
{
	list_remove(&t->age);
	drop_reference(t->chains[0]);
	for (unsigned i = 1; unlikely(i < t->chain_count); i++)
		drop_reference(t->chains[i]);
	transmission_free(t);
	if (unlikely(!list_is_empty(&net_loans_releasing)))
		net_loans_settle();
}

static void device_done(struct netbuf *b)
{
	assert(net_is_entered());
	transmission_end(container_of(b, struct transmission, netbuf));
}

/*
 * The TCP checksum is the device's to complete: the field holds the sum of the pseudo-header, and
 * the device adds the bytes from csum_start on. The headers lie in the chain's first piece, which
 * is lwIP's own memory (a loan never starts a segment).
 */
static void ask_for_checksum(struct netbuf *b, struct pbuf *p, bool is_v6, unsigned ip_len)
{
	uint8_t *frame = p->payload;
	unsigned start = SIZEOF_ETH_HDR + ip_len;
	struct tcp_hdr *tcp = (struct tcp_hdr *)(frame + start);
	uint32_t sum = lwip_htons((u16_t)(p->tot_len - start)) + lwip_htons(IP_PROTO_TCP);

	if (is_v6)
		sum += net_checksum(frame + SIZEOF_ETH_HDR + 8, 32);
	else
		sum += net_checksum(frame + SIZEOF_ETH_HDR + 12, 8);
	sum = (sum & 0xffff) + (sum >> 16);
	tcp->chksum = (u16_t)((sum & 0xffff) + (sum >> 16));
	b->needs_csum = true;
	b->csum_start = (uint16_t)start;
	b->csum_offset = (uint16_t)(start + offsetof(struct tcp_hdr, chksum));
}

/* The length of the IP header when the frame carries a whole TCP header behind it, else 0. */
static unsigned tcp_ip_header_len(const struct pbuf *p, bool *is_v6)
{
	const uint8_t *frame = p->payload;
	unsigned ip_len;

	*is_v6 = frame[12] == 0x86 && frame[13] == 0xdd;
	if (*is_v6)
		ip_len = frame[SIZEOF_ETH_HDR + 6] == IP6_NEXTH_TCP ? IP6_HLEN : 0;
	else if (frame[12] == 0x08 && frame[13] == 0x00)
		ip_len = frame[SIZEOF_ETH_HDR + 9] == IP_PROTO_TCP ?
			 (frame[SIZEOF_ETH_HDR] & 15u) * 4 : 0;
	else
		ip_len = 0;
	return ip_len && p->len >= SIZEOF_ETH_HDR + ip_len + TCP_HLEN ? ip_len : 0;
}

static void add_offloads(struct netbuf *b, struct net_interface *in, struct pbuf *p)
{
	unsigned ip_len;
	bool is_v6;

	if (!(in->dev->features & NETDEV_TX_CSUM) || p->len < SIZEOF_ETH_HDR + IP_HLEN)
		return;
	ip_len = tcp_ip_header_len(p, &is_v6);
	if (ip_len)
		ask_for_checksum(b, p, is_v6, ip_len);
}

static void describe(struct transmission *t, struct pbuf *p)
{
	struct netbuf *b = &t->netbuf;

	list_init(&b->link);
	b->done = device_done;
	b->frag_count = 0;
	b->len = p->tot_len;
	b->gso_size = 0;
	b->needs_csum = false;
	b->csum_good = false;
	b->headroom = 0;
	b->patient = false;
	for (; p; p = p->next) {
		if (!p->len)
			continue;
		b->frags[b->frag_count].base = p->payload;
		b->frags[b->frag_count++].len = p->len;
	}
}

static unsigned piece_count(const struct pbuf *p)
{
	unsigned n = 0;

	for (; p; p = p->next)
		n += p->len > 0;
	return n;
}

/* A reference to the chain, or a copy of it in one piece; NULL without memory. */
static struct pbuf *hold(struct pbuf *p)
{
	if (likely(piece_count(p) <= NETBUF_FRAGS)) {
		pbuf_ref(p);
		return p;
	}
	counter_inc(net_tx_linearized);
	return pbuf_clone(PBUF_RAW, PBUF_RAM, p);
}

static inline void enter_list(struct transmission *t, struct net_interface *in)
{
	t->chain_count = 1;
	t->in = in;
	t->serial = ++last_serial;
	list_push_back(&under_way, &t->age);
}

static struct transmission *transmission_begin(struct net_interface *in, struct pbuf *p)
{
	struct transmission *t;

	t = transmission_alloc();
	if (!t)
		return NULL;
	t->chains[0] = hold(p);
	if (!t->chains[0]) {
		transmission_free(t);
		return NULL;
	}
	enter_list(t, in);
	describe(t, t->chains[0]);
	add_offloads(&t->netbuf, in, t->chains[0]);
	return t;
}

/*
 * True when the frame is off our hands: taken by the device, or dropped because it never will be.
 */
static bool submit(struct net_interface *in, struct transmission *t)
{
	int err = in->dev->ops->transmit(in->dev, &t->netbuf);

	if (err == -EAGAIN)
		return false;
	in->needs_kick = true;
	if (err) {
		counter_inc(net_drop_tx_device);
		transmission_end(t);
	} else {
		counter_inc(net_tx_frames);
	}
	return true;
}

void net_transmit_submit(struct net_interface *in, struct transmission *t)
{
	if (!in->waiting_count && submit(in, t))
		return;
	counter_inc(net_tx_waited);
	list_push_back(&in->waiting, &t->netbuf.link);
	in->waiting_count++;
}

/* Into the driver's own memory, if that is possible now: nothing is left to be done afterwards. */
static bool send_short(struct net_interface *in, struct pbuf *p)
{
	const struct netdev_ops *ops = in->dev->ops;
	size_t len = p->tot_len;
	struct netbuf b;         /* only what concerns the checksum */
	uint8_t *to;

	if (len > NETDEV_SHORT_MAX || in->waiting_count || !ops->send_room)
		return false;
	to = ops->send_room(in->dev, len);
	if (unlikely(!to))
		return false;
	b.needs_csum = false;
	add_offloads(&b, in, p);
	for (; p; to += p->len, p = p->next)
		__builtin_memcpy(to, p->payload, p->len);
	ops->send_written(in->dev, len, b.needs_csum ? b.csum_start : 0,
			  b.needs_csum ? b.csum_offset : 0);
	in->needs_kick = true;
	counter_inc(net_tx_frames);
	return true;
}

static void note_kind(const struct pbuf *p)
{
	const uint8_t *frame = p->payload;

	if (frame[12] == 0x08 && frame[13] == 0x06)
		net_timer_need(NET_TIMER_ARP, 10 * NSEC_PER_SEC);
	else
		net_timer_tcp_active();
}

err_t net_transmit(struct netif *netif, struct pbuf *p)
{
	struct net_interface *in = netif->state;
	struct transmission *t;

	assert(net_is_entered() && p->len >= SIZEOF_ETH_HDR);
	note_kind(p);
	net_template_learn(in, p);
	if (in->merge.open && net_merge_append(in, p))
		return ERR_OK;
	net_merge_close(in);
	if (likely(send_short(in, p)))
		return ERR_OK;
	if (in->waiting_count >= WAITING_MAX) {
		counter_inc(net_drop_tx_queue);
		return ERR_MEM;
	}
	t = transmission_begin(in, p);
	if (!t) {
		counter_inc(net_drop_tx_memory);
		return ERR_MEM;
	}
	if (!net_merge_open(in, t))
		net_transmit_submit(in, t);
	return ERR_OK;
}

__attribute__((always_inline)) inline bool net_transmit_netbuf(struct net_interface *in,
							       struct netbuf *b)
{
	net_merge_close(in);
	if (unlikely(in->waiting_count) || unlikely(in->dev->ops->transmit(in->dev, b)))
		return false;
	in->needs_kick = true;
	return true;
}

void net_transmit_count(unsigned frames)
{
	counter_add(net_tx_frames, frames);
}

/*
 * By the packet's own netbuf, without a transmission: nothing that was lent is in it, so nobody
 * asks whether it has passed. False: the ring is full.
 */
static inline bool send_alone(struct net_interface *in, struct packet *k, unsigned csum_start,
			      unsigned csum_at)
{
	struct pbuf *p = &k->custom.pbuf;
	struct netbuf *b = packet_netbuf(k);

	b->frags[0].base = p->payload;
	b->frags[0].len = b->len = p->len;
	b->csum_start = (uint16_t)csum_start;
	b->csum_offset = (uint16_t)csum_at;
	b->needs_csum = csum_start != 0;
	b->headroom = (uint8_t)((uint8_t *)p->payload - k->headers);
	p->ref++;
	if (likely(net_transmit_netbuf(in, b))) {
		counter_inc(net_tx_frames);
		return true;
	}
	p->ref--;
	return false;
}

/*
 * More of the stream's output comes behind the packet, and could be merged with it: no segment is
 * longer than the first.
 */
static inline bool is_followed(const struct packet *k)
{
	const struct output_piece *next = k->piece.next;

	return next && (next->is_loan ||
			packet_len(container_of(next, struct packet, piece)) <= k->segment.len);
}

/* With others, or later. */
static __attribute__((noinline)) bool send_in_company(struct net_interface *in, struct packet *k,
						      unsigned csum_start, unsigned csum_at)
{
	struct pbuf *p = &k->custom.pbuf;
	struct transmission *t;
	struct netbuf *b;

	net_merge_close(in);
	if (unlikely(in->waiting_count >= WAITING_MAX) || !(t = transmission_alloc()))
		return false;
	p->ref++;
	t->chains[0] = p;
	enter_list(t, in);
	b = &t->netbuf;
	describe(t, p);
	b->csum_start = (uint16_t)csum_start;
	b->csum_offset = (uint16_t)csum_at;
	b->needs_csum = csum_start != 0;
	b->headroom = (uint8_t)((uint8_t *)p->payload - k->headers);
	b->patient = true;
	if (p->len < MERGE_WORTH || !net_merge_open(in, t))
		net_transmit_submit(in, t);
	return true;
}

/*
 * The same for a packet whose headers we wrote ourselves, and which no device holds; see
 * template.c.
 */
bool net_transmit_packet(struct net_interface *in, struct packet *k, unsigned csum_start,
			 unsigned csum_at)
{
	struct pbuf *p = &k->custom.pbuf;

	if (in->merge.open && net_merge_append(in, p))
		return true;
	if (likely(p->len < MERGE_WORTH || !is_followed(k)) &&
	    likely(send_alone(in, k, csum_start, csum_at)))
		return true;
	return send_in_company(in, k, csum_start, csum_at);
}

void net_transmit_retry(struct net_interface *in)
{
	while (in->waiting_count) {
		struct netbuf *b = list_first(&in->waiting, struct netbuf, link);

		list_remove(&b->link);
		if (!submit(in, container_of(b, struct transmission, netbuf))) {
			list_push_front(&in->waiting, &b->link);
			return;
		}
		in->waiting_count--;
	}
}
