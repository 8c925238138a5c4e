/*
 * Fuzzing the record entry of the TLS filter, before and behind the handshake (libFuzzer).
 *
 * The network is played here: what the back ends promise to a filter, in memory. The input is a
 * script; its first byte chooses the version, and whether an honest client (Mbed TLS's own) has
 * finished its handshake before the script begins. Then each step hands arbitrary bytes to the
 * filter, has the honest client send a numbered sequence, lets output leave, or has the server do
 * what servers do. Whatever happens: the server sees the numbered sequence or nothing, no callback
 * comes at a wrong time, and nothing is lost from memory.
 */
#include <assert.h>
#include <errno.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_parts.h"
#include "tls_fuzz_pem.h"

enum { HIGH_WATER = 64 * 1024, MAX_PENDING = 4096, PIPE_MAX = 1 << 20 };

struct stream_loop {
	struct stream_timer *armed;
};

/* Bytes on their way. */
struct pipe {
	uint8_t bytes[PIPE_MAX];
	size_t len;
};

struct stream {
	const struct stream_filter *filter;
	void *state;
	bool wants_turn, wants_resume, is_paused, is_closing, is_aborted;
	bool is_known, is_over;        /* to the server: opened(), closed() */
	size_t server_got;
	unsigned appetite;             /* how much the server takes at once; 0: everything */
};

static struct stream_loop loop;
static struct stream stream;
static struct pipe to_server, to_client;
static struct tls_server *servers[2];      /* by lowest version */
static uint64_t dice;
static unsigned references;

static struct {
	mbedtls_ssl_config config[2];
	mbedtls_ssl_context ssl;
	size_t sent;
	bool is_done;
} client;

/* ---- what a back end gives a filter ---- */

uint64_t stream_now_ns(void)
{
	return 1000000000;
}

struct stream_loop *stream_loop_of(const struct stream *s)
{
	(void)s;
	return &loop;
}

void stream_timer_arm(struct stream_loop *l, struct stream_timer *t, uint64_t deadline_ns,
		      void (*fire)(struct stream_timer *t))
{
	t->fire = fire;
	t->deadline_ns = deadline_ns;
	t->armed = true;
	l->armed = t;
}

void stream_timer_cancel(struct stream_loop *l, struct stream_timer *t)
{
	t->armed = false;
	l->armed = NULL;
}

const struct stream_filter *stream_filter_of(const struct stream *s)
{
	return s->filter;
}

void *stream_filter_state(const struct stream *s)
{
	return s->state;
}

void stream_filter_set_state(struct stream *s, void *state)
{
	s->state = state;
}

void stream_filter_want_turn(struct stream *s)
{
	s->wants_turn = true;
}

void stream_filter_want_resume(struct stream *s, bool wanted)
{
	s->wants_resume = wanted;
}

static bool is_writable(const struct stream *s)
{
	return !s->is_closing && !s->is_aborted;
}

int stream_wire_write(struct stream *s, const void *data, size_t len)
{
	if (!is_writable(s))
		return -EPIPE;
	if (len > sizeof(to_client.bytes) - to_client.len)
		return -ENOMEM;
	memcpy(to_client.bytes + to_client.len, data, len);
	to_client.len += len;
	return 0;
}

size_t stream_wire_backlog(const struct stream *s)
{
	(void)s;
	return to_client.len;
}

void stream_wire_flush(struct stream *s)
{
	(void)s;
}

void stream_wire_pause(struct stream *s, bool paused)
{
	s->is_paused = paused;
}

void stream_wire_close(struct stream *s)
{
	s->is_closing = true;
}

void stream_abort(struct stream *s)
{
	s->is_aborted = true;
}

/* ---- the server ---- */

static int server_opened(struct stream *s)
{
	assert(!s->is_known && !s->is_over);
	s->is_known = true;
	return 0;
}

