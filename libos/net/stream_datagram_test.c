/*
 * Datagrams of streams over the laboratory's wire: a server of stream.h, and a client on lwIP's raw
 * API at the far end of the mirror.
 */
#include <core/test.h>

#include <string.h>

#include "address.h"
#include "lab.h"
#include "lwip/udp.h"
#include "predict.h"
#include "stream_lwip.h"

#define SERVER_PORT 4000
#define CLIENT_PORT 5000

static struct stream_loop *loop;
static struct stream_datagrams *server;
static struct udp_pcb *client;
static unsigned served, answers, got;
static size_t got_bytes, last_len;
static uint16_t last_port;
static bool in_order;
static uint8_t last[STREAM_DATAGRAM_MAX];

static void serve(struct stream_datagrams *d, const uint8_t *data, size_t len)
{
	struct sockaddr_storage peer;
	socklen_t peer_len;

	served++;
	for (unsigned i = 0; i < answers; i++) {
		uint8_t *room = stream_datagram_reserve(d, len + 1);

		if (!room)
			continue;
		room[0] = (uint8_t)i;
		memcpy(room + 1, data, len);
		stream_datagram_commit(d, len + 1);
	}
	if (stream_datagrams_peer(d, &peer, &peer_len) == 0)
		memcpy(&last_port, (uint8_t *)&peer + 2, 2);
}

static void client_received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
			    u16_t port)
{
	(void)arg, (void)pcb, (void)from;
	in_order &= port == SERVER_PORT;
	got++;
	got_bytes += p->tot_len;
	last_len = pbuf_copy_partial(p, last, sizeof(last), 0);
	in_order &= last[0] == (got - 1) % answers;
	pbuf_free(p);
}

static int begin(bool any6)
{
	static const struct stream_datagram_ops ops = { serve };
	uint8_t addr[28] = { any6 ? 10 : 2, 0, SERVER_PORT >> 8, SERVER_PORT & 255 };
	int err;

	lab_start();
	served = got = 0;
	got_bytes = last_len = 0;
	answers = 1;
	in_order = true;
	if (stream_loop_create(&loop) != 0)
		return -ENOMEM;
	err = stream_datagrams_open(loop, (struct sockaddr *)addr, any6 ? 28 : 16, &ops, NULL,
				    &server);
	lab_use(loop);
	net_enter();
	client = udp_new_ip_type(IPADDR_TYPE_ANY);
	udp_bind(client, IP_ANY_TYPE, CLIENT_PORT);
	udp_recv(client, client_received, NULL);
	net_leave();
	return err;
}

static void end(void)
{
	lab_use(NULL);
	net_enter();
	udp_remove(client);
	net_leave();
	stream_loop_destroy(loop);
}

static err_t ask(const char *far, const void *data, size_t len)
{
	struct pbuf *p;
	ip_addr_t to;
	err_t err;

	ipaddr_aton(far, &to);
	net_enter();
	p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM);
	pbuf_take(p, data, (u16_t)len);
	err = udp_sendto(client, p, &to, SERVER_PORT);
	pbuf_free(p);
	net_leave();
	return err;
}

static bool has_answers(void *arg)
{
	return got >= *(unsigned *)arg;
}

static bool wait_for(unsigned n)
{
	return lab_run_until(has_answers, &n, 5 * NSEC_PER_SEC);
}

TEST(datagrams_are_answered_over_both_families)
{
	CHECK_EQ(begin(true), 0);
	CHECK_EQ(ask(LAB_FAR_IP4, "four", 4), ERR_OK);
	CHECK(wait_for(1));
	CHECK(last_len == 5 && memcmp(last, "\0four", 5) == 0);
	CHECK_EQ(lwip_ntohs(last_port), CLIENT_PORT);
	CHECK_EQ(ask(LAB_FAR_IP6, "sixty", 5), ERR_OK);
	CHECK(wait_for(2));
	CHECK(last_len == 6 && memcmp(last, "\0sixty", 6) == 0 && in_order);
	end();
}

