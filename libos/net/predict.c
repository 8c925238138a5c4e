/*
 * Header prediction: the segments that a working connection mostly gets, past lwIP's input.
 *
 * Nearly every segment of an established connection carries the next bytes in order, acknowledges
 * what was sent, and has nothing else to say (Jacobson, "TCP Performance", 1988). For these the
 * general code asks a hundred questions whose answers are known. Here they are asked once, cheaply;
 * when one answer is not the expected one, nothing has been changed and lwIP gets the frame.
 *
 * A frame is predicted when
 *   (1) it is one piece of Ethernet with a plain IPv4 or IPv6 header (no options, no extension, no
 *       fragment) whose sums are right, and TCP without options and with ACK alone, or ACK and PSH;
 *   (2) it belongs to a connection that we track, in state ESTABLISHED, which is not recovering
 *       from a loss, has nothing queued out of order or refused, and is not being closed;
 *   (3) its bytes are exactly the next ones and fit into the window, and its acknowledgement lies
 *       between the last one and what was sent. One that neither brings bytes nor acknowledges
 *       anything new may be a duplicate that counts: lwIP's.
 * From (2) and (3): what is left of tcp_input(), tcp_process() and tcp_receive() is the update
 * below, in their order. It must leave the pcb as they would, bit for bit, and predict_test.c runs
 * both over the same bad wire and compares.
 *
 * All under the stack lock.
 */
#include "predict.h"

#include <core/assert.h>
#include <core/counter.h>

#include "checksum.h"
#include "connections.h"
#include "lwip/nd6.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/udp.h"
#include "packet.h"
#include "stack.h"

COUNTER(net_rx_predicted, "segments that went past lwIP's input because they were as expected");

typedef uint32_t __attribute__((may_alias)) word32;

bool net_prediction = true;

/* What the prediction reads of a segment, numbers in host order. */
struct arrival {
	struct tcp_pcb *pcb;
	uint32_t seq, ack;
	uint32_t window;              /* as on the wire, unscaled */
	unsigned payload_at, len;     /* within the frame */
};

/*
 * The TCP header at `t`, with `len` bytes from there to the packet's end; `addresses` is the sum of
 * the pseudo-header's. False: not plain, or the sum is wrong.
 */
static inline bool read_tcp(const word32 *t, unsigned len, uint64_t addresses, bool sum_is_good,
			    struct arrival *a)
{
	uint32_t last = t[3];

	/* Header of 20 bytes; ACK, and perhaps PSH (the second byte). */
	if (len < TCP_HLEN || (last & (0xff | (0xffu & ~TCP_PSH) << 8)) != (0x50 | TCP_ACK << 8))
		return false;
	if (!sum_is_good && !planted(PREDICT_SUM) &&
	    net_fold(addresses + lwip_htons((u16_t)len) + lwip_htons(IP_PROTO_TCP) +
		     net_checksum(t, (int)len)) != 0xffff)
		return false;
	a->seq = lwip_ntohl(t[1]);
	a->ack = lwip_ntohl(t[2]);
	a->window = lwip_ntohs((u16_t)(last >> 16));
	a->len = len - TCP_HLEN;
	return true;
}

static inline bool read_ip4(const word32 *w, size_t room, bool sum_is_good, struct arrival *a)
{
	unsigned len = lwip_ntohs((u16_t)(w[0] >> 16));
	const word32 *t = w + IP_HLEN / 4;

	if (room < IP_HLEN + TCP_HLEN || (w[0] & 0xff) != 0x45 || len < IP_HLEN || len > room)
		return false;
	/* No fragment (DF may be set), TCP. */
	if ((w[1] >> 16 & ~lwip_htons(IP_DF)) || (w[2] >> 8 & 0xff) != IP_PROTO_TCP)
		return false;
	if (net_fold((uint64_t)w[0] + w[1] + w[2] + w[3] + w[4]) != 0xffff)
		return false;
	if (!read_tcp(t, len - IP_HLEN, (uint64_t)w[3] + w[4], sum_is_good, a))
		return false;
	a->payload_at = SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN;
	a->pcb = net_connection_find_ip4(w[3], w[4], t[0]);
	return a->pcb != NULL;
}

static inline bool read_ip6(const word32 *w, size_t room, bool sum_is_good, struct arrival *a)
{
	const word32 *t = w + IP6_HLEN / 4;
	uint64_t addresses = 0;
	unsigned len;

	if (room < IP6_HLEN + TCP_HLEN || (w[0] & 0xf0) != 0x60 ||
	    (w[1] >> 16 & 0xff) != IP6_NEXTH_TCP)
		return false;
	len = lwip_ntohs((u16_t)w[1]);
	if (len > room - IP6_HLEN)
		return false;
	for (int i = 2; i < 10; i++)
		addresses += w[i];
	if (!read_tcp(t, len, addresses, sum_is_good, a))
		return false;
	a->payload_at = SIZEOF_ETH_HDR + IP6_HLEN + TCP_HLEN;
	a->pcb = net_connection_find_ip6(w + 2, w + 6, t[0]);
	return a->pcb != NULL;
}

