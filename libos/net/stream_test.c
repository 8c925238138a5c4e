/*
 * Streams over the laboratory's wire: what servers and clients are promised by <libos/stream.h>.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/test.h>

#include <string.h>

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

/* A server that sends back what it gets, and counts what happens to it. */
static struct {
	unsigned opened, closed, ended;
	int last_error;
	size_t take_at_most;         /* bytes consumed per call; 0: all */
	struct stream *last;
} echo;

static int echo_opened(struct stream *s)
{
	echo.opened++;
	echo.last = s;
	return 0;
}

static size_t echo_received(struct stream *s, const uint8_t *data, size_t len)
{
	if (echo.take_at_most)
		len = MIN(len, echo.take_at_most);
	if (stream_write(s, data, len))
		stream_abort(s);
	return len;
}

static void echo_closed(struct stream *s, int error)
{
	(void)s;
	echo.closed++;
	echo.last_error = error;
}

static const struct stream_ops echo_ops = {
	.opened = echo_opened, .received = echo_received, .closed = echo_closed,
};

/* A client that sends a numbered sequence and checks that it comes back. */
static struct client {
	struct stream *stream;
	size_t to_send, sent, got;
	bool is_open, is_closed, is_wrong;
	int error;
} client;

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void client_send(struct client *c)
{
	uint8_t chunk[1024];

	while (c->sent < c->to_send && stream_backlog(c->stream) < KIB(64)) {
		size_t n = MIN(sizeof(chunk), c->to_send - c->sent);

		for (size_t i = 0; i < n; i++)
			chunk[i] = pattern(c->sent + i);
		if (stream_write(c->stream, chunk, n))
			return;
		c->sent += n;
	}
}

static int client_opened(struct stream *s)
{
	client.stream = s;
	client.is_open = true;
	client_send(&client);
	return 0;
}

static size_t client_received(struct stream *s, const uint8_t *data, size_t len)
{
	(void)s;
	for (size_t i = 0; i < len; i++)
		client.is_wrong |= data[i] != pattern(client.got + i);
	client.got += len;
	client_send(&client);
	return len;
}

static void client_closed(struct stream *s, int error)
{
	(void)s;
	client.is_closed = true;
	client.error = error;
}

static const struct stream_ops client_ops = {
	.opened = client_opened, .received = client_received, .closed = client_closed,
};

static bool client_has_all(void *arg)
{
	(void)arg;
	return client.got >= client.to_send || client.is_closed;
}

static bool client_is_closed(void *arg)
{
	(void)arg;
	return client.is_closed;
}

static struct stream_loop *loop;
static struct stream_listener *listener;

static int begin_as_it_is(uint16_t port, size_t to_send)
{
	int err;

	memset(&echo, 0, sizeof(echo));
	memset(&client, 0, sizeof(client));
	client.to_send = to_send;
	err = stream_loop_create(&loop);
	if (!err)
		err = stream_listen(loop, address4(0, port), 16, &echo_ops, NULL, NULL, &listener);
	lab_use(loop);
	return err;
}

static int begin(uint16_t port, size_t to_send)
{
	lab_start();
	return begin_as_it_is(port, to_send);
}

static int connect_client(uint16_t port)
{
	return stream_connect(loop, address4(9, port), 16, &client_ops, NULL, NULL, &client.stream);
}

static void end(void)
{
	lab_wire = (struct lab_wire){ .delay_ns = 50 * NSEC_PER_USEC };
	stream_loop_destroy(loop);
	lab_use(NULL);
	lab_run(70 * NSEC_PER_SEC);     /* TIME_WAIT and whatever the peer still waits for */
}

TEST(stream_echoes_one_request)
{
	CHECK_EQ(begin(7001, 100), 0);
	CHECK_EQ(connect_client(7001), 0);
	CHECK(lab_run_until(client_has_all, NULL, NSEC_PER_SEC));
	CHECK_EQ(client.got, 100);
	CHECK(!client.is_wrong);
	CHECK_EQ(echo.opened, 1);
	stream_close(client.stream);
	CHECK(lab_run_until(client_is_closed, NULL, NSEC_PER_SEC));
	CHECK_EQ(client.error, 0);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(echo.closed, 1);
	CHECK_EQ(echo.last_error, 0);
	end();
	CHECK_EQ(lab_counts.lent, 0);
}

/* A server that answers each byte with a value: written into place, copied, or lent. */
static enum { IN_PLACE, COPIED, LENT } way;
static uint8_t value[4000];
static unsigned values_released;

static void value_released(void *arg)
{
	(void)arg;
	values_released++;
}

static size_t answer_values(struct stream *s, const uint8_t *data, size_t len)
{
	uint8_t *room;

	(void)data;
	for (size_t i = 0; i < len; i++) {
		switch (way) {
		case IN_PLACE:
			room = stream_reserve(s, 500);
			if (room) {
				memcpy(room, value, 100);
				stream_commit(s, 100);
			}
			break;
		case COPIED:
			stream_write(s, value, 100);
			break;
		case LENT:
			stream_write_ref(s, value, sizeof(value), value_released, NULL);
			break;
		}
	}
	return len;
}

