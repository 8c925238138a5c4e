/*
 * Header templates: segments past lwIP's output.
 *
 * All segments of a connection start with the same Ethernet header and, but for length,
 * identification and checksum, the same IP header. A connection's template is learned from a
 * segment that lwIP itself has sent: whatever routing, neighbour discovery, TTL and TOS had to say
 * is in it. From then on a segment that may be sent at once gets its headers by copying, and goes
 * to the device; in lwIP's queues it stands as if tcp_output() had sent it, so that
 * acknowledgement, retransmission and every timer find what they expect.
 *
 * A template is used only while
 *   (1) the neighbour cache (ARP's, ND's) still has the address that the template names, for the
 *       next hop that it was learned for, and for IPv6 holds it for reachable. It is looked up by
 *       its index there;
 *   (2) the interface is up, and the gateway is still the one, where one is needed;
 *   (3) lwIP has sent something to that neighbour within the last LWIP_EVERY_NS. lwIP asks a
 *       neighbour again when its entry is used during the last 30 seconds of its life; it must
 *       therefore see some of the use;
 *   (4) nothing waits in front of the segment, the window and the congestion window have room for
 *       it, and no device holds it still (it is sent for the first time).
 *
 * All under the stack lock.
 */
#include "template.h"

#include <core/assert.h>
#include <core/counter.h>

#include <string.h>

#include "checksum.h"
#include "lwip/etharp.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "stack.h"

COUNTER(net_tx_templated, "segments that went past lwIP's output with headers from a template");

#define LWIP_EVERY_NS (15 * NSEC_PER_SEC)
#define PAD           2       /* before the Ethernet header, so that the IP header is aligned */

typedef uint64_t __attribute__((may_alias)) pair;

_Static_assert((offsetof(struct packet, payload) - TCP_HLEN - IP_HLEN - SIZEOF_ETH_HDR - PAD) % 8 ==
		       0,
	       "IPv4's headers");

bool net_templates = true;

static struct net_template *expected;             /* learned from the next frame that fits */
static uint64_t used_by_lwip_ns[ARP_TABLE_SIZE];  /* by index of the ARP cache */
static uint16_t identification;

void net_template_expect(struct net_template *t)
{
	expected = t;
}

void net_template_forget(struct net_template *t)
{
	if (expected == t)
		expected = NULL;
}

static inline bool is_mac(const void *one, const void *other)
{
	return __builtin_memcmp(one, other, ETH_HWADDR_LEN) == 0;
}

/* The ARP cache's index of the next hop, -1: none, or not with this address. */
static int find_arp(const struct netif *netif, const ip4_addr_t *remote, const uint8_t *mac)
{
	const ip4_addr_t *entry_ip, *hop = remote;
	struct eth_addr *eth;
	ssize_t i;

	if (!ip4_addr_net_eq(remote, netif_ip4_addr(netif), netif_ip4_netmask(netif)))
		hop = netif_ip4_gw(netif);
	i = etharp_find_addr((struct netif *)netif, hop, &eth, &entry_ip);
	return i >= 0 && i < ARP_TABLE_SIZE && memcmp(eth->addr, mac, ETH_HWADDR_LEN) == 0 ? (int)i
											   : -1;
}

static int find_neighbour(const struct netif *netif, const uint8_t *mac)
{
	for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++)
		if (neighbor_cache[i].state == ND6_REACHABLE && neighbor_cache[i].netif == netif &&
		    memcmp(neighbor_cache[i].lladdr, mac, ETH_HWADDR_LEN) == 0)
			return i;
	return -1;
}

static bool is_of(const struct net_template *t, const uint8_t *frame, size_t len)
{
	bool is_v6 = IP_IS_V6_VAL(t->pcb->remote_ip);
	size_t at = SIZEOF_ETH_HDR + (is_v6 ? IP6_HLEN : IP_HLEN);

	if (len < at + TCP_HLEN || memcmp(frame + at, &t->ports, sizeof(t->ports)) != 0)
		return false;
	if (is_v6)
		return frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == IP6_NEXTH_TCP &&
		       memcmp(frame + 38, ip_2_ip6(&t->pcb->remote_ip)->addr, 16) == 0;
	return frame[12] == 0x08 && frame[13] == 0x00 && frame[14] == 0x45 &&
	       frame[23] == IP_PROTO_TCP &&
	       memcmp(frame + 30, ip_2_ip4(&t->pcb->remote_ip), 4) == 0;
}

