/*
 * The output queue of a stream: what a batch consists of until the socket has taken it.
 *
 * The queue is a list of segments. Small answers are written one behind the other into buffer
 * segments; a reference is a segment of its own between them. Sending gathers up to GATHER segments
 * into one sendmsg(), so that a batch is one system call and as few packets as fit. Buffers that
 * have been sent go back to the loop, so an idle stream holds none.
 *
 * release() is never called from inside a stream_*() call: references that have left wait in
 * loop->sent until the loop gets to them. Here "sent" means copied by the kernel.
 */
#include "stream_epoll.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum {
	BUFFER_BYTES = 16 * 1024 - sizeof(struct segment),
	GATHER = 64,
	SPARES_KEPT = 64,
};

static struct segment *buffer_new(struct stream_loop *loop)
{
	struct segment *seg = loop->spare;

	if (seg) {
		loop->spare = seg->next;
		loop->spares--;
	} else {
		seg = malloc(sizeof(*seg) + BUFFER_BYTES);
		if (!seg)
			return NULL;
	}
	*seg = (struct segment){ .data = seg->buffer, .room = BUFFER_BYTES };
	return seg;
}

static void segment_free(struct stream_loop *loop, struct segment *seg)
{
	if (seg->release) {
		seg->next = loop->sent;
		loop->sent = seg;
	} else if (loop->spares < SPARES_KEPT) {
		seg->next = loop->spare;
		loop->spare = seg;
		loop->spares++;
	} else {
		free(seg);
	}
}

static void segment_append(struct stream *s, struct segment *seg)
{
	if (s->out_last)
		s->out_last->next = seg;
	else
		s->out_first = seg;
	s->out_last = seg;
}

static bool output_is_closed(const struct stream *s)
{
	return s->closing || s->gone || s->connecting;
}

void *stream_reserve(struct stream *s, size_t len)
{
	struct segment *seg = s->out_last;

	assert(len <= STREAM_RESERVE_MAX);
	if (output_is_closed(s))
		return NULL;
	if (!seg || seg->room < len) {
		seg = buffer_new(s->loop);
		if (!seg)
			return NULL;
		segment_append(s, seg);
	}
	return (uint8_t *)seg->data + seg->len;
}

void stream_commit(struct stream *s, size_t len)
{
	struct segment *seg = s->out_last;

	assert(seg && len <= seg->room);
	seg->len += len;
	seg->room -= len;
	s->backlog += len;
	stream_touch(s);
}

/* Buffers for `len` bytes beyond what the last segment can take, linked, not yet in the queue. */
static int buffers_new(struct stream_loop *loop, size_t len, struct segment **first)
{
	struct segment *list = NULL;

	for (; len > 0; len -= len < BUFFER_BYTES ? len : BUFFER_BYTES) {
		struct segment *seg = buffer_new(loop);

		if (!seg) {
			while (list) {
				seg = list->next;
				segment_free(loop, list);
				list = seg;
			}
			return -ENOMEM;
		}
		seg->next = list;
		list = seg;
	}
	*first = list;
	return 0;
}

int stream_write(struct stream *s, const void *data, size_t len)
{
	struct segment *last = s->out_last, *more = NULL;
	size_t room = last ? last->room : 0;
	const uint8_t *from = data;

	if (output_is_closed(s))
		return -EPIPE;
	if (len > room && buffers_new(s->loop, len - room, &more) < 0)
		return -ENOMEM;
	s->loop->stats.bytes_copied_out += len;
	while (len > 0) {
		struct segment *seg = s->out_last;
		size_t n;

		if (!seg || seg->room == 0) {
			seg = more;
			more = seg->next;
			seg->next = NULL;
			segment_append(s, seg);
		}
		n = len < seg->room ? len : seg->room;
		memcpy((uint8_t *)seg->data + seg->len, from, n);
		stream_commit(s, n);
		from += n;
		len -= n;
	}
	return 0;
}

int stream_write_ref(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
		     void *arg)
{
	struct segment *seg;

	assert(release);
	if (output_is_closed(s))
		return -EPIPE;
	seg = malloc(sizeof(*seg));
	if (!seg)
		return -ENOMEM;
	*seg = (struct segment){ .data = data, .len = len, .release = release, .arg = arg };
	segment_append(s, seg);
	s->backlog += len;
	stream_touch(s);
	return 0;
}

size_t stream_backlog(const struct stream *s)
{
	return s->backlog;
}

/* Takes `n` sent bytes from the head of the queue, and the empty segments behind them. */
static void output_consume(struct stream *s, size_t n)
{
	assert(n <= s->backlog);
	s->backlog -= n;
	while (s->out_first && s->out_first->len <= n) {
		struct segment *seg = s->out_first;

		n -= seg->len;
		s->out_first = seg->next;
		if (!seg->next)
			s->out_last = NULL;
		segment_free(s->loop, seg);
	}
	if (n > 0) {
		s->out_first->data += n;
		s->out_first->len -= n;
	}
}

static ssize_t send_some(struct stream *s)
{
	struct iovec iov[GATHER];
	struct msghdr msg = { .msg_iov = iov };

	for (struct segment *seg = s->out_first; seg && msg.msg_iovlen < GATHER; seg = seg->next) {
		if (seg->len > 0)
			iov[msg.msg_iovlen++] = (struct iovec){ (void *)seg->data, seg->len };
	}
	return sendmsg(s->source.fd, &msg, MSG_NOSIGNAL);
}

int output_send(struct stream *s)
{
	if (s->backlog > 0)
		s->loop->stats.batches++;
	while (s->backlog > 0 && !s->blocked) {
		ssize_t n = send_some(s);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			s->blocked = true;
			break;
		}
		if (n < 0)
			return errno == EPIPE ? -ECONNRESET : -errno;
		s->loop->stats.bytes_out += (size_t)n;
		output_consume(s, (size_t)n);
	}
	if (s->backlog == 0)
		output_consume(s, 0);
	return 0;
}

void output_drop(struct stream *s)
{
	output_consume(s, s->backlog);
}

void output_release_sent(struct stream_loop *loop)
{
	while (loop->sent) {
		struct segment *seg = loop->sent;

		loop->sent = seg->next;
		seg->release(seg->arg);
		free(seg);
	}
}

void output_free_spares(struct stream_loop *loop)
{
	while (loop->spare) {
		struct segment *seg = loop->spare;

		loop->spare = seg->next;
		free(seg);
	}
}
