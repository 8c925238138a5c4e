/*
 * What stream.h promises, tried out on whatever back end this is linked with: servers and their
 * clients in one loop, over the loopback address.
 *
 * Each test is a function that makes a loop, runs it until its last callback stops it, and checks
 * what happened. A watchdog timer ends a test that hangs. Prints one line for each test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libos/stream.h>

#define CHECK(condition)                                                                   \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
			exit(1);                                                           \
		}                                                                          \
	} while (0)

static struct stream_loop *loop;
static struct stream_listener *listener;
static struct stream_timer watchdog;
static struct sockaddr_storage address;
static socklen_t address_len;

/* What the callbacks of the test saw. */
static int opened, closed, released, writable, ended, calls, last_error;
static size_t received_bytes;
static struct stream *client;

static void too_long(struct stream_timer *t)
{
	(void)t;
	CHECK(!"the test hangs");
}

static void begin(const struct stream_ops *ops, const struct stream_options *options)
{
	struct sockaddr_in any = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};

	opened = closed = released = writable = ended = calls = last_error = 0;
	received_bytes = 0;
	client = NULL;
	CHECK(stream_loop_create(&loop) == 0);
	watchdog = (struct stream_timer){ 0 };
	stream_timer_arm(loop, &watchdog, stream_now_ns() + 10000000000ull, too_long);
	if (!ops)
		return;
	CHECK(stream_listen(loop, (struct sockaddr *)&any, sizeof(any), ops, options, NULL,
			    &listener) == 0);
	CHECK(stream_listener_address(listener, &address, &address_len) == 0);
}

static void dial(const struct stream_ops *ops)
{
	CHECK(stream_connect(loop, (struct sockaddr *)&address, address_len, ops, NULL, NULL,
			     &client) == 0);
}

static void end(void)
{
	stream_loop_destroy(loop);
}

static int open_plain(struct stream *s)
{
	(void)s;
	opened++;
	return 0;
}

static void close_plain(struct stream *s, int error)
{
	(void)s;
	closed++;
	last_error = error;
}

static void close_and_stop(struct stream *s, int error)
{
	close_plain(s, error);
	stream_stop(loop);
}

static size_t take_all(struct stream *s, const uint8_t *data, size_t len)
{
	(void)s, (void)data;
	received_bytes += len;
	return len;
}

/* ---- an echo server, and a client that checks what comes back ---- */

enum { ECHO_BYTES = 3 * 1000 * 1000 };

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static size_t echo(struct stream *s, const uint8_t *data, size_t len)
{
	size_t n = len > 10000 ? 10000 : len;

	CHECK(stream_write(s, data, n) == 0);
	return n;
}

static size_t sent_bytes;

static void send_more(struct stream *s)
{
	uint8_t piece[1000];

	while (sent_bytes < ECHO_BYTES && stream_backlog(s) < 100000) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = pattern(sent_bytes + i);
		CHECK(stream_write(s, piece, sizeof(piece)) == 0);
		sent_bytes += sizeof(piece);
	}
}

static int open_and_send(struct stream *s)
{
	opened++;
	sent_bytes = 0;
	send_more(s);
	return 0;
}

static size_t compare(struct stream *s, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		CHECK(data[i] == pattern(received_bytes + i));
	received_bytes += len;
	send_more(s);
	if (received_bytes == ECHO_BYTES)
		stream_close(s);
	return len;
}

static void test_megabytes_come_back_in_order(void)
{
	static const struct stream_ops server = { open_plain, echo, NULL, NULL, close_plain };
	static const struct stream_ops peer = { open_and_send, compare, NULL, NULL,
						close_and_stop };

	begin(&server, NULL);
	dial(&peer);
	CHECK(stream_run(loop) == 0);
	CHECK(received_bytes == ECHO_BYTES && last_error == 0 && opened == 2);
	end();
	CHECK(closed == 2);
}

