/*
 * TCP sockets on lwIP's raw API.
 *
 * Received pieces stay where they are (lent by the driver, or lwIP's) until the application has
 * copied them out; the window is opened as it does. Sent bytes are copied into segments, by way of
 * a scratch buffer, because only uio_copy_in() may touch the caller's memory. Those that are lent
 * (pages of files, by sendfile()) are sent where they lie, and held until nobody names them any
 * more (loans.c).
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>

#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "connections.h"
#include "loans.h"
#include "socket_parts.h"

COUNTER(socket_accepted, "connections accepted for sockets");
COUNTER(socket_drop_accept, "connections refused for want of memory");
COUNTER(socket_bytes_copied, "bytes copied to be sent by TCP sockets");
COUNTER(socket_bytes_lent, "bytes sent by TCP sockets from where they lay");

#define BACKLOG_MAX    255     /* lwIP counts in eight bits */
#define ROOM_MIN       4096    /* free send buffer that makes a socket writable again */
#define LEND_MIN       512     /* of what is lent no smaller pieces are made */
#define WRITE_MAX      0xffffu /* tcp_write() takes 16-bit lengths */

static uint8_t scratch[8192];  /* [stack lock] */

static bool has_room(const struct tcp_pcb *pcb)
{
	return tcp_sndbuf(pcb) >= ROOM_MIN && tcp_sndqueuelen(pcb) < TCP_SND_QUEUELEN / 2;
}

static uint32_t tcp_ready(const struct socket *s)
{
	uint32_t ready = s->error ? POLL_ERR : 0;

	switch (s->state) {
	case SOCKET_LISTENING:
		return list_is_empty(&s->accepted) ? 0 : POLL_IN;
	case SOCKET_CONNECTING:
		return ready;
	case SOCKET_CONNECTED:
		if (s->input || s->has_fin || s->is_shut_read)
			ready |= POLL_IN;
		if (s->has_fin || s->is_shut_read)
			ready |= POLL_RDHUP;
		if (s->is_shut_write || (s->tcp && has_room(s->tcp)))
			ready |= POLL_OUT;
		if ((s->has_fin || s->is_shut_read) && s->is_shut_write)
			ready |= POLL_HUP;
		return ready;
	case SOCKET_CLOSED:
		return ready | POLL_IN | POLL_OUT | POLL_HUP | POLL_RDHUP;
	default:
		return ready | POLL_OUT | POLL_HUP;
	}
}

static err_t recv_callback(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct socket *s = arg;

	(void)err;
	if (!p) {
		s->has_fin = true;
		socket_changed(s, POLL_IN | POLL_RDHUP | (s->is_shut_write ? POLL_HUP : 0));
		return ERR_OK;
	}
	if (s->is_shut_read) {
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
		return ERR_OK;
	}
	s->input_len += p->tot_len;
	if (s->input)
		pbuf_cat(s->input, p);
	else
		s->input = p;
	socket_changed(s, POLL_IN);
	return ERR_OK;
}

static err_t sent_callback(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct socket *s = arg;

	(void)len;
	net_loans_acked(pcb);
	if (has_room(pcb) && !(s->ready & POLL_OUT))
		socket_changed(s, POLL_OUT);
	return ERR_OK;
}

/* Of a connection whose socket is closed. */
static err_t sent_after_close(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	(void)arg, (void)len;
	net_loans_acked(pcb);
	return ERR_OK;
}

/* lwIP has dropped the connection and freed the pcb. */
static void gone_callback(void *arg, err_t err)
{
	struct socket *s = arg;

	s->tcp = NULL;
	if (err == ERR_RST && s->state == SOCKET_CONNECTING)
		s->error = ECONNREFUSED;
	else if (err != ERR_CLSD)
		s->error = -net_errno(err);
	s->has_fin = true;
	s->state = SOCKET_CLOSED;
	socket_changed(s, POLL_IN | POLL_OUT | POLL_ERR | POLL_HUP | POLL_RDHUP);
}

/* lwIP has forgotten a connection that was over (TIME_WAIT). */
static void forgotten(void *owner)
{
	struct socket *s = owner;

	s->tcp = NULL;
	s->has_fin = true;
	s->state = SOCKET_CLOSED;
	socket_changed(s, 0);
}

static void attach(struct socket *s, struct tcp_pcb *pcb)
{
	s->tcp = pcb;
	tcp_arg(pcb, s);
	tcp_recv(pcb, recv_callback);
	tcp_sent(pcb, sent_callback);
	tcp_err(pcb, gone_callback);
	net_connection_watch(pcb, forgotten, s);
}

