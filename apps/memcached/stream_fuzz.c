/*
 * What the fuzzers share: streams and datagrams made of memory, and a server that is ready.
 *
 * What is received lies in an allocation of just its length, and so does what stream_reserve()
 * returns, so that the address sanitizer sees every byte too many. The cache is real, and small, so
 * that eviction and refusal happen, too. Beyond what the sanitizers see, this checks that the
 * contract of stream.h is kept: nothing is consumed that was not given, each reference is released
 * once, an answer over UDP is whole and numbered.
 */
#include "stream_fuzz.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "conn.h"
#include "listen.h"
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
	bool closing, paused;
	uint8_t *output;           /* all of it, as far as there is room */
	size_t output_len;
};

struct stream_datagrams {
	struct stream_datagram_ops ops;
	const uint8_t *request;
	uint8_t *reserved;
	/* of the answer: the number that is due, and how many there will be */
	unsigned next, count;
};

enum { OUTPUT_MAX = 1 << 18 };

struct settings settings = {
	.memory_limit = 1 << 20, .connections = 8, .item_size_max = 256 * 1024, .factor = 1.25,
	.chunk_size = 48, .use_cas = true, .evict = true, .flush_enabled = true,
	.dump_enabled = true,
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

uint64_t stream_round_ns(const struct stream_loop *loop)
{
	(void)loop;
	return stream_now_ns();
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

static void output(struct stream *s, const void *data, size_t len)
{
	size_t room = OUTPUT_MAX - s->output_len, n = len < room ? len : room;

	if (!s->output)
		s->output = malloc(OUTPUT_MAX);
	memcpy(s->output + s->output_len, data, n);
	s->output_len += n;
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

void listen_pause(bool paused)
{
	(void)paused;
}

/* There is no loop, so nobody takes turns. */
int stream_post(struct stream_loop *loop, void (*fn)(void *arg), void *arg)
{
	(void)loop, (void)fn, (void)arg;
	return -ENOMEM;
}

bool listen_place(unsigned n, struct listen_place *out)
{
	(void)n, (void)out;
	return false;
}

void stream_pause(struct stream *s, bool paused)
{
	s->paused = paused;
}

void stream_timer_cancel(struct stream_loop *loop, struct stream_timer *t)
{
	(void)loop, (void)t;
}

int stream_datagrams_open(struct stream_loop *loop, const struct sockaddr *addr, socklen_t len,
			  const struct stream_datagram_ops *ops, void *user,
			  struct stream_datagrams **out)
{
	(void)loop, (void)addr, (void)len, (void)user;
	*out = calloc(1, sizeof(**out));
	(*out)->ops = *ops;
	return 0;
}

void *stream_datagram_reserve(struct stream_datagrams *d, size_t len)
{
	assert(len <= STREAM_DATAGRAM_MAX);
	free(d->reserved);
	d->reserved = malloc(len);
	return d->reserved;
}

void stream_datagram_commit(struct stream_datagrams *d, size_t len)
{
	const uint8_t *frame = d->reserved;

	assert(len >= 8 && memcmp(frame, d->request, 2) == 0);
	assert((unsigned)(frame[2] << 8 | frame[3]) == d->next && frame[6] == 0 && frame[7] == 0);
	if (d->next++ == 0)
		d->count = (unsigned)(frame[4] << 8 | frame[5]);
	assert(d->count == (unsigned)(frame[4] << 8 | frame[5]) && d->next <= d->count);
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

void fuzz_start(void)
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

static void check_packets(const struct stream *s)
{
	size_t at = 0;

	while (at < s->output_len && s->output_len < OUTPUT_MAX) {
		const uint8_t *p = s->output + at;

		assert(s->output_len - at >= 24 && p[0] == 0x81);
		at += 24 + ((size_t)p[8] << 24 | (size_t)p[9] << 16 | (size_t)p[10] << 8 | p[11]);
		assert(at <= s->output_len);
	}
}

static void check_lines(const struct stream *s)
{
	assert(s->output_len == 0 || s->output_len == OUTPUT_MAX ||
	       s->output[s->output_len - 1] == '\n');
}

int fuzz_converse(enum protocol protocol, const uint8_t *data, size_t size)
{
	struct stream s = { 0 };
	size_t given = 0, consumed = 0;

	fuzz_start();
	settings.protocol = protocol;
	if (conn_ops.opened(&s) < 0)
		return 0;
	for (size_t i = 0; given < size && !s.closing && !s.paused; i++) {
		size_t step = 1 + data[i % size] * (data[(i + 1) % size] & 1 ? 31u : 1u), used;

		given = given + step < size ? given + step : size;
		do {
			used = hand_over(&s, data + consumed, given - consumed);
			consumed += used;
			drain(&s);
		} while (used > 0 && consumed < given && !s.closing && !s.paused);
	}
	if (!s.closing && protocol == PROTOCOL_BINARY)
		check_packets(&s);
	else if (!s.closing)
		check_lines(&s);
	drain(&s);
	conn_ops.closed(&s, 0);
	free(s.output);
	return 0;
}

void fuzz_datagram(struct stream_datagrams *d, const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	memcpy(exact, data, len);
	d->request = exact;
	d->next = d->count = 0;
	d->ops.received(d, exact, len);
	assert(d->next == d->count);
	free(exact);
}
