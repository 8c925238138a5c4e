/*
 * Sockets over the laboratory's wire: what a descriptor layer is promised by <libos/socket.h>.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/test.h>
#include <libos/socket.h>

#include <string.h>

#include "lab.h"
#include "stack.h"

struct any_address {
	uint16_t family, port;
	uint32_t v4_or_flow;
	uint8_t v6[16];
	uint32_t scope;
};

enum { OWN = 1, FAR = 9, ANY = 0 };

static struct any_address address(int family, int host, uint16_t port)
{
	struct any_address a = { (uint16_t)family, __builtin_bswap16(port), 0, { 0 }, 0 };

	if (family == SOCKET_AF_INET) {
		a.v4_or_flow = host ? 10u | (uint32_t)host << 24 : 0;
	} else if (host) {
		a.v6[0] = 0xfe;
		a.v6[1] = 0xc0;
		a.v6[15] = (uint8_t)host;
	}
	return a;
}

static size_t address_len(int family)
{
	return family == SOCKET_AF_INET ? 16 : 28;
}

static kssize_t send_bytes(struct socket *s, const void *data, size_t len)
{
	struct uio_vec vec = { (void *)data, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .from_kernel = true };

	return socket_send(s, &u, NULL, 0, 0);
}

static kssize_t send_bytes_to(struct socket *s, const void *data, size_t len, int family, int host,
			      uint16_t port)
{
	struct uio_vec vec = { (void *)data, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .from_kernel = true };
	struct any_address a = address(family, host, port);

	return socket_send(s, &u, &a, address_len(family), 0);
}

static kssize_t receive_bytes(struct socket *s, void *data, size_t len, int flags,
			      struct socket_name *from)
{
	struct uio_vec vec = { data, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .from_kernel = true };

	return socket_receive(s, &u, flags, from, NULL);
}

static int bind_to(struct socket *s, int family, int host, uint16_t port)
{
	struct any_address a = address(family, host, port);

	return socket_bind(s, &a, address_len(family));
}

static int connect_to(struct socket *s, int family, int host, uint16_t port)
{
	struct any_address a = address(family, host, port);

	return socket_connect(s, &a, address_len(family));
}

static struct socket *listen_on(int family, uint16_t port)
{
	struct socket *s = NULL;

	if (socket_create(family, SOCKET_STREAM, 0, &s) || bind_to(s, family, ANY, port) ||
	    socket_listen(s, 16))
		return NULL;
	return s;
}

struct wanted {
	struct socket *s;
	uint32_t events;
};

static bool is_ready(void *arg)
{
	const struct wanted *w = arg;

	return socket_poll(w->s) & w->events;
}

static bool wait_for(struct socket *s, uint32_t events)
{
	struct wanted w = { s, events };

	return lab_run_until(is_ready, &w, 10 * NSEC_PER_SEC);
}

/* A connected pair: *client to the far address, *server accepted. */
static bool make_pair(int listen_family, int connect_family, uint16_t port,
		      struct socket **listener, struct socket **client, struct socket **server,
		      struct socket_name *peer)
{
	*listener = listen_on(listen_family, port);
	if (!*listener || socket_create(connect_family, SOCKET_STREAM, 0, client))
		return false;
	if (connect_to(*client, connect_family, FAR, port) != -EINPROGRESS)
		return false;
	if (!wait_for(*client, POLL_OUT) || !wait_for(*listener, POLL_IN))
		return false;
	return !connect_to(*client, connect_family, FAR, port) &&
	       !socket_accept(*listener, server, peer);
}

static void close_all(struct socket *a, struct socket *b, struct socket *c)
{
	socket_release(a);
	socket_release(b);
	socket_release(c);
	lab_run(70 * NSEC_PER_SEC);
}