/* One piece, for us alone, its IP header on a word boundary, as our drivers see to. */
static inline bool is_readable(const struct netbuf *b)
{
	const uint8_t *frame = b->frags[0].base;

	return b->frag_count == 1 && b->frags[0].len >= SIZEOF_ETH_HDR + IP_HLEN + UDP_HLEN &&
	       !((uintptr_t)(frame + SIZEOF_ETH_HDR) & 3) && !(frame[0] & 1);
}

static inline bool read_frame(const struct netbuf *b, struct arrival *a)
{
	const uint8_t *frame = b->frags[0].base;
	const word32 *ip = (const word32 *)(frame + SIZEOF_ETH_HDR);
	size_t len = b->frags[0].len;
	uint32_t kind;

	kind = frame[12] | (uint32_t)frame[13] << 8;
	if (likely(kind == PP_HTONS(ETHTYPE_IP)))
		return read_ip4(ip, len - SIZEOF_ETH_HDR, b->csum_good, a);
	if (kind == PP_HTONS(ETHTYPE_IPV6))
		return read_ip6(ip, len - SIZEOF_ETH_HDR, b->csum_good, a);
	return false;
}

/* Conditions (2) and (3). */
static inline bool is_expected(const struct arrival *a)
{
	const struct tcp_pcb *pcb = a->pcb;
	uint32_t acked = a->ack - pcb->lastack;

	if (pcb->state != ESTABLISHED ||
	    (pcb->flags & (TF_RXCLOSED | TF_RTO | TF_INFR | TF_CLOSEPEND | TF_FIN)) ||
	    pcb->netif_idx != NETIF_NO_INDEX)
		return false;
	if ((pcb->ooseq || LWIP_TCP_SACK_VALID(pcb, 0)) && !planted(PREDICT_QUEUED))
		return false;
	if (pcb->refused_data)
		return false;
	if (a->seq != pcb->rcv_nxt || !pcb->rcv_wnd || a->len > pcb->rcv_wnd)
		return false;
	if (acked > pcb->snd_nxt - pcb->lastack ||
	    (!(a->len | acked) && !planted(PREDICT_DUPLICATE)))
		return false;
	return !pcb->unsent || TCP_SEQ_GEQ(lwip_ntohl(pcb->unsent->tcphdr->seqno), a->ack);
}

static inline void take_window(struct tcp_pcb *pcb, const struct arrival *a)
{
	uint32_t window = a->window << pcb->snd_scale;

	if (!(TCP_SEQ_LT(pcb->snd_wl1, a->seq) ||
	      (pcb->snd_wl1 == a->seq && TCP_SEQ_LT(pcb->snd_wl2, a->ack)) ||
	      (pcb->snd_wl2 == a->ack && window > pcb->snd_wnd)))
		return;
	pcb->snd_wnd = window;
	if (pcb->snd_wnd_max < window)
		pcb->snd_wnd_max = window;
	pcb->snd_wl1 = a->seq;
	pcb->snd_wl2 = a->ack;
}

/* RFC 3465 in lwIP's form; sums that would overflow stay at the greatest value. */
static inline void grow_congestion_window(struct tcp_pcb *pcb, uint32_t acked)
{
	if (pcb->cwnd < pcb->ssthresh) {
		TCP_WND_INC(pcb->cwnd, LWIP_MIN(acked, 2u * pcb->mss));
		return;
	}
	TCP_WND_INC(pcb->bytes_acked, acked);
	if (pcb->bytes_acked >= pcb->cwnd) {
		pcb->bytes_acked -= pcb->cwnd;
		TCP_WND_INC(pcb->cwnd, pcb->mss);
	}
}

/* Frees the segments that are acknowledged in full; how many bytes they held. */
static inline uint32_t drop_acked(struct tcp_pcb *pcb, uint32_t ack)
{
	uint32_t bytes = 0;
	struct tcp_seg *seg;

	while ((seg = pcb->unacked) &&
	       TCP_SEQ_LEQ(lwip_ntohl(seg->tcphdr->seqno) + TCP_TCPLEN(seg), ack)) {
		pcb->unacked = seg->next;
		bytes += seg->len;
		if (likely(packet_owns_segment(seg) && !seg->p->next)) {
			pcb->snd_queuelen--;
			packet_put((struct packet *)seg->p);
		} else {
			pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen - pbuf_clen(seg->p));
			tcp_seg_free(seg);
		}
	}
	return bytes;
}

