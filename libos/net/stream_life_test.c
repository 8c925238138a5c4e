/*
 * Streams: loans and their return, left-over input, backlog, and every way a stream can end.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/test.h>

#include <string.h>

#include "connections.h"
#include "lab.h"
#include "stack.h"
#include "stream_lwip.h"

struct address4 {
	uint16_t family, port;
	uint8_t ip[4];
	uint8_t zero[8];
};

static const struct sockaddr *address4(uint8_t last, uint16_t port)
{
	static struct address4 a;

	a = (struct address4){ 2, lwip_htons(port), { 10, 0, 0, last }, { 0 } };
	if (!last)
		memset(a.ip, 0, 4);
	return (const struct sockaddr *)&a;
}

/* What one end has seen, and what it is to do. */
struct side {
	struct stream *s;
	unsigned opened, closed, ended, writable, calls;
	int error;
	size_t got, last_len, consume_max;
	bool consume_nothing;
	uint8_t last[256];
};

static struct side server, client;
static struct stream_loop *loop;
static struct stream_listener *listener;

static int opened(struct stream *s)
{
	struct side *side = stream_user(s);

	side->s = s;
	side->opened++;
	return 0;
}

static size_t received(struct stream *s, const uint8_t *data, size_t len)
{
	struct side *side = stream_user(s);

	side->calls++;
	side->last_len = len;
	memcpy(side->last, data, MIN(len, sizeof(side->last)));
	if (side->consume_nothing)
		return 0;
	if (side->consume_max)
		len = MIN(len, side->consume_max);
	side->got += len;
	return len;
}

static void writable(struct stream *s)
{
	((struct side *)stream_user(s))->writable++;
}

static void ended(struct stream *s)
{
	((struct side *)stream_user(s))->ended++;
}

static void closed(struct stream *s, int error)
{
	struct side *side = stream_user(s);

	side->closed++;
	side->error = error;
}

static const struct stream_ops ops = { opened, received, writable, NULL, closed };
static const struct stream_ops ops_with_end = { opened, received, writable, ended, closed };

static bool is_open(void *arg)
{
	(void)arg;
	return server.opened && client.opened;
}

static bool pair_up(uint16_t port, const struct stream_ops *server_ops,
		    const struct stream_options *options)
{
	lab_start();
	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	if (stream_loop_create(&loop))
		return false;
	lab_use(loop);
	return !stream_listen(loop, address4(0, port), 16, server_ops, options, &server,
			      &listener) &&
	       !stream_connect(loop, address4(9, port), 16, &ops, options, &client, &client.s) &&
	       lab_run_until(is_open, NULL, NSEC_PER_SEC);
}

static void tear_down(void)
{
	lab_wire.is_cut = lab_wire.slow_completion = false;
	lab_complete();
	stream_loop_destroy(loop);
	lab_use(NULL);
	lab_run(130 * NSEC_PER_SEC);
}

static uint8_t lent_bytes[MIB(1)];
static unsigned releases;

static void release(void *arg)
{
	releases++;
	memset(arg, 0xee, 1);
}

TEST(stream_loan_returns_after_acknowledgement_and_completion)
{
	releases = 0;
	memset(lent_bytes, 7, sizeof(lent_bytes));
	CHECK(pair_up(7101, &ops, NULL));
	lab_wire.slow_completion = true;
	CHECK_EQ(stream_write_ref(client.s, lent_bytes, 3000, release, lent_bytes), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.got, 3000);
	CHECK_EQ(stream_backlog(client.s), 0);
	CHECK_EQ(releases, 0);
	lab_complete();
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(releases, 1);
	tear_down();
	CHECK_EQ(releases, 1);
}