static void answer_by_both_ways(uint32_t features, unsigned frame_room)
{
	uint64_t before, taken;

	CHECK_EQ(begin(false), 0);
	lab_wire.frame_room = frame_room;
	lab_offload(features);
	CHECK_EQ(ask(LAB_FAR_IP4, "find the neighbour", 18), ERR_OK);
	CHECK(wait_for(1));
	lab_run(NSEC_PER_SEC);
	before = net_datagrams_taken();
	for (unsigned i = 0; i < 64; i++) {
		net_prediction = i & 1;
		CHECK_EQ(ask(LAB_FAR_IP4,
			     "the same either way and odd or even"
			     "................................................................",
			     35 + i),
			 ERR_OK);
		CHECK(wait_for(2 + i));
		CHECK(last_len == 36 + i &&
		      memcmp(last + 1, "the same either way and odd or even", 35) == 0);
	}
	net_prediction = true;
	taken = net_datagrams_taken() - before;
	CHECK(taken == 32 || taken == 31);        /* once in a while it is lwIP's turn */
	CHECK(in_order);
	end();
}

TEST(datagrams_go_past_lwip_and_through_it)
{
	for (unsigned frame_room = 0; frame_room <= 256; frame_room += 128) {
		answer_by_both_ways(0, frame_room);
		answer_by_both_ways(NETDEV_TX_CSUM, frame_room);
	}
}

static int open_server(void)
{
	static const struct stream_datagram_ops ops = { serve };
	uint8_t addr[16] = { 2, 0, SERVER_PORT >> 8, SERVER_PORT & 255 };

	return stream_datagrams_open(loop, (struct sockaddr *)addr, sizeof(addr), &ops, NULL,
				     &server);
}

/*
 * Whom the last one was for is remembered, and is not asked when it is closed or another port is.
 */
TEST(datagrams_find_the_server_that_is_open_now)
{
	static const struct stream_datagram_ops nothing = { NULL };
	uint8_t other_addr[16] = { 2, 0, (SERVER_PORT + 1) >> 8, (SERVER_PORT + 1) & 255 };
	struct stream_datagrams *other;

	CHECK_EQ(begin(false), 0);
	CHECK_EQ(stream_datagrams_open(loop, (struct sockaddr *)other_addr, sizeof(other_addr),
				       &nothing, NULL, &other),
		 0);
	for (unsigned i = 1; i <= 4; i++) {
		CHECK_EQ(ask(LAB_FAR_IP4, "who is there?", 13), ERR_OK);
		CHECK(wait_for(i));
		if (i & 1)
			continue;
		stream_datagrams_close(server);
		CHECK_EQ(ask(LAB_FAR_IP4, "and now?", 8), ERR_OK);
		lab_run(NSEC_PER_SEC);
		CHECK(got == i && served == i);
		CHECK_EQ(open_server(), 0);
	}
	end();
}

TEST(datagrams_are_answered_in_their_frames_which_come_back_when_these_are_sent)
{
	CHECK_EQ(begin(false), 0);
	CHECK_EQ(ask(LAB_FAR_IP4, "find the neighbour", 18), ERR_OK);
	CHECK(wait_for(1));
	got = 0;
	answers = 3;
	lab_wire.frame_room = 2048;
	lab_wire.slow_completion = true;
	CHECK_EQ(ask(LAB_FAR_IP4, "several", 7), ERR_OK);
	CHECK(wait_for(3) && in_order);
	CHECK_EQ(lab_counts.lent, 1);
	lab_complete();
	CHECK_EQ(lab_counts.lent, 0);
	end();
}

TEST(datagrams_that_find_the_ring_full_lose_their_answers_and_nothing_else)
{
	CHECK_EQ(begin(false), 0);
	CHECK_EQ(ask(LAB_FAR_IP4, "find the neighbour", 18), ERR_OK);
	CHECK(wait_for(1));
	lab_use(NULL);
	lab_wire.frame_room = 2048;
	for (int i = 0; i < 8; i++)
		ask(LAB_FAR_IP4, "many", 4);
	lab_run(10 * NSEC_PER_USEC);
	lab_wire.ring_room = 5;
	lab_use(loop);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(served, 9);
	CHECK_EQ(got, 6);
	CHECK_EQ(lab_counts.lent, 0);
	lab_wire.ring_room = 0;
	CHECK_EQ(ask(LAB_FAR_IP4, "again", 5), ERR_OK);
	CHECK(wait_for(7) && in_order);
	end();
}