static size_t server_received(struct stream *s, const uint8_t *data, size_t len)
{
	assert(s->is_known && !s->is_over && len > 0);
	if (s->appetite && len > s->appetite)
		len = s->appetite - 1;           /* now and then nothing at all */
	for (size_t i = 0; i < len; i++)
		assert(data[i] == (uint8_t)(s->server_got + i));
	s->server_got += len;
	return len;
}

static void server_closed(struct stream *s, int error)
{
	(void)error;
	assert(s->is_known && !s->is_over);
	s->is_over = true;
}

static const struct stream_ops server_ops = {
	.opened = server_opened, .received = server_received, .closed = server_closed,
};
static const struct stream_options server_options = {
	.max_pending = MAX_PENDING, .high_water = HIGH_WATER, .low_water = HIGH_WATER / 4,
};

const struct stream_ops *stream_filter_server(const struct stream *s)
{
	(void)s;
	return &server_ops;
}

const struct stream_options *stream_filter_options(const struct stream *s)
{
	(void)s;
	return &server_options;
}

static void release(void *arg)
{
	assert(arg == &references && references > 0);
	references--;
}

/* ---- the loop ---- */

static bool may_receive(void)
{
	return to_server.len > 0 && !stream.is_paused && is_writable(&stream) &&
	       to_client.len <= HIGH_WATER;
}

/* Presents what has arrived, in memory of exactly its size, and lets the filter have its turns. */
static void run(void)
{
	const struct stream_filter *f = stream.filter;

	for (bool again = true; again;) {
		again = false;
		if (may_receive()) {
			uint8_t *piece = malloc(to_server.len);
			size_t used;

			memcpy(piece, to_server.bytes, to_server.len);
			used = f->wire.received(&stream, piece, to_server.len);
			assert(used <= to_server.len);
			free(piece);
			to_server.len -= used;
			memmove(to_server.bytes, to_server.bytes + used, to_server.len);
			again = used > 0;
		}
		if (stream.wants_resume && is_writable(&stream))
			f->resume(&stream);
		if (stream.wants_turn) {
			stream.wants_turn = false;
			f->turn(&stream);
			again = true;
		}
	}
}

static void deliver(const uint8_t *data, size_t len)
{
	if (len > sizeof(to_server.bytes) - to_server.len)
		return;
	memcpy(to_server.bytes + to_server.len, data, len);
	to_server.len += len;
	run();
}

/* ---- the honest client ---- */

static int client_send(void *unused, const unsigned char *data, size_t len)
{
	(void)unused;
	if (len > sizeof(to_server.bytes) - to_server.len)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	memcpy(to_server.bytes + to_server.len, data, len);
	to_server.len += len;
	return (int)len;
}

static int client_recv(void *unused, unsigned char *buffer, size_t len)
{
	(void)unused;
	if (!to_client.len)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (len > to_client.len)
		len = to_client.len;
	memcpy(buffer, to_client.bytes, len);
	to_client.len -= len;
	memmove(to_client.bytes, to_client.bytes + len, to_client.len);
	return (int)len;
}

static void client_step(void)
{
	uint8_t got[4096];

	if (client.is_done) {
		while (mbedtls_ssl_read(&client.ssl, got, sizeof(got)) > 0)
			;
	} else if (mbedtls_ssl_handshake(&client.ssl) == 0) {
		client.is_done = true;
	}
	run();
}

static void client_seal(size_t len)
{
	uint8_t bytes[2048];

	if (!client.is_done)
		return;
	if (len > sizeof(bytes))
		len = sizeof(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(client.sent + i);
	if (mbedtls_ssl_write(&client.ssl, bytes, len) == (int)len)
		client.sent += len;
	run();
}

/* ---- scripts ---- */

/* Everything is random in TLS, and must be the same for the same script. */
int tls_random(void *unused, unsigned char *to, size_t len)
{
	(void)unused;
	for (size_t i = 0; i < len; i++) {
		dice = dice * 6364136223846793005u + 1442695040888963407u;
		to[i] = (uint8_t)(dice >> 33);
	}
	return 0;
}

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
					     uint8_t *output, size_t size, size_t *len)
{
	(void)context;
	*len = size;
	return tls_random(NULL, output, size) ? PSA_ERROR_INSUFFICIENT_ENTROPY : PSA_SUCCESS;
}

