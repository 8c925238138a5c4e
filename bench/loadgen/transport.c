/*
 * How bytes travel: over TCP as they are, inside TLS, or as UDP datagrams.
 *
 * A datagram carries one request. Its header of 16-bit fields names the request by a running
 * number; the reply may be several datagrams, numbered from 0 and all saying how many there are.
 * Replies come in order, so what the next datagram is not an answer to was lost, on the way there
 * or back; it is counted, not repeated, and does not end the run. (memcached sends each value of a
 * get of several keys as such a reply of its own, with the same number.)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loadgen.h"

static void open_nothing(struct connection *c)
{
	(void)c;
}

static ssize_t tcp_send(struct connection *c, const char *bytes, size_t len)
{
	return send(c->fd, bytes, len, MSG_NOSIGNAL);
}

static ssize_t tcp_receive(struct connection *c, char *room, size_t len)
{
	return recv(c->fd, room, len, 0);
}

/* ---- TLS ---- */

static void tls_die(const char *what)
{
	char text[200];
	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	fprintf(stderr, "loadgen: %s: %s\n", what, text);
	exit(2);
}

/* The handshake. Whose certificate it is does not matter here: every value is compared anyway. */
static void tls_open(struct connection *c)
{
	static SSL_CTX *context;
	if (!context && !(context = SSL_CTX_new(TLS_client_method())))
		tls_die("TLS");
	SSL_CTX_set_mode(context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL *s = SSL_new(context);
	if (!s || !SSL_set_fd(s, c->fd) || SSL_connect(s) != 1)
		tls_die("TLS handshake");
	c->tls = s;
}

static ssize_t tls_result(struct connection *c, int n)
{
	if (n > 0)
		return n;
	switch (SSL_get_error(c->tls, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		tls_die("TLS record");
		return -1;
	}
}

static ssize_t tls_send(struct connection *c, const char *bytes, size_t len)
{
	return tls_result(c, SSL_write(c->tls, bytes, (int)len));
}

static ssize_t tls_receive(struct connection *c, char *room, size_t len)
{
	return tls_result(c, SSL_read(c->tls, room, (int)len));
}

/* ---- UDP ---- */

static ssize_t udp_nothing(void)
{
	errno = EAGAIN;
	return -1;
}

/* Gives up what the datagram shows to be lost. False: it answers one that was given up. */
static bool is_awaited(struct connection *c, uint16_t request, uint16_t sequence)
{
	uint16_t ahead = (uint16_t)(request - c->frame_id);
	if (ahead >= c->in_flight - c->unsent)
		return false;
	if (ahead > 0)
		requests_lost(c, ahead);
	if (sequence == c->frames_seen)
		return true;
	requests_lost(c, 1);
	return false;
}

/* Into c->in, as far as that is filled by then: what is lost empties it. */
static ssize_t udp_receive(struct connection *c, char *room, size_t len)
{
	(void)room, (void)len;
	char datagram[65536];
	uint16_t frame[FRAME_BYTES / 2];        /* request, sequence, count, 0 */
	ssize_t n = recv(c->fd, datagram, sizeof(datagram), 0);
	if (n < 0)
		return n;
	size_t payload = (size_t)n - FRAME_BYTES;
	if (n <= FRAME_BYTES || payload > c->in_cap) {
		result_error("datagram of odd length", datagram, (size_t)n);
		return udp_nothing();
	}
	memcpy(frame, datagram, sizeof(frame));
	if (!is_awaited(c, ntohs(frame[0]), ntohs(frame[1])) || payload > c->in_cap - c->in_len)
		return udp_nothing();
	c->frames_seen = (uint16_t)(c->frames_seen + 1u < ntohs(frame[2]) ? c->frames_seen + 1u
									  : 0);
	memcpy(c->in + c->in_len, datagram + FRAME_BYTES, payload);
	return (ssize_t)payload;
}

const struct transport transport_tcp = { open_nothing, tcp_send, tcp_receive, false };
const struct transport transport_tls = { tls_open, tls_send, tls_receive, true };
const struct transport transport_udp = { open_nothing, tcp_send, udp_receive, false };
