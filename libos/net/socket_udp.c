/*
 * UDP sockets on lwIP's raw API: a bounded queue of datagrams in, one pbuf per datagram out.
 */
#include <core/counter.h>
#include <core/kmem.h>

#include <string.h>

#include "lwip/pbuf.h"
#include "socket_parts.h"

COUNTER(socket_drop_datagram, "datagrams dropped: the socket's queue is full or memory short");

#define DATAGRAM_MAX     65507u
#define DATAGRAM_COST    64u      /* what an empty one counts against the buffer */

struct datagram {
	struct list link;
	struct pbuf *payload;
	ip_addr_t from;
	uint16_t port;
};

static uint32_t udp_ready(const struct socket *s)
{
	uint32_t ready = s->error ? POLL_ERR : 0;

	if (!list_is_empty(&s->datagrams) || s->is_shut_read)
		ready |= POLL_IN;
	if (s->is_shut_read)
		ready |= POLL_RDHUP;
	if (s->is_shut_read && s->is_shut_write)
		ready |= POLL_HUP;
	return ready | POLL_OUT;
}

static void recv_callback(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
			  u16_t port)
{
	struct socket *s = arg;
	size_t cost = p->tot_len + DATAGRAM_COST;
	struct datagram *d = NULL;

	(void)pcb;
	if (!s->is_shut_read && s->datagram_bytes + cost <= s->receive_buffer &&
	    !net_memory_is_short())
		d = kmalloc(sizeof(*d));
	if (!d) {
		counter_inc(socket_drop_datagram);
		pbuf_free(p);
		return;
	}
	d->payload = p;
	d->port = port;
	ip_addr_copy(d->from, *from);
	s->datagram_bytes += cost;
	list_push_back(&s->datagrams, &d->link);
	socket_changed(s, POLL_IN);
}

static void datagram_free(struct socket *s, struct datagram *d)
{
	s->datagram_bytes -= d->payload->tot_len + DATAGRAM_COST;
	list_remove(&d->link);
	pbuf_free(d->payload);
	kfree(d);
}

static int udp_open(struct socket *s)
{
	s->udp = udp_new_ip_type(socket_ip_type(s));
	if (!s->udp)
		return -ENOMEM;
	udp_recv(s->udp, recv_callback, s);
	return 0;
}

static void sock_close(struct socket *s)
{
	while (!list_is_empty(&s->datagrams))
		datagram_free(s, list_first(&s->datagrams, struct datagram, link));
	udp_remove(s->udp);
}

static int sock_bind(struct socket *s, const ip_addr_t *ip, uint16_t port)
{
	return net_errno(udp_bind(s->udp, ip, port));
}

static int bind_if_unbound(struct socket *s)
{
	int err;

	if (s->is_bound)
		return 0;
	err = socket_bind_randomly(s, socket_ip_type(s) == IPADDR_TYPE_ANY ? IP_ANY_TYPE : NULL);
	s->is_bound = !err;
	return err;
}

static int sock_connect(struct socket *s, const ip_addr_t *ip, uint16_t port)
{
	int err;

	if (!ip) {
		udp_disconnect(s->udp);
		s->state = SOCKET_IDLE;
		return 0;
	}
	err = bind_if_unbound(s);
	if (!err)
		err = net_errno(udp_connect(s->udp, ip, port));
	if (!err)
		s->state = SOCKET_CONNECTED;
	return err;
}

static int send_errno(err_t err)
{
	switch (err) {
	case ERR_VAL: return -EACCES;     /* a broadcast without SO_BROADCAST */
	case ERR_MEM: return -ENOBUFS;
	default:      return net_errno(err);
	}
}

static kssize_t send_datagram(struct socket *s, struct uio *u, const ip_addr_t *ip, uint16_t port)
{
	size_t len = uio_left(u);
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM);
	kssize_t got;
	err_t err;

	if (!p)
		return -ENOBUFS;
	got = len ? uio_copy_in(u, p->payload, len) : 0;
	if (got != (kssize_t)len) {
		pbuf_free(p);
		return -EFAULT;
	}
	err = ip ? udp_sendto(s->udp, p, ip, port) : udp_send(s->udp, p);
	pbuf_free(p);
	return err == ERR_OK ? (kssize_t)len : send_errno(err);
}

static kssize_t sock_send(struct socket *s, struct uio *u, const ip_addr_t *ip, uint16_t port,
			  int flags)
{
	int err = socket_take_error(s);

	(void)flags;
	if (err)
		return err;
	if (s->is_shut_write)
		return -EPIPE;
	if (!ip && s->state != SOCKET_CONNECTED)
		return -EDESTADDRREQ;
	if (ip && !port)
		return -EINVAL;
	if (uio_left(u) > DATAGRAM_MAX)
		return -EMSGSIZE;
	err = bind_if_unbound(s);
	return err ? err : send_datagram(s, u, ip, port);
}

/* Copies as much as the caller has room for; the rest of a datagram is lost, as everywhere. */
static kssize_t datagram_copy(const struct datagram *d, struct uio *u)
{
	size_t total = 0;

	for (const struct pbuf *p = d->payload; p && uio_left(u); p = p->next) {
		size_t n = MIN((size_t)p->len, uio_left(u));
		kssize_t moved = n ? uio_copy_out(u, p->payload, n) : 0;

		if (moved != (kssize_t)n)
			return -EFAULT;
		total += n;
	}
	return (kssize_t)total;
}

static kssize_t sock_receive(struct socket *s, struct uio *u, int flags, struct socket_name *from,
			     int *out_flags)
{
	struct datagram *d;
	kssize_t n;

	if (list_is_empty(&s->datagrams)) {
		int err = socket_take_error(s);

		return err ? err : s->is_shut_read ? 0 : -EAGAIN;
	}
	d = list_first(&s->datagrams, struct datagram, link);
	n = datagram_copy(d, u);
	if (n < 0)
		return n;
	if (n < d->payload->tot_len) {
		*out_flags |= SOCKET_MSG_TRUNC;
		if (flags & SOCKET_MSG_TRUNC)
			n = d->payload->tot_len;
	}
	if (from)
		net_address_write(from, s->family, &d->from, d->port);
	if (!(flags & SOCKET_MSG_PEEK))
		datagram_free(s, d);
	return n;
}

static int sock_shutdown(struct socket *s, int how)
{
	(void)how;
	return s->state == SOCKET_CONNECTED ? 0 : -ENOTCONN;
}

static size_t sock_bytes_ready(const struct socket *s)
{
	if (list_is_empty(&s->datagrams))
		return 0;
	return list_first(&s->datagrams, struct datagram, link)->payload->tot_len;
}

static void sock_local(const struct socket *s, ip_addr_t *ip, uint16_t *port)
{
	ip_addr_copy(*ip, s->udp->local_ip);
	*port = s->udp->local_port;
}

static bool sock_peer(const struct socket *s, ip_addr_t *ip, uint16_t *port)
{
	if (s->state != SOCKET_CONNECTED)
		return false;
	ip_addr_copy(*ip, s->udp->remote_ip);
	*port = s->udp->remote_port;
	return true;
}

const struct socket_kind socket_udp = {
	.type = SOCKET_DGRAM,
	.protocol = IP_PROTO_UDP,
	.open = udp_open,
	.close = sock_close,
	.bind = sock_bind,
	.connect = sock_connect,
	.send = sock_send,
	.receive = sock_receive,
	.shutdown = sock_shutdown,
	.ready = udp_ready,
	.bytes_ready = sock_bytes_ready,
	.local = sock_local,
	.peer = sock_peer,
};