/* Sums the template up, without what differs from segment to segment. */
static void prepare(struct net_template *t)
{
	uint32_t *ip = t->words + (PAD + SIZEOF_ETH_HDR) / 4;
	uint64_t sum = lwip_htons(IP_PROTO_TCP);

	for (int i = t->is_v6 ? 2 : 3; i < (t->is_v6 ? 10 : 5); i++)
		sum += ip[i];
	t->pseudo_sum = net_fold(sum);
	if (t->is_v6) {
		ip[1] &= 0xffff0000;
		return;
	}
	ip[0] &= 0xffff;
	ip[1] &= 0xffff0000;
	ip[2] &= 0xffff;
	t->ip_sum = net_fold((uint64_t)ip[0] + ip[1] + ip[2] + ip[3] + ip[4]);
}

static __attribute__((noinline)) void learn(struct net_template *t, struct net_interface *in,
					    const uint8_t *frame)
{
	bool is_v6 = IP_IS_V6_VAL(t->pcb->remote_ip);
	int index = is_v6 ? find_neighbour(&in->netif, frame) :
		    find_arp(&in->netif, ip_2_ip4(&t->pcb->remote_ip), frame);

	t->in = NULL;
	if (index < 0)
		return;
	t->is_v6 = is_v6;
	t->neighbour = (uint8_t)index;
	t->word_count = (uint8_t)((PAD + SIZEOF_ETH_HDR + (is_v6 ? IP6_HLEN : IP_HLEN)) / 4);
	memcpy((uint8_t *)t->words + PAD, frame, t->word_count * 4u - PAD);
	prepare(t);
	if (!is_v6)
		used_by_lwip_ns[index] = net_now_ns;
	t->in = in;
}

void net_template_learn(struct net_interface *in, const struct pbuf *p)
{
	struct net_template *t = expected;

	if (likely(!t) || !is_of(t, p->payload, p->len))
		return;
	expected = NULL;
	learn(t, in, p->payload);
}

static inline bool has_mac(const struct net_template *t, const void *mac)
{
	return is_mac((const uint8_t *)t->words + PAD, mac);
}

static inline bool arp_is_current(const struct net_template *t)
{
	const struct netif *own = &t->in->netif;
	const ip4_addr_t *remote = ip_2_ip4(&t->pcb->remote_ip);
	struct eth_addr *eth;
	struct netif *netif;
	ip4_addr_t *hop;

	return etharp_get_entry(t->neighbour, &hop, &netif, &eth) && netif == own &&
	       has_mac(t, eth->addr) &&
	       (ip4_addr_eq(hop, remote) || ip4_addr_eq(hop, netif_ip4_gw(own))) &&
	       net_now_ns - used_by_lwip_ns[t->neighbour] < LWIP_EVERY_NS;
}

/* Condition (3) for those who let lwIP send when this says no. */
static inline bool use_neighbour(unsigned index)
{
	if (likely(net_now_ns - used_by_lwip_ns[index] < LWIP_EVERY_NS))
		return true;
	used_by_lwip_ns[index] = net_now_ns;
	return false;
}

static inline bool is_on_link(const struct netif *netif, uint32_t address)
{
	return !((address ^ ip4_addr_get_u32(netif_ip4_addr(netif))) &
		 ip4_addr_get_u32(netif_ip4_netmask(netif)));
}

bool net_neighbour_is_still(struct net_interface *in, uint32_t remote, const uint8_t *mac,
			    const uint8_t *hint)
{
	uint32_t hop = is_on_link(&in->netif, remote) ? remote
						      : ip4_addr_get_u32(netif_ip4_gw(&in->netif));
	ip4_addr_t *ip;
	struct netif *netif;
	struct eth_addr *eth;

	return etharp_get_entry(*hint, &ip, &netif, &eth) && netif == &in->netif &&
	       ip4_addr_get_u32(ip) == hop && is_mac(eth->addr, mac) && use_neighbour(*hint);
}

bool net_neighbour_is(struct net_interface *in, uint32_t remote, const uint8_t *mac, uint8_t *hint)
{
	ip4_addr_t hop = { remote };
	const ip4_addr_t *entry_ip;
	struct eth_addr *eth;
	ssize_t i;

	if (!is_on_link(&in->netif, remote))
		hop = *netif_ip4_gw(&in->netif);
	i = etharp_find_addr(&in->netif, &hop, &eth, &entry_ip);
	if (i < 0 || i >= ARP_TABLE_SIZE || memcmp(eth->addr, mac, ETH_HWADDR_LEN) != 0)
		return false;
	*hint = (uint8_t)i;
	return use_neighbour(*hint);
}

/* Conditions (1) to (3). */
static inline bool is_current(const struct net_template *t)
{
	const struct netif *netif;
	unsigned up = NETIF_FLAG_UP | NETIF_FLAG_LINK_UP;

	if (!t->in)
		return false;
	netif = &t->in->netif;
	if ((netif->flags & up) != up)
		return false;
	if (likely(!t->is_v6))
		return arp_is_current(t);
	return neighbor_cache[t->neighbour].state == ND6_REACHABLE &&
	       neighbor_cache[t->neighbour].netif == netif &&
	       has_mac(t, neighbor_cache[t->neighbour].lladdr);
}