static size_t take_values(struct stream *s, const uint8_t *data, size_t len)
{
	(void)s;
	for (size_t i = 0; i < len; i++)
		client.is_wrong |= data[i] !=
				   value[(client.got + i) % (way == LENT ? sizeof(value) : 100)];
	client.got += len;
	return len;
}

static uint64_t bytes_copied_for(unsigned answers, size_t bytes)
{
	struct stream_stats before, after;
	uint8_t ask[64] = { 0 };

	stream_loop_stats(loop, &before);
	client.got = 0;
	client.to_send = bytes;
	stream_write(client.stream, ask, answers);
	lab_run_until(client_has_all, NULL, NSEC_PER_SEC);
	lab_run(NSEC_PER_SEC);
	client.is_wrong |= client.got != bytes;
	stream_loop_stats(loop, &after);
	/* the question is copied, too */
	return after.bytes_copied_out - before.bytes_copied_out - answers;
}

TEST(stream_output_is_copied_once_or_not_at_all)
{
	static const struct stream_ops server = { .opened = echo_opened, .received = answer_values,
						  .closed = echo_closed };
	static const struct stream_ops taker = { .opened = client_opened, .received = take_values,
						 .closed = client_closed };

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = pattern(i + 99);
	CHECK_EQ(begin(7005, 0), 0);
	stream_listener_close(listener);
	CHECK_EQ(stream_listen(loop, address4(0, 7005), 16, &server, NULL, NULL, &listener), 0);
	CHECK_EQ(stream_connect(loop, address4(9, 7005), 16, &taker, NULL, NULL, &client.stream),
		 0);
	lab_run(NSEC_PER_SEC);
	way = IN_PLACE;
	CHECK_EQ(bytes_copied_for(1, 100), 0);
	CHECK_EQ(bytes_copied_for(64, 6400), 0);
	way = COPIED;
	CHECK_EQ(bytes_copied_for(1, 100), 100);
	CHECK_EQ(bytes_copied_for(64, 6400), 6400);
	way = LENT;
	CHECK_EQ(bytes_copied_for(3, 3 * sizeof(value)), 0);
	CHECK_EQ(values_released, 3);
	CHECK(!client.is_wrong);
	end();
}

static void echo_megabytes(size_t bytes, uint64_t within_ns)
{
	CHECK_EQ(begin(7002, bytes), 0);
	CHECK_EQ(connect_client(7002), 0);
	CHECK(lab_run_until(client_has_all, NULL, within_ns));
	CHECK_EQ(client.got, bytes);
	CHECK(!client.is_wrong);
	stream_close(client.stream);
	CHECK(lab_run_until(client_is_closed, NULL, within_ns));
	end();
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(stream_echoes_megabytes_on_a_quiet_wire)
{
	echo_megabytes(MIB(4), 60 * NSEC_PER_SEC);
}

static void echo_on_bad_wire(uint64_t seed, uint32_t features)
{
	lab_start();
	lab_offload(features);
	test_seed(seed);
	lab_wire.lose_permille = 20;
	lab_wire.double_permille = 20;
	lab_wire.delay_permille = 100;
	lab_wire.damage_permille = 10;
	CHECK_EQ(stream_loop_create(&loop), 0);
	memset(&echo, 0, sizeof(echo));
	memset(&client, 0, sizeof(client));
	client.to_send = KIB(300);
	CHECK_EQ(stream_listen(loop, address4(0, 7003), 16, &echo_ops, NULL, NULL, &listener), 0);
	lab_use(loop);
	CHECK_EQ(connect_client(7003), 0);
	CHECK(lab_run_until(client_has_all, NULL, 600 * NSEC_PER_SEC));
	CHECK_EQ(client.got, client.to_send);
	CHECK(!client.is_wrong);
	end();
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(stream_echoes_on_a_wire_that_loses_doubles_delays_and_damages)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		echo_on_bad_wire(seed, 0);
}

#define ALL_TX (NETDEV_TX_CSUM | NETDEV_TSO4 | NETDEV_TSO6)

TEST(stream_echoes_on_a_bad_wire_behind_a_device_that_segments)
{
	lab_counts.longest_frame = 0;
	for (uint64_t seed = 11; seed <= 16; seed++)
		echo_on_bad_wire(seed, ALL_TX);
	CHECK(lab_counts.longest_frame > 8000);
}

/* What a large frame carries is lost as a whole: TCP must come round all the same. */
static void lose_large_frames(const uint8_t *f, size_t len, const struct netbuf *b)
{
	static unsigned n;

	(void)f, (void)len;
	lab_wire.is_cut = b->gso_size && ++n % 5 == 0;
}

TEST(stream_survives_the_loss_of_whole_large_frames)
{
	lab_start();
	lab_offload(ALL_TX);
	lab_tap = lose_large_frames;
	CHECK_EQ(begin_as_it_is(7004, MIB(1)), 0);
	CHECK_EQ(connect_client(7004), 0);
	CHECK(lab_run_until(client_has_all, NULL, 300 * NSEC_PER_SEC));
	CHECK_EQ(client.got, client.to_send);
	CHECK(!client.is_wrong);
	lab_tap = NULL;
	end();
	CHECK_EQ(lab_counts.lent, 0);
}
