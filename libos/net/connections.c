/*
 * Which connection a segment belongs to, found by hash before lwIP looks for it in its list.
 *
 * lwIP walks the list of its active connections for every segment, some nine instructions for each
 * one passed. It moves a match to the front, and looks there first; so the hook below, which lwIP
 * calls for every IP packet, finds the connection in a hash table and moves it to the front itself.
 *
 * The list is singly linked, so moving needs the predecessor. Tracked connections stand in a list
 * of our own in the same order, as far as known: both grow at the front, and a connection leaves
 * ours when lwIP frees it. What ours cannot see (a connection gone to TIME_WAIT) makes its
 * successor's predecessor wrong; that is checked (`before->next == pcb`), repaired where it is
 * plain, and otherwise the list is walked once.
 *
 * lwIP frees a connection in TIME_WAIT without telling its owner; the same record tells (`gone`).
 * And lwIP answers the SYN of a client that uses its port again with an acknowledgement of the old
 * connection, on and on until TIME_WAIT has passed; here the old one makes room at once, as RFC
 * 1122, 4.2.2.13 allows.
 *
 * All under the stack lock.
 */
#include "connections.h"

#include <core/assert.h>
#include <core/counter.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/list.h>

#include "lwip/ip.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "loans.h"
#include "lwip_hooks.h"
#include "stack.h"
#include "template.h"

COUNTER(net_lookup_front, "segments whose connection stood at the front");
COUNTER(net_lookup_hash, "segments whose connection was found by hash");
COUNTER(net_lookup_walk, "times the list of connections had to be walked");
COUNTER(net_drop_tcp_header, "segments dropped: TCP header or options do not fit");
COUNTER(net_drop_closing, "closing connections reset: their peers took nothing for two minutes");
COUNTER(net_lookup_none, "segments of no known connection");
COUNTER(net_reopened, "connections in TIME_WAIT that made room for a new one of the same ports");

#define REASSEMBLY_NS (20 * NSEC_PER_SEC)
#define CLOSING_NS    (120 * NSEC_PER_SEC)
#define BUCKETS_MIN   256

struct connection {
	struct tcp_pcb *pcb;
	struct connection *bucket_next;
	uint32_t hash;                /* kept, since lwIP clears the port before it frees a pcb */
	uint32_t ports;               /* see port_word() */
	uint64_t addresses;           /* IPv4: remote | local << 32, else NOT_IP4 */
	struct list order;            /* newest first, as lwIP's list */
	void (*gone)(void *owner);
	void *owner;
	struct list loans;            /* in flight, see loans.c */
	uint64_t progress_ns;         /* closing: when `acked` was first seen; else 0 */
	uint32_t acked;
	struct net_template template;
};

/* Both addresses and both ports of a segment, as the pcb that it belongs to has them. */
struct flow {
	ip_addr_t local, remote;
	uint16_t local_port, remote_port;
};

/* No address of a connection: a limited broadcast at both ends. */
#define NOT_IP4 UINT64_MAX

/* What the connection that takes the place of one in TIME_WAIT has to know of it. */
static struct {
	struct flow flow;
	uint32_t sequence;
	bool is_set;
} reopened;

static struct connection **buckets;
static size_t bucket_count, connection_count;
static struct list order = LIST_INIT(order);
static uint64_t hash_key[2];
static struct kmem_cache *connections;

static uint64_t ip6_word(const uint32_t a[4])
{
	return ((uint64_t)(a[0] ^ a[2]) << 32 | (a[1] ^ a[3])) * 0x9e3779b97f4a7c15;
}

static uint64_t address_word(const ip_addr_t *ip)
{
	return IP_IS_V4_VAL(*ip) ? ip4_addr_get_u32(ip_2_ip4(ip)) : ip6_word(ip_2_ip6(ip)->addr);
}

