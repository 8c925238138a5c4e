/*
 * The life of a TLS connection.
 *
 * SILENT (connected; nothing was said, nothing is allocated) -> [WAITING, while others have their
 * handshakes] -> HANDSHAKE -> OPEN (the server hears of it) -> OVER. A connection is lost in any of
 * them by an error, whose alert is sent before the network is closed, or by the clock while it has
 * not got to OPEN.
 *
 * A handshake costs memory (a record each way) and tens of milliseconds of a slow processor before
 * the peer has shown anything. So only some go on at once, none before the first byte has come, and
 * each has its time. Those that wait do so with their network paused: what they sent stays there.
 *
 * The end: close_notify goes out behind the last of the output, then FIN. A peer that takes none of
 * it is given two minutes. From the peer, close_notify and FIN mean the same to the server:
 * ended().
 */
#include "tls_parts.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static const uint64_t NS_PER_MS = 1000000;
static const uint64_t CLOSING_NS = 120 * 1000000000ull;

/* ---- handshakes: who may begin ---- */

static void waiting_add(struct tls_connection *c)
{
	struct tls_server *server = c->server;

	c->stage = TLS_WAITING;
	c->next = NULL;
	c->link = server->waiting_end;
	*server->waiting_end = c;
	server->waiting_end = &c->next;
	stream_wire_pause(c->stream, true);
}

static void waiting_remove(struct tls_connection *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	else
		c->server->waiting_end = c->link;
	c->stage = TLS_SILENT;
}

/* A handshake is over: the next may begin, as soon as its bytes are presented again. */
static void handshake_leave(struct tls_connection *c)
{
	struct tls_server *server = c->server;
	struct tls_connection *next = server->waiting;

	server->handshakes--;
	if (next) {
		waiting_remove(next);
		stream_wire_pause(next->stream, false);
	}
}

/* The first bytes are there. False: not now, or not at all. */
static bool handshake_begin(struct tls_connection *c)
{
	struct tls_server *server = c->server;
	bool likes;
	int err;

	if (server->handshakes >= server->handshakes_max) {
		waiting_add(c);
		return false;
	}
	server->handshakes++;
	c->stage = TLS_HANDSHAKE;
	c->credentials = server->credentials;
	c->credentials->refs++;
	likes = tls_hello_offers(c->in, c->in_len, server->first_suites[0]);
	mbedtls_ssl_init(&c->ssl);
	err = mbedtls_ssl_setup(&c->ssl, &c->credentials->config[c->verify][likes]);
	if (err) {
		tls_connection_fail(c, err);
		return false;
	}
	mbedtls_ssl_set_bio(&c->ssl, c, tls_output_callback, tls_input_callback, NULL);
	return true;
}

/* ---- handshakes: how they end ---- */

static void connection_open(struct tls_connection *c)
{
	c->stage = TLS_OPEN;
	stream_timer_cancel(stream_loop_of(c->stream), &c->timer);
	handshake_leave(c);
	c->server->stats.handshakes++;
	c->is_known = true;
	if (stream_filter_server(c->stream)->opened(c->stream) < 0) {
		c->is_known = false;
		c->stage = TLS_OVER;
		stream_abort(c->stream);
	}
}

