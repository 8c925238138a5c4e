/*
 * Received bytes on their way to a server.
 *
 * lwIP's callback chains the pieces in the stream's inbox; the loop takes the inbox over and calls
 * received() with one piece after the other, where it lies. When a server leaves bytes over and
 * more have arrived, the two are joined in the stream's pending buffer, which grows to max_pending
 * at most and goes when it is empty.
 *
 * The window is opened for bytes the server has consumed, no sooner, so a peer can make us hold
 * one window and no more.
 */
#include <core/assert.h>
#include <core/kmem.h>

#include <string.h>

#include "lwip/pbuf.h"
#include "stream_lwip.h"

#define PENDING_MIN 2048

err_t stream_recv_callback(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct stream *s = arg;

	(void)pcb, (void)err;
	if (!p) {
		stream_mark(s, STREAM_FIN);
		return ERR_OK;
	}
	s->unread_bytes += p->tot_len;
	if (s->inbox)
		pbuf_cat(s->inbox, p);
	else
		s->inbox = p;
	stream_mark(s, STREAM_INPUT);
	return ERR_OK;
}

void stream_input_collect(struct stream *s)
{
	if (!s->inbox)
		return;
	s->loop->stats.bytes_in += s->inbox->tot_len;
	if (s->input)
		pbuf_cat(s->input, s->inbox);
	else
		s->input = s->inbox;
	s->inbox = NULL;
}

static size_t pending_len(const struct stream *s)
{
	return s->pending_end - s->pending_start;
}

bool stream_input_is_empty(const struct stream *s)
{
	return !s->input && !pending_len(s);
}

/* The first piece is done with; its memory goes back in the next section under the stack lock. */
static void input_pop(struct stream *s)
{
	struct pbuf *p = s->input;

	s->input = p->next;
	s->input_offset = 0;
	p->next = s->loop->used_input;
	s->loop->used_input = p;
}

/* The chain was taken apart by input_pop(), so each piece is freed alone. */
void stream_input_free_used(struct stream_loop *loop)
{
	struct pbuf *p = loop->used_input, *next;

	for (loop->used_input = NULL; p; p = next) {
		next = p->next;
		p->next = NULL;
		p->tot_len = p->len;
		net_receive_done(p);
	}
}

static void pending_free(struct stream *s)
{
	kfree(s->pending);
	s->pending = NULL;
	s->pending_start = s->pending_end = s->pending_room = 0;
}

void stream_input_drop(struct stream *s)
{
	while (s->input)
		input_pop(s);
	pending_free(s);
}

/* A closing stream reads nothing any more: what still comes is counted and thrown away. */
void stream_input_discard(struct stream *s)
{
	stream_input_collect(s);
	stream_input_drop(s);
}

/* Room for `more` bytes behind the pending ones; false when max_pending or memory is exhausted. */
static bool pending_grow(struct stream *s, size_t more)
{
	size_t need = pending_len(s) + more, room = MAX(s->pending_room, (size_t)PENDING_MIN);
	uint8_t *bigger;

	if (s->pending_start)
		memmove(s->pending, s->pending + s->pending_start, pending_len(s));
	s->pending_end -= s->pending_start;
	s->pending_start = 0;
	if (need <= s->pending_room)
		return true;
	while (room < need)
		room *= 2;
	bigger = kmalloc(room);
	if (!bigger)
		return false;
	if (s->pending)
		memcpy(bigger, s->pending, s->pending_end);
	kfree(s->pending);
	s->pending = bigger;
	s->pending_room = room;
	return true;
}

/* Joins what was left over with the next piece: 0, -EMSGSIZE when that is too much, -ENOMEM. */
static int input_join(struct stream *s)
{
	size_t max = s->class->options.max_pending, have = pending_len(s);
	size_t len;

	if (have >= max)
		return -EMSGSIZE;
	len = MIN(s->input->len - s->input_offset, max - have);
	if (!pending_grow(s, len))
		return -ENOMEM;
	memcpy(s->pending + s->pending_end, (uint8_t *)s->input->payload + s->input_offset, len);
	s->pending_end += len;
	s->input_offset += len;
	s->loop->stats.bytes_copied_in += len;
	if (s->input_offset == s->input->len)
		input_pop(s);
	return 0;
}

static bool may_receive(const struct stream *s)
{
	return !s->is_paused && !s->is_closing && !s->is_aborting && !s->is_dead &&
	       stream_backlog(s) <= s->class->options.high_water;
}

static size_t present(struct stream *s, const uint8_t *data, size_t len)
{
	size_t n = s->class->ops.received(s, data, len);

	assert(n <= len);
	s->consumed += n;
	return n;
}

/*
 * Presents the pending bytes, of which there are some, until the server takes no more. True if it
 * took all.
 */
static bool serve_pending(struct stream *s)
{
	size_t n;

	do {
		n = present(s, s->pending + s->pending_start, pending_len(s));
		s->pending_start += n;
	} while (n && pending_len(s) && may_receive(s));
	if (pending_len(s))
		return false;
	pending_free(s);
	return true;
}

/* The same for the first piece, in place. */
static bool serve_piece(struct stream *s)
{
	struct pbuf *p = s->input;
	size_t n;

	do {
		n = present(s, (uint8_t *)p->payload + s->input_offset, p->len - s->input_offset);
		s->input_offset += n;
		if (s->input_offset == p->len) {
			input_pop(s);
			return true;
		}
	} while (n && may_receive(s));
	return false;
}

static void fail(struct stream *s, int error)
{
	s->is_aborting = true;
	s->close_error = error;
}

static size_t presentable_len(const struct stream *s)
{
	return pending_len(s) ? pending_len(s) : s->input->len - s->input_offset;
}

/*
 * Bytes that the server has left over are worth another call only with more behind them: true when
 * that is so, and then they lie in one piece. May end the stream.
 */
static bool join_left_over(struct stream *s)
{
	int err;

	if (!pending_len(s)) {
		if (!s->input->next)
			return false;
		err = input_join(s);
	} else {
		err = 0;
	}
	if (!err && !s->input)
		return false;
	if (!err)
		err = input_join(s);
	if (err)
		fail(s, err);
	return !err;
}

void stream_input_serve(struct stream *s)
{
	while (!stream_input_is_empty(s) && may_receive(s)) {
		if (s->has_left_over && !join_left_over(s))
			break;
		s->has_left_over = false;
		if (pending_len(s) ? serve_pending(s) : serve_piece(s))
			continue;
		if (!may_receive(s))
			break;
		s->has_left_over = true;
		if (presentable_len(s) >= s->class->options.max_pending)
			fail(s, -EMSGSIZE);
	}
	if (s->consumed || s->is_aborting)
		stream_touch(s);
}