/* ---- leftovers are presented again, in one piece with what follows ---- */

static void say(struct stream *s, const char *text)
{
	CHECK(stream_write(s, text, strlen(text)) == 0);
	stream_flush(s);
}

static struct stream_timer later;

static void say_rest(struct stream_timer *t)
{
	(void)t;
	say(client, "cd");
}

static int open_and_say_half(struct stream *s)
{
	opened++;
	say(s, "ab");
	stream_timer_arm(loop, &later, stream_now_ns() + 20000000, say_rest);
	return 0;
}

static size_t want_four(struct stream *s, const uint8_t *data, size_t len)
{
	calls++;
	if (len < 4)
		return 0;
	CHECK(len == 4 && memcmp(data, "abcd", 4) == 0);
	stream_close(s);
	return 4;
}

static void test_leftovers_come_again_in_one_piece(void)
{
	static const struct stream_ops server = { open_plain, want_four, NULL, NULL, close_plain };
	static const struct stream_ops peer = { open_and_say_half, take_all, NULL, NULL,
						close_and_stop };

	begin(&server, NULL);
	dial(&peer);
	CHECK(stream_run(loop) == 0);
	CHECK(calls == 2 && closed >= 1 && last_error == 0);
	end();
}

/* ---- a server that consumes nothing ---- */

static size_t take_nothing(struct stream *s, const uint8_t *data, size_t len)
{
	(void)s, (void)data, (void)len;
	return 0;
}

static int open_and_flood(struct stream *s)
{
	static char flood[10000];

	CHECK(stream_write(s, flood, sizeof(flood)) == 0);
	return 0;
}

static void test_too_much_unconsumed_input_closes_the_stream(void)
{
	static const struct stream_ops server = { open_plain, take_nothing, NULL, NULL,
						  close_and_stop };
	static const struct stream_ops peer = { open_and_flood, take_all, NULL, NULL, close_plain };

	begin(&server, &(struct stream_options){ .max_pending = 4096 });
	dial(&peer);
	CHECK(stream_run(loop) == 0);
	CHECK(last_error == -EMSGSIZE);
	end();
}

/* ---- references ---- */

static char lent[1 << 20];

static void count_release(void *arg)
{
	CHECK(arg == lent);
	released++;
}

static int open_and_lend(struct stream *s)
{
	opened++;
	for (int i = 0; i < 8; i++) {
		CHECK(stream_write(s, "x", 1) == 0);
		CHECK(stream_write_ref(s, lent, sizeof(lent), count_release, lent) == 0);
	}
	CHECK(released == 0 && stream_backlog(s) == 8 * (sizeof(lent) + 1));
	stream_close(s);
	CHECK(stream_write(s, "x", 1) == -EPIPE);
	CHECK(stream_write_ref(s, lent, 1, count_release, lent) == -EPIPE);
	CHECK(stream_reserve(s, 1) == NULL);
	return 0;
}

static void test_references_are_released_once_when_sent(void)
{
	static const struct stream_ops server = { open_and_lend, take_all, NULL, NULL,
						  close_plain };
	static const struct stream_ops peer = { open_plain, take_all, NULL, NULL, close_and_stop };

	begin(&server, NULL);
	dial(&peer);
	CHECK(stream_run(loop) == 0);
	CHECK(received_bytes == 8 * (sizeof(lent) + 1));
	end();
	CHECK(released == 8 && closed == 2);
}

static int open_and_lend_to_nobody(struct stream *s)
{
	for (int i = 0; i < 8; i++)
		CHECK(stream_write_ref(s, lent, sizeof(lent), count_release, lent) == 0);
	return 0;
}

static int open_paused(struct stream *s)
{
	stream_pause(s, true);
	return 0;
}

static void abort_later(struct stream_timer *t)
{
	(void)t;
	stream_abort(client);
}

