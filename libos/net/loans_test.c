/*
 * Bytes that are lent to a socket: they arrive, and whoever lent them gets each back once, when
 * nobody can name it any more.
 */
#include <core/errno.h>
#include <core/test.h>
#include <core/time.h>
#include <libos/socket.h>

#include <string.h>

#include "lab.h"

#define FAR_IP4 0x0900000au
#define PORT    8100
#define OWNERS  16
#define PIECE   4096u

static struct owner {
	unsigned held, returned;
	uint8_t bytes[PIECE];
} owners[OWNERS];

static struct socket *listener, *sender, *receiver;
static uint8_t got[OWNERS * PIECE];
static size_t got_len;

static void hold(void *o)
{
	((struct owner *)o)->held++;
}

static void release(void *o)
{
	struct owner *owner = o;

	CHECK(owner->held > 0);
	owner->returned++;
	if (!--owner->held)
		memset(owner->bytes, 0xee, PIECE); /* should anybody still name it, it would show */
}

static unsigned held(void)
{
	unsigned n = 0;

	for (int i = 0; i < OWNERS; i++)
		n += owners[i].held;
	return n;
}

static bool can_accept(void *arg)
{
	(void)arg;
	return socket_poll(listener) & POLL_IN && socket_poll(sender) & POLL_OUT;
}

static void connect_pair(void)
{
	uint16_t port = __builtin_bswap16(PORT);
	struct {
		uint16_t family, port;
		uint32_t ip;
		uint64_t zero;
	} own = { SOCKET_AF_INET, port, 0, 0 }, far = own;

	lab_start();
	memset(owners, 0, sizeof(owners));
	got_len = 0;
	for (size_t i = 0; i < OWNERS * PIECE; i++)
		owners[i / PIECE].bytes[i % PIECE] = (uint8_t)(i % 241);
	far.ip = FAR_IP4;
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 0, &listener), 0);
	CHECK_EQ(socket_bind(listener, &own, sizeof(own)), 0);
	CHECK_EQ(socket_listen(listener, 4), 0);
	CHECK_EQ(socket_create(SOCKET_AF_INET, SOCKET_STREAM, 0, &sender), 0);
	CHECK_EQ(socket_connect(sender, &far, sizeof(far)), -EINPROGRESS);
	CHECK(lab_run_until(can_accept, NULL, 10 * NSEC_PER_SEC));
	CHECK_EQ(socket_accept(listener, &receiver, NULL), 0);
}

/* Lends all of it, as far as the socket takes it: bytes. */
static size_t lend_all(void)
{
	struct uio_vec vecs[OWNERS];
	void *owned[OWNERS];
	const struct uio_lender lender = { vecs, owned, hold, release };
	struct uio u = { .vecs = vecs,
			 .vec_count = OWNERS,
			 .left = sizeof(got),
			 .offset = -1,
			 .from_kernel = true,
			 .lender = &lender };

	for (int i = 0; i < OWNERS; i++) {
		vecs[i] = (struct uio_vec){ owners[i].bytes, PIECE };
		owned[i] = &owners[i];
	}
	while (u.left && socket_send(sender, &u, NULL, 0, 0) > 0)
		;
	return sizeof(got) - u.left;
}

static bool has_all(void *arg)
{
	struct uio_vec vec = { got + got_len, sizeof(got) - got_len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = vec.len, .from_kernel = true };
	kssize_t n = socket_receive(receiver, &u, 0, NULL, NULL);

	got_len += n > 0 ? (size_t)n : 0;
	return got_len == *(size_t *)arg;
}

static bool all_is_back(void *arg)
{
	(void)arg;
	return !held();
}

static void check_arrival(size_t sent)
{
	CHECK(lab_run_until(has_all, &sent, 300 * NSEC_PER_SEC));
	for (size_t i = 0; i < sent; i++)
		CHECK_EQ(got[i], i % 241);
	CHECK(lab_run_until(all_is_back, NULL, 300 * NSEC_PER_SEC));
	for (size_t i = 0; i < OWNERS; i++)
		CHECK(owners[i].returned >= (i * PIECE < sent) && owners[i].returned <= 2);
}

static void close_all(void)
{
	socket_release(receiver);
	socket_release(listener);
	lab_run(70 * NSEC_PER_SEC);
	CHECK_EQ(lab_counts.lent, 0);
	CHECK_EQ(held(), 0);
}

TEST(loan_arrives_over_a_bad_wire_and_comes_back)
{
	size_t sent;

	connect_pair();
	lab_wire.lose_permille = 50;
	lab_wire.double_permille = lab_wire.delay_permille = lab_wire.damage_permille = 20;
	sent = lend_all();
	CHECK(sent == sizeof(got) && held() == OWNERS);
	check_arrival(sent);
	socket_release(sender);
	close_all();
}

TEST(loan_is_kept_until_the_peer_has_acknowledged_it)
{
	size_t sent;

	connect_pair();
	lab_wire.is_cut = true;
	sent = lend_all();
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(held(), OWNERS);
	lab_wire.is_cut = false;
	check_arrival(sent);
	socket_release(sender);
	close_all();
}

TEST(loan_outlives_its_socket)
{
	size_t sent;

	connect_pair();
	lab_wire.is_cut = true;
	sent = lend_all();
	socket_release(sender);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(held(), OWNERS);
	lab_wire.is_cut = false;
	check_arrival(sent);
	close_all();
}

TEST(loan_is_kept_until_the_device_has_let_go)
{
	size_t sent;

	connect_pair();
	lab_wire.slow_completion = true;
	sent = lend_all();
	CHECK(lab_run_until(has_all, &sent, 300 * NSEC_PER_SEC));
	lab_run(NSEC_PER_SEC);
	CHECK(held() > 0);
	lab_wire.slow_completion = false;
	lab_complete();
	CHECK(lab_run_until(all_is_back, NULL, NSEC_PER_SEC));
	socket_release(sender);
	close_all();
}

TEST(loan_comes_back_when_the_connection_is_reset)
{
	struct uio_vec vec = { (void *)"abc", 3 };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = 3, .from_kernel = true };

	connect_pair();
	CHECK_EQ(socket_send(sender, &u, NULL, 0, 0), 3);
	lab_run(NSEC_PER_SEC);
	lab_wire.is_cut = true;
	lend_all();
	lab_run(NSEC_PER_MSEC);
	CHECK_EQ(held(), OWNERS);
	lab_wire.is_cut = false;
	socket_release(receiver); /* with unread input */
	socket_release(listener);
	CHECK(lab_run_until(all_is_back, NULL, 60 * NSEC_PER_SEC));
	socket_release(sender);
	lab_run(70 * NSEC_PER_SEC);
	CHECK_EQ(lab_counts.lent, 0);
}