/* Something new is acknowledged. Returns what the sent callback is told. */
static inline uint32_t take_ack(struct tcp_pcb *pcb, uint32_t ack)
{
	uint32_t acked = ack - pcb->lastack, freed;

	pcb->nrtx = 0;
	pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
	if (!planted(PREDICT_STATE))
		pcb->dupacks = 0;
	pcb->lastack = ack;
	grow_congestion_window(pcb, acked);
	freed = drop_acked(pcb, ack);
	pcb->rtime = pcb->unacked ? 0 : -1;
	pcb->polltmr = 0;
	if (!pcb->unsent)
		pcb->unsent_oversize = 0;
	if (IP_IS_V6_VAL(pcb->remote_ip))
		nd6_reachability_hint(ip_2_ip6(&pcb->remote_ip));
	pcb->snd_buf += freed;
	return freed;
}

/* The segment that was timed has been acknowledged: Jacobson's estimator in lwIP's integers. */
static void measure_round_trip(struct tcp_pcb *pcb)
{
	s16_t m = (s16_t)((s16_t)(tcp_ticks - pcb->rttest) - (pcb->sa >> 3));

	pcb->sa = (s16_t)(pcb->sa + m);
	if (m < 0)
		m = (s16_t)-m;
	m = (s16_t)(m - (pcb->sv >> 2));
	pcb->sv = (s16_t)(pcb->sv + m);
	pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
	pcb->rttest = 0;
}

static inline void take_bytes(struct tcp_pcb *pcb, unsigned len)
{
	pcb->rcv_nxt += len;
	pcb->rcv_wnd -= len;
	tcp_update_rcv_ann_wnd(pcb);
	tcp_ack(pcb);
	if (IP_IS_V6_VAL(pcb->remote_ip))
		nd6_reachability_hint(ip_2_ip6(&pcb->remote_ip));
}

/* The callbacks, as tcp_input() makes them. False: the connection is gone. */
static inline bool tell(struct tcp_pcb *pcb, uint32_t acked, struct pbuf *bytes)
{
	err_t err;

	while (acked) {
		u16_t n = (u16_t)LWIP_MIN(acked, 0xffffu);

		acked -= n;
		TCP_EVENT_SENT(pcb, n, err);
		if (err == ERR_ABRT) {
			if (bytes)
				pbuf_free(bytes);
			return false;
		}
	}
	if (!bytes)
		return true;
	TCP_EVENT_RECV(pcb, bytes, ERR_OK, err);
	if (err == ERR_ABRT)
		return false;
	if (err != ERR_OK)
		pcb->refused_data = bytes;
	return true;
}

/* The point of no return: from here on the frame is ours. `bytes` is its payload, or NULL. */
static inline void apply(const struct arrival *a, struct pbuf *bytes)
{
	struct tcp_pcb *pcb = a->pcb;
	uint32_t acked = 0;

	net_timer_tcp_active();
	pcb->tmr = tcp_ticks;
	pcb->keep_cnt_sent = 0;
	pcb->persist_probe = 0;
	take_window(pcb, a);
	if (a->ack != pcb->lastack)
		acked = take_ack(pcb, a->ack);
	if (pcb->rttest && TCP_SEQ_LT(pcb->rtseq, a->ack))
		measure_round_trip(pcb);
	if (a->len)
		take_bytes(pcb, a->len);
	tcp_input_pcb = pcb;
	if (unlikely(!tell(pcb, acked, bytes))) {
		tcp_input_pcb = NULL;
		return;
	}
	tcp_input_pcb = NULL;
	if (pcb->unsent || (pcb->flags & TF_ACK_NOW))
		tcp_output(pcb);
	else
		tcp_clear_flags(pcb, TF_NAGLEMEMERR);
}

uint64_t net_predicted(void)
{
	return counter_read(&counter_net_rx_predicted);
}

static inline bool is_udp(const struct netbuf *b)
{
	const uint8_t *frame = b->frags[0].base;

	return frame[23] == IP_PROTO_UDP && frame[12] == 0x08 && frame[13] == 0x00;
}

/* Apart from its caller, because it has many registers to save. */
static __attribute__((noinline)) void take_segment(struct net_interface *in, struct netbuf *b)
{
	struct pbuf *bytes = NULL;
	struct arrival a;

	if (!read_frame(b, &a) || !is_expected(&a) ||
	    (a.len && unlikely(!(bytes = net_receive_lend(in, b, a.payload_at, a.len))))) {
		net_receive_by_lwip(in, b);
		return;
	}
	if (!a.len)
		netbuf_done(b);
	counter_inc(net_rx_predicted);
	apply(&a, bytes);
}

/* Each way ends in a call of its own, so that nothing need be saved for what comes after it. */
void net_receive(struct net_interface *in, struct netbuf *b)
{
	if (unlikely(!net_prediction || !is_readable(b)))
		net_receive_by_lwip(in, b);
	else if (is_udp(b))
		net_datagram_take(in, b);
	else
		take_segment(in, b);
}
