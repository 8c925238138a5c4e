/*
 * A filter between the lwIP back end and a server: what <libos/stream_filter.h> promises to it.
 * The filter here turns over every bit of what passes, and keeps output until its turn.
 */
#include <core/test.h>
#include <libos/stream_filter.h>

#include <string.h>

#include "lab.h"
#include "lwip/def.h"

#define PORT      7301
#define TURNED(b) ((uint8_t)~(b))

static struct {
	uint8_t kept[4096];
	size_t kept_len;
	unsigned turns, resumes, closes;
} toy;

static int toy_opened(struct stream *s)
{
	stream_filter_set_state(s, &toy);
	return stream_filter_server(s)->opened(s);
}

static size_t toy_received(struct stream *s, const uint8_t *data, size_t len)
{
	uint8_t plain[512];

	if (len > sizeof(plain))
		len = sizeof(plain);
	for (size_t i = 0; i < len; i++)
		plain[i] = TURNED(data[i]);
	return stream_filter_server(s)->received(s, plain, len);
}

static void toy_closed(struct stream *s, int error)
{
	toy.closes++;
	stream_filter_server(s)->closed(s, error);
}

static int toy_write(struct stream *s, const void *data, size_t len)
{
	const uint8_t *from = data;

	if (stream_filter_state(s) != &toy || len > sizeof(toy.kept) - toy.kept_len)
		return -1;
	for (size_t i = 0; i < len; i++)
		toy.kept[toy.kept_len++] = TURNED(from[i]);
	stream_filter_want_turn(s);
	return 0;
}

static void toy_turn(struct stream *s)
{
	toy.turns++;
	stream_wire_write(s, toy.kept, toy.kept_len);
	toy.kept_len = 0;
	stream_filter_want_resume(s, true);
}

static void toy_resume(struct stream *s)
{
	toy.resumes++;
	if (stream_wire_backlog(s) == 0)
		stream_filter_want_resume(s, false);
}

static const struct stream_filter toy_filter = {
	.wire = { .opened = toy_opened, .received = toy_received, .closed = toy_closed },
	.write = toy_write, .turn = toy_turn, .resume = toy_resume,
	.backlog = stream_wire_backlog, .close = stream_wire_close, .pause = stream_wire_pause,
};

static const struct sockaddr *at(uint8_t last)
{
	static struct { uint16_t family, port; uint8_t ip[4], zero[8]; } a;

	a.family = 2;
	a.port = lwip_htons(PORT);
	memcpy(a.ip, last ? (uint8_t[]){ 10, 0, 0, last } : (uint8_t[]){ 0, 0, 0, 0 }, 4);
	return (const struct sockaddr *)&a;
}

static int accept_all(struct stream *s)
{
	(void)s;
	return 0;
}

/* The server sends everything back twice, so that one turn serves two writes. */
static bool server_saw_plain, server_is_closed, client_is_closed;
static char client_got[64];
static size_t client_len;

static size_t server_received(struct stream *s, const uint8_t *data, size_t len)
{
	server_saw_plain = len == 5 && memcmp(data, "hello", 5) == 0;
	stream_write(s, data, len);
	stream_write(s, data, len);
	return len;
}

static void server_closed(struct stream *s, int error)
{
	(void)s;
	server_is_closed = error == 0;
}

static int client_opened(struct stream *s)
{
	uint8_t turned[5];

	for (int i = 0; i < 5; i++)
		turned[i] = TURNED("hello"[i]);
	return stream_write(s, turned, 5);
}

static size_t client_received(struct stream *s, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len && client_len < sizeof(client_got); i++)
		client_got[client_len++] = (char)TURNED(data[i]);
	if (client_len >= 10)
		stream_close(s);
	return len;
}

static void client_closed(struct stream *s, int error)
{
	(void)s, (void)error;
	client_is_closed = true;
}

static const struct stream_ops server_ops = {
	.opened = accept_all, .received = server_received, .closed = server_closed,
};
static const struct stream_ops client_ops = {
	.opened = client_opened, .received = client_received, .closed = client_closed,
};

static bool both_are_closed(void *arg)
{
	(void)arg;
	return client_is_closed && server_is_closed;
}

TEST(stream_filter_stands_between_the_network_and_the_server)
{
	struct stream_options options = { .filter = &toy_filter };
	struct stream_listener *listener;
	struct stream_loop *loop;
	struct stream *client;

	memset(&toy, 0, sizeof(toy));
	client_len = 0;
	server_saw_plain = server_is_closed = client_is_closed = false;
	lab_start();
	CHECK_EQ(stream_loop_create(&loop), 0);
	CHECK_EQ(stream_listen(loop, at(0), 16, &server_ops, &options, NULL, &listener), 0);
	CHECK_EQ(stream_connect(loop, at(9), 16, &client_ops, NULL, NULL, &client), 0);
	lab_use(loop);
	CHECK(lab_run_until(both_are_closed, NULL, 10 * NSEC_PER_SEC));
	CHECK(server_saw_plain);
	CHECK_EQ(client_len, 10);
	CHECK(memcmp(client_got, "hellohello", 10) == 0);
	CHECK_EQ(toy.turns, 1);
	CHECK(toy.resumes > 0);
	CHECK_EQ(toy.closes, 1);
	stream_loop_destroy(loop);
	lab_use(NULL);
	lab_run(70 * NSEC_PER_SEC);
}