static int tcp_open(struct socket *s)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(socket_ip_type(s));

	if (!pcb)
		return -ENOMEM;
	attach(s, pcb);
	return 0;
}

static void input_free(struct socket *s)
{
	if (s->input)
		pbuf_free(s->input);
	s->input = NULL;
	s->input_offset = s->input_len = 0;
}

static void close_listening(struct socket *s)
{
	struct list *link;

	tcp_arg(s->tcp, NULL);
	tcp_accept(s->tcp, NULL);
	tcp_close(s->tcp);
	while ((link = list_pop_front(&s->accepted))) {
		struct socket *waiting = list_entry(link, struct socket, accept_link);

		waiting->kind->close(waiting);
		poll_queue_destroy(&waiting->poll);
		kfree(waiting);
	}
}

/* Unread input makes lwIP's tcp_close() reset the connection, as Linux does. */
static void sock_close(struct socket *s)
{
	struct tcp_pcb *pcb = s->tcp;

	net_timer_tcp_active();
	if (s->state == SOCKET_LISTENING) {
		close_listening(s);
		return;
	}
	input_free(s);
	if (!pcb)
		return;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, net_loans_in_flight(pcb) ? sent_after_close : NULL);
	tcp_err(pcb, NULL);
	net_connection_watch(pcb, NULL, NULL);
	net_connection_closing(pcb);
	if (s->linger_is_on && !s->linger_s && s->state == SOCKET_CONNECTED)
		tcp_abort(pcb);
	else if (tcp_close(pcb) != ERR_OK)
		tcp_abort(pcb);
}

static int sock_bind(struct socket *s, const ip_addr_t *ip, uint16_t port)
{
	return s->tcp ? net_errno(tcp_bind(s->tcp, ip, port)) : -EINVAL;
}

static err_t accept_callback(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct socket *listener = arg, *s;

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	s = net_memory_is_short() ? NULL : socket_alloc(&socket_tcp, listener->family);
	if (!s) {
		counter_inc(socket_drop_accept);
		return ERR_MEM;         /* lwIP resets the connection */
	}
	s->state = SOCKET_CONNECTED;
	s->connect_is_reported = s->is_bound = true;
	s->is_v6only = listener->is_v6only;
	s->linger_is_on = listener->linger_is_on;
	s->linger_s = listener->linger_s;
	attach(s, pcb);
	tcp_backlog_delayed(pcb);
	list_push_back(&listener->accepted, &s->accept_link);
	socket_changed(s, 0);
	socket_changed(listener, POLL_IN);
	return ERR_OK;
}

int socket_tcp_listen(struct socket *s, int backlog)
{
	struct tcp_pcb *listening;
	err_t err = ERR_OK;

	if (s->state == SOCKET_LISTENING)
		return 0;
	if (s->state != SOCKET_IDLE || !s->tcp)
		return -EINVAL;
	if (!s->is_bound) {
		int ret = socket_bind_randomly(s, socket_ip_type(s) == IPADDR_TYPE_ANY ? IP_ANY_TYPE
										       : NULL);

		if (ret)
			return ret;
		s->is_bound = true;
	}
	net_connection_expect(s->tcp);
	listening = tcp_listen_with_backlog_and_err(s->tcp, (u8_t)CLAMP(backlog, 1, BACKLOG_MAX),
						    &err);
	if (!listening)
		return net_errno(err);
	s->tcp = listening;
	s->state = SOCKET_LISTENING;
	tcp_arg(listening, s);
	tcp_accept(listening, accept_callback);
	return 0;
}

struct socket *socket_tcp_accept(struct socket *listener)
{
	struct list *link = list_pop_front(&listener->accepted);
	struct socket *s = link ? list_entry(link, struct socket, accept_link) : NULL;

	if (!s)
		return NULL;
	if (s->tcp)
		tcp_backlog_accepted(s->tcp);
	counter_inc(socket_accepted);
	socket_changed(listener, 0);
	return s;
}

static err_t connected_callback(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct socket *s = arg;

	(void)pcb, (void)err;
	s->state = SOCKET_CONNECTED;
	socket_changed(s, POLL_OUT);
	return ERR_OK;
}