static void talk(int listen_family, int connect_family, uint16_t port, const uint8_t *expected_peer)
{
	struct socket *listener, *client, *server;
	struct socket_name peer;
	char got[16];

	lab_start();
	CHECK(make_pair(listen_family, connect_family, port, &listener, &client, &server, &peer));
	CHECK_EQ(peer.len, address_len(listen_family));
	CHECK(memcmp(peer.bytes + (listen_family == SOCKET_AF_INET ? 4 : 8), expected_peer,
		     listen_family == SOCKET_AF_INET ? 4 : 16) == 0);
	CHECK_EQ(receive_bytes(server, got, sizeof(got), 0, NULL), -EAGAIN);
	CHECK_EQ(send_bytes(client, "hello", 5), 5);
	CHECK(wait_for(server, POLL_IN));
	CHECK_EQ(socket_bytes_ready(server), 5);
	CHECK_EQ(receive_bytes(server, got, sizeof(got), SOCKET_MSG_PEEK, NULL), 5);
	CHECK_EQ(receive_bytes(server, got, 3, 0, NULL), 3);
	CHECK(memcmp(got, "hel", 3) == 0);
	CHECK_EQ(receive_bytes(server, got, sizeof(got), 0, NULL), 2);
	CHECK(!(socket_poll(server) & POLL_IN));
	CHECK_EQ(socket_shutdown(client, SOCKET_SHUT_WR), 0);
	CHECK_EQ(send_bytes(client, "x", 1), -EPIPE);
	CHECK(wait_for(server, POLL_RDHUP));
	CHECK_EQ(receive_bytes(server, got, sizeof(got), 0, NULL), 0);
	CHECK_EQ(send_bytes(server, "bye", 3), 3);
	CHECK(wait_for(client, POLL_IN));
	CHECK_EQ(receive_bytes(client, got, sizeof(got), 0, NULL), 3);
	close_all(server, client, listener);
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(socket_talks_tcp_over_ipv4)
{
	talk(SOCKET_AF_INET, SOCKET_AF_INET, 8001, (const uint8_t[4]){ 10, 0, 0, FAR });
}

TEST(socket_talks_tcp_over_ipv6)
{
	talk(SOCKET_AF_INET6, SOCKET_AF_INET6, 8002,
	     (const uint8_t[16]){ 0xfe, 0xc0, [15] = FAR });
}

TEST(socket_of_both_families_shows_ipv4_peers_as_mapped)
{
	talk(SOCKET_AF_INET6, SOCKET_AF_INET, 8003,
	     (const uint8_t[16]){ [10] = 0xff, 0xff, 10, 0, 0, FAR });
}

TEST(socket_for_ipv6_only_does_not_take_ipv4)
{
	struct socket *listener, *client;
	int on = 1;

	lab_start();
	CHECK_EQ(socket_create(SOCKET_AF_INET6, SOCKET_STREAM, 0, &listener), 0);
	CHECK_EQ(socket_set_option(listener, 41, 26, &on, sizeof(on)), 0);
	CHECK_EQ(bind_to(listener, SOCKET_AF_INET6, ANY, 8004), 0);
	CHECK_EQ(socket_listen(listener, 5), 0);
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 0, &client), 0);
	CHECK_EQ(connect_to(client, SOCKET_AF_INET, FAR, 8004), -EINPROGRESS);
	CHECK(wait_for(client, POLL_ERR));
	CHECK_EQ(connect_to(client, SOCKET_AF_INET, FAR, 8004), -ECONNREFUSED);
	socket_release(client);
	socket_release(listener);
}

TEST(socket_connect_to_nobody_is_refused_or_times_out)
{
	struct socket *s;
	int error = 0;
	size_t len = sizeof(error);

	lab_start();
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 0, &s), 0);
	CHECK_EQ(connect_to(s, SOCKET_AF_INET, FAR, 8005), -EINPROGRESS);
	CHECK_EQ(connect_to(s, SOCKET_AF_INET, FAR, 8005), -EALREADY);
	CHECK(wait_for(s, POLL_ERR));
	CHECK_EQ(socket_get_option(s, 1, 4, &error, &len), 0);
	CHECK_EQ(error, ECONNREFUSED);
	CHECK_EQ(connect_to(s, SOCKET_AF_INET, FAR, 8005), -EINPROGRESS);
	lab_wire.is_cut = true;
	lab_run(NSEC_PER_MSEC);
	socket_release(s);
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 0, &s), 0);
	CHECK_EQ(connect_to(s, SOCKET_AF_INET, FAR, 8005), -EINPROGRESS);
	lab_run(300 * NSEC_PER_SEC);
	CHECK(socket_poll(s) & POLL_ERR);
	CHECK_EQ(connect_to(s, SOCKET_AF_INET, FAR, 8005), -ETIMEDOUT);
	socket_release(s);
}

