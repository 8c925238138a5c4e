/*
 * A connection: a ring of requests in flight, what is still to be sent, what has been received.
 *
 * Requests are answered in order, so the reply that comes next belongs to the oldest in flight.
 * They are written into `out` when they are issued and leave together with connection_send(): over
 * TCP in as few segments as fit, over UDP each as a datagram of its own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "loadgen.h"

#define EVENTS        256
#define GIVE_UP_MS    10000
#define LOST_MS       1000      /* a datagram without an answer */
#define SPARE_FILES   64
/* connections that end by reset, or the next run would lack their ports */
#define MANY          1000
#define RESETS        64        /* that a queue of frames has room for */
#define RESETS_NS     2000000
#define REPLY_EXTRA   96        /* around each value: its line or header, and the end */
#define STALLER_WINDOW 4096
/* of replies asked for, more than a server keeps in flight */
#define STALLER_BYTES (1u << 20)

static int epoll_fd;
static const struct addrinfo *address;
static size_t request_stride;
static uint64_t received_ns;
static struct connection *watched;

/* More descriptors than a shell allows, where the machine lets us. */
static void raise_limit(void)
{
	struct rlimit limit;
	rlim_t wanted = opt.connections + SPARE_FILES;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	if (limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted;
	limit.rlim_max = limit.rlim_max > wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("as many connections as that (setrlimit)");
}

void connections_begin(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	raise_limit();
	if (getaddrinfo(opt.host, opt.port, &hints, &found)) {
		fprintf(stderr, "loadgen: no address for %s port %s\n", opt.host, opt.port);
		exit(2);
	}
	address = found;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll");
	request_stride = (sizeof(struct request) + opt.multiget * sizeof(unsigned) + 7) &
			 ~(size_t)7;
}

struct request *request_at(struct connection *c, unsigned place)
{
	return (struct request *)(c->queue + (c->head + place) % c->depth * request_stride);
}

/* The oldest requests are over, one way or the other. */
static void forget(struct connection *c, unsigned count)
{
	c->values_seen = c->keys_passed = 0;
	c->head = (c->head + count) % c->depth;
	c->in_flight -= count;
	c->frame_id = (uint16_t)(c->frame_id + count);
	c->frames_seen = 0;
}

void request_done(struct connection *c)
{
	struct request *r = request_at(c, 0);
	result_latency(received_ns - r->sent_ns);
	if (r->is_set) {
		result.sets++;
	} else {
		result.gets++;
		result.hits += c->values_seen;
		result.misses += opt.multiget - c->values_seen;
	}
	forget(c, 1);
	result.done++;
}

void requests_lost(struct connection *c, unsigned count)
{
	forget(c, count);
	c->in_len = 0;
	result.lost += count;
}

/* ---- sending ---- */

char *out_room(struct connection *c, size_t len)
{
	if (c->out_len + len > c->out_cap) {
		c->out_cap = (c->out_len + len) * 2;
		c->out = realloc(c->out, c->out_cap);
		if (!c->out)
			die("memory");
	}
	return c->out + c->out_len;
}

static void put_frame(struct connection *c)
{
	uint16_t request = (uint16_t)(c->frame_id + c->in_flight);
	uint16_t frame[FRAME_BYTES / 2] = { htons(request), 0, htons(1), 0 };
	memcpy(out_room(c, sizeof(frame)), frame, sizeof(frame));
	c->out_len += sizeof(frame);
}

static void issue(struct connection *c, bool is_set, unsigned key, uint64_t at_ns)
{
	if (c->out_sent == c->out_len)
		c->out_sent = c->out_len = 0;
	struct request *r = request_at(c, c->in_flight);
	size_t before = c->out_len;
	r->is_set = is_set;
	r->sent_ns = at_ns;
	for (unsigned i = 0; i < (is_set ? 1 : opt.multiget); i++)
		r->key[i] = is_set ? key : random_key();
	if (c->transport == &transport_udp)
		put_frame(c);
	(is_set ? c->protocol->put_set : c->protocol->put_get)(c, r);
	r->bytes = c->out_len - before;
	c->in_flight++;
	c->unsent++;
}

void connection_issue_set(struct connection *c, unsigned key, uint64_t at_ns)
{
	issue(c, true, key, at_ns);
}

void connection_issue_get(struct connection *c, uint64_t at_ns)
{
	issue(c, false, 0, at_ns);
}

static void watch(struct connection *c, bool wants_write)
{
	struct epoll_event e = { .events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c };
	if (c->wants_write == wants_write)
		return;
	c->wants_write = wants_write;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e))
		die("epoll_ctl");
}

/* How much may go in one call: all there is, or over UDP one request. */
static size_t next_piece(struct connection *c)
{
	if (c->transport != &transport_udp)
		return c->out_len - c->out_sent;
	return request_at(c, c->in_flight - c->unsent)->bytes;
}

void connection_send(struct connection *c)
{
	while (c->out_sent < c->out_len) {
		ssize_t n = c->transport->send(c, c->out + c->out_sent, next_piece(c));
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			die("send");
		c->out_sent += (size_t)n;
		c->unsent -= c->unsent > 0;
	}
	watch(c, c->out_sent < c->out_len);
}

/* ---- receiving ---- */

