/*
 * One stream: birth, the bytes that come in, its face to the server, death.
 *
 * Input is read into the loop's buffer and handed out there. What the server leaves over is kept in
 * s->pending, and the next read goes behind it, so that the server always sees one piece.
 */
#define _GNU_SOURCE
#include "stream_epoll.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	PENDING_FIRST = 2048,           /* smallest buffer for leftovers */
	DRAIN_BYTES = 256 * 1024,       /* input thrown away before close(), see stream_finish() */
};

/* ---- streams: birth and death ---- */

void stream_touch(struct stream *s)
{
	if (s->dirty || s->loop->destroying)
		return;
	s->dirty = true;
	s->next_dirty = NULL;
	*s->loop->dirty_end = s;
	s->loop->dirty_end = &s->next_dirty;
}

void stream_fail(struct stream *s, int error)
{
	if (s->gone)
		return;
	s->gone = true;
	s->error = error;
	stream_touch(s);
}

/* Takes the descriptor over; on failure it is closed. */
struct stream *stream_new(struct stream_loop *loop, struct service *sv, int fd,
				 uint32_t interest)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		goto fail;
	s->source = (struct source){ .kind = SOURCE_STREAM, .fd = fd };
	s->loop = loop;
	s->service = sv;
	s->user = sv->user;
	stream_head_init(&s->head, &sv->head);
	if (source_add(loop, &s->source, interest) < 0)
		goto fail;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	sv->refs++;
	s->link = &loop->streams;
	s->next = loop->streams;
	if (s->next)
		s->next->link = &s->next;
	loop->streams = s;
	return s;
fail:
	free(s);
	close(fd);
	return NULL;
}

/* Not while s is on the dirty list. */
static void stream_free(struct stream *s)
{
	assert(!s->dirty);
	stream_head_fini(&s->loop->head, &s->head);
	output_drop(s);
	close(s->source.fd);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	service_put(s->service);
	free(s->pending);
	free(s);
}

/* Calls opened(); a refusal makes the stream vanish without closed(). */
void stream_open(struct stream *s)
{
	s->connecting = false;
	if (s->service->ops.opened(s) < 0) {
		s->refused = true;
		stream_fail(s, 0);
	}
}

/* The last act: closed() unless the server never accepted the stream. */
void stream_bury(struct stream *s)
{
	if (!s->refused)
		s->service->ops.closed(s, s->error);
	stream_free(s);
}

/*
 * Everything has been sent: FIN, and an orderly end. Input that nobody will read is taken out
 * first, because Linux answers a close() over unread bytes with RST, which can overtake our last
 * answer on the peer's side.
 */
void stream_finish(struct stream *s)
{
	size_t drained = 0;
	ssize_t n;

	shutdown(s->source.fd, SHUT_WR);
	do {
		n = recv(s->source.fd, s->loop->input, INPUT_BYTES, 0);
		drained += n > 0 ? (size_t)n : 0;
	} while (n > 0 && drained < DRAIN_BYTES);
	stream_fail(s, 0);
}

/* ---- input ---- */

bool input_is_wanted(const struct stream *s)
{
	return !s->paused && !s->backed_up && !s->closing && !s->gone && !s->connecting;
}

/* Sends early when much has piled up; what remains above high water stops the input. */
static void check_high_water(struct stream *s)
{
	int err;

	if (s->backlog <= s->service->options.high_water)
		return;
	err = output_send(s);
	if (err < 0)
		stream_fail(s, err);
	s->backed_up = s->backlog > s->service->options.high_water;
}

/* Hands input to the server for as long as it takes some. Returns how much it took. */
static size_t deliver(struct stream *s, const uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len && input_is_wanted(s)) {
		size_t used = s->service->ops.received(s, data + done, len - done);

		assert(used <= len - done);
		if (used == 0) {
			if (len - done >= s->service->options.max_pending && input_is_wanted(s))
				stream_fail(s, -EMSGSIZE);
			break;
		}
		done += used;
		check_high_water(s);
	}
	return done;
}

