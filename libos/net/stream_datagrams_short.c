/*
 * Datagrams past lwIP: from the frame to the server, and with the frame's own headers back.
 *
 * A datagram takes the short way when it is one plain IPv4 frame (no options, no fragment, right
 * sums) to an address of the interface it came through and a port that stream_datagrams_open() has,
 * and when the neighbour cache says that its sender, or the gateway before it, has the link address
 * that the frame came from. Everything else is lwIP's: IPv6, fragments, broadcasts, ports of
 * sockets, ports of nobody (which ICMP answers), and neighbours that are not known yet (which ARP
 * asks for).
 *
 * The first answer, which is mostly the only one, is written into the frame that brought the
 * datagram, behind it, and that frame leaves for the device in place of the one that came: nothing
 * is allocated on the way, and the description of the datagram lies in the frame's netbuf. Receive
 * buffers that leave so are back when the device has sent them (virtio_net_rx.c looks after them
 * when they become few). Where the frame has no room, and for further answers, packets are used.
 *
 * An answer goes to where the datagram came from, so its headers are the datagram's with both ends
 * exchanged. The link address is not taken on the sender's word: it is the neighbour cache's, as
 * with every packet that lwIP sends, and so is its age (net_neighbour_is()). What a forger can do
 * by a wrong source address he can do with lwIP as well.
 *
 * UDP's checksum: 0 means none (RFC 768), so a sum of 0 is sent as 0xffff. A device that completes
 * sums does both; answers here are never fragmented, so it may.
 */
#include <core/assert.h>
#include <core/counter.h>

#include <string.h>

#include "checksum.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/udp.h"
#include "predict.h"
#include "stream_datagrams.h"
#include "template.h"

COUNTER(net_rx_datagrams_short, "datagrams that went past lwIP's input");
COUNTER(net_tx_datagrams_short, "datagrams that went past lwIP's output");

#define HEADERS    (SIZEOF_ETH_HDR + IP_HLEN + UDP_HLEN)
#define TIME_LIVED 255u
/* for the driver's own header, before an answer in its question's frame */
#define ANSWER_HEADROOM 16u

typedef uint16_t __attribute__((may_alias)) half;
typedef uint32_t __attribute__((may_alias)) word;

/* What is noted in a packet beside its headers until it is sent; it lies before them. */
struct short_answer {
	struct net_interface *in;
	bool device_sums;
};
_Static_assert(sizeof(struct short_answer) <= PACKET_HEADERS - HEADERS, "answer and headers fit");
_Static_assert(sizeof(struct short_datagram) <= sizeof(((struct netbuf *)0)->stack_room),
	       "no memory is needed");

static struct list expected = LIST_INIT(expected);   /* [S] */
static uint8_t neighbour_hint;                       /* [S] */

/* Whom the last datagram was for; NULL when that may have changed. */
static struct {
	struct stream_datagrams *found;
	uint32_t local;
	uint16_t port;
} last;                                              /* [S] */

void stream_datagrams_expect(struct stream_datagrams *d)
{
	d->identification = (uint16_t)net_random32();
	list_push_back(&expected, &d->expected);
	last.found = NULL;
}

void stream_datagrams_unexpect(struct stream_datagrams *d)
{
	list_remove(&d->expected);
	last.found = NULL;
}

/*
 * As lwIP would choose among those bound to the port: an address of its own goes before any
 * address.
 */
static __attribute__((noinline)) struct stream_datagrams *find_anew(uint32_t local, uint16_t port)
{
	struct stream_datagrams *d, *any = NULL;

	list_for_each(d, &expected, expected) {
		const ip_addr_t *own = &d->pcb->local_ip;

		if (d->pcb->local_port != port)
			continue;
		if (IP_IS_ANY_TYPE_VAL(*own) || (IP_IS_V4_VAL(*own) && ip_addr_isany_val(*own)))
			any = d;
		else if (IP_IS_V4_VAL(*own) && ip4_addr_get_u32(ip_2_ip4(own)) == local)
			return d;
	}
	return any;
}

/*
 * `port` in network order. NULL: nobody, or another than before, for which `last` has to be made.
 */
static inline struct stream_datagrams *find_as_before(uint32_t local, uint16_t port)
{
	return last.port == port && last.local == local ? last.found : NULL;
}