static void take_replies(struct connection *c)
{
	size_t used = 0, took;
	while (c->in_flight && (took = c->protocol->take(c, c->in + used, c->in_len - used)) != 0)
		used += took;
	if (!c->in_flight && used < c->in_len) {
		result_error("bytes that answer nothing", c->in + used, c->in_len - used);
		used = c->in_len;
	}
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
}

static bool receive(struct connection *c)
{
	ssize_t n = c->transport->receive(c, c->in + c->in_len, c->in_cap - c->in_len);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		errno = n ? errno : ECONNRESET;
		die("receive");
	}
	result.bytes_in += (uint64_t)n;
	c->in_len += (size_t)n;
	received_ns = now_ns();
	take_replies(c);
	return true;
}

void connections_watch(struct connection *all)
{
	watched = all;
}

/*
 * Those that have waited for too long, all of what arrived having been read. How many connections
 * that were.
 */
static unsigned give_up_lost(void (*drained)(struct connection *c))
{
	uint64_t now = now_ns();
	unsigned found = 0;
	for (unsigned i = 0; i < opt.connections; i++) {
		struct connection *c = &watched[i];
		unsigned sent = c->in_flight - c->unsent;
		if (!sent || now - request_at(c, 0)->sent_ns < LOST_MS * 1000000ull)
			continue;
		requests_lost(c, sent);
		found++;
		if (!c->in_flight)
			drained(c);
	}
	return found;
}

/* A connection that lost something waits, while others go on or, in lockstep, wait for it. */
static void look_for_lost(void (*drained)(struct connection *c), int events)
{
	static uint64_t looked_ns;
	uint64_t now = now_ns();
	bool is_time = !opt.lockstep && events < EVENTS && now - looked_ns > LOST_MS * 1000000ull;
	if (!watched || !opt.udp || (events && !is_time))
		return;
	looked_ns = now;
	give_up_lost(drained);
}

void connections_pump(void (*drained)(struct connection *c))
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(epoll_fd, events, EVENTS, watched && opt.udp ? LOST_MS : GIVE_UP_MS);
	if (n < 0 && errno != EINTR)
		die("epoll_wait");
	if (n == 0 && !(watched && opt.udp)) {
		errno = ETIMEDOUT;
		die("no reply");
	}
	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		if (events[i].events & EPOLLOUT)
			connection_send(c);
		if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
			continue;
		while (receive(c) && c->transport->keeps_bytes)
			;
		if (!c->in_flight)
			drained(c);
	}
	look_for_lost(drained, n);
}

/* ---- opening and closing ---- */

static void greet(struct connection *c)
{
	const struct protocol *p = c->protocol;
	char reply[256];
	size_t got = 0;
	if (c->transport->send(c, p->greeting, p->greeting_len) != (ssize_t)p->greeting_len)
		die("greeting");
	while (p->greeting_reply_len ? got < p->greeting_reply_len : !memchr(reply, '\n', got)) {
		ssize_t n = got < sizeof(reply)
				    ? c->transport->receive(c, reply + got, sizeof(reply) - got)
				    : 0;
		if (n <= 0)
			die("no reply to the greeting");
		got += (size_t)n;
	}
	if (got < p->greeted_len || memcmp(reply, p->greeted, p->greeted_len)) {
		fprintf(stderr, "loadgen: that is no memcached: %.*s\n", (int)got, reply);
		exit(2);
	}
}

void connection_open(struct connection *c, const struct transport *t, unsigned depth)
{
	int one = 1;
	bool datagrams = t == &transport_udp;
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct timeval patience = { .tv_sec = GIVE_UP_MS / 1000 };
	c->transport = t;
	c->protocol = opt.binary ? &protocol_binary : &protocol_text;
	c->depth = depth;
	c->fd = socket(address->ai_family, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC,
		       0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(c->fd, address->ai_addr, address->ai_addrlen))
		die("connect");
	if (!datagrams)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (opt.connections > MANY)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	t->open(c);
	if (!datagrams)
		greet(c);
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK))
		die("fcntl");
	c->in_cap = 4096 + (size_t)opt.multiget * (opt.value_bytes + REPLY_EXTRA) * depth;
	c->in = malloc(c->in_cap);
	c->queue = calloc(depth, request_stride);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	if (!c->in || !c->queue || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e))
		die("connection");
}

void connection_close(struct connection *c)
{
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c->queue);
	memset(c, 0, sizeof(*c));
}

/* A reset that a full queue drops is not repeated, and its connection would stay. */
void connections_close(struct connection *all)
{
	struct timespec pause = { .tv_nsec = RESETS_NS };
	for (unsigned i = 0; i < opt.connections; i++) {
		connection_close(&all[i]);
		if (opt.connections > MANY && i % RESETS == 0)
			nanosleep(&pause, NULL);
	}
}

/* ---- the connection that does not read ---- */

static int staller_fd;

void staller_begin(void)
{
	int window = STALLER_WINDOW;
	staller_fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (staller_fd < 0 ||
	    setsockopt(staller_fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window)) ||
	    connect(staller_fd, address->ai_addr, address->ai_addrlen))
		die("connection that does not read");
}

void staller_ask(void)
{
	char line[KEY_BYTES + 6] = "get ";
	key_write(line + 4, 0);
	memcpy(line + 4 + KEY_BYTES, "\r\n", 2);
	for (size_t asked = 0; asked < STALLER_BYTES; asked += opt.value_bytes)
		if (send(staller_fd, line, sizeof(line), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
}