/* As they stand at the beginning of a segment that arrives. */
static uint32_t port_word(uint16_t local, uint16_t remote)
{
	return lwip_htons(remote) | (uint32_t)lwip_htons(local) << 16;
}

/* Keyed, so that a peer cannot choose ports that share a bucket. */
static inline uint32_t hash_words(uint64_t local, uint64_t remote, uint32_t ports)
{
	uint64_t h = remote ^ hash_key[0];

	h = (h ^ h >> 29) * hash_key[1];
	h ^= ports;
	h += local;
	h = (h ^ h >> 32) * hash_key[1];
	return (uint32_t)(h >> 32);
}

static uint32_t hash_of(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
			uint16_t remote_port)
{
	return hash_words(address_word(local), address_word(remote),
			  port_word(local_port, remote_port));
}

static struct connection **bucket_of(uint32_t hash)
{
	return &buckets[hash & (bucket_count - 1)];
}

static void bucket_put(struct connection *c)
{
	struct connection **bucket = bucket_of(c->hash);

	c->bucket_next = *bucket;
	*bucket = c;
}

static bool resize(size_t count)
{
	struct connection **old = buckets, *c, *next;
	size_t old_count = bucket_count;
	struct connection **bigger = kzalloc(count * sizeof(*bigger));

	if (!bigger)
		return false;
	buckets = bigger;
	bucket_count = count;
	for (size_t i = 0; i < old_count; i++) {
		for (c = old[i]; c; c = next) {
			next = c->bucket_next;
			bucket_put(c);
		}
	}
	kfree(old);
	return true;
}

/* A table that cannot grow gets slower, no more. */
static bool prepare(void)
{
	if (buckets)
		return connection_count < bucket_count || resize(bucket_count * 2) || true;
	hash_key[0] = (uint64_t)net_random32() << 32 | net_random32();
	hash_key[1] = ((uint64_t)net_random32() << 32 | net_random32()) | 1;
	connections = kmem_cache_create("net-connection", sizeof(struct connection), 0);
	return connections && resize(BUCKETS_MIN);
}

static void destroyed(u8_t id, void *data)
{
	struct connection *c = data, **at;

	(void)id;
	if (!c)
		return;                  /* never tracked: a listener, or unconnected */
	for (at = bucket_of(c->hash); *at != c; at = &(*at)->bucket_next)
		assert(*at);
	*at = c->bucket_next;
	net_template_forget(&c->template);
	list_remove(&c->order);
	net_loans_drop(&c->loans);
	connection_count--;
	if (c->gone)
		c->gone(c->owner);
	kmem_cache_free(connections, c);
}

struct net_template *net_connection_template(struct tcp_pcb *pcb)
{
	struct connection *c = pcb->ext_args[0].data;

	return &c->template;
}

static err_t passively_opened(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
	(void)id, (void)listener;
	if (net_connection_track(pcb))
		return ERR_MEM;
	net_template_expect(net_connection_template(pcb));  /* SYN-ACK comes next */
	return ERR_OK;
}

static const struct tcp_ext_arg_callbacks callbacks = { destroyed, passively_opened };

void net_connection_expect(struct tcp_pcb *pcb)
{
	tcp_ext_arg_set_callbacks(pcb, 0, &callbacks);
}

static uint64_t ip4_pair(const struct tcp_pcb *pcb)
{
	return ip4_addr_get_u32(ip_2_ip4(&pcb->remote_ip)) |
	       (uint64_t)ip4_addr_get_u32(ip_2_ip4(&pcb->local_ip)) << 32;
}

