/*
 * Where streams come from: listeners and connects; and the addresses at both ends.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>

#include <string.h>

#include "address.h"
#include "connections.h"
#include "stream_lwip.h"

COUNTER(stream_drop_accept, "connections refused for want of memory");

#define BACKLOG_MAX   255     /* lwIP counts in eight bits */
#define PORT_ATTEMPTS 32

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct stream_listener *l = arg;
	struct stream *s;

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	s = net_memory_is_short() ? NULL : stream_create(l->loop, l->class, l->user, pcb);
	if (!s) {
		counter_inc(stream_drop_accept);
		return ERR_MEM;        /* lwIP resets the connection */
	}
	if (l->is_paused) {
		tcp_backlog_delayed(pcb);
		s->events |= STREAM_OPENED;
		list_push_back(&l->held, &s->ready);
		return ERR_OK;
	}
	stream_mark(s, STREAM_OPENED);
	return ERR_OK;
}

void stream_listener_pause(struct stream_listener *l, bool paused)
{
	struct list *link;

	net_enter();
	l->is_paused = paused;
	while (!paused && (link = list_pop_front(&l->held))) {
		struct stream *s = list_entry(link, struct stream, ready);

		if (s->pcb)
			tcp_backlog_accepted(s->pcb);
		stream_mark(s, 0);
	}
	net_leave();
}

static int bind_and_listen(struct stream_listener *l, const ip_addr_t *ip, uint16_t port)
{
	bool any6 = l->class->family == SOCKET_AF_INET6 && ip_addr_isany(ip);
	struct tcp_pcb *pcb = tcp_new_ip_type(any6 ? IPADDR_TYPE_ANY : IP_GET_TYPE(ip)), *listening;
	err_t err;

	if (!pcb)
		return -ENOMEM;
	ip_set_option(pcb, SOF_REUSEADDR);
	err = tcp_bind(pcb, any6 ? IP_ANY_TYPE : ip, port);
	if (err != ERR_OK) {
		tcp_close(pcb);
		return net_errno(err);
	}
	net_connection_expect(pcb);
	listening = tcp_listen_with_backlog_and_err(
		pcb, (u8_t)MIN(l->class->options.backlog, BACKLOG_MAX), &err);
	if (!listening) {
		tcp_close(pcb);
		return net_errno(err);
	}
	l->pcb = listening;
	tcp_arg(listening, l);
	tcp_accept(listening, accepted);
	list_push_back(&l->loop->listeners, &l->link);
	return 0;
}

int stream_listen(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
		  const struct stream_ops *ops, const struct stream_options *options, void *user,
		  struct stream_listener **out)
{
	struct stream_listener *l;
	uint16_t port;
	ip_addr_t ip;
	int err = net_address_read(addr, addr_len, &ip, &port);

	if (err)
		return err;
	l = kzalloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->class = stream_class_create(ops, options, addr->sa_family);
	if (!l->class) {
		kfree(l);
		return -ENOMEM;
	}
	l->loop = loop;
	l->user = user;
	list_init(&l->held);
	net_enter();
	l->id = stream_id_alloc();
	err = l->id < 0 ? l->id : -EADDRNOTAVAIL;
	if (l->id >= 0 && net_address_is_local(&ip))
		err = bind_and_listen(l, &ip, port);
	if (err && l->id >= 0)
		stream_id_free(l->id);
	if (err)
		stream_class_put(l->class);
	net_leave();
	if (err)
		kfree(l);
	else
		*out = l;
	return err;
}

void stream_listener_close(struct stream_listener *l)
{
	stream_listener_pause(l, false);
	net_enter();
	tcp_arg(l->pcb, NULL);
	tcp_accept(l->pcb, NULL);
	tcp_close(l->pcb);
	list_remove(&l->link);
	stream_id_free(l->id);
	stream_class_put(l->class);
	net_leave();
	kfree(l);
}

int stream_listener_id(const struct stream_listener *l)
{
	return l->id;
}

static void name_out(const struct socket_name *name, struct sockaddr_storage *addr, socklen_t *len)
{
	memset(addr, 0, sizeof(*addr));
	memcpy(addr, name->bytes, name->len);
	*len = name->len;
}

int stream_listener_address(const struct stream_listener *l, struct sockaddr_storage *addr,
			    socklen_t *len)
{
	struct socket_name name;

	net_enter();
	net_address_write(&name, l->class->family, &l->pcb->local_ip, l->pcb->local_port);
	net_leave();
	name_out(&name, addr, len);
	return 0;
}

static int stream_address(const struct stream *s, bool peer, struct sockaddr_storage *addr,
			  socklen_t *len)
{
	struct socket_name name;
	int err = -ENOTCONN;

	net_enter();
	if (s->pcb) {
		net_address_write(&name, s->class->family,
				  peer ? &s->pcb->remote_ip : &s->pcb->local_ip,
				  peer ? s->pcb->remote_port : s->pcb->local_port);
		err = 0;
	}
	net_leave();
	if (!err)
		name_out(&name, addr, len);
	return err;
}

int stream_peer_address(const struct stream *s, struct sockaddr_storage *addr, socklen_t *len)
{
	return stream_address(s, true, addr, len);
}

int stream_local_address(const struct stream *s, struct sockaddr_storage *addr, socklen_t *len)
{
	return stream_address(s, false, addr, len);
}

static err_t connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)pcb, (void)err;
	stream_mark(arg, STREAM_OPENED);
	return ERR_OK;
}

/* A port that nobody can guess (RFC 6056); lwIP refuses those in use. */
static err_t bind_randomly(struct tcp_pcb *pcb)
{
	err_t err = ERR_USE;

	for (int i = 0; i < PORT_ATTEMPTS && err == ERR_USE; i++)
		err = tcp_bind(pcb, NULL, net_random_port());
	return err;
}

static int start_connect(struct stream *s, struct tcp_pcb *pcb, const ip_addr_t *ip, uint16_t port)
{
	err_t err = bind_randomly(pcb);

	s->is_connecting = true;
	if (err == ERR_OK)
		err = tcp_connect(pcb, ip, port, connected);
	return err == ERR_OK ? stream_track(s) : net_errno(err);
}

static void undo_connect(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;

	s->pcb = NULL;
	stream_pcb_detach(pcb);
	tcp_abort(pcb);
	stream_free(s);
}

static int connect_locked(struct stream_loop *loop, struct stream_class *class, void *user,
			  const ip_addr_t *ip, uint16_t port, struct stream **out)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(ip));
	struct stream *s = pcb ? stream_create(loop, class, user, pcb) : NULL;
	int err;

	if (!s) {
		if (pcb)
			tcp_abort(pcb);
		return -ENOMEM;
	}
	err = start_connect(s, pcb, ip, port);
	if (err)
		undo_connect(s);
	else
		*out = s;
	return err;
}

int stream_connect(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
		   const struct stream_ops *ops, const struct stream_options *options, void *user,
		   struct stream **out)
{
	struct stream_class *class;
	uint16_t port;
	ip_addr_t ip;
	int err = net_address_read(addr, addr_len, &ip, &port);

	if (err)
		return err;
	class = stream_class_create(ops, options, addr->sa_family);
	if (!class)
		return -ENOMEM;
	net_enter();
	net_timer_tcp_active();
	err = connect_locked(loop, class, user, &ip, port, out);
	stream_class_put(class);
	net_leave();
	return err;
}
