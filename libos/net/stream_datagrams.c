/*
 * Datagrams of <libos/stream.h> in the lwIP back end.
 *
 * What arrives waits, where it lies, in its owner's inbox ([S], filled under the stack lock); the
 * loop's section moves it to `waiting` ([o]), and the loop hands it out, one datagram after the
 * other. Most datagrams and answers go past lwIP, in the frame that the datagram came in
 * (stream_datagrams_short.c). Other answers are built in packets and gathered in the loop's lists.
 * The next section sends all. A flood is bounded by WAITING_MAX datagrams for each owner; more are
 * dropped and counted.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>

#include <string.h>

#include "address.h"
#include "lwip/ip.h"
#include "lwip/udp.h"
#include "stream_datagrams.h"
#include "template.h"

COUNTER(stream_drop_datagram,
	"datagrams dropped: too many wait for their server, or memory is short");
COUNTER(stream_drop_answer, "datagrams of servers dropped: no memory, route or neighbour");

#define WAITING_MAX 1024

/* The route of an answer lies where its headers will be, until it is sent. */
_Static_assert(sizeof(struct route) <= PACKET_HEADERS, "a route fits into the room for headers");

static struct long_datagram *long_of(struct datagram *g)
{
	return container_of(g, struct long_datagram, head);
}

static __attribute__((noinline)) void long_free(struct datagram *g)
{
	net_receive_done(long_of(g)->bytes);
	kfree(long_of(g));
}

bool stream_datagram_is_welcome(const struct stream_datagrams *d)
{
	if (likely(d->inbox_count < WAITING_MAX))
		return true;
	counter_inc(stream_drop_datagram);
	return false;
}

void stream_datagram_arrived(struct stream_datagrams *d, struct datagram *g)
{
	g->next = NULL;
	*d->inbox_end = g;
	d->inbox_end = &g->next;
	d->inbox_count++;
	d->loop->has_inbox = true;
	stream_loop_mark(d->loop);
}

/* Bytes in several pieces (fragments) are made one, since a server gets one. */
static struct pbuf *in_one_piece(struct pbuf *p)
{
	return p->next ? pbuf_coalesce(p, PBUF_RAW) : p;
}

static struct long_datagram *long_new(struct stream_datagrams *d, struct pbuf *p)
{
	struct long_datagram *g;

	if (!stream_datagram_is_welcome(d))
		return NULL;
	g = p->next || net_memory_is_short() ? NULL : kmalloc(sizeof(*g));
	if (!g)
		counter_inc(stream_drop_datagram);
	return g;
}

static void arrived(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
		    u16_t port)
{
	struct stream_datagrams *d = arg;
	struct long_datagram *g;

	p = in_one_piece(p);
	g = long_new(d, p);
	if (!g) {
		pbuf_free(p);
		return;
	}
	g->head = (struct datagram){ .by = d, .data = p->payload, .len = p->len };
	g->bytes = p;
	g->route = (struct route){ .by = d, .remote_port = port };
	ip_addr_copy(g->route.remote, *from);
	if (ip_addr_ismulticast(ip_current_dest_addr()) ||
	    ip_addr_isbroadcast(ip_current_dest_addr(), ip_current_netif()))
		ip_addr_copy(g->route.local, pcb->local_ip);
	else
		ip_addr_copy(g->route.local, *ip_current_dest_addr());
	stream_datagram_arrived(d, &g->head);
}

/* Section: takes the inboxes over; what was taken before has been served. */
void stream_datagrams_collect(struct stream_loop *loop)
{
	struct stream_datagrams *d;

	loop->has_inbox = false;
	list_for_each(d, &loop->datagrams, link) {
		if (!d->inbox)
			continue;
		assert(!d->waiting);
		d->waiting = d->inbox;
		d->inbox = NULL;
		d->inbox_end = &d->inbox;
		loop->has_datagrams = true;
		loop->stats.datagrams_in += d->inbox_count;
		d->inbox_count = 0;
	}
}

static void answer_drop(struct packet *k)
{
	counter_inc(stream_drop_answer);
	packet_put(k);
}