int net_connection_track(struct tcp_pcb *pcb)
{
	struct connection *c = prepare() ? kmem_cache_alloc(connections) : NULL;

	if (!c)
		return -ENOMEM;
	*c = (struct connection){
		.pcb = pcb,
		.hash = hash_of(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port),
		.ports = port_word(pcb->local_port, pcb->remote_port),
		.template.pcb = pcb,
		.template.ports = port_word(pcb->remote_port, pcb->local_port),
		.addresses = IP_IS_V4_VAL(pcb->remote_ip) ? ip4_pair(pcb) : NOT_IP4,
	};
	list_init(&c->loans);
	bucket_put(c);
	connection_count++;
	list_push_front(&order, &c->order);
	tcp_ext_arg_set_callbacks(pcb, 0, &callbacks);
	tcp_ext_arg_set(pcb, 0, c);
	return 0;
}

void net_connection_watch(struct tcp_pcb *pcb, void (*gone)(void *owner), void *owner)
{
	struct connection *c = tcp_ext_arg_get(pcb, 0);

	if (!c)
		return;
	c->gone = gone;
	c->owner = owner;
}

struct list *net_connection_loans(struct tcp_pcb *pcb)
{
	struct connection *c = tcp_ext_arg_get(pcb, 0);

	return c ? &c->loans : NULL;
}

void net_connection_closing(struct tcp_pcb *pcb)
{
	struct connection *c = tcp_ext_arg_get(pcb, 0);

	if (!c || c->progress_ns)
		return;
	c->progress_ns = net_now_ns;
	c->acked = pcb->lastack;
}

/* True when a closing connection has stood still for too long. Those in TIME_WAIT only wait. */
static bool has_expired(struct connection *c)
{
	if (!c->progress_ns || c->pcb->state == TIME_WAIT)
		return false;
	if (c->acked != c->pcb->lastack) {
		c->acked = c->pcb->lastack;
		c->progress_ns = net_now_ns;
	}
	return net_now_ns - c->progress_ns > CLOSING_NS;
}

void net_connections_expire(void)
{
	static uint64_t looked_ns;
	struct connection *c, *next;

	if (net_now_ns - looked_ns < NSEC_PER_SEC)
		return;
	looked_ns = net_now_ns;
	list_for_each_safe(c, next, &order, order) {
		if (!has_expired(c))
			continue;
		counter_inc(net_drop_closing);
		tcp_abort(c->pcb);
	}
}

size_t net_connection_count(void)
{
	return connection_count;
}

static bool is_flow_of(const struct tcp_pcb *pcb, const struct flow *f)
{
	return pcb->remote_port == f->remote_port && pcb->local_port == f->local_port &&
	       ip_addr_eq(&pcb->remote_ip, &f->remote) && ip_addr_eq(&pcb->local_ip, &f->local);
}

static struct connection *find(const struct flow *f)
{
	struct connection *c;

	if (!buckets)
		return NULL;
	c = *bucket_of(hash_of(&f->local, f->local_port, &f->remote, f->remote_port));
	while (c && !is_flow_of(c->pcb, f))
		c = c->bucket_next;
	return c;
}

struct tcp_pcb *net_connection_find_ip4(uint32_t remote, uint32_t local, uint32_t ports)
{
	uint64_t addresses = remote | (uint64_t)local << 32;
	struct connection *c;

	if (unlikely(!buckets))
		return NULL;
	c = *bucket_of(hash_words(local, remote, ports));
	while (c && (c->addresses != addresses || c->ports != ports))
		c = c->bucket_next;
	return c ? c->pcb : NULL;
}

static bool is_ip6(const ip_addr_t *ip, const uint32_t words[4])
{
	const u32_t *a = ip_2_ip6(ip)->addr;

	return IP_IS_V6_VAL(*ip) && !ip6_addr_has_zone(ip_2_ip6(ip)) && a[0] == words[0] &&
	       a[1] == words[1] && a[2] == words[2] && a[3] == words[3];
}

struct tcp_pcb *net_connection_find_ip6(const uint32_t remote[4], const uint32_t local[4],
					uint32_t ports)
{
	struct connection *c;

	if (!buckets)
		return NULL;
	c = *bucket_of(hash_words(ip6_word(local), ip6_word(remote), ports));
	while (c && (c->ports != ports || !is_ip6(&c->pcb->remote_ip, remote) ||
		     !is_ip6(&c->pcb->local_ip, local)))
		c = c->bucket_next;
	return c ? c->pcb : NULL;
}