static bool find(uint32_t local, uint16_t port)
{
	last.found = find_anew(local, lwip_ntohs(port));
	last.local = local;
	last.port = port;
	return last.found;
}

/*
 * The length of the datagram with UDP's header; 0: not plain, or IP's sum is wrong. UDP's is not
 * looked at.
 */
static inline unsigned read_headers(const struct netbuf *b, const word *ip)
{
	const half *udp = (const half *)(ip + IP_HLEN / 4);
	unsigned total = lwip_ntohs((u16_t)(ip[0] >> 16)), len = lwip_ntohs(udp[2]);

	if ((ip[0] & 0xff) != 0x45 || total > b->frags[0].len - SIZEOF_ETH_HDR ||
	    (ip[1] >> 16 & ~lwip_htons(IP_DF)) || len < UDP_HLEN || len + IP_HLEN != total)
		return 0;
	if (net_fold((uint64_t)ip[0] + ip[1] + ip[2] + ip[3] + ip[4]) != 0xffff)
		return 0;
	return len;
}

static bool sum_is_good(const word *ip, unsigned len)
{
	const half *udp = (const half *)(ip + IP_HLEN / 4);

	return !udp[3] || planted(DATAGRAM_SUM) ||
	       net_fold((uint64_t)ip[3] + ip[4] + lwip_htons(IP_PROTO_UDP) + udp[2] +
			net_checksum(udp, (int)len)) == 0xffff;
}

static inline bool device_sums(const struct net_interface *in)
{
	return in->dev->features & NETDEV_TX_CSUM;
}

/* An answer that must leave in fragments is lwIP's. */
static inline bool fits(const struct net_interface *in, size_t len)
{
	return len + UDP_HLEN + IP_HLEN <= in->dev->mtu;
}

static bool is_host(uint32_t address)
{
	unsigned first = address & 0xff;      /* network order, little endian */

	return first != 0 && first != 127 && first < 224;
}

uint64_t net_datagrams_taken(void)
{
	return counter_read(&counter_net_rx_datagrams_short);
}

/*
 * The frame is ours: it waits for its server, or is dropped because too many do. `len`, with UDP's
 * header, was checked; what the frame says of it now was not.
 */
static void accept(struct net_interface *in, struct netbuf *b, struct stream_datagrams *d,
		   unsigned len)
{
	struct short_datagram *g = (struct short_datagram *)b->stack_room;
	const uint8_t *frame = b->frags[0].base;
	const word *ip = (const word *)(frame + SIZEOF_ETH_HDR);

	if (unlikely(!stream_datagram_is_welcome(d))) {
		netbuf_done(b);
		return;
	}
	in->lent_frames++;
	*g = (struct short_datagram){
		.head = { .by = d, .data = frame + HEADERS, .len = (uint16_t)(len - UDP_HLEN),
			  .is_short = true },
		.in = in, .frame = frame, .address_sum = net_fold((uint64_t)ip[3] + ip[4]),
	};
	stream_datagram_arrived(d, &g->head);
}

/* From a neighbour that is not the last one. */
static __attribute__((noinline)) void take_from_another(struct net_interface *in, struct netbuf *b,
							struct stream_datagrams *d, unsigned len)
{
	const uint8_t *frame = b->frags[0].base;
	const word *ip = (const word *)(frame + SIZEOF_ETH_HDR);

	if (net_neighbour_is(in, ip[3], frame + ETH_HWADDR_LEN, &neighbour_hint))
		accept(in, b, d, len);
	else
		net_receive_by_lwip(in, b);
}

/* The device has not looked at the sum: here it is looked at. */
static __attribute__((noinline)) void take_unsummed(struct net_interface *in, struct netbuf *b)
{
	const word *ip = (const word *)((const uint8_t *)b->frags[0].base + SIZEOF_ETH_HDR);
	unsigned len = read_headers(b, ip);

	if (len && sum_is_good(ip, len)) {
		b->csum_good = true;
		net_datagram_take(in, b);
	} else {
		net_receive_by_lwip(in, b);
	}
}

static __attribute__((noinline)) void take_for_another(struct net_interface *in, struct netbuf *b)
{
	const word *ip = (const word *)((const uint8_t *)b->frags[0].base + SIZEOF_ETH_HDR);

	if (find(ip[4], (uint16_t)(ip[5] >> 16)))
		net_datagram_take(in, b);
	else
		net_receive_by_lwip(in, b);
}