/* After a failure the pcb is gone; a new attempt on the same socket needs a new one. */
static int reopen(struct socket *s)
{
	int err = socket_take_error(s);

	if (err)
		return err;
	s->has_fin = s->is_shut_read = s->is_shut_write = s->connect_is_reported = s->is_bound =
		false;
	s->state = SOCKET_IDLE;
	return tcp_open(s);
}

static int start_connect(struct socket *s, const ip_addr_t *ip, uint16_t port)
{
	err_t err;
	int ret;

	if (!s->is_bound) {
		ret = socket_bind_randomly(s, NULL);
		if (ret)
			return ret;
		s->is_bound = true;
	}
	err = tcp_connect(s->tcp, ip, port, connected_callback);
	if (err != ERR_OK)
		return net_errno(err);
	ret = net_connection_track(s->tcp);
	if (ret) {
		tcp_abort(s->tcp);
		return ret;
	}
	net_connection_watch(s->tcp, forgotten, s);
	s->state = SOCKET_CONNECTING;
	return -EINPROGRESS;
}

static int sock_connect(struct socket *s, const ip_addr_t *ip, uint16_t port)
{
	int err;

	switch (s->state) {
	case SOCKET_LISTENING:
		return -EISCONN;
	case SOCKET_CONNECTING:
		return -EALREADY;
	case SOCKET_CONNECTED:
		if (s->connect_is_reported)
			return -EISCONN;
		s->connect_is_reported = true;
		return 0;
	case SOCKET_CLOSED:
		err = reopen(s);
		if (err)
			return err;
		break;
	default:
		break;
	}
	return start_connect(s, ip, port);
}

/* One scratchful into TCP: bytes taken, 0 when there is no room, -EFAULT. */
static kssize_t send_some(struct socket *s, struct uio *u, u8_t flags)
{
	size_t room = MIN((size_t)tcp_sndbuf(s->tcp), sizeof(scratch));
	size_t n = MIN(room, uio_left(u));
	struct uio before = *u;
	kssize_t got;

	if (!n || tcp_sndqueuelen(s->tcp) >= TCP_SND_QUEUELEN)
		return 0;
	got = uio_copy_in(u, scratch, n);
	if (got <= 0)
		return got ? got : -EFAULT;
	if ((size_t)got < uio_left(&before))
		flags |= TCP_WRITE_FLAG_MORE;
	if (tcp_write(s->tcp, scratch, (u16_t)got, TCP_WRITE_FLAG_COPY | flags) != ERR_OK) {
		*u = before;
		return 0;
	}
	counter_add(socket_bytes_copied, (uint64_t)got);
	return got;
}

/* The next lent piece into TCP, as it lies: bytes taken, or 0. */
static __attribute__((noinline)) kssize_t lend_some(struct socket *s, struct uio *u, u8_t flags)
{
	size_t room = MIN((size_t)tcp_sndbuf(s->tcp), (size_t)WRITE_MAX), n;
	struct net_loan *loan = kmalloc(sizeof(*loan));
	struct uio before = *u;
	const void *at;

	if (!loan)
		return 0;
	*loan = (struct net_loan){ .release = u->lender->release };
	n = uio_borrow(u, room, &at, &loan->owner);
	if (uio_left(u))
		flags |= TCP_WRITE_FLAG_MORE;
	if (n && loan->owner && tcp_write(s->tcp, at, (u16_t)n, flags) == ERR_OK) {
		net_loan_begin(s->tcp, loan);
		counter_add(socket_bytes_lent, n);
		return (kssize_t)n;
	}
	if (n && loan->owner)
		loan->release(loan->owner);
	kfree(loan);
	*u = before;
	return 0;
}

/* What is lent waits for room that is worth a piece; what is not, or cannot be kept, is copied. */
static kssize_t send_next(struct socket *s, struct uio *u, u8_t flags)
{
	kssize_t n = 0;

	if (u->lender && net_connection_loans(s->tcp)) {
		if (tcp_sndbuf(s->tcp) < MIN(uio_left(u), (size_t)LEND_MIN) ||
		    tcp_sndqueuelen(s->tcp) >= TCP_SND_QUEUELEN)
			return 0;
		n = lend_some(s, u, flags);
	}
	return n ? n : send_some(s, u, flags);
}

static int may_send(struct socket *s, const ip_addr_t *to)
{
	if (s->error)
		return socket_take_error(s);
	if (s->is_shut_write || s->state == SOCKET_IDLE || s->state == SOCKET_LISTENING ||
	    s->state == SOCKET_CLOSED || !s->tcp)
		return -EPIPE;
	if (s->state == SOCKET_CONNECTING)
		return -EAGAIN;
	return to ? -EISCONN : 0;
}