TEST(socket_over_loopback_needs_no_device)
{
	struct socket *listener = listen_on(SOCKET_AF_INET, 8006), *client, *server;
	struct any_address a = { SOCKET_AF_INET, __builtin_bswap16(8006), 0x0100007f, { 0 }, 0 };
	uint64_t sent = lab_counts.sent;
	char got[4];

	CHECK(listener);
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 0, &client), 0);
	CHECK_EQ(socket_connect(client, &a, 16), -EINPROGRESS);
	CHECK(wait_for(listener, POLL_IN));
	CHECK_EQ(socket_accept(listener, &server, NULL), 0);
	CHECK_EQ(send_bytes(server, "ab", 2), 2);
	CHECK(wait_for(client, POLL_IN));
	CHECK_EQ(receive_bytes(client, got, 4, 0, NULL), 2);
	CHECK_EQ(lab_counts.sent, sent);
	close_all(client, server, listener);
}

TEST(socket_addresses_in_use_and_foreign_ones_are_refused)
{
	struct socket *a, *b;

	lab_start();
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 0, &a), 0);
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 0, &b), 0);
	CHECK_EQ(bind_to(a, SOCKET_AF_INET, FAR, 8007), -EADDRNOTAVAIL);
	CHECK_EQ(bind_to(a, SOCKET_AF_INET, OWN, 8007), 0);
	CHECK_EQ(bind_to(a, SOCKET_AF_INET, OWN, 8008), -EINVAL);
	CHECK_EQ(bind_to(b, SOCKET_AF_INET, OWN, 8007), -EADDRINUSE);
	CHECK_EQ(bind_to(b, SOCKET_AF_INET6, OWN, 8007), -EAFNOSUPPORT);
	CHECK_EQ(bind_to(b, SOCKET_AF_INET, ANY, 0), 0);
	socket_release(a);
	socket_release(b);
	CHECK_EQ(socket_create(1, SOCKET_STREAM, 0, &a), -EAFNOSUPPORT);
	CHECK_EQ(socket_create(SOCKET_AF_INET, 3, 0, &a), -ESOCKTNOSUPPORT);
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 17, &a), -EPROTONOSUPPORT);
}