/* To an address of the interface, from a host, and there is somebody who may want it. */
static inline bool may_be_ours(const struct net_interface *in, const word *ip)
{
	return !list_is_empty(&expected) && ip[4] == ip4_addr_get_u32(netif_ip4_addr(&in->netif)) &&
	       is_host(ip[3]) && netif_is_up(&in->netif) &&
	       in->lent_frames < CONFIG_NET_RX_LENT_MAX;
}

/* Without a call that it would have to come back from, so that no registers need be saved. */
__attribute__((noinline)) void net_datagram_take(struct net_interface *in, struct netbuf *b)
{
	const uint8_t *frame = b->frags[0].base;
	const word *ip = (const word *)(frame + SIZEOF_ETH_HDR);
	struct stream_datagrams *d;
	unsigned len;

	if (!may_be_ours(in, ip)) {
		net_receive_by_lwip(in, b);
		return;
	}
	if (unlikely(!b->csum_good)) {
		take_unsummed(in, b);
		return;
	}
	len = read_headers(b, ip);
	if (!len) {
		net_receive_by_lwip(in, b);
		return;
	}
	d = find_as_before(ip[4], (uint16_t)(ip[5] >> 16));
	if (unlikely(!d))
		take_for_another(in, b);
	else if (unlikely(!net_neighbour_is_still(in, ip[3], frame + ETH_HWADDR_LEN,
						  &neighbour_hint)))
		take_from_another(in, b, d, len);
	else
		accept(in, b, d, len);
}

static struct short_datagram *short_of(const struct datagram *g)
{
	return container_of(g, struct short_datagram, head);
}

static struct netbuf *netbuf_of(struct short_datagram *g)
{
	return container_of((void *)g, struct netbuf, stack_room);
}

void stream_short_route(const struct datagram *g, struct route *route)
{
	const word *ip = (const word *)(g->data - HEADERS + SIZEOF_ETH_HDR);

	route->by = g->by;
	route->remote_port = lwip_ntohs((u16_t)ip[5]);
	ip_addr_set_ip4_u32_val(route->remote, ip[3]);
	ip_addr_set_ip4_u32_val(route->local, ip[4]);
}

/*
 * IP and UDP, from the question's; `udp_len` counts UDP's header. The question's headers are read
 * again, from memory that the device could write: what a lying one gains is an answer that goes
 * astray.
 */
static inline void write_packet(const struct short_datagram *g, const word *asked, word *ip,
				unsigned udp_len)
{
	uint32_t total = lwip_htons((u16_t)(udp_len + IP_HLEN)),
		 id = lwip_htons(g->head.by->identification++);
	uint32_t life = TIME_LIVED | IP_PROTO_UDP << 8;

	ip[0] = 0x45 | total << 16;
	ip[1] = id;
	ip[2] = life | (0xffff & ~net_fold_short(g->address_sum + 0x45 + total + id + life)) << 16;
	ip[3] = asked[4];
	ip[4] = asked[3];
	ip[5] = asked[5] << 16 | asked[5] >> 16;
	ip[6] = lwip_htons((u16_t)udp_len);
	ip[6] |= net_fold_short(g->address_sum + lwip_htons(IP_PROTO_UDP) + ip[6]) << 16;
}

/* The sum field holds the pseudo-header's; `len` bytes follow the headers. */
static __attribute__((noinline)) void complete_sum(uint8_t *frame, size_t len)
{
	half *udp = (half *)(frame + SIZEOF_ETH_HDR + IP_HLEN);
	uint16_t sum = (uint16_t)~net_checksum(udp, (int)(len + UDP_HLEN));

	udp[3] = sum ? sum : 0xffff;
}

/* All headers of an answer of `len` bytes, to lie before them. */
static inline void write_headers(const struct short_datagram *g, uint8_t *frame, size_t len)
{
	const uint8_t *asked = g->head.data - HEADERS;

	/* Words that reach behind an address: what they bring there is written over next. */
	__builtin_memcpy(frame, asked + ETH_HWADDR_LEN, 8);
	__builtin_memcpy(frame + ETH_HWADDR_LEN, asked, 8);
	__builtin_memcpy(frame + 2 * ETH_HWADDR_LEN, asked + 2 * ETH_HWADDR_LEN, 2);
	write_packet(g, (const word *)(asked + SIZEOF_ETH_HDR), (word *)(frame + SIZEOF_ETH_HDR),
		     (unsigned)len + UDP_HLEN);
	if (unlikely(!device_sums(g->in)))
		complete_sum(frame, len);
}