/* Where a certificate is asked for and not required, Mbed TLS also goes on with a bad one. */
static int check_given_certificate(struct tls_connection *c)
{
	if (c->verify != TLS_VERIFY_IF_GIVEN || !mbedtls_ssl_get_peer_cert(&c->ssl) ||
	    mbedtls_ssl_get_verify_result(&c->ssl) == 0)
		return 0;
	mbedtls_ssl_send_alert_message(&c->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
				       MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
	return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}

void tls_handshake_step(struct tls_connection *c)
{
	int err;

	if (c->stage == TLS_SILENT && !handshake_begin(c))
		return;
	err = mbedtls_ssl_handshake(&c->ssl);
	if (err == MBEDTLS_ERR_SSL_WANT_READ)
		return;
	if (!err)
		err = check_given_certificate(c);
	if (err)
		tls_connection_fail(c, err);
	else
		connection_open(c);
}

/* ---- failure ---- */

static void say_why(struct tls_connection *c, int err)
{
	bool in_handshake = c->stage != TLS_OPEN;

	if (c->has_failed)
		return;
	c->has_failed = true;
	if (in_handshake)
		c->server->stats.handshake_errors++;
	else
		c->server->stats.protocol_errors++;
	if (c->server->failed)
		c->server->failed(c->stream, in_handshake, tls_reason(err));
}

static void stage_over(struct tls_connection *c)
{
	enum tls_stage before = c->stage;

	if (before == TLS_WAITING)
		waiting_remove(c);
	c->stage = TLS_OVER;
	stream_timer_cancel(stream_loop_of(c->stream), &c->timer);
	if (before == TLS_HANDSHAKE)
		handshake_leave(c);
}

/* Mbed TLS has written the alert that belongs to its error; it leaves before FIN does. */
void tls_connection_fail(struct tls_connection *c, int err)
{
	if (c->stage == TLS_OVER)
		return;
	if (err != -EPIPE) /* the network is gone, and tells closed() by itself */
		say_why(c, err);
	c->error = -EPROTO;
	stage_over(c);
	tls_input_drop(c);
	tls_output_drop(c);
	tls_connection_look(c);
	if (c->is_paused || c->is_stalled)
		stream_wire_pause(c->stream, false);
	if (err == -EMSGSIZE || err == -ENOMEM || err == -EPIPE)
		stream_abort(c->stream);
	else
		stream_wire_close(c->stream);
}

static void timer_fired(struct stream_timer *t)
{
	struct tls_connection *c =
		(struct tls_connection *)((char *)t - offsetof(struct tls_connection, timer));

	if (c->stage == TLS_SILENT || c->stage == TLS_WAITING || c->stage == TLS_HANDSHAKE)
		say_why(c, MBEDTLS_ERR_SSL_TIMEOUT);
	stream_abort(c->stream);
}

/* ---- what the network tells ---- */

static int wire_opened(struct stream *s)
{
	const struct tls_door *door = (const struct tls_door *)stream_filter_of(s);
	struct tls_connection *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->stream = s;
	c->server = door->server;
	c->verify = door->verify;
	stream_filter_set_state(s, c);
	stream_timer_arm(stream_loop_of(s), &c->timer,
			 stream_now_ns() + c->server->handshake_ms * NS_PER_MS, timer_fired);
	return 0;
}

/* FIN. Before a handshake has begun it is no more than somebody who looked whether we are there. */
static void wire_ended(struct stream *s)
{
	struct tls_connection *c = tls_connection_of(s);

	switch (c->stage) {
	case TLS_SILENT:
	case TLS_OVER:
		stage_over(c);
		stream_wire_close(s);
		break;
	case TLS_WAITING:
	case TLS_HANDSHAKE:
		tls_connection_fail(c, MBEDTLS_ERR_SSL_CONN_EOF);
		break;
	case TLS_OPEN:
		c->has_ended = true;
		tls_input_deliver_held(c);
		break;
	}
}

static void wire_closed(struct stream *s, int error)
{
	struct tls_connection *c = tls_connection_of(s);

	if (c->stage == TLS_HANDSHAKE)
		say_why(c, MBEDTLS_ERR_SSL_CONN_EOF);
	stage_over(c);
	if (c->is_known)
		stream_filter_server(s)->closed(s, c->error ? c->error : error);
	stream_filter_set_state(s, NULL);
	stream_filter_want_resume(s, false);
	tls_input_drop(c);
	tls_output_drop(c);
	tls_output_release(c);
	if (c->credentials) {
		mbedtls_ssl_free(&c->ssl);
		tls_credentials_put(c->credentials);
	}
	free(c);
}

/* ---- what the server asks for ---- */

static void connection_pause(struct stream *s, bool paused)
{
	struct tls_connection *c = tls_connection_of(s);

	c->is_paused = paused;
	if (!paused)
		c->is_stalled = false; /* presented again, it stalls again if it has to */
	stream_wire_pause(s, paused || c->is_stalled);
	tls_connection_look(c);
}

static void connection_close(struct stream *s)
{
	struct tls_connection *c = tls_connection_of(s);

	if (c->is_closing || c->stage != TLS_OPEN)
		return;
	c->is_closing = true;
	tls_input_drop(c);
	if (c->is_paused || c->is_stalled)
		stream_wire_pause(s, false); /* its input is thrown away from now on */
	stream_timer_arm(stream_loop_of(s), &c->timer, stream_now_ns() + CLOSING_NS, timer_fired);
	stream_filter_want_turn(s);
}

static void connection_flush(struct stream *s)
{
	struct tls_connection *c = tls_connection_of(s);

	tls_output_pump(c);
	tls_connection_look(c);
	stream_wire_flush(s);
}

/* All output has been encrypted: the end, if the server wants it. */
static void finish_closing(struct tls_connection *c)
{
	if (!c->is_closing || c->out_first || c->stage != TLS_OPEN)
		return;
	mbedtls_ssl_close_notify(&c->ssl);
	stage_over(c);
	stream_wire_close(c->stream);
}

static void connection_turn(struct stream *s)
{
	struct tls_connection *c = tls_connection_of(s);

	if (!c)
		return;          /* closed since it asked */
	tls_output_pump(c);
	tls_output_release(c);
	finish_closing(c);
	tls_connection_look(c);
}

/* Room in the network, perhaps: more output, then input again, which may make more output. */
static void connection_resume(struct stream *s)
{
	struct tls_connection *c = tls_connection_of(s);
	const struct stream_options *o = stream_filter_options(s);

	tls_output_pump(c);
	if (c->is_over_high && tls_output_backlog(s) < o->low_water) {
		c->is_over_high = false;
		if (stream_filter_server(s)->writable)
			stream_filter_server(s)->writable(s);
	}
	if (c->is_stalled && tls_input_is_wanted(c)) {
		c->is_stalled = false;
		stream_wire_pause(s, c->is_paused);
	}
	tls_input_deliver_held(c);
	tls_output_release(c);
	finish_closing(c);
	tls_connection_look(c);
}

void tls_connection_look(struct tls_connection *c)
{
	bool is_live = c->stage == TLS_OPEN;

	if (is_live && tls_output_backlog(c->stream) > stream_filter_options(c->stream)->high_water)
		c->is_over_high = true;
	stream_filter_want_resume(c->stream,
				  is_live && (c->out_first || c->is_over_high || c->is_stalled ||
					      (c->held_len && !c->held_waits)));
}

const struct stream_filter tls_stream_filter = {
	.wire = {
		.opened = wire_opened,
		.received = tls_input_received,
		.ended = wire_ended,
		.closed = wire_closed,
	},
	.reserve = tls_output_reserve,
	.commit = tls_output_commit,
	.write = tls_output_write,
	.write_ref = tls_output_write_ref,
	.backlog = tls_output_backlog,
	.flush = connection_flush,
	.pause = connection_pause,
	.close = connection_close,
	.turn = connection_turn,
	.resume = connection_resume,
};
