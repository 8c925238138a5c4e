/*
 * Fuzzing the text protocol: libFuzzer's bytes arrive at conn_ops over a stream that is made of
 * memory, in pieces of sizes that the bytes choose as well.
 *
 * What is received lies in an allocation of just its length, and so does what stream_reserve()
 * returns, so that the address sanitizer sees every byte too many. The cache is real, and small, so
 * that eviction and refusal happen, too. Beyond what the sanitizers see, the stream checks that the
 * contract of stream.h is kept: nothing is consumed that was not given, each reference is released
 * once, and every line of the answers to commands ends with CR LF.
 */
#include <assert.h>
#include <stdlib.h>

#include "clock.h"
#include "conn.h"
#include "settings.h"
#include "storage.h"

struct reference {
	struct reference *next;
	void (*release)(void *arg);
	void *arg;
};

struct stream {
	void *user;
	void *reserved;
	struct reference *references;
	size_t backlog;
	bool closing;
	uint64_t last;             /* the last bytes of output */
};

struct settings settings = {
	.memory_limit = 1 << 20, .connections = 8, .item_size_max = 256 * 1024, .factor = 1.25,
	.chunk_size = 48, .use_cas = true, .evict = true, .flush_enabled = true, .dump_enabled = true,
};

int option_refuse(const char *what, const char *which)
{
	(void)what, (void)which;
	return -1;
}

uint64_t stream_now_ns(void)
{
	return 1000000000;
}

void *stream_user(const struct stream *s)
{
	return s->user;
}

void stream_set_user(struct stream *s, void *user)
{
	s->user = user;
}

struct stream_loop *stream_loop_of(const struct stream *s)
{
	(void)s;
	return NULL;
}

int stream_id(const struct stream *s)
{
	(void)s;
	return 1;
}

void stream_timer_arm(struct stream_loop *loop, struct stream_timer *t, uint64_t deadline_ns,
		      void (*fire)(struct stream_timer *t))
{
	(void)loop, (void)t, (void)deadline_ns, (void)fire; /* the clock stands still */
}

int stream_peer_address(const struct stream *s, struct sockaddr_storage *addr, socklen_t *len)
{
	(void)s;
	memset(addr, 0, sizeof(*addr));
	*len = sizeof(*addr);
	return 0;
}

int stream_local_address(const struct stream *s, struct sockaddr_storage *addr, socklen_t *len)
{
	return stream_peer_address(s, addr, len);
}

void stream_loop_stats(const struct stream_loop *loop, struct stream_stats *out)
{
	(void)loop;
	*out = (struct stream_stats){ 0 };
}

static void output(struct stream *s, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		s->last = s->last << 8 | data[i];
	s->backlog += len;
}

void *stream_reserve(struct stream *s, size_t len)
{
	assert(len <= STREAM_RESERVE_MAX && !s->reserved);
	if (s->closing)
		return NULL;
	s->reserved = malloc(len ? len : 1);
	return s->reserved;
}

void stream_commit(struct stream *s, size_t len)
{
	assert(s->reserved);
	output(s, s->reserved, len);
	free(s->reserved);
	s->reserved = NULL;
}

int stream_write(struct stream *s, const void *data, size_t len)
{
	assert(!s->reserved);
	if (s->closing)
		return -1;
	output(s, data, len);
	return 0;
}

int stream_write_ref(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
		     void *arg)
{
	struct reference *r = malloc(sizeof(*r));

	assert(!s->reserved && !s->closing);
	*r = (struct reference){ s->references, release, arg };
	s->references = r;
	output(s, data, len);
	return 0;
}

int stream_datagrams_open(struct stream_loop *loop, const struct sockaddr *addr, socklen_t len,
			  const struct stream_datagram_ops *ops, void *user, struct stream_datagrams **out)
{
	(void)loop, (void)addr, (void)len, (void)ops, (void)user, (void)out;
	return -1;
}

void *stream_datagram_reserve(struct stream_datagrams *d, size_t len)
{
	(void)d, (void)len;
	return NULL;
}

void stream_datagram_commit(struct stream_datagrams *d, size_t len)
{
	(void)d, (void)len;
}

size_t stream_backlog(const struct stream *s)
{
	return s->backlog;
}

void stream_close(struct stream *s)
{
	s->closing = true;
}

void stream_abort(struct stream *s)
{
	s->closing = true;
}

/* The peer has read everything. */
static void drain(struct stream *s)
{
	while (s->references) {
		struct reference *r = s->references;

		s->references = r->next;
		r->release(r->arg);
		free(r);
	}
	s->backlog = 0;
}

static void start(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	clock_start();
	if (storage_start() < 0)
		abort();
}

/* Hands `len` bytes to the server in memory of just that length. Returns what it consumed. */
static size_t hand_over(struct stream *s, const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len);
	size_t used;

	memcpy(exact, data, len);
	used = conn_ops.received(s, exact, len);
	assert(used <= len);
	free(exact);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream s = { 0 };
	size_t given = 0, consumed = 0;

	start();
	if (conn_ops.opened(&s) < 0)
		return 0;
	for (size_t i = 0; given < size && !s.closing; i++) {
		size_t step = 1 + data[i % size] * (data[(i + 1) % size] & 1 ? 31u : 1u), used;

		given = given + step < size ? given + step : size;
		do {
			used = hand_over(&s, data + consumed, given - consumed);
			consumed += used;
			drain(&s);
		} while (used > 0 && consumed < given && !s.closing);
	}
	assert(s.closing || (s.last & 0xffff) == 0x0d0a || s.last == 0);
	drain(&s);
	conn_ops.closed(&s, 0);
	return 0;
}