TEST(socket_sender_is_stopped_by_a_slow_reader_and_goes_on)
{
	struct socket *listener, *client, *server;
	static uint8_t chunk[10000], got[10000];
	size_t sent = 0, received = 0;
	kssize_t n;

	lab_start();
	CHECK(make_pair(SOCKET_AF_INET, SOCKET_AF_INET, 8009, &listener, &client, &server, NULL));
	for (int i = 0; i < 500; i++) {
		for (size_t k = 0; k < sizeof(chunk); k++)
			chunk[k] = (uint8_t)((sent + k) % 251);
		n = send_bytes(client, chunk, sizeof(chunk));
		if (n == -EAGAIN)
			break;
		CHECK(n > 0);
		sent += (size_t)n;
		lab_run(NSEC_PER_MSEC);
	}
	CHECK(sent >= KIB(256) && sent <= KIB(600));
	CHECK(!(socket_poll(client) & POLL_OUT));
	lab_run(30 * NSEC_PER_SEC);
	while (received < sent) {
		CHECK(wait_for(server, POLL_IN));
		n = receive_bytes(server, got, sizeof(got), 0, NULL);
		CHECK(n > 0);
		for (kssize_t k = 0; k < n; k++)
			CHECK_EQ(got[k], (received + (size_t)k) % 251);
		received += (size_t)n;
	}
	CHECK(wait_for(client, POLL_OUT));
	close_all(client, server, listener);
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(socket_closed_with_unread_input_resets_the_connection)
{
	struct socket *listener, *client, *server;
	char got[4];

	lab_start();
	CHECK(make_pair(SOCKET_AF_INET, SOCKET_AF_INET, 8010, &listener, &client, &server, NULL));
	CHECK_EQ(send_bytes(client, "abc", 3), 3);
	CHECK(wait_for(server, POLL_IN));
	socket_release(server);
	CHECK(wait_for(client, POLL_HUP));
	CHECK_EQ(receive_bytes(client, got, 4, 0, NULL), -ECONNRESET);
	CHECK_EQ(receive_bytes(client, got, 4, 0, NULL), 0);
	socket_release(client);
	socket_release(listener);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(socket_datagrams_keep_their_bounds_and_senders)
{
	struct socket *s, *c;
	struct socket_name from;
	char got[64];

	lab_start();
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_DGRAM, 0, &s), 0);
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_DGRAM, 0, &c), 0);
	CHECK_EQ(bind_to(s, SOCKET_AF_INET, ANY, 9001), 0);
	CHECK_EQ(send_bytes(c, "x", 1), -EDESTADDRREQ);
	CHECK_EQ(connect_to(c, SOCKET_AF_INET, FAR, 9001), 0);
	CHECK_EQ(send_bytes(c, "one", 3), 3);
	CHECK_EQ(send_bytes(c, "", 0), 0);
	CHECK_EQ(send_bytes(c, "three", 5), 5);
	CHECK(wait_for(s, POLL_IN));
	lab_run(NSEC_PER_MSEC);
	CHECK_EQ(receive_bytes(s, got, sizeof(got), 0, &from), 3);
	CHECK_EQ(from.len, 16);
	CHECK(memcmp(from.bytes + 4, (uint8_t[]){ 10, 0, 0, FAR }, 4) == 0);
	CHECK_EQ(receive_bytes(s, got, sizeof(got), 0, NULL), 0);
	CHECK_EQ(receive_bytes(s, got, 2, SOCKET_MSG_TRUNC, NULL), 5);
	CHECK_EQ(receive_bytes(s, got, sizeof(got), 0, NULL), -EAGAIN);
	socket_release(c);
	socket_release(s);
	CHECK_EQ(lab_counts.lent, 0);
}

static void large_datagram(int family)
{
	struct socket *s, *c;
	static uint8_t out[40000], in[40000];

	lab_start();
	CHECK_EQ(socket_create(family, SOCKET_DGRAM, 0, &s), 0);
	CHECK_EQ(socket_create(family, SOCKET_DGRAM, 0, &c), 0);
	CHECK_EQ(bind_to(s, family, ANY, 9002), 0);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 256);
	lab_counts.longest_frame = 0;
	CHECK_EQ(send_bytes_to(c, "resolve", 7, family, FAR, 9002), 7);
	CHECK(wait_for(s, POLL_IN));
	CHECK_EQ(receive_bytes(s, in, sizeof(in), 0, NULL), 7);
	CHECK_EQ(send_bytes_to(c, out, sizeof(out), family, FAR, 9002), sizeof(out));
	CHECK(wait_for(s, POLL_IN));
	CHECK_EQ(receive_bytes(s, in, sizeof(in), 0, NULL), sizeof(in));
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	CHECK(lab_counts.longest_frame <= 1514);
	socket_release(c);
	socket_release(s);
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(socket_large_datagrams_travel_in_ipv4_fragments)
{
	large_datagram(SOCKET_AF_INET);
}

TEST(socket_large_datagrams_travel_in_ipv6_fragments)
{
	large_datagram(SOCKET_AF_INET6);
}

TEST(socket_datagram_queue_is_bounded)
{
	struct socket *s, *c;
	static uint8_t out[1000];
	int small = 4096, got = 0;

	lab_start();
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_DGRAM, 0, &s), 0);
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_DGRAM, 0, &c), 0);
	CHECK_EQ(bind_to(s, SOCKET_AF_INET, ANY, 9003), 0);
	CHECK_EQ(socket_set_option(s, 1, 8, &small, sizeof(small)), 0);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(send_bytes_to(c, out, sizeof(out), SOCKET_AF_INET, FAR, 9003),
			 sizeof(out));
		lab_run(NSEC_PER_MSEC);
	}
	while (receive_bytes(s, out, sizeof(out), 0, NULL) > 0)
		got++;
	CHECK(got >= 4 && got <= 8);
	socket_release(c);
	socket_release(s);
	CHECK_EQ(lab_counts.lent, 0);
}