/* Connections in TIME_WAIT are on another list and have no place in the order. */
static struct tcp_pcb *before_as_known(const struct connection *c)
{
	while (c->order.prev != &order) {
		struct connection *b = list_entry(c->order.prev, struct connection, order);

		if (b->pcb->state != TIME_WAIT)
			return b->pcb;
		list_remove(&b->order);
	}
	return NULL;
}

static struct tcp_pcb *before(const struct connection *c)
{
	struct tcp_pcb *b = before_as_known(c);

	if (b && b->next == c->pcb)
		return b;
	counter_inc(net_lookup_walk);
	for (b = tcp_active_pcbs; b && b->next != c->pcb; b = b->next)
		continue;
	return b;
}

static void move_to_front(struct connection *c)
{
	struct tcp_pcb *b = before(c);

	if (!b)
		return;
	b->next = c->pcb->next;
	c->pcb->next = tcp_active_pcbs;
	tcp_active_pcbs = c->pcb;
	list_remove(&c->order);
	list_push_front(&order, &c->order);
}

static uint16_t read16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t read32(const uint8_t *p)
{
	return (uint32_t)read16(p) << 16 | read16(p + 2);
}

/*
 * A segment for a connection in TIME_WAIT. A SYN behind all that the old connection has said cannot
 * be a late one of it: the old one goes, and a listener gets the SYN. The new one's numbers begin
 * behind the old one's, so that segments of the old one that are still on their way are nothing to
 * it.
 */
static void reopen(struct connection *c, const struct flow *f, const uint8_t *tcp)
{
	uint32_t sequence = read32(tcp + 4);

	if ((tcp[13] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN ||
	    TCP_SEQ_LT(sequence, c->pcb->rcv_nxt))
		return;
	reopened.flow = *f;
	reopened.sequence = c->pcb->snd_nxt + UINT16_MAX;
	reopened.is_set = true;
	counter_inc(net_reopened);
	tcp_abort(c->pcb);               /* says nothing to the peer in this state */
}

uint32_t net_connection_sequence(const ip_addr_t *local, uint16_t local_port,
				 const ip_addr_t *remote, uint16_t remote_port, uint32_t sequence)
{
	const struct flow *f = &reopened.flow;

	if (likely(!reopened.is_set) || f->local_port != local_port ||
	    f->remote_port != remote_port || !ip_addr_eq(&f->local, local) ||
	    !ip_addr_eq(&f->remote, remote))
		return sequence;
	reopened.is_set = false;
	return TCP_SEQ_LT(sequence, reopened.sequence) ? reopened.sequence : sequence;
}

static void look_up(const struct flow *f, const uint8_t *tcp)
{
	struct connection *c;

	net_timer_tcp_active();
	if (tcp_active_pcbs && is_flow_of(tcp_active_pcbs, f)) {
		counter_inc(net_lookup_front);
		return;
	}
	c = find(f);
	if (!c || c->pcb->state == TIME_WAIT) {
		counter_inc(net_lookup_none);
		if (c)
			reopen(c, f, tcp);
		return;
	}
	counter_inc(net_lookup_hash);
	move_to_front(c);
}

/*
 * lwIP trusts the length bytes of TCP options further than the header reaches, and takes a maximum
 * segment size from any segment, where only a SYN may have one (a connection whose segment size
 * grows can be left with a congestion window below one segment, and never sends again). Segments
 * with such options are dropped before it sees them. `len` bytes lie at `tcp`.
 */
static bool options_fit(const uint8_t *tcp, size_t len)
{
	size_t end = (tcp[12] >> 4) * 4u, at = TCP_HLEN;

	if (likely(end == TCP_HLEN))
		return true;
	if (end < TCP_HLEN || end > len)
		return false;
	while (at < end && tcp[at] != LWIP_TCP_OPT_EOL) {
		if (tcp[at] == LWIP_TCP_OPT_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= end || tcp[at + 1] < 2 || tcp[at + 1] > end - at)
			return planted(NET_TCP_OPTIONS);
		if (tcp[at] == LWIP_TCP_OPT_MSS && !(tcp[13] & TCP_SYN))
			return false;
		at += tcp[at + 1];
	}
	return true;
}

/* For a hook: the packet is ours to free, lwIP does not look at it again. */
static int drop(struct pbuf *p)
{
	counter_inc(net_drop_tcp_header);
	if (!planted(NET_DROP_LEAK))
		pbuf_free(p);
	return 1;
}

static int look_up_ip4(struct pbuf *p, const struct ip_hdr *ip)
{
	unsigned header = IPH_HL_BYTES(ip);
	const uint8_t *tcp = (const uint8_t *)p->payload + header;
	struct flow f;

	if (header < IP_HLEN)
		return 0;
	if (!planted(NET_TCP_HEADER) &&
	    (p->len < header + TCP_HLEN || !options_fit(tcp, p->len - header)))
		return drop(p);
	ip_addr_copy_from_ip4(f.remote, ip->src);
	ip_addr_copy_from_ip4(f.local, ip->dest);
	f.remote_port = read16(tcp);
	f.local_port = read16(tcp + 2);
	look_up(&f, tcp);
	return 0;
}

int net_ip4_input(struct pbuf *p, struct netif *in)
{
	const struct ip_hdr *ip = p->payload;

	(void)in;
	if (p->len < IP_HLEN)
		return 0;
	if (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF)) {
		net_timer_tcp_active();
		net_timer_need(NET_TIMER_IP4_REASSEMBLY, REASSEMBLY_NS);
	} else if (IPH_PROTO(ip) == IP_PROTO_TCP) {
		return look_up_ip4(p, ip);
	}
	return 0;
}

