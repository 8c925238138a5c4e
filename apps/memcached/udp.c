/*
 * UDP. A get of one key, which is what UDP is for, is answered right in the datagram that leaves.
 * Everything else goes through the same code as a TCP connection's input, by way of a struct conn
 * without a stream, whose output is collected here and then cut into datagrams.
 *
 * Requests of several datagrams are dropped, as memcached does, and so is the rest of a request
 * that is not complete in its datagram.
 */
#include "udp.h"

#include <stdlib.h>

#include "conn.h"
#include "fetch.h"
#include "text_answer.h"
#include "value.h"
#include "watch.h"

enum {
	FRAME = 8,
	DATA_MAX = STREAM_DATAGRAM_MAX - FRAME,
	DATAGRAMS_MAX = 0xffff,            /* of one answer: the frame counts with 16 bits */
	KEEP_BYTES = 16 * 1024,            /* of the output buffer between requests */
};

static struct conn udp_conn;               /* of the request being worked off */

static struct {
	char *bytes;
	size_t len, room;
} output;

void *udp_reserve(size_t len)
{
	size_t room = output.room ? output.room : KEEP_BYTES;
	char *bytes;

	while (room < output.len + len)
		room *= 2;
	if (room > (size_t)DATAGRAMS_MAX * DATA_MAX)
		return NULL;
	if (room > output.room) {
		bytes = realloc(output.bytes, room);
		if (!bytes)
			return NULL;
		output.bytes = bytes;
		output.room = room;
	}
	return output.bytes + output.len;
}

void udp_commit(size_t len)
{
	output.len += len;
}

static void output_clear(void)
{
	output.len = 0;
	if (output.room <= KEEP_BYTES)
		return;
	free(output.bytes);
	output.bytes = NULL;
	output.room = 0;
}

static char *put_frame(char *to, const uint8_t *request, unsigned number, unsigned count)
{
	to[0] = (char)request[0];
	to[1] = (char)request[1];
	to[2] = (char)(number >> 8);
	to[3] = (char)number;
	to[4] = (char)(count >> 8);
	to[5] = (char)count;
	to[6] = to[7] = 0;
	return to + FRAME;
}

/* Sends what was collected. What finds no room is lost, as datagrams may be. */
static void output_send(struct stream_datagrams *d, const uint8_t *request)
{
	unsigned count = (unsigned)((output.len + DATA_MAX - 1) / DATA_MAX);

	for (unsigned i = 0; i < count; i++) {
		size_t at = (size_t)i * DATA_MAX,
		       n = output.len - at < DATA_MAX ? output.len - at : DATA_MAX;
		char *start = stream_datagram_reserve(d, FRAME + n);

		if (!start)
			break;
		memcpy(put_frame(start, request, i, count), output.bytes + at, n);
		stream_datagram_commit(d, FRAME + n);
	}
	output_clear();
}

/* A get of one key. False: this is something else, or the answer is too long for one datagram. */
static bool answer_get(struct stream_datagrams *d, const uint8_t *request, const char *data,
		       size_t len)
{
	size_t key_len = text_one_key(data, len), room;
	struct item *it;
	char *start, *p;

	if (key_len == 0 || len != TEXT_GET_LEN + key_len + 2)
		return false;
	it = fetch_get(&udp_conn, data + TEXT_GET_LEN, key_len);
	room = text_answer_room(it);
	if (room > DATA_MAX) {
		text_answer(&udp_conn, it);
		output_send(d, request);
		return true;
	}
	start = stream_datagram_reserve(d, FRAME + room);
	if (start) {
		p = text_put_answer(put_frame(start, request, 0, 1), it);
		stream_datagram_commit(d, (size_t)(p - start));
	}
	return true;
}

static void converse(struct stream_datagrams *d, const uint8_t *request, const char *data,
		     size_t len)
{
	size_t done = 0, n = 1;

	udp_conn.state = CONN_COMMAND;
	udp_conn.protocol = (uint8_t)settings.protocol;
	udp_conn.authenticated = true;
	while (done < len && n > 0 && udp_conn.state != CONN_CLOSING) {
		n = conn_step(&udp_conn, data + done, len - done);
		done += n;
	}
	output_send(d, request);
	conn_clear(&udp_conn);
}

static void received(struct stream_datagrams *d, const uint8_t *data, size_t len)
{
	static const uint8_t one[2] = { 0, 1 };

	if (len <= FRAME || memcmp(data + 4, one, sizeof(one)) != 0)
		return;
	clock_update_to(stream_round_ns(conn_loop()));
	watch_client = &udp_conn;
	if (settings.protocol == PROTOCOL_BINARY ||
	    !answer_get(d, data, (const char *)data + FRAME, len - FRAME))
		converse(d, data, (const char *)data + FRAME, len - FRAME);
}

int udp_open(struct stream_loop *loop, const struct sockaddr *addr, socklen_t len,
	     struct stream_datagrams **out)
{
	static const struct stream_datagram_ops ops = { .received = received };

	return stream_datagrams_open(loop, addr, len, &ops, NULL, out);
}