static void test_references_are_released_when_the_peer_is_gone(void)
{
	static const struct stream_ops server = { open_and_lend_to_nobody, take_all, NULL, NULL,
						  close_and_stop };
	static const struct stream_ops peer = { open_paused, take_all, NULL, NULL, close_plain };

	begin(&server, NULL);
	dial(&peer);
	later = (struct stream_timer){ 0 };
	stream_timer_arm(loop, &later, stream_now_ns() + 30000000, abort_later);
	CHECK(stream_run(loop) == 0);
	CHECK(last_error == -ECONNRESET);
	end();
	CHECK(released == 8 && closed == 2);
}

/* ---- water marks ---- */

enum { QUESTIONS = 300, ANSWER = 100000 };  /* more than two kernels' buffers hold */

static size_t answer_much(struct stream *s, const uint8_t *data, size_t len)
{
	static char much[ANSWER];

	(void)data, (void)len;
	calls++;
	CHECK(stream_write(s, much, sizeof(much)) == 0);
	return 1;
}

static void count_writable(struct stream *s)
{
	CHECK(stream_backlog(s) <= 10000);
	writable++;
}

static struct stream *slow_reader;

static int open_slow_reader(struct stream *s)
{
	static char questions[QUESTIONS];

	slow_reader = s;
	CHECK(stream_write(s, questions, sizeof(questions)) == 0);
	stream_pause(s, true);
	return 0;
}

static void reader_wakes(struct stream_timer *t)
{
	(void)t;
	CHECK(calls < QUESTIONS); /* the server was held up */
	stream_pause(slow_reader, false);
}

static size_t take_all_answers(struct stream *s, const uint8_t *data, size_t len)
{
	(void)data;
	received_bytes += len;
	if (received_bytes == QUESTIONS * (size_t)ANSWER)
		stream_close(s);
	return len;
}

static void test_a_slow_reader_holds_the_server_up_and_lets_it_go(void)
{
	static const struct stream_ops server = { open_plain, answer_much, count_writable, NULL,
						  close_plain };
	static const struct stream_ops peer = { open_slow_reader, take_all_answers, NULL, NULL,
						close_and_stop };

	begin(&server, &(struct stream_options){ .high_water = 20000, .low_water = 10000 });
	dial(&peer);
	later = (struct stream_timer){ 0 };
	stream_timer_arm(loop, &later, stream_now_ns() + 50000000, reader_wakes);
	CHECK(stream_run(loop) == 0);
	CHECK(calls == QUESTIONS && writable >= 1 && last_error == 0);
	end();
}

/* ---- the end of streams ---- */

static void say_goodbye(struct stream *s)
{
	ended++;
	say(s, "bye");
	stream_close(s);
}

static int open_and_close(struct stream *s)
{
	say(s, "hello");
	stream_close(s);
	return 0;
}

static void test_a_peer_that_has_said_all_is_told_to_the_server(void)
{
	static const struct stream_ops server = { open_plain, take_all, NULL, say_goodbye,
						  close_and_stop };
	static const struct stream_ops peer = { open_and_close, take_all, NULL, NULL, close_plain };

	begin(&server, NULL);
	dial(&peer);
	CHECK(stream_run(loop) == 0);
	CHECK(ended == 1 && received_bytes >= 5);
	end();
	CHECK(closed == 2);
}

static void test_without_ended_the_stream_closes(void)
{
	static const struct stream_ops server = { open_plain, take_all, NULL, NULL,
						  close_and_stop };
	static const struct stream_ops peer = { open_and_close, take_all, NULL, NULL, close_plain };

	begin(&server, NULL);
	dial(&peer);
	CHECK(stream_run(loop) == 0);
	CHECK(last_error == 0 && received_bytes == 5);
	end();
}

static int refuse(struct stream *s)
{
	(void)s;
	return -EPERM;
}

