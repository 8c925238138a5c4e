/*
 * Segmentation offload: the segments that TCP sends one after the other in a batch become one frame
 * of up to 64 KiB, which the device takes apart again.
 *
 * lwIP knows nothing of it: it makes, keeps and retransmits its own segments. A segment of a device
 * that offloads stays open until the batch ends or something comes that does not continue it: the
 * same connection, the next sequence number, the same acknowledgement, window and flags (but PSH,
 * which the last one decides), and as long as the first, except the last. Payload goes out from the
 * segments' own memory; the headers are a copy, since lwIP's must stay as they are.
 *
 * Why not the other way, larger segments inside lwIP: it would have to be told a false MTU, which
 * reaches UDP, ICMP and the path MTU of IPv6 as well.
 */
#include <core/assert.h>
#include <core/counter.h>

#include <string.h>

#include "interface.h"
#include "lwip/ip.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "stack.h"

COUNTER(net_tx_merged, "segments that left inside a larger frame");

#define PAYLOAD_MAX  61440u   /* with headers, within 16 bits */
#define SEGMENT_MIN  512u     /* shorter ones are not worth waiting for a second */

/* Places within a frame. */
enum {
	AT_TCP_SEQ = 4,
	AT_TCP_FLAGS = 13,
	AT_TCP_SUM = 16,
	AT_IP4_LEN = 2,
	AT_IP4_SUM = 10,
	AT_IP6_LEN = 4
};

static uint32_t read32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The length of Ethernet, IP and TCP headers of a plain data segment, else 0. */
static unsigned plain_headers(const struct pbuf *p, bool *is_v6)
{
	const uint8_t *f = p->payload, *tcp;
	unsigned ip_len;

	*is_v6 = f[12] == 0x86;
	ip_len = *is_v6 ? IP6_HLEN : IP_HLEN;
	if (p->len < SIZEOF_ETH_HDR + ip_len + TCP_HLEN)
		return 0;
	if (*is_v6 ? f[20] != IP6_NEXTH_TCP : f[14] != 0x45 || f[23] != IP_PROTO_TCP)
		return 0;
	tcp = f + SIZEOF_ETH_HDR + ip_len;
	if (tcp[12] != 0x50 || (tcp[AT_TCP_FLAGS] & ~TCP_PSH) != TCP_ACK)
		return 0;
	return SIZEOF_ETH_HDR + ip_len + TCP_HLEN;
}

/* Pieces of a chain behind its first `skip` bytes; they lie in the first piece. */
static unsigned payload_pieces(const struct pbuf *p, unsigned skip)
{
	unsigned n = p->len > skip;

	for (p = p->next; p; p = p->next)
		n += p->len > 0;
	return n;
}

bool net_merge_open(struct net_interface *in, struct transmission *t)
{
	const struct pbuf *p = t->chains[0];
	struct net_merge *m = &in->merge;
	unsigned headers;

	if (!(in->dev->features & (NETDEV_TSO4 | NETDEV_TSO6)))
		return false;
	headers = plain_headers(p, &m->is_v6);
	if (!headers || p->tot_len < headers + SEGMENT_MIN ||
	    !(in->dev->features & (m->is_v6 ? NETDEV_TSO6 : NETDEV_TSO4)))
		return false;
	m->open = t;
	m->header_len = (uint16_t)headers;
	m->segment_len = (uint16_t)(p->tot_len - headers);
	m->next_seq = read32((const uint8_t *)p->payload + headers - TCP_HLEN + AT_TCP_SEQ) +
		      m->segment_len;
	m->pieces = (uint16_t)payload_pieces(p, headers);
	m->is_full = true;
	return true;
}

/* Equal but for lengths, checksums, the IPv4 identification, the sequence number and PSH. */
static bool headers_continue(const struct net_merge *m, const uint8_t *a, const uint8_t *b)
{
	unsigned tcp = m->header_len - TCP_HLEN;

	if (memcmp(a, b, SIZEOF_ETH_HDR) != 0)
		return false;
	if (m->is_v6) {
		if (memcmp(a + 14, b + 14, 4) != 0 || memcmp(a + 20, b + 20, 34) != 0)
			return false;
	} else if (memcmp(a + 14, b + 14, 2) != 0 || memcmp(a + 20, b + 20, 4) != 0 ||
		   memcmp(a + 26, b + 26, 8) != 0) {
		return false;
	}
	return memcmp(a + tcp, b + tcp, 4) == 0 && memcmp(a + tcp + 8, b + tcp + 8, 5) == 0 &&
	       memcmp(a + tcp + 14, b + tcp + 14, 2) == 0;
}

