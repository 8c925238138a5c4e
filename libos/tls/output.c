/*
 * Output: from the server's bytes to records.
 *
 * What the server writes gathers in segments, and is encrypted when the batch ends: one record for
 * all answers of a batch, as far as they fit. References are encrypted from where they lie, and
 * given back when that is done; short ones are copied among the answers around them, since a record
 * costs more than a copy. Encryption runs ahead of the network by WIRE_AHEAD bytes and no more, so
 * that a slow reader holds items by reference and not their ciphertext.
 */
#include "tls_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	WIRE_AHEAD = 128 * 1024,
	COPY_MAX = 4096,            /* shorter references are copied */
	SPARES_KEPT = 16,
};

int tls_output_callback(void *connection, const unsigned char *data, size_t len)
{
	struct tls_connection *c = connection;
	int err = stream_wire_write(c->stream, data, len);

	return err ? err : (int)len;
}

static struct tls_segment *segment_new(struct tls_server *server)
{
	struct tls_segment *seg = server->spare;

	if (seg) {
		server->spare = seg->next;
		server->spares--;
	} else {
		seg = malloc(sizeof(*seg) + TLS_SEGMENT_BYTES);
		if (!seg)
			return NULL;
	}
	*seg = (struct tls_segment){ .data = seg->buffer, .room = TLS_SEGMENT_BYTES };
	return seg;
}

static void segment_free(struct tls_connection *c, struct tls_segment *seg)
{
	struct tls_server *server = c->server;

	if (seg->release) {
		seg->next = c->sent;
		c->sent = seg;
	} else if (server->spares < SPARES_KEPT) {
		seg->next = server->spare;
		server->spare = seg;
		server->spares++;
	} else {
		free(seg);
	}
}

void tls_output_free_spares(struct tls_server *server)
{
	while (server->spare) {
		struct tls_segment *seg = server->spare;

		server->spare = seg->next;
		free(seg);
	}
}

static void segment_append(struct tls_connection *c, struct tls_segment *seg)
{
	if (c->out_first)
		c->out_last->next = seg;
	else
		c->out_first = seg;
	c->out_last = seg;
}

static struct tls_segment *segment_pop(struct tls_connection *c)
{
	struct tls_segment *seg = c->out_first;

	c->out_first = seg->next;
	return seg;
}

static bool is_writable(const struct tls_connection *c)
{
	return c->stage == TLS_OPEN && !c->is_closing;
}

/* The last segment, with room for `len` bytes; a new one where it has less. NULL: no memory. */
static struct tls_segment *room_for(struct tls_connection *c, size_t len)
{
	struct tls_segment *seg = c->out_first ? c->out_last : NULL;

	if (seg && seg->room >= len)
		return seg;
	seg = segment_new(c->server);
	if (seg)
		segment_append(c, seg);
	return seg;
}

static void appended(struct tls_connection *c, struct tls_segment *seg, size_t len)
{
	seg->len += len;
	seg->room -= len;
	c->out_bytes += len;
	stream_filter_want_turn(c->stream);
}

void *tls_output_reserve(struct stream *s, size_t len)
{
	struct tls_connection *c = tls_connection_of(s);
	struct tls_segment *seg;

	if (len > STREAM_RESERVE_MAX || !is_writable(c))
		return NULL;
	seg = room_for(c, len);
	return seg ? (uint8_t *)seg->data + seg->len : NULL;
}

void tls_output_commit(struct stream *s, size_t len)
{
	struct tls_connection *c = tls_connection_of(s);

	appended(c, c->out_last, len);
}

/* Segments for `len` bytes beyond what the last one takes, before any of them is filled. */
static bool segments_new(struct tls_connection *c, size_t len, struct tls_segment **first)
{
	*first = NULL;
	for (size_t done = 0; done < len; done += TLS_SEGMENT_BYTES) {
		struct tls_segment *seg = segment_new(c->server);

		if (!seg) {
			while ((seg = *first)) {
				*first = seg->next;
				segment_free(c, seg);
			}
			return false;
		}
		seg->next = *first;
		*first = seg;
	}
	return true;
}

int tls_output_write(struct stream *s, const void *data, size_t len)
{
	struct tls_connection *c = tls_connection_of(s);
	struct tls_segment *seg = c->out_first ? c->out_last : NULL, *more = NULL;
	size_t room = seg ? seg->room : 0;
	const uint8_t *from = data;

	if (!is_writable(c))
		return -EPIPE;
	if (len > room && !segments_new(c, len - room, &more))
		return -ENOMEM;
	while (len > 0) {
		size_t n;

		if (!seg || seg->room == 0) {
			seg = more;
			more = seg->next;
			seg->next = NULL;
			segment_append(c, seg);
		}
		n = len < seg->room ? len : seg->room;
		memcpy((uint8_t *)seg->data + seg->len, from, n);
		appended(c, seg, n);
		from += n;
		len -= n;
	}
	return 0;
}

int tls_output_write_ref(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
			 void *arg)
{
	struct tls_connection *c = tls_connection_of(s);
	struct tls_segment *seg;
	int err;

	if (!is_writable(c))
		return -EPIPE;
	seg = malloc(sizeof(*seg));
	if (!seg)
		return -ENOMEM;
	*seg = (struct tls_segment){ .data = data, .len = len, .release = release, .arg = arg };
	if (len > COPY_MAX) {
		segment_append(c, seg);
		c->out_bytes += len;
	} else {
		err = tls_output_write(s, data, len);
		if (err) {
			free(seg);
			return err;
		}
		segment_free(c, seg);    /* released at the end of the batch */
	}
	stream_filter_want_turn(s);
	return 0;
}

size_t tls_output_backlog(const struct stream *s)
{
	return stream_wire_backlog(s) + tls_connection_of(s)->out_bytes;
}

/* One record from the first segment. False when the connection is lost. */
static bool encrypt_some(struct tls_connection *c)
{
	struct tls_segment *seg = c->out_first;
	int n = 0;

	if (seg->len > 0)
		n = mbedtls_ssl_write(&c->ssl, seg->data, seg->len);
	if (n < 0) {
		tls_connection_fail(c, n);
		return false;
	}
	c->server->stats.records_out += n > 0;
	c->out_bytes -= (size_t)n;
	seg->data += n;
	seg->len -= (size_t)n;
	if (seg->len == 0)
		segment_free(c, segment_pop(c));
	return true;
}

void tls_output_pump(struct tls_connection *c)
{
	while (c->out_first && c->stage == TLS_OPEN &&
	       stream_wire_backlog(c->stream) < WIRE_AHEAD) {
		if (!encrypt_some(c))
			break;
	}
}

void tls_output_release(struct tls_connection *c)
{
	while (c->sent) {
		struct tls_segment *seg = c->sent;

		c->sent = seg->next;
		seg->release(seg->arg);
		free(seg);
	}
}

void tls_output_drop(struct tls_connection *c)
{
	while (c->out_first)
		segment_free(c, segment_pop(c));
	c->out_bytes = 0;
	if (c->sent)
		stream_filter_want_turn(c->stream);
}