static void test_a_refused_stream_is_never_closed(void)
{
	static const struct stream_ops server = { refuse, take_all, NULL, NULL, close_plain };
	static const struct stream_ops peer = { open_plain, take_all, NULL, NULL, close_and_stop };

	begin(&server, NULL);
	dial(&peer);
	CHECK(stream_run(loop) == 0);
	CHECK(closed == 1);
	end();
	CHECK(closed == 1);
}

static void test_nobody_listens(void)
{
	static const struct stream_ops server = { open_plain, take_all, NULL, NULL, close_plain };
	static const struct stream_ops peer = { open_plain, take_all, NULL, NULL, close_and_stop };

	begin(&server, NULL);
	stream_listener_close(listener);
	if (stream_connect(loop, (struct sockaddr *)&address, address_len, &peer, NULL, NULL,
			   &client) == 0) {
		CHECK(stream_run(loop) == 0);
		CHECK(closed == 1 && last_error == -ECONNREFUSED && opened == 0);
	}
	end();
}

static int open_and_stop(struct stream *s)
{
	opened++;
	if (opened == 2)
		stream_stop(stream_loop_of(s));
	return 0;
}

static void test_destroying_the_loop_closes_what_is_open(void)
{
	static const struct stream_ops both = { open_and_stop, take_all, NULL, NULL, close_plain };

	begin(&both, NULL);
	dial(&both);
	CHECK(stream_run(loop) == 0);
	CHECK(opened == 2 && closed == 0);
	last_error = 1;
	end();
	CHECK(closed == 2 && last_error == 0);
}

/* ---- stop, post, timers ---- */

static void test_a_stop_before_the_run_is_remembered(void)
{
	begin(NULL, NULL);
	stream_stop(loop);
	CHECK(stream_run(loop) == 0);
	end();
}

static void posted(void *arg)
{
	if (++calls == *(int *)arg)
		stream_stop(loop);
}

static void *poster(void *arg)
{
	for (int i = 0; i < 1000; i++)
		CHECK(stream_post(loop, posted, arg) == 0);
	return NULL;
}

static void test_other_threads_post_work(void)
{
	pthread_t threads[4];
	int all = 4000;

	begin(NULL, NULL);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, poster, &all) == 0);
	CHECK(stream_run(loop) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK(calls == all);
	end();
}

enum { TIMERS = 200 };
static struct stream_timer timers[TIMERS];
static uint64_t last_deadline;

static void in_order(struct stream_timer *t)
{
	CHECK(stream_now_ns() >= t->deadline_ns && t->deadline_ns >= last_deadline && !t->armed);
	last_deadline = t->deadline_ns;
	if (++calls == TIMERS / 2)
		stream_stop(loop);
}

static void test_timers_fire_in_order_unless_cancelled(void)
{
	uint64_t now;

	begin(NULL, NULL);
	now = stream_now_ns();
	last_deadline = 0;
	memset(timers, 0, sizeof(timers));
	for (unsigned i = 0; i < TIMERS; i++)
		stream_timer_arm(loop, &timers[i], now + i * 7919 % TIMERS * 100000, in_order);
	for (unsigned i = 0; i < TIMERS; i += 2)
		stream_timer_cancel(loop, &timers[i]);
	CHECK(stream_run(loop) == 0);
	for (unsigned i = 0; i < TIMERS; i++)
		CHECK(!timers[i].armed);
	end();
}

/* ---- datagrams ---- */

static void stop_at_last(struct stream_timer *t)
{
	(void)t;
	stream_stop(loop);
}

static struct stream_datagrams *server;
static char answers[3][32];

static void answer_twice(struct stream_datagrams *d, const uint8_t *data, size_t len)
{
	struct sockaddr_storage peer;
	socklen_t peer_len;

	CHECK(stream_datagrams_peer(d, &peer, &peer_len) == 0 && peer.ss_family == AF_INET6);
	CHECK(stream_datagrams_user(d) == &calls);
	for (int i = 0; i < 2; i++) {
		char *room = stream_datagram_reserve(d, len + 1);

		CHECK(room);
		room[0] = (char)('0' + i);
		memcpy(room + 1, data, len);
		stream_datagram_commit(d, len + 1);
	}
	CHECK(!stream_datagram_reserve(d, STREAM_DATAGRAM_MAX + 1));
}