static bool continues(const struct net_merge *m, const struct pbuf *p)
{
	const uint8_t *f = p->payload;
	size_t payload;
	bool is_v6;

	if (plain_headers(p, &is_v6) != m->header_len || is_v6 != m->is_v6 || !m->is_full)
		return false;
	payload = (size_t)p->tot_len - m->header_len;
	if (!payload || payload > m->segment_len ||
	    m->open->netbuf.len + payload > PAYLOAD_MAX + m->header_len)
		return false;
	return read32(f + m->header_len - TCP_HLEN + AT_TCP_SEQ) == m->next_seq &&
	       headers_continue(m, m->open->chains[0]->payload, f);
}

bool net_merge_append(struct net_interface *in, struct pbuf *p)
{
	struct net_merge *m = &in->merge;
	struct transmission *t = m->open;
	unsigned pieces = payload_pieces(p, m->header_len);
	uint16_t payload;

	if (m->pieces + pieces + 1 > NETBUF_FRAGS || t->chain_count == NETBUF_FRAGS ||
	    !continues(m, p))
		return false;
	payload = (uint16_t)(p->tot_len - m->header_len);
	pbuf_ref(p);
	t->chains[t->chain_count++] = p;
	t->netbuf.len += payload;
	m->pieces = (uint16_t)(m->pieces + pieces);
	m->next_seq += payload;
	m->is_full = payload == m->segment_len;
	return true;
}

static void add_pieces(struct netbuf *b, const struct pbuf *p, unsigned skip)
{
	for (; p; p = p->next, skip = 0) {
		if (p->len <= skip)
			continue;
		b->frags[b->frag_count].base = (const uint8_t *)p->payload + skip;
		b->frags[b->frag_count++].len = p->len - skip;
	}
}

/*
 * The headers of the whole: its length, and the sum of the pseudo-header where TCP's checksum goes.
 */
static void write_headers(struct transmission *t, const struct net_merge *m)
{
	const struct pbuf *last = t->chains[t->chain_count - 1];
	unsigned at = m->header_len - TCP_HLEN;
	uint8_t *h = t->headers, *ip = h + SIZEOF_ETH_HDR, *tcp = h + at;
	size_t tcp_len = t->netbuf.len - at;
	uint32_t sum;
	uint16_t folded;

	memcpy(h, t->chains[0]->payload, m->header_len);
	tcp[AT_TCP_FLAGS] |= ((const uint8_t *)last->payload)[at + AT_TCP_FLAGS] & TCP_PSH;
	if (m->is_v6) {
		write16(ip + AT_IP6_LEN, tcp_len);
		sum = net_checksum(ip + 8, 32);
	} else {
		write16(ip + AT_IP4_LEN, tcp_len + IP_HLEN);
		memset(ip + AT_IP4_SUM, 0, 2);
		folded = (uint16_t)~net_checksum(ip, IP_HLEN);
		memcpy(ip + AT_IP4_SUM, &folded, 2);
		sum = net_checksum(ip + 12, 8);
	}
	sum += lwip_htons((u16_t)tcp_len) + lwip_htons(IP_PROTO_TCP);
	sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)((sum & 0xffff) + (sum >> 16));
	memcpy(tcp + AT_TCP_SUM, &folded, 2);
}

static void describe_whole(struct transmission *t, const struct net_merge *m)
{
	struct netbuf *b = &t->netbuf;
	unsigned at = m->header_len - TCP_HLEN;

	write_headers(t, m);
	b->frag_count = 1;
	b->frags[0].base = t->headers;
	b->frags[0].len = m->header_len;
	for (unsigned i = 0; i < t->chain_count; i++)
		add_pieces(b, t->chains[i], m->header_len);
	b->needs_csum = true;
	b->csum_start = (uint16_t)at;
	b->csum_offset = (uint16_t)(at + AT_TCP_SUM);
	b->gso_size = m->segment_len;
	b->header_len = m->header_len;
	b->gso_ipv6 = m->is_v6;
	counter_add(net_tx_merged, t->chain_count);
}

void net_merge_close(struct net_interface *in)
{
	struct transmission *t = in->merge.open;

	if (likely(!t))
		return;
	in->merge.open = NULL;
	if (t->chain_count > 1)
		describe_whole(t, &in->merge);
	net_transmit_submit(in, t);
}