TEST(stream_loan_is_not_returned_while_unacknowledged)
{
	releases = 0;
	CHECK(pair_up(7102, &ops, NULL));
	lab_wire.is_cut = true;
	CHECK_EQ(stream_write_ref(client.s, lent_bytes, 3000, release, lent_bytes), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(releases, 0);
	lab_wire.is_cut = false;
	lab_run(5 * NSEC_PER_SEC);
	CHECK_EQ(server.got, 3000);
	CHECK_EQ(releases, 1);
	tear_down();
}

TEST(stream_loans_return_once_each_when_the_stream_is_aborted)
{
	releases = 0;
	CHECK(pair_up(7103, &ops, NULL));
	lab_wire.is_cut = true;
	lab_wire.slow_completion = true;
	for (int i = 0; i < 8; i++)
		CHECK_EQ(stream_write_ref(client.s, lent_bytes, MIB(1), release, lent_bytes), 0);
	lab_run(NSEC_PER_SEC);
	stream_abort(client.s);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(client.closed, 1);
	CHECK_EQ(client.error, -ECONNABORTED);
	CHECK_EQ(releases, 0);
	lab_complete();
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(releases, 8);
	tear_down();
	CHECK_EQ(releases, 8);
}

TEST(stream_mixes_copies_and_loans_in_order)
{
	static uint8_t page[5000];
	size_t total = 0;

	releases = 0;
	CHECK(pair_up(7104, &ops, NULL));
	memset(page, 'p', sizeof(page));
	for (int i = 0; i < 200; i++) {
		char *head = stream_reserve(client.s, 100);

		CHECK(head);
		memset(head, 'h', 10);
		stream_commit(client.s, 10);
		CHECK_EQ(stream_write_ref(client.s, page, i % 2 ? 500 : sizeof(page), release,
					  page + 4999),
			 0);
		total += 10 + (i % 2 ? 500 : sizeof(page));
	}
	lab_run(5 * NSEC_PER_SEC);
	CHECK_EQ(server.got, total);
	CHECK_EQ(releases, 200);
	tear_down();
}

TEST(stream_left_over_is_presented_again_in_one_piece)
{
	CHECK(pair_up(7105, &ops, NULL));
	server.consume_nothing = true;
	CHECK_EQ(stream_write(client.s, "GET a", 5), 0);
	lab_run(NSEC_PER_MSEC);
	CHECK_EQ(server.calls, 1);
	CHECK_EQ(server.last_len, 5);
	CHECK_EQ(stream_write(client.s, "bc", 2), 0);
	lab_run(NSEC_PER_MSEC);
	CHECK_EQ(server.calls, 2);
	CHECK_EQ(server.last_len, 7);
	server.consume_nothing = false;
	server.consume_max = 3;
	CHECK_EQ(stream_write(client.s, "\r\n", 2), 0);
	lab_run(NSEC_PER_MSEC);
	CHECK_EQ(server.calls, 5);
	CHECK_EQ(server.got, 9);
	CHECK(memcmp(server.last, "c\r\n", 3) == 0);
	tear_down();
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(stream_that_wants_too_much_at_once_is_closed)
{
	struct stream_options options = { .max_pending = 4096 };

	CHECK(pair_up(7106, &ops, &options));
	server.consume_nothing = true;
	CHECK_EQ(stream_write(client.s, lent_bytes, 5000), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.closed, 1);
	CHECK_EQ(server.error, -EMSGSIZE);
	CHECK_EQ(client.closed, 1);
	CHECK_EQ(client.error, -ECONNRESET);
	tear_down();
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(stream_paused_holds_the_peer_back_by_its_window)
{
	size_t sent = 0;

	CHECK(pair_up(7107, &ops, NULL));
	stream_pause(server.s, true);
	while (sent < MIB(2)) {
		CHECK_EQ(stream_write(client.s, lent_bytes, 10000), 0);
		sent += 10000;
		lab_run(NSEC_PER_MSEC);
	}
	lab_run(20 * NSEC_PER_SEC);
	CHECK_EQ(server.got, 0);
	CHECK(stream_backlog(client.s) > MIB(1));
	stream_pause(server.s, false);
	lab_run(30 * NSEC_PER_SEC);
	CHECK_EQ(server.got, sent);
	tear_down();
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(stream_input_stops_while_output_is_backed_up)
{
	struct stream_options options = { .high_water = KIB(64) };

	CHECK(pair_up(7108, &ops, &options));
	stream_pause(client.s, true);
	for (int i = 0; i < 40; i++)
		CHECK_EQ(stream_write(server.s, lent_bytes, 10000), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(stream_write(client.s, "x", 1), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.got, 0);
	stream_pause(client.s, false);
	lab_run(5 * NSEC_PER_SEC);
	CHECK_EQ(client.got, 400000);
	CHECK_EQ(server.writable, 1);
	CHECK_EQ(server.got, 1);
	tear_down();
}

/* Written from a timer, say, and acknowledged at once, with no round of the loop in between. */
TEST(stream_is_writable_again_after_a_backlog_that_no_round_saw)
{
	struct stream_options options = { .high_water = KIB(8), .low_water = KIB(8) };

	CHECK(pair_up(7124, &ops, &options));
	CHECK_EQ(stream_write(server.s, lent_bytes, KIB(8) + 100), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(client.got, KIB(8) + 100);
	CHECK_EQ(server.writable, 1);
	tear_down();
}

TEST(stream_close_sends_what_was_written_then_ends)
{
	CHECK(pair_up(7109, &ops, NULL));
	CHECK_EQ(stream_write(client.s, "unread", 6), 0);
	stream_pause(server.s, true);
	lab_run(NSEC_PER_MSEC);
	releases = 0;
	CHECK_EQ(stream_write(server.s, lent_bytes, 300000), 0);
	CHECK_EQ(stream_write_ref(server.s, lent_bytes, MIB(1), release, lent_bytes), 0);
	stream_close(server.s);
	CHECK_EQ(stream_write(server.s, "x", 1), -EPIPE);
	lab_run(10 * NSEC_PER_SEC);
	CHECK_EQ(client.got, 300000 + MIB(1));
	CHECK_EQ(server.closed, 1);
	CHECK_EQ(server.error, 0);
	CHECK_EQ(client.closed, 1);
	CHECK_EQ(client.error, 0);
	CHECK_EQ(releases, 1);
	tear_down();
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(stream_closed_before_a_peer_that_takes_nothing_is_given_up)
{
	CHECK(pair_up(7122, &ops, NULL));
	releases = 0;
	stream_pause(client.s, true);
	CHECK_EQ(stream_write_ref(server.s, lent_bytes, MIB(1), release, lent_bytes), 0);
	stream_close(server.s);
	lab_run(60 * NSEC_PER_SEC);
	CHECK_EQ(server.closed, 0);
	lab_run(120 * NSEC_PER_SEC);
	CHECK_EQ(server.closed, 1);
	CHECK_EQ(releases, 1);
	CHECK_EQ(client.closed, 1);
	CHECK_EQ(client.error, -ECONNRESET);
	tear_down();
	CHECK_EQ(net_connection_count(), 0);
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(stream_half_closed_by_its_peer_may_still_answer)
{
	CHECK(pair_up(7110, &ops_with_end, NULL));
	CHECK_EQ(stream_write(client.s, "question", 8), 0);
	stream_close(client.s);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.got, 8);
	CHECK_EQ(server.ended, 1);
	CHECK_EQ(server.closed, 0);
	CHECK_EQ(stream_write(server.s, "answer", 6), 0);
	stream_close(server.s);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.closed, 1);
	tear_down();
}

TEST(stream_whose_peer_vanished_ends_with_a_time_out)
{
	CHECK(pair_up(7111, &ops, NULL));
	CHECK_EQ(stream_write(server.s, "into the void", 13), 0);
	lab_wire.is_cut = true;
	lab_run(400 * NSEC_PER_SEC);
	CHECK_EQ(server.closed, 1);
	CHECK_EQ(server.error, -ETIMEDOUT);
	tear_down();
}

TEST(stream_silent_half_open_connection_is_found_by_probes)
{
	CHECK(pair_up(7112, &ops, NULL));
	lab_wire.is_cut = true;
	lab_run(100 * NSEC_PER_SEC);
	CHECK_EQ(server.closed, 0);
	lab_run(100 * NSEC_PER_SEC);
	CHECK_EQ(server.closed, 1);
	CHECK_EQ(server.error, -ETIMEDOUT);
	tear_down();
}

TEST(stream_idle_connection_lives_and_the_stack_rests)
{
	uint64_t frames;

	CHECK(pair_up(7113, &ops, NULL));
	lab_run(20 * NSEC_PER_SEC);
	frames = lab_counts.sent;
	for (int i = 0; i < 5 && net_timers_deadline() < lab_now() + 20 * NSEC_PER_SEC; i++)
		lab_run(5 * NSEC_PER_SEC);      /* past the minute's housekeeping */
	CHECK(net_timers_deadline() > lab_now() + 20 * NSEC_PER_SEC);
	lab_run(1000 * NSEC_PER_SEC);
	CHECK(lab_counts.sent - frames < 64);
	CHECK_EQ(stream_write(client.s, "still here", 10), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.got, 10);
	tear_down();
}

TEST(stream_connect_to_nobody_closes_with_the_reason)
{
	CHECK(pair_up(7114, &ops, NULL));
	memset(&client, 0, sizeof(client));
	CHECK_EQ(stream_connect(loop, address4(9, 7999), 16, &ops, NULL, &client, &client.s), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(client.opened, 0);
	CHECK_EQ(client.closed, 1);
	CHECK_EQ(client.error, -ECONNREFUSED);
	tear_down();
}

#define MANY 700
static struct side many[MANY];

TEST(stream_many_connections_at_once_are_found_by_hash)
{
	size_t before;

	CHECK(pair_up(7115, &ops, NULL));
	before = net_connection_count();
	memset(many, 0, sizeof(many));
	for (int i = 0; i < MANY; i++) {
		CHECK_EQ(stream_connect(loop, address4(9, 7115), 16, &ops, NULL, &many[i],
					&many[i].s),
			 0);
		lab_run(NSEC_PER_MSEC);
	}
	CHECK_EQ(net_connection_count(), before + 2 * MANY);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			CHECK_EQ(many[i].opened, 1);
			CHECK_EQ(stream_write(many[(i * 37) % MANY].s, "x", 1), 0);
		}
		lab_run(NSEC_PER_SEC);
	}
	CHECK_EQ(server.got, 3 * MANY);
	for (int i = 0; i < MANY; i += 2)
		stream_close(many[i].s);
	lab_run(NSEC_PER_SEC);
	for (int i = 1; i < MANY; i += 2)
		CHECK_EQ(stream_write(many[i].s, "y", 1), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.got, 3 * MANY + MANY / 2);
	tear_down();
	CHECK_EQ(net_connection_count(), 0);
	CHECK_EQ(lab_counts.lent, 0);
}

static unsigned fired[4];
static struct stream_timer timers[4];

static void fire(struct stream_timer *t)
{
	static unsigned order;

	fired[t - timers] = ++order;
}

TEST(stream_timers_fire_in_order_and_once)
{
	CHECK(pair_up(7116, &ops, NULL));
	memset(fired, 0, sizeof(fired));
	memset(timers, 0, sizeof(timers));
	stream_timer_arm(loop, &timers[0], lab_now() + 30 * NSEC_PER_MSEC, fire);
	stream_timer_arm(loop, &timers[1], lab_now() + 10 * NSEC_PER_MSEC, fire);
	stream_timer_arm(loop, &timers[2], lab_now() + 20 * NSEC_PER_MSEC, fire);
	stream_timer_arm(loop, &timers[3], lab_now() + 15 * NSEC_PER_MSEC, fire);
	stream_timer_cancel(loop, &timers[3]);
	stream_timer_arm(loop, &timers[2], lab_now() + 40 * NSEC_PER_MSEC, fire);
	lab_run(35 * NSEC_PER_MSEC);
	CHECK(fired[1] && fired[0] > fired[1]);
	CHECK(!fired[2] && !fired[3]);
	lab_run(10 * NSEC_PER_MSEC);
	CHECK(fired[2] > fired[0]);
	tear_down();
}

static void count_post(void *arg)
{
	++*(unsigned *)arg;
}

TEST(stream_posts_run_in_the_loop)
{
	unsigned posted = 0;

	CHECK(pair_up(7117, &ops, NULL));
	for (int i = 0; i < 10; i++)
		CHECK_EQ(stream_post(loop, count_post, &posted), 0);
	CHECK_EQ(posted, 0);
	lab_run(NSEC_PER_MSEC);
	CHECK_EQ(posted, 10);
	tear_down();
}

TEST(stream_listener_paused_lets_connections_wait)
{
	CHECK(pair_up(7118, &ops, NULL));
	stream_listener_pause(listener, true);
	memset(&many[0], 0, sizeof(many[0]));
	CHECK_EQ(stream_connect(loop, address4(9, 7118), 16, &ops, NULL, &many[0], &many[0].s), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(many[0].opened, 1);
	CHECK_EQ(stream_write(many[0].s, "early", 5), 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.opened, 1);
	stream_listener_pause(listener, false);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(server.opened, 2);
	CHECK_EQ(server.got, 5);
	tear_down();
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(stream_output_waits_for_a_full_ring)
{
	CHECK(pair_up(7119, &ops, NULL));
	lab_wire.ring_room = 3;
	CHECK_EQ(stream_write(client.s, lent_bytes, 200000), 0);
	lab_run(10 * NSEC_PER_SEC);
	CHECK_EQ(server.got, 200000);
	lab_wire.ring_room = 0;
	tear_down();
}

TEST(stream_memory_bound_refuses_connections_and_recovers)
{
	size_t limit = net_memory_limit();

	CHECK(pair_up(7120, &ops, NULL));
	net_memory_set_limit(net_memory_used() + KIB(4));
	memset(&many[0], 0, sizeof(many[0]));
	(void)stream_connect(loop, address4(9, 7120), 16, &ops, NULL, &many[0], &many[0].s);
	CHECK_EQ(stream_write(client.s, lent_bytes, 400000), -ENOMEM);
	CHECK_EQ(stream_backlog(client.s), 0);
	lab_run(5 * NSEC_PER_SEC);
	net_memory_set_limit(limit);
	CHECK(client.closed || stream_write(client.s, lent_bytes, 400000) == 0);
	lab_run(60 * NSEC_PER_SEC);
	CHECK(server.got == 400000 || client.closed);
	tear_down();
	CHECK_EQ(lab_counts.lent, 0);
	lab_start();
	CHECK(pair_up(7121, &ops, NULL));
	tear_down();
}