/* ---- in a packet ---- */

bool stream_short_answer(const struct datagram *head, struct packet *k, size_t len)
{
	const struct short_datagram *g = short_of(head);
	struct pbuf *p = &k->custom.pbuf;

	if (!fits(g->in, len))
		return false;
	write_headers(g, k->payload - HEADERS, len);
	p->payload = k->payload - HEADERS;
	p->len = p->tot_len = (u16_t)(len + HEADERS);
	*(struct short_answer *)k->headers = (struct short_answer){ g->in, device_sums(g->in) };
	return true;
}

void stream_short_send(struct packet *k)
{
	const struct short_answer *answer = (const struct short_answer *)k->headers;
	unsigned sum_from = answer->device_sums ? SIZEOF_ETH_HDR + IP_HLEN : 0;

	counter_inc(net_tx_datagrams_short);
	net_transmit_packet(answer->in, k, sum_from, sum_from + offsetof(struct udp_hdr, chksum));
	packet_put(k);
}

/* ---- in the datagram's own frame ---- */

/*
 * Where the answer's frame begins: behind the datagram, with room for the driver, its IP header
 * aligned.
 */
static inline uint8_t *answer_frame(const struct datagram *g)
{
	return (uint8_t *)ALIGN_UP((uintptr_t)g->data + g->len + ANSWER_HEADROOM, 8) + 2;
}

void *stream_short_reserve(const struct datagram *head, size_t len)
{
	struct short_datagram *g = short_of(head);
	uint8_t *frame = answer_frame(head);

	if (unlikely(g->answer_len || !fits(g->in, len) ||
		     (size_t)(frame - (const uint8_t *)g->frame) + HEADERS + len >
			     netbuf_of(g)->room))
		return NULL;
	return frame + HEADERS;
}

void stream_short_commit(struct datagram *head, size_t len)
{
	struct short_datagram *g = short_of(head);
	uint8_t *frame = answer_frame(head);

	assert((size_t)(frame - (const uint8_t *)g->frame) + HEADERS + len <= netbuf_of(g)->room);
	g->answer_len = (uint16_t)(len + HEADERS);
	write_headers(g, frame, len);
}

static void give_back(struct short_datagram *g)
{
	g->in->lent_frames--;
	netbuf_done(netbuf_of(g));
}

void stream_short_drop(struct datagram *head)
{
	give_back(short_of(head));
}

/* The driver has sent the answer, or never will. */
static void answer_done(struct netbuf *b)
{
	struct short_datagram *g = (struct short_datagram *)b->stack_room;

	b->frags[0].base = g->frame;
	b->done = g->done;
	give_back(g);
}

void stream_short_count(unsigned taken, unsigned answered)
{
	counter_add(net_rx_datagrams_short, taken);
	counter_add(net_tx_datagrams_short, answered);
	net_transmit_count(answered);
}

enum short_end stream_short_end(struct datagram *head, size_t *answer_len)
{
	struct short_datagram *g = short_of(head);
	struct netbuf *b = netbuf_of(g);
	uint8_t *frame;

	if (!g->answer_len) {
		give_back(g);
		return SHORT_UNANSWERED;
	}
	*answer_len = g->answer_len - HEADERS;
	frame = answer_frame(head);
	g->done = b->done;
	b->done = answer_done;
	b->frags[0].base = frame;
	b->frags[0].len = b->len = g->answer_len;
	b->needs_csum = device_sums(g->in);
	b->csum_start = SIZEOF_ETH_HDR + IP_HLEN;
	b->csum_offset = SIZEOF_ETH_HDR + IP_HLEN + offsetof(struct udp_hdr, chksum);
	b->gso_size = 0;
	b->headroom = ANSWER_HEADROOM;
	b->patient = true;
	if (likely(net_transmit_netbuf(g->in, b)))
		return SHORT_ANSWERED;
	answer_done(b);
	return SHORT_DROPPED;
}