/* Makes room for `more` bytes behind the pending ones. */
static bool pending_grow(struct stream *s, size_t more)
{
	size_t want = s->pending_len + more,
	       room = s->pending_room ? s->pending_room : PENDING_FIRST;
	uint8_t *p;

	if (want <= s->pending_room)
		return true;
	while (room < want)
		room *= 2;
	p = realloc(s->pending, room);
	if (!p)
		return false;
	s->pending = p;
	s->pending_room = room;
	return true;
}

static void pending_keep(struct stream *s, const uint8_t *data, size_t len)
{
	if (len == 0 || s->gone)
		return;
	if (!pending_grow(s, len)) {
		stream_fail(s, -ENOMEM);
		return;
	}
	memcpy(s->pending + s->pending_len, data, len);
	s->pending_len += len;
	s->loop->stats.bytes_copied_in += len;
}

/* Hands out what is pending; what the server leaves moves to the front. */
void pending_deliver(struct stream *s)
{
	size_t used = deliver(s, s->pending, s->pending_len);

	s->pending_len -= used;
	if (s->pending_len == 0) {
		free(s->pending);
		s->pending = NULL;
		s->pending_room = 0;
	} else if (used > 0) {
		memmove(s->pending, s->pending + used, s->pending_len);
		s->loop->stats.bytes_copied_in += s->pending_len;
	}
}

/* One read into `where`. False when there was nothing (FIN and errors are noted). */
static bool input_read(struct stream *s, uint8_t *where, size_t room, size_t *len)
{
	ssize_t n = recv(s->source.fd, where, room, 0);

	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			stream_fail(s, -errno);
		return false;
	}
	if (n == 0) {
		s->fin = true;
		stream_touch(s);
		return false;
	}
	*len = (size_t)n;
	s->loop->stats.bytes_in += (size_t)n;
	return true;
}

/* The socket has something to read. Leftovers and new bytes must lie in one piece. */
void stream_readable(struct stream *s)
{
	size_t len, used;

	if (s->pending_len == 0) {
		if (!input_read(s, s->loop->input, INPUT_BYTES, &len))
			return;
		used = deliver(s, s->loop->input, len);
		pending_keep(s, s->loop->input + used, len - used);
	} else {
		if (!pending_grow(s, s->pending_len < INPUT_BYTES ? s->pending_len : INPUT_BYTES)) {
			stream_fail(s, -ENOMEM);
			return;
		}
		if (!input_read(s, s->pending + s->pending_len, s->pending_room - s->pending_len,
				&len))
			return;
		s->pending_len += len;
		pending_deliver(s);
	}
	stream_touch(s);
}

/* ---- a stream's face to the server ---- */

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
	return s->loop;
}

int stream_id(const struct stream *s)
{
	return s->source.fd;
}

int stream_peer_address(const struct stream *s, struct sockaddr_storage *addr, socklen_t *len)
{
	*len = sizeof(*addr);
	return getpeername(s->source.fd, (struct sockaddr *)addr, len) < 0 ? -errno : 0;
}

int stream_local_address(const struct stream *s, struct sockaddr_storage *addr, socklen_t *len)
{
	*len = sizeof(*addr);
	return getsockname(s->source.fd, (struct sockaddr *)addr, len) < 0 ? -errno : 0;
}

void stream_flush(struct stream *s)
{
	int err;

	if (s->gone || s->connecting)
		return;
	err = output_send(s);
	if (err < 0)
		stream_fail(s, err);
	stream_touch(s);
}

void stream_pause(struct stream *s, bool paused)
{
	s->paused = paused;
	s->retry = !paused;
	stream_touch(s);
}

void stream_close(struct stream *s)
{
	s->closing = true;
	stream_touch(s);
}

void stream_abort(struct stream *s)
{
	setsockopt(s->source.fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
		   sizeof(struct linger));
	stream_fail(s, -ECONNABORTED);
}
