/*
 * Datagrams past lwIP: from the frame to the server, and with the frame's own headers back.
 *
 * A datagram takes the short way when it is one plain IPv4 frame (no options, no fragment, right sums)
 * to an address of the interface it came through and a port that stream_datagrams_open() has, and when
 * the neighbour cache says that its sender, or the gateway before it, has the link address that the
 * frame came from. Everything else is lwIP's: IPv6, fragments, broadcasts, ports of sockets, ports of
 * nobody (which ICMP answers), and neighbours that are not known yet (which ARP asks for).
 *
 * An answer goes to where the datagram came from, so its headers are the datagram's with both ends
 * exchanged. The link address is not taken on the sender's word: it is the neighbour cache's, as with
 * every packet that lwIP sends, and so is its age (net_neighbour_is()). What a forger can do by a wrong
 * source address he can do with lwIP as well.
 *
 * UDP's checksum: 0 means none (RFC 768), so a sum of 0 is sent as 0xffff. A device that completes sums
 * does both; answers here are never fragmented, so it may.
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

typedef uint16_t __attribute__((may_alias)) half;
typedef uint32_t __attribute__((may_alias)) word;

/* What is noted in a packet beside its headers until it is sent; it lies before them. */
struct short_answer {
	struct net_interface *in;
	bool device_sums;
};
_Static_assert(sizeof(struct short_answer) <= PACKET_HEADERS - HEADERS, "answer and headers fit");

static struct list expected = LIST_INIT(expected);   /* [S] */
static uint8_t neighbour_hint;                       /* [S] */

void stream_datagrams_expect(struct stream_datagrams *d)
{
	d->identification = (uint16_t)net_random32();
	list_push_back(&expected, &d->expected);
}

void stream_datagrams_unexpect(struct stream_datagrams *d)
{
	list_remove(&d->expected);
}

/* As lwIP would choose among those bound to the port: an address of its own goes before any address. */
static struct stream_datagrams *find(uint32_t local, uint16_t port)
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

/* The length of the datagram's bytes; negative: not plain, or a sum is wrong. */
static int read_headers(const struct netbuf *b, const word *ip)
{
	const half *udp = (const half *)(ip + IP_HLEN / 4);
	unsigned total = lwip_ntohs((u16_t)(ip[0] >> 16)), len = lwip_ntohs(udp[2]);

	if ((ip[0] & 0xff) != 0x45 || total > b->frags[0].len - SIZEOF_ETH_HDR ||
	    (ip[1] >> 16 & ~lwip_htons(IP_DF)) || len < UDP_HLEN || len + IP_HLEN != total)
		return -1;
	if (net_fold((uint64_t)ip[0] + ip[1] + ip[2] + ip[3] + ip[4]) != 0xffff)
		return -1;
	if (!b->csum_good && udp[3] && !planted(DATAGRAM_SUM) &&
	    net_fold((uint64_t)ip[3] + ip[4] + lwip_htons(IP_PROTO_UDP) + udp[2] + net_checksum(udp, (int)len)) != 0xffff)
		return -1;
	return (int)(len - UDP_HLEN);
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

bool net_datagram_take(struct net_interface *in, struct netbuf *b)
{
	const uint8_t *frame = b->frags[0].base;
	const word *ip = (const word *)(frame + SIZEOF_ETH_HDR);
	struct stream_datagrams *d;
	struct datagram *g;
	int len;

	if (list_is_empty(&expected) || ip[4] != ip4_addr_get_u32(netif_ip4_addr(&in->netif)) || !is_host(ip[3]) ||
	    !netif_is_up(&in->netif))
		return false;
	len = read_headers(b, ip);
	if (len < 0)
		return false;
	d = find(ip[4], lwip_ntohs((u16_t)(ip[5] >> 16)));
	if (!d || !net_neighbour_is(in, ip[3], frame + ETH_HWADDR_LEN, &neighbour_hint))
		return false;
	if (in->lent_frames >= CONFIG_NET_RX_LENT_MAX)
		return false;
	counter_inc(net_rx_datagrams_short);
	g = stream_datagram_new(d);
	if (unlikely(!g)) {
		netbuf_done(b);
		return true;
	}
	g->bytes = net_receive_lend(in, b, HEADERS, (unsigned)len);
	g->short_way = in;
	g->address_sum = net_fold((uint64_t)ip[3] + ip[4]);
	g->route.by = d;
	g->route.remote_port = lwip_ntohs((u16_t)ip[5]);
	ip_addr_set_ip4_u32_val(g->route.remote, ip[3]);
	ip_addr_set_ip4_u32_val(g->route.local, ip[4]);
	stream_datagram_arrived(d, g);
	return true;
}

/* IP and UDP, from the question's; `udp_len` counts UDP's header. */
static inline void write_packet(const struct datagram *g, const word *asked, word *ip, unsigned udp_len,
				bool device_sums)
{
	uint32_t total = lwip_htons((u16_t)(udp_len + IP_HLEN)), id = lwip_htons(g->route.by->identification++);
	uint32_t life = TIME_LIVED | IP_PROTO_UDP << 8;
	uint32_t sum;

	ip[0] = 0x45 | total << 16;
	ip[1] = id;
	ip[2] = life | (0xffff & ~net_fold_short(g->address_sum + 0x45 + total + id + life)) << 16;
	ip[3] = asked[4];
	ip[4] = asked[3];
	ip[5] = asked[5] << 16 | asked[5] >> 16;
	ip[6] = lwip_htons((u16_t)udp_len);
	sum = net_fold_short(g->address_sum + lwip_htons(IP_PROTO_UDP) + ip[6]);
	if (unlikely(!device_sums)) {
		sum = 0xffff & ~net_fold((uint64_t)sum + net_checksum(ip + 5, (int)udp_len));
		sum = sum ? sum : 0xffff;
	}
	ip[6] |= sum << 16;
}

bool stream_short_answer(const struct datagram *g, struct packet *k, size_t len)
{
	struct net_interface *in = g->short_way;
	uint8_t *frame = k->payload - HEADERS;
	const half *asked;
	half *to = (half *)frame;
	struct pbuf *p = &k->custom.pbuf;
	bool device_sums;

	if (!in || len + UDP_HLEN + IP_HLEN > in->dev->mtu)
		return false;
	asked = (const half *)((const uint8_t *)g->bytes->payload - HEADERS);
	device_sums = in->dev->features & NETDEV_TX_CSUM;
	to[0] = asked[3], to[1] = asked[4], to[2] = asked[5];
	to[3] = asked[0], to[4] = asked[1], to[5] = asked[2];
	to[6] = asked[6];
	write_packet(g, (const word *)(asked + 7), (word *)(frame + SIZEOF_ETH_HDR),
		     (unsigned)len + UDP_HLEN, device_sums);
	p->payload = frame;
	p->len = p->tot_len = (u16_t)(len + HEADERS);
	*(struct short_answer *)k->headers = (struct short_answer){ in, device_sums };
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