static void keep_answer(struct stream_datagrams *d, const uint8_t *data, size_t len)
{
	CHECK(calls < 3 && len < sizeof(answers[0]));
	memcpy(answers[calls], data, len);
	if (++calls == 2)
		stream_stop(stream_datagrams_user(d));
}

/* An IPv4 sender reaches a server on the IPv6 wildcard, and hears from the address it asked. */
static void test_datagrams_are_answered(void)
{
	static const struct stream_datagram_ops serve = { answer_twice }, keep = { keep_answer };
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in to = { .sin_family = AF_INET }, from;
	socklen_t from_len = sizeof(from);
	struct stream_datagrams *other;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char line[32];

	begin(NULL, NULL);
	CHECK(stream_datagrams_open(loop, (struct sockaddr *)&any6, sizeof(any6), &serve, &calls,
				    &server) == 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(stream_datagrams_open(loop, (struct sockaddr *)&to, sizeof(to), &keep, loop,
				    &other) == 0);
	CHECK(stream_datagrams_address(other, &address, &address_len) == 0);
	CHECK(sendto(fd, "0nothing", 8, 0, (struct sockaddr *)&address, address_len) == 8);
	CHECK(stream_datagrams_address(server, &address, &address_len) == 0);
	to.sin_port = ((struct sockaddr_in6 *)&address)->sin6_port;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	CHECK(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)) == 5);
	CHECK(stream_datagrams_address(other, &address, &address_len) == 0);
	stream_timer_arm(loop, &watchdog, stream_now_ns() + 300000000, stop_at_last);
	CHECK(stream_run(loop) == 0);
	CHECK(calls == 1 && memcmp(answers[0], "0nothing", 8) == 0);
	for (int i = 0; i < 2; i++) {
		CHECK(recvfrom(fd, line, sizeof(line), 0, (struct sockaddr *)&from, &from_len) ==
		      6);
		CHECK(line[0] == '0' + i && memcmp(line + 1, "hello", 5) == 0);
		CHECK(from.sin_addr.s_addr == to.sin_addr.s_addr && from.sin_port == to.sin_port);
	}
	stream_datagrams_close(other);
	CHECK(stream_datagrams_peer(server, &address, &address_len) == -ENOTCONN);
	close(fd);
	end();
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "megabytes come back in order", test_megabytes_come_back_in_order },
		{ "leftovers come again in one piece", test_leftovers_come_again_in_one_piece },
		{ "too much unconsumed input closes the stream",
		  test_too_much_unconsumed_input_closes_the_stream },
		{ "references are released once when sent",
		  test_references_are_released_once_when_sent },
		{ "references are released when the peer is gone",
		  test_references_are_released_when_the_peer_is_gone },
		{ "a slow reader holds the server up and lets it go",
		  test_a_slow_reader_holds_the_server_up_and_lets_it_go },
		{ "a peer that has said all is told to the server",
		  test_a_peer_that_has_said_all_is_told_to_the_server },
		{ "without ended the stream closes", test_without_ended_the_stream_closes },
		{ "a refused stream is never closed", test_a_refused_stream_is_never_closed },
		{ "nobody listens", test_nobody_listens },
		{ "destroying the loop closes what is open",
		  test_destroying_the_loop_closes_what_is_open },
		{ "a stop before the run is remembered", test_a_stop_before_the_run_is_remembered },
		{ "other threads post work", test_other_threads_post_work },
		{ "timers fire in order unless cancelled",
		  test_timers_fire_in_order_unless_cancelled },
		{ "datagrams are answered", test_datagrams_are_answered },
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		tests[i].run();
		printf("ok %s\n", tests[i].name);
	}
	return 0;
}