/* The IP header, and Ethernet's before it. `len` bytes follow it. */
static inline uint8_t *write_ip(const struct net_template *t, struct packet *k, unsigned len)
{
	uint32_t *to = (uint32_t *)(k->payload - TCP_HLEN) - t->word_count,
		 *ip = to + (PAD + SIZEOF_ETH_HDR) / 4;

	if (unlikely(t->is_v6)) {
		__builtin_memcpy(to, t->words, sizeof(t->words));
		ip[1] |= lwip_htons((u16_t)len);
	} else {
		uint32_t total = lwip_htons((u16_t)(len + IP_HLEN)),
			 id = lwip_htons(identification++);

		/* Ethernet in two stores: both sides lie at eight bytes, see packet.h and PAD. */
		((pair *)to)[0] = ((const pair *)t->words)[0];
		((pair *)to)[1] = ((const pair *)t->words)[1];
		ip[0] = (t->words[4] & 0xffff) | total << 16;
		ip[1] = t->words[5] | id;
		ip[2] = (t->words[6] & 0xffff) | (0xffff & ~net_fold_short(t->ip_sum + total + id))
							 << 16;
		ip[3] = t->words[7];
		ip[4] = t->words[8];
	}
	return (uint8_t *)to + PAD;
}

/* What tcp_output_segment() fills in. `len` is that of header and payload. */
static inline void write_tcp(const struct net_template *t, struct packet *k, unsigned len,
			     bool device_sums)
{
	struct tcp_pcb *pcb = t->pcb;
	uint32_t *tcp = (uint32_t *)(k->payload - TCP_HLEN);
	uint32_t window = LWIP_MIN(RCV_WND_SCALE(pcb, pcb->rcv_ann_wnd), 0xffffu);
	uint32_t sum = t->pseudo_sum + lwip_htons((u16_t)len);

	tcp[2] = lwip_htonl(pcb->rcv_nxt);
	tcp[3] = (tcp[3] & 0xffff) | TCP_ACK << 8 | (uint32_t)lwip_htons((u16_t)window) << 16;
	tcp[4] = 0;
	if (likely(device_sums))
		tcp[4] = net_fold_short(sum);
	else
		tcp[4] = 0xffff & ~net_fold((uint64_t)sum + net_checksum(tcp, (int)len));
}

/* The segment joins those that were sent; what tcp_output() and tcp_output_segment() note. */
static inline void account(struct tcp_pcb *pcb, struct tcp_seg *seg, uint32_t seq)
{
	struct tcp_seg **at = &pcb->unacked;

	pcb->persist_backoff = 0;
	pcb->rcv_ann_right_edge = pcb->rcv_nxt + pcb->rcv_ann_wnd;
	if (pcb->rtime < 0)
		pcb->rtime = 0;
	if (!pcb->rttest) {
		pcb->rttest = tcp_ticks;
		pcb->rtseq = seq;
	}
	tcp_clear_flags(pcb, TF_ACK_DELAY | TF_ACK_NOW | TF_NAGLEMEMERR);
	if (TCP_SEQ_LT(pcb->snd_nxt, seq + seg->len))
		pcb->snd_nxt = seq + seg->len;
	while (*at)
		at = &(*at)->next;
	*at = seg;
}

bool net_template_send(struct net_template *t, struct packet *k)
{
	struct tcp_pcb *pcb = t->pcb;
	struct tcp_seg *seg = &k->segment;
	struct pbuf *p = &k->custom.pbuf;
	unsigned len = TCP_HLEN + seg->len, csum_start;
	uint32_t seq = lwip_ntohl(seg->tcphdr->seqno);
	bool device_sums;

	if (!net_templates || pcb->unsent || tcp_input_pcb == pcb || p->ref != 1 ||
	    seq - pcb->lastack + seg->len > LWIP_MIN(pcb->snd_wnd, pcb->cwnd))
		return false;
	if (unlikely(!is_current(t))) {
		net_template_expect(t);
		return false;
	}
	device_sums = t->in->dev->features & NETDEV_TX_CSUM;
	write_tcp(t, k, len, device_sums);
	p->payload = write_ip(t, k, len);
	p->len = p->tot_len = (u16_t)(len + t->word_count * 4u - PAD);
	csum_start = device_sums ? t->word_count * 4u - PAD : 0;
	counter_inc(net_tx_templated);
	net_timer_tcp_active();
	account(pcb, seg, seq);
	/* A frame that is dropped here is a segment lost on the way: it will be sent again. */
	net_transmit_packet(t->in, k, csum_start, csum_start + offsetof(struct tcp_hdr, chksum));
	return true;
}