static void server_acts(uint8_t what)
{
	static const uint8_t answer[20000];
	const struct stream_filter *f = stream.filter;
	void *room;

	if (!stream.is_known || stream.is_over)
		return;
	switch (what & 7) {
	case 0:
	case 1:
		f->pause(&stream, what & 1);
		break;
	case 2:
		f->close(&stream);
		break;
	case 3:
		if (f->write_ref(&stream, answer, (what >> 3) * 600u, release, &references) == 0)
			references++;
		break;
	case 4:
		f->write(&stream, answer, (what >> 3) * 600u);
		break;
	case 5:
		room = f->reserve(&stream, what);
		if (room) {
			memset(room, 0, what);
			f->commit(&stream, what / 2);
		}
		break;
	case 6:
		stream.appetite = what >> 3;
		break;
	case 7:
		f->flush(&stream);
		break;
	}
	run();
}

static void begin(unsigned version, bool with_handshake)
{
	stream = (struct stream){ .filter = tls_server_filter(servers[version], TLS_VERIFY_NONE) };
	to_server.len = to_client.len = 0;
	dice = 1;
	mbedtls_ssl_init(&client.ssl);
	client.sent = 0;
	client.is_done = false;
	if (mbedtls_ssl_setup(&client.ssl, &client.config[version]) != 0)
		abort();
	mbedtls_ssl_set_bio(&client.ssl, NULL, client_send, client_recv, NULL);
	if (stream.filter->wire.opened(&stream) < 0)
		abort();
	for (int i = 0; with_handshake && !client.is_done; i++) {
		assert(i < 20);
		client_step();
	}
	assert(!with_handshake || stream.is_known);
}

static void end(bool by_fin)
{
	if (by_fin && is_writable(&stream) && !stream.is_paused)
		stream.filter->wire.ended(&stream);
	run();
	if (loop.armed && !by_fin)
		loop.armed->fire(loop.armed);
	stream.filter->wire.closed(&stream, 0);
	assert(stream.is_over == stream.is_known && !loop.armed && references == 0);
	mbedtls_ssl_free(&client.ssl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *last = data + size;
	uint8_t first;

	if (size < 1)
		return 0;
	first = *data++;
	begin(first & 1, first & 2);
	while (last - data >= 2) {
		uint8_t step = *data++, n = *data++;
		size_t len = (step >> 3) * 256u + n;

		switch (step & 7) {
		default:
			if (len > (size_t)(last - data))
				len = (size_t)(last - data);
			deliver(data, len);
			data += len;
			break;
		case 4:
			client_step();
			break;
		case 5:
			client_seal(len);
			break;
		case 6:
			to_client.len -= len < to_client.len ? len : to_client.len;
			run();
			break;
		case 7:
			server_acts(n);
			break;
		}
	}
	end(first & 4);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct tls_options options = { .credentials = { FUZZ_CERTIFICATE, FUZZ_KEY, NULL } };
	char why[200];

	(void)argc, (void)argv;
	for (int i = 0; i < 2; i++) {
		mbedtls_ssl_config *config = &client.config[i];

		options.min_version = i ? TLS_1_3 : TLS_1_2;
		if (tls_server_create(&options, &servers[i], why, sizeof(why)) < 0) {
			fprintf(stderr, "%s\n", why);
			abort();
		}
		mbedtls_ssl_config_init(config);
		if (mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT,
						MBEDTLS_SSL_TRANSPORT_STREAM,
						MBEDTLS_SSL_PRESET_DEFAULT) != 0)
			abort();
		mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_NONE);
		mbedtls_ssl_conf_rng(config, tls_random, NULL);
		mbedtls_ssl_conf_max_tls_version(config, i ? MBEDTLS_SSL_VERSION_TLS1_3 :
							     MBEDTLS_SSL_VERSION_TLS1_2);
	}
	return 0;
}
