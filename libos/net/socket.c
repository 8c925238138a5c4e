/*
 * Sockets: the part that TCP and UDP share. See <libos/socket.h> for the contract.
 *
 * Each call takes the stack lock, does what can be done at once, and lets go. lwIP's callbacks
 * (socket_tcp.c, socket_udp.c) change the object under the same lock and end in socket_changed(),
 * which remembers what is ready for socket_poll() and tells watchers.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>

#include "socket_parts.h"

COUNTER(socket_created, "sockets made");

#define PORT_ATTEMPTS  64
#define BUFFER_DEFAULT 212992u   /* what Linux says */
#define AF_UNSPEC      0

struct socket *socket_alloc(const struct socket_kind *kind, int family)
{
	struct socket *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->kind = kind;
	s->family = (uint8_t)family;
	s->receive_buffer = s->send_buffer = BUFFER_DEFAULT;
	poll_queue_init(&s->poll);
	list_init(&s->datagrams);
	list_init(&s->accepted);
	list_init(&s->accept_link);
	counter_inc(socket_created);
	return s;
}

void socket_changed(struct socket *s, uint32_t events)
{
	__atomic_store_n(&s->ready, s->kind->ready(s), __ATOMIC_RELEASE);
	if (events)
		poll_notify(&s->poll, events);
}

int socket_take_error(struct socket *s)
{
	int error = s->error;

	s->error = 0;
	return -error;
}