/*
 * When nothing was taken although nothing is in flight, the stack is out of memory and no
 * acknowledgement will ever wake the caller.
 */
static kssize_t sock_send(struct socket *s, struct uio *u, const ip_addr_t *to, uint16_t port,
			  int flags)
{
	bool more = flags & SOCKET_MSG_MORE || s->is_corked;
	kssize_t total = 0, n = may_send(s, to);

	(void)port;
	if (n)
		return n;
	if (!uio_left(u))
		return 0;
	net_timer_tcp_active();
	while (uio_left(u) && (n = send_next(s, u, more ? TCP_WRITE_FLAG_MORE : 0)) > 0)
		total += n;
	if (total && !more)
		tcp_output(s->tcp);
	if (total)
		return total;
	if (n < 0)
		return n;
	tcp_output(s->tcp);
	return s->tcp->unacked || s->tcp->unsent ? -EAGAIN : -ENOBUFS;
}

static void input_consume(struct socket *s, size_t n)
{
	s->input_len -= n;
	s->input_offset += n;
	while (s->input && s->input_offset >= s->input->len) {
		struct pbuf *p = s->input;

		s->input_offset -= p->len;
		s->input = p->next;
		if (p->next)
			pbuf_ref(p->next);
		pbuf_free(p);
	}
	for (; n && s->tcp; n -= MIN(n, (size_t)UINT16_MAX))
		tcp_recved(s->tcp, (u16_t)MIN(n, (size_t)UINT16_MAX));
}

/* Bytes copied, or -EFAULT. */
static kssize_t input_copy(const struct socket *s, struct uio *u)
{
	size_t offset = s->input_offset, total = 0;

	for (const struct pbuf *p = s->input; p && uio_left(u); p = p->next) {
		size_t n = MIN(p->len - offset, uio_left(u));
		kssize_t moved = uio_copy_out(u, (const uint8_t *)p->payload + offset, n);

		if (moved < 0)
			return total ? (kssize_t)total : moved;
		total += (size_t)moved;
		if ((size_t)moved < n)
			break;
		offset = 0;
	}
	return (kssize_t)total;
}

static kssize_t sock_receive(struct socket *s, struct uio *u, int flags, struct socket_name *from,
			     int *out_flags)
{
	kssize_t n;

	(void)from, (void)out_flags;
	if (s->state == SOCKET_LISTENING || s->state == SOCKET_IDLE)
		return -ENOTCONN;
	if (s->input && uio_left(u)) {
		n = input_copy(s, u);
		if (n > 0 && !(flags & SOCKET_MSG_PEEK)) {
			net_timer_tcp_active();
			input_consume(s, (size_t)n);
		}
		return n;
	}
	if (s->error)
		return socket_take_error(s);
	if (!uio_left(u) || s->has_fin || s->is_shut_read)
		return 0;
	return -EAGAIN;
}

static int sock_shutdown(struct socket *s, int how)
{
	if (s->state != SOCKET_CONNECTED)
		return -ENOTCONN;
	if (how != SOCKET_SHUT_WR) {
		size_t n = s->input_len;

		if (n)
			input_consume(s, n);
	}
	if (how != SOCKET_SHUT_RD && s->tcp && !s->is_shut_write)
		tcp_shutdown(s->tcp, 0, 1);
	return 0;
}

static size_t sock_bytes_ready(const struct socket *s)
{
	return s->input_len;
}

static void sock_local(const struct socket *s, ip_addr_t *ip, uint16_t *port)
{
	if (!s->tcp)
		return;
	ip_addr_copy(*ip, s->tcp->local_ip);
	*port = s->tcp->local_port;
}

static bool sock_peer(const struct socket *s, ip_addr_t *ip, uint16_t *port)
{
	if (s->state != SOCKET_CONNECTED || !s->tcp)
		return false;
	ip_addr_copy(*ip, s->tcp->remote_ip);
	*port = s->tcp->remote_port;
	return true;
}

const struct socket_kind socket_tcp = {
	.type = SOCKET_STREAM,
	.protocol = IP_PROTO_TCP,
	.open = tcp_open,
	.close = sock_close,
	.bind = sock_bind,
	.connect = sock_connect,
	.send = sock_send,
	.receive = sock_receive,
	.shutdown = sock_shutdown,
	.ready = tcp_ready,
	.bytes_ready = sock_bytes_ready,
	.local = sock_local,
	.peer = sock_peer,
};