static void answer_send(struct packet *k)
{
	struct route route;
	struct netif *netif;

	memcpy(&route, k->headers, sizeof(route));
	netif = ip_route(&route.local, &route.remote);
	if (!netif) {
		answer_drop(k);
		return;
	}
	if (ip_addr_isany(&route.local)) {
		const ip_addr_t *own = ip_netif_get_local_ip(netif, &route.remote);

		if (own)
			ip_addr_copy(route.local, *own);
	}
	if (udp_sendto_if_src(route.by->pcb, &k->custom.pbuf, &route.remote, route.remote_port,
			      netif, &route.local) != ERR_OK)
		counter_inc(stream_drop_answer);
	packet_put(k);
}

/* Datagrams that were handed out: sends the answers in their frames, and gives all back. */
static void end_used(struct stream_loop *loop)
{
	unsigned taken = 0, answered = 0;
	struct datagram *g, *next;
	size_t bytes = 0, len = 0;

	for (g = loop->used_datagrams; g; g = next) {
		enum short_end end;

		next = g->next;
		if (unlikely(!g->is_short)) {
			long_free(g);
			continue;
		}
		taken++;
		end = stream_short_end(g, &len);
		if (likely(end == SHORT_ANSWERED)) {
			answered++;
			bytes += len;
		} else if (end == SHORT_DROPPED) {
			counter_inc(stream_drop_answer);
		}
	}
	loop->used_datagrams = NULL;
	loop->used_datagrams_end = &loop->used_datagrams;
	loop->stats.datagrams_out += answered;
	loop->stats.bytes_out += bytes;
	stream_short_count(taken, answered);
}

static __attribute__((noinline)) void send_packets(struct stream_loop *loop)
{
	struct output_piece *piece;

	while ((piece = loop->short_answers)) {
		loop->short_answers = piece->next;
		stream_short_send(packet_of(piece));
	}
	while ((piece = loop->answers)) {
		loop->answers = piece->next;
		answer_send(packet_of(piece));
	}
	loop->short_answers_end = &loop->short_answers;
	loop->answers_end = &loop->answers;
}

/* Section: sends what was answered during the last service. */
void stream_datagrams_flush(struct stream_loop *loop)
{
	if (loop->used_datagrams)
		end_used(loop);
	if (unlikely(loop->short_answers || loop->answers))
		send_packets(loop);
}

/* Those that wait are served in their order, and go over to the used ones together. */
static void serve_waiting(struct stream_datagrams *d)
{
	struct datagram *first = d->waiting, *last = NULL;
	size_t bytes = 0;

	for (struct datagram *g = first; g; g = g->next) {
		d->current = last = g;
		bytes += g->len;
		d->ops.received(d, g->data, g->len);
	}
	d->current = NULL;
	d->waiting = NULL;
	d->loop->stats.bytes_in += bytes;
	*d->loop->used_datagrams_end = first;
	d->loop->used_datagrams_end = &last->next;
}

static void unreserve(struct stream_datagrams *d)
{
	stream_packet_return(d->loop, d->reserved);
	d->reserved = NULL;
}

/*
 * A server may open others from inside received(), but close none; those opened have nothing yet.
 */
void stream_datagrams_serve(struct stream_loop *loop)
{
	struct stream_datagrams *d;

	loop->has_datagrams = false;
	list_for_each(d, &loop->datagrams, link) {
		if (d->waiting)
			serve_waiting(d);
		if (d->reserved)
			unreserve(d);
	}
}

static __attribute__((noinline)) void *reserve_packet(struct stream_datagrams *d, size_t len)
{
	d->reserved = stream_packet_take(d->loop,
					 len > PACKET_SMALL_ROOM ? PACKET_LARGE : PACKET_SMALL);
	return d->reserved ? d->reserved->payload : NULL;
}

void *stream_datagram_reserve(struct stream_datagrams *d, size_t len)
{
	void *room = NULL;

	if (unlikely(!d->current || len > STREAM_DATAGRAM_MAX))
		return NULL;
	if (unlikely(d->reserved))
		unreserve(d);
	if (likely(d->current->is_short))
		room = stream_short_reserve(d->current, len);
	return likely(room) ? room : reserve_packet(d, len);
}

static __attribute__((noinline)) void commit_packet(struct stream_datagrams *d, struct packet *k,
						    size_t len)
{
	struct output_piece ***end = &d->loop->short_answers_end;

	assert(len <= k->room);
	d->loop->stats.datagrams_out++;
	d->loop->stats.bytes_out += len;
	d->reserved = NULL;
	packet_set_len(k, len);
	if (!d->current->is_short || !stream_short_answer(d->current, k, len)) {
		if (d->current->is_short)
			stream_short_route(d->current, (struct route *)k->headers);
		else
			memcpy(k->headers, &long_of(d->current)->route, sizeof(struct route));
		end = &d->loop->answers_end;
	}
	k->piece.next = NULL;
	**end = &k->piece;
	*end = &k->piece.next;
}