uint8_t socket_ip_type(const struct socket *s)
{
	if (s->family == SOCKET_AF_INET)
		return IPADDR_TYPE_V4;
	return s->is_v6only ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

static const struct socket_kind *find_kind(int type, int protocol, int *err)
{
	const struct socket_kind *kind = NULL;

	if (type == SOCKET_STREAM)
		kind = &socket_tcp;
	else if (type == SOCKET_DGRAM)
		kind = &socket_udp;
	*err = kind ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
	return kind && (!protocol || protocol == kind->protocol) ? kind : NULL;
}

int socket_create(int domain, int type, int protocol, struct socket **out)
{
	const struct socket_kind *kind;
	struct socket *s;
	int err;

	if (domain != SOCKET_AF_INET && domain != SOCKET_AF_INET6)
		return -EAFNOSUPPORT;
	kind = find_kind(type, protocol, &err);
	if (!kind)
		return err;
	s = socket_alloc(kind, domain);
	if (!s)
		return -ENOMEM;
	net_enter();
	err = net_memory_is_short() ? -ENOBUFS : kind->open(s);
	if (!err)
		socket_changed(s, 0);
	net_leave();
	if (err)
		kfree(s);
	else
		*out = s;
	return err;
}

void socket_release(struct socket *s)
{
	net_enter();
	s->kind->close(s);
	net_leave();
	poll_queue_destroy(&s->poll);
	kfree(s);
}

/* An address for this socket: 0, -EINVAL, -EAFNOSUPPORT. */
static int read_address(const struct socket *s, const void *addr, size_t len, ip_addr_t *ip,
			uint16_t *port)
{
	int err = net_address_read(addr, len, ip, port);

	if (err)
		return err;
	if (s->family == SOCKET_AF_INET && !IP_IS_V4_VAL(*ip))
		return -EAFNOSUPPORT;
	if (s->is_v6only && IP_IS_V4_VAL(*ip))
		return -EINVAL;
	return 0;
}

int socket_bind_randomly(struct socket *s, const ip_addr_t *ip)
{
	int err = -EADDRINUSE;

	for (int i = 0; i < PORT_ATTEMPTS && err == -EADDRINUSE; i++)
		err = s->kind->bind(s, ip, net_random_port());
	return err;
}

static int bind_locked(struct socket *s, const ip_addr_t *ip, uint16_t port)
{
	int err;

	if (s->is_bound || s->state != SOCKET_IDLE)
		return -EINVAL;
	if (!net_address_is_local(ip))
		return -EADDRNOTAVAIL;
	err = port ? s->kind->bind(s, ip, port) : socket_bind_randomly(s, ip);
	if (!err)
		s->is_bound = true;
	return err;
}

int socket_bind(struct socket *s, const void *addr, size_t len)
{
	uint16_t port;
	ip_addr_t ip;
	int err = read_address(s, addr, len, &ip, &port);

	if (err)
		return err;
	if (s->family == SOCKET_AF_INET6 && !s->is_v6only && ip_addr_isany_val(ip))
		ip_addr_copy(ip, *IP_ANY_TYPE);
	net_enter();
	err = bind_locked(s, &ip, port);
	net_leave();
	return err;
}

int socket_listen(struct socket *s, int backlog)
{
	int err = -EOPNOTSUPP;

	net_enter();
	if (s->kind == &socket_tcp)
		err = socket_tcp_listen(s, backlog);
	if (!err)
		socket_changed(s, 0);
	net_leave();
	return err;
}

int socket_accept(struct socket *s, struct socket **out, struct socket_name *peer)
{
	ip_addr_t ip = IPADDR4_INIT(0);
	uint16_t port = 0;
	int err = 0;

	net_enter();
	if (s->state != SOCKET_LISTENING)
		err = s->kind == &socket_tcp ? -EINVAL : -EOPNOTSUPP;
	else
		*out = socket_tcp_accept(s);
	if (!err && !*out)
		err = -EAGAIN;
	if (!err && peer) {
		(*out)->kind->peer(*out, &ip, &port);
		net_address_write(peer, s->family, &ip, port);
	}
	net_leave();
	return err;
}

static bool is_unspecified(const void *addr, size_t len)
{
	uint16_t family = 1;

	if (len >= sizeof(family))
		__builtin_memcpy(&family, addr, sizeof(family));
	return family == AF_UNSPEC;
}

int socket_connect(struct socket *s, const void *addr, size_t len)
{
	uint16_t port = 0;
	ip_addr_t ip;
	int err;

	if (s->kind == &socket_udp && is_unspecified(addr, len)) {
		net_enter();
		err = s->kind->connect(s, NULL, 0);
		net_leave();
		return err;
	}
	err = read_address(s, addr, len, &ip, &port);
	if (err)
		return err;
	net_enter();
	net_timer_tcp_active();
	err = s->kind->connect(s, &ip, port);
	socket_changed(s, 0);
	net_leave();
	return err;
}

kssize_t socket_send(struct socket *s, struct uio *u, const void *addr, size_t len, int flags)
{
	uint16_t port = 0;
	kssize_t ret = 0;
	ip_addr_t ip;

	if (addr)
		ret = read_address(s, addr, len, &ip, &port);
	if (ret)
		return ret;
	net_enter();
	ret = s->kind->send(s, u, addr ? &ip : NULL, port, flags);
	socket_changed(s, 0);
	net_leave();
	return ret;
}

kssize_t socket_receive(struct socket *s, struct uio *u, int flags, struct socket_name *from,
			int *out_flags)
{
	kssize_t ret;
	int ignored;

	if (!out_flags)
		out_flags = &ignored;
	*out_flags = 0;
	if (from)
		from->len = 0;
	net_enter();
	ret = s->kind->receive(s, u, flags, from, out_flags);
	socket_changed(s, 0);
	net_leave();
	return ret;
}

int socket_shutdown(struct socket *s, int how)
{
	int err;

	if (how < SOCKET_SHUT_RD || how > SOCKET_SHUT_RDWR)
		return -EINVAL;
	net_enter();
	net_timer_tcp_active();
	err = s->kind->shutdown(s, how);
	if (!err) {
		s->is_shut_read |= how != SOCKET_SHUT_WR;
		s->is_shut_write |= how != SOCKET_SHUT_RD;
		socket_changed(s, POLL_IN | POLL_OUT | POLL_HUP | POLL_RDHUP);
	}
	net_leave();
	return err;
}

int socket_local_name(struct socket *s, struct socket_name *out)
{
	ip_addr_t ip = IPADDR4_INIT(0);
	uint16_t port = 0;

	net_enter();
	s->kind->local(s, &ip, &port);
	net_address_write(out, s->family, &ip, port);
	net_leave();
	return 0;
}

int socket_peer_name(struct socket *s, struct socket_name *out)
{
	ip_addr_t ip = IPADDR4_INIT(0);
	uint16_t port = 0;
	bool has_peer;

	net_enter();
	has_peer = s->kind->peer(s, &ip, &port);
	if (has_peer)
		net_address_write(out, s->family, &ip, port);
	net_leave();
	return has_peer ? 0 : -ENOTCONN;
}

size_t socket_bytes_ready(struct socket *s)
{
	size_t n;

	net_enter();
	n = s->kind->bytes_ready(s);
	net_leave();
	return n;
}

bool socket_is_listening(const struct socket *s)
{
	return s->state == SOCKET_LISTENING;
}

uint64_t socket_receive_timeout_ns(const struct socket *s)
{
	return s->receive_timeout_ns;
}

uint64_t socket_send_timeout_ns(const struct socket *s)
{
	return s->send_timeout_ns;
}

uint32_t socket_poll(struct socket *s)
{
	return __atomic_load_n(&s->ready, __ATOMIC_ACQUIRE);
}

struct poll_queue *socket_poll_queue(struct socket *s)
{
	return &s->poll;
}