/* The scope of an address is the interface it came through, where it has one. */
static void copy_ip6(ip_addr_t *out, const ip6_addr_p_t *from, struct netif *in)
{
	ip6_addr_t ip;

	ip6_addr_copy_from_packed(ip, *from);
	ip6_addr_assign_zone(&ip, IP6_UNKNOWN, in);
	ip_addr_copy_from_ip6(*out, ip);
}

static int look_up_ip6(struct pbuf *p, const struct ip6_hdr *ip, struct netif *in)
{
	const uint8_t *tcp = (const uint8_t *)p->payload + IP6_HLEN;
	struct flow f;

	if (!planted(NET_TCP6_HEADER) &&
	    (p->len < IP6_HLEN + TCP_HLEN || !options_fit(tcp, p->len - IP6_HLEN)))
		return drop(p);
	copy_ip6(&f.remote, &ip->src, in);
	copy_ip6(&f.local, &ip->dest, in);
	f.remote_port = read16(tcp);
	f.local_port = read16(tcp + 2);
	look_up(&f, tcp);
	return 0;
}

int net_ip6_input(struct pbuf *p, struct netif *in)
{
	const struct ip6_hdr *ip = p->payload;

	if (p->len < IP6_HLEN)
		return 0;
	switch (IP6H_NEXTH(ip)) {
	case IP6_NEXTH_TCP:
		return look_up_ip6(p, ip, in);
	case IP6_NEXTH_UDP:
		break;
	case IP6_NEXTH_ICMP6:
	case IP6_NEXTH_HOPBYHOP:
		net_timer_need(NET_TIMER_ND6, 0);   /* is anything busy afterwards? */
		break;
	default:
		net_timer_tcp_active();
		net_timer_need(NET_TIMER_IP6_REASSEMBLY, IPV6_REASS_MAXAGE * NSEC_PER_SEC);
		break;
	}
	return 0;
}