void stream_datagram_commit(struct stream_datagrams *d, size_t len)
{
	assert(d->current && (d->reserved || d->current->is_short));
	if (unlikely(d->reserved))
		commit_packet(d, d->reserved, len);
	else
		stream_short_commit(d->current, len);
}

static int open_locked(struct stream_datagrams *d, const ip_addr_t *ip, uint16_t port)
{
	bool any6 = d->family == SOCKET_AF_INET6 && ip_addr_isany(ip);
	err_t err;

	if (!net_address_is_local(ip))
		return -EADDRNOTAVAIL;
	d->pcb = udp_new_ip_type(any6 ? IPADDR_TYPE_ANY : IP_GET_TYPE(ip));
	if (!d->pcb)
		return -ENOMEM;
	err = udp_bind(d->pcb, any6 ? IP_ANY_TYPE : ip, port);
	if (err != ERR_OK) {
		udp_remove(d->pcb);
		return net_errno(err);
	}
	udp_recv(d->pcb, arrived, d);
	list_push_back(&d->loop->datagrams, &d->link);
	stream_datagrams_expect(d);
	return 0;
}

int stream_datagrams_open(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
			  const struct stream_datagram_ops *ops, void *user,
			  struct stream_datagrams **out)
{
	struct stream_datagrams *d;
	uint16_t port;
	ip_addr_t ip;
	int err = net_address_read(addr, addr_len, &ip, &port);

	if (err)
		return err;
	d = kzalloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->loop = loop;
	d->ops = *ops;
	d->user = user;
	d->family = addr->sa_family;
	d->inbox_end = &d->inbox;
	net_enter();
	d->id = stream_id_alloc();
	err = d->id < 0 ? d->id : open_locked(d, &ip, port);
	if (err && d->id >= 0)
		stream_id_free(d->id);
	net_leave();
	if (err)
		kfree(d);
	else
		*out = d;
	return err;
}

static void drop_all(struct datagram *g)
{
	struct datagram *next;

	for (; g; g = next) {
		next = g->next;
		if (g->is_short)
			stream_short_drop(g);
		else
			long_free(g);
	}
}

/* Answers name their pcb, so they leave first. */
void stream_datagrams_close(struct stream_datagrams *d)
{
	assert(!d->current);
	net_enter();
	stream_datagrams_flush(d->loop);
	drop_all(d->inbox);
	drop_all(d->waiting);
	udp_remove(d->pcb);
	list_remove(&d->link);
	stream_datagrams_unexpect(d);
	stream_id_free(d->id);
	net_leave();
	kfree(d);
}

void stream_datagrams_close_all(struct stream_loop *loop)
{
	while (!list_is_empty(&loop->datagrams))
		stream_datagrams_close(list_first(&loop->datagrams, struct stream_datagrams, link));
}

int stream_datagrams_id(const struct stream_datagrams *d)
{
	return d->id;
}

void *stream_datagrams_user(const struct stream_datagrams *d)
{
	return d->user;
}

static void name_out(const struct socket_name *name, struct sockaddr_storage *addr, socklen_t *len)
{
	memset(addr, 0, sizeof(*addr));
	memcpy(addr, name->bytes, name->len);
	*len = name->len;
}

int stream_datagrams_address(const struct stream_datagrams *d, struct sockaddr_storage *addr,
			     socklen_t *len)
{
	struct socket_name name;

	net_enter();
	net_address_write(&name, d->family, &d->pcb->local_ip, d->pcb->local_port);
	net_leave();
	name_out(&name, addr, len);
	return 0;
}

int stream_datagrams_peer(const struct stream_datagrams *d, struct sockaddr_storage *addr,
			  socklen_t *len)
{
	struct socket_name name;
	struct route route;

	if (!d->current)
		return -ENOTCONN;
	if (d->current->is_short)
		stream_short_route(d->current, &route);
	else
		route = long_of(d->current)->route;
	net_address_write(&name, d->family, &route.remote, route.remote_port);
	name_out(&name, addr, len);
	return 0;
}