static void inject(uint16_t udp_sum, uint8_t ip_spoil)
{
	uint8_t f[60] = { 2,
			  0,
			  0,
			  0,
			  0,
			  1,
			  2,
			  0,
			  0,
			  0,
			  0,
			  9,
			  8,
			  0,
			  0x45,
			  0,
			  0,
			  32,
			  0,
			  1,
			  0,
			  0,
			  64,
			  17,
			  0,
			  0,
			  10,
			  0,
			  0,
			  9,
			  10,
			  0,
			  0,
			  1,
			  CLIENT_PORT >> 8,
			  CLIENT_PORT & 255,
			  SERVER_PORT >> 8,
			  SERVER_PORT & 255,
			  0,
			  12,
			  0,
			  0,
			  'o',
			  'd',
			  'd',
			  '!' };
	uint16_t sum = (uint16_t)~net_checksum(f + 14, 20);

	memcpy(f + 24, &sum, 2);
	f[24] ^= ip_spoil;
	memcpy(f + 40, &udp_sum, 2);
	lab_inject(f, sizeof(f));
	lab_run(NSEC_PER_MSEC);
}

TEST(datagrams_with_wrong_sums_are_dropped_and_those_without_are_served)
{
	CHECK_EQ(begin(false), 0);
	CHECK_EQ(ask(LAB_FAR_IP4, "find the neighbour", 18), ERR_OK);
	CHECK(wait_for(1));
	CHECK_EQ(served, 1);
	inject(0, 0);
	CHECK_EQ(served, 2);
	inject(0x1234, 0);
	inject(0, 0x10);
	CHECK_EQ(served, 2);
	end();
}

TEST(datagrams_may_have_many_answers_and_leave_with_one_kick)
{
	uint64_t kicks;

	CHECK_EQ(begin(false), 0);
	CHECK_EQ(ask(LAB_FAR_IP4, "x", 1), ERR_OK);
	CHECK(wait_for(1));
	got = 0;
	answers = 7;
	kicks = lab_counts.kicks;
	CHECK_EQ(ask(LAB_FAR_IP4, "several", 7), ERR_OK);
	CHECK(wait_for(7));
	CHECK(in_order && served == 2);
	CHECK_EQ(lab_counts.kicks - kicks, 2);
	end();
}

TEST(datagrams_as_long_as_promised_and_in_fragments)
{
	static uint8_t large[STREAM_DATAGRAM_MAX], larger[4000];

	CHECK_EQ(begin(false), 0);
	memset(large, 7, sizeof(large));
	CHECK_EQ(ask(LAB_FAR_IP4, large, sizeof(large) - 1), ERR_OK);
	CHECK(wait_for(1));
	CHECK_EQ(last_len, STREAM_DATAGRAM_MAX);
	CHECK_EQ(ask(LAB_FAR_IP4, larger, sizeof(larger)), ERR_OK);
	lab_run(NSEC_PER_SEC);
	CHECK(served == 2 && got == 1);
	CHECK_EQ(ask(LAB_FAR_IP4, "", 0), ERR_OK);
	CHECK(wait_for(2));
	CHECK_EQ(last_len, 1);
	end();
}

static void flood(unsigned frame_room)
{
	size_t used = 0;

	CHECK_EQ(begin(false), 0);
	lab_wire.frame_room = frame_room;
	CHECK_EQ(ask(LAB_FAR_IP4, "first", 5), ERR_OK);
	CHECK(wait_for(1));
	for (int round = 0; round < 3; round++) {
		lab_use(NULL);
		for (int i = 0; i < 3000; i++)
			ask(LAB_FAR_IP4, "flood", 5);
		lab_run(NSEC_PER_SEC);
		lab_use(loop);
		lab_run(NSEC_PER_SEC);
		if (round == 0)
			used = net_memory_used();
	}
	CHECK(served >= 3000 && served < 6000 && got == served);
	CHECK_EQ(net_memory_used(), used);
	end();
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(datagrams_of_a_flood_are_bounded_and_no_memory_is_lost)
{
	flood(0);
	flood(2048);
}
