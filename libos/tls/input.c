/*
 * Input: from the network's bytes to the server's.
 *
 * During received() of the network, Mbed TLS takes a record at a time from `in` into its own
 * buffer, decrypts it there, and copies the plain bytes into the one buffer that all connections of
 * a server share, where the server sees them. What it leaves over is held by the connection until
 * more has come.
 *
 * A server that may not be called just now (paused, or too much output waits) stops the connection
 * between two records: the rest stays with the network, which is paused.
 */
#include "tls_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HELD_MIN = 2048 };

int tls_input_callback(void *connection, unsigned char *buffer, size_t len)
{
	struct tls_connection *c = connection;

	if (c->in_len == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (len > c->in_len)
		len = c->in_len;
	memcpy(buffer, c->in, len);
	c->in += len;
	c->in_len -= len;
	return (int)len;
}

bool tls_input_is_wanted(const struct tls_connection *c)
{
	return c->stage == TLS_OPEN && !c->is_paused && !c->is_closing &&
	       tls_output_backlog(c->stream) <= stream_filter_options(c->stream)->high_water;
}

void tls_input_drop(struct tls_connection *c)
{
	free(c->held);
	c->held = NULL;
	c->held_len = c->held_room = 0;
	c->held_waits = false;
}

static bool held_append(struct tls_connection *c, const uint8_t *data, size_t len)
{
	size_t need = c->held_len + len, room = c->held_room ? c->held_room : HELD_MIN;
	uint8_t *bigger;

	while (room < need)
		room *= 2;
	if (room != c->held_room) {
		bigger = realloc(c->held, room);
		if (!bigger)
			return false;
		c->held = bigger;
		c->held_room = room;
	}
	memcpy(c->held + c->held_len, data, len);
	c->held_len += len;
	return true;
}

/* Calls the server while it takes something. Returns how much it took; *waits: it wants more. */
static size_t present(struct tls_connection *c, const uint8_t *data, size_t len, bool *waits)
{
	const struct stream_ops *ops = stream_filter_server(c->stream);
	size_t done = 0, used = 1;

	while (done < len && used > 0 && tls_input_is_wanted(c)) {
		used = ops->received(c->stream, data + done, len - done);
		done += used;
	}
	*waits = used == 0 && tls_input_is_wanted(c);
	return done;
}

static void present_held(struct tls_connection *c)
{
	uint8_t *data = c->held;
	bool waits;
	size_t used;

	/* What the server asks for meanwhile, stream_close() above all, must find nothing held. */
	c->held = NULL;
	used = present(c, data, c->held_len, &waits);
	if (c->stage != TLS_OPEN || c->is_closing) {
		free(data);
		return;
	}
	c->held = data;
	c->held_len -= used;
	memmove(c->held, c->held + used, c->held_len);
	c->held_waits = waits && c->held_len > 0;
	if (c->held_len == 0)
		tls_input_drop(c);
	else if (c->held_waits && c->held_len >= stream_filter_options(c->stream)->max_pending)
		tls_connection_fail(c, -EMSGSIZE);
}

/* The plain bytes of a record, in the server's shared buffer, which the next record needs. */
static void take_record(struct tls_connection *c, const uint8_t *data, size_t len)
{
	size_t used = 0;
	bool waits = false;

	if (c->held_len == 0) {
		used = present(c, data, len, &waits);
		if (used == len || c->stage != TLS_OPEN || c->is_closing)
			return;
	}
	if (!held_append(c, data + used, len - used)) {
		tls_connection_fail(c, -ENOMEM);
		return;
	}
	c->held_waits = waits;
	if (used == 0 && !waits)
		present_held(c);
	else if (waits && c->held_len >= stream_filter_options(c->stream)->max_pending)
		tls_connection_fail(c, -EMSGSIZE);
}

static void tell_end(struct tls_connection *c)
{
	const struct stream_ops *ops = stream_filter_server(c->stream);

	if (!c->has_ended || c->end_is_told || c->is_paused || c->is_closing ||
	    c->stage != TLS_OPEN || (c->held_len && !c->held_waits))
		return;
	c->end_is_told = true;
	if (ops->ended)
		ops->ended(c->stream);
	else
		tls_stream_filter.close(c->stream);
}

void tls_input_deliver_held(struct tls_connection *c)
{
	if (c->held_len && !c->held_waits && tls_input_is_wanted(c))
		present_held(c);
	tell_end(c);
}

/* Records, until the network has no more of them or the server must not be called. */
static void read_records(struct tls_connection *c)
{
	while (tls_input_is_wanted(c) && !c->has_ended) {
		int n = mbedtls_ssl_read(&c->ssl, c->server->plain, TLS_PLAIN_BYTES);

		if (n == MBEDTLS_ERR_SSL_WANT_READ)
			break;
		if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || n == 0)
			c->has_ended = true;
		else if (n < 0)
			tls_connection_fail(c, n);
		else
			take_record(c, c->server->plain, (size_t)n);
	}
}

static bool is_deaf(const struct tls_connection *c)
{
	return c->stage == TLS_OVER || c->is_closing || c->has_ended;
}

size_t tls_input_received(struct stream *s, const uint8_t *data, size_t len)
{
	struct tls_connection *c = tls_connection_of(s);
	size_t left;

	if (is_deaf(c))
		return len;
	c->in = data;
	c->in_len = len;
	if (c->stage != TLS_OPEN)
		tls_handshake_step(c);
	if (c->stage == TLS_OPEN) {
		tls_input_deliver_held(c);
		read_records(c);
		tell_end(c);
	}
	left = is_deaf(c) ? 0 : c->in_len;
	c->in_len = 0;
	if (left && c->stage == TLS_OPEN) {
		c->is_stalled = true;
		stream_wire_pause(s, true);
	}
	tls_connection_look(c);
	return len - left;
}
