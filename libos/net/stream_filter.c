/*
 * The functions of <libos/stream.h> that a filter may stand before, for both back ends, and the
 * list of streams whose filter wants a turn at the end of the batch. See stream_wire.h.
 */
#include "stream_wire.h"

/* Servers' names again: here they are defined. */
#undef stream_reserve
#undef stream_commit
#undef stream_write
#undef stream_write_ref
#undef stream_backlog
#undef stream_flush
#undef stream_pause
#undef stream_close

static inline struct stream_head *head_of(const struct stream *s)
{
	return (struct stream_head *)s;
}

static inline const struct stream_filter *filter_of(const struct stream *s)
{
	const struct stream_filter *f = head_of(s)->filter;

	return __builtin_expect(f != NULL, 0) ? f : NULL;
}

void *stream_reserve(struct stream *s, size_t len)
{
	const struct stream_filter *f = filter_of(s);

	return f ? f->reserve(s, len) : stream_wire_reserve(s, len);
}

void stream_commit(struct stream *s, size_t len)
{
	const struct stream_filter *f = filter_of(s);

	if (f)
		f->commit(s, len);
	else
		stream_wire_commit(s, len);
}

int stream_write(struct stream *s, const void *data, size_t len)
{
	const struct stream_filter *f = filter_of(s);

	return f ? f->write(s, data, len) : stream_wire_write(s, data, len);
}

int stream_write_ref(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
		     void *arg)
{
	const struct stream_filter *f = filter_of(s);

	return f ? f->write_ref(s, data, len, release, arg) :
		   stream_wire_write_ref(s, data, len, release, arg);
}

size_t stream_backlog(const struct stream *s)
{
	const struct stream_filter *f = filter_of(s);

	return f ? f->backlog(s) : stream_wire_backlog(s);
}

void stream_flush(struct stream *s)
{
	const struct stream_filter *f = filter_of(s);

	if (f)
		f->flush(s);
	else
		stream_wire_flush(s);
}

void stream_pause(struct stream *s, bool paused)
{
	const struct stream_filter *f = filter_of(s);

	if (f)
		f->pause(s, paused);
	else
		stream_wire_pause(s, paused);
}

void stream_close(struct stream *s)
{
	const struct stream_filter *f = filter_of(s);

	if (f)
		f->close(s);
	else
		stream_wire_close(s);
}

const struct stream_filter *stream_filter_of(const struct stream *s)
{
	return head_of(s)->filter;
}

const struct stream_ops *stream_filter_server(const struct stream *s)
{
	return &head_of(s)->class->server;
}

const struct stream_options *stream_filter_options(const struct stream *s)
{
	return &head_of(s)->class->options;
}

void *stream_filter_state(const struct stream *s)
{
	return head_of(s)->state;
}

void stream_filter_set_state(struct stream *s, void *state)
{
	head_of(s)->state = state;
}

void stream_filter_want_resume(struct stream *s, bool wanted)
{
	head_of(s)->wants_resume = wanted;
}

void stream_filter_want_turn(struct stream *s)
{
	struct stream_loop_head *loop = (struct stream_loop_head *)stream_loop_of(s);
	struct stream_head *h = head_of(s);

	if (h->link)
		return;
	h->link = loop->turns ? loop->turns_end : &loop->turns;
	h->next = NULL;
	*h->link = h;
	loop->turns_end = &h->next;
}

void stream_head_leave(struct stream_loop_head *loop, struct stream_head *h)
{
	*h->link = h->next;
	if (h->next)
		h->next->link = h->link;
	else
		loop->turns_end = h->link;
	h->link = NULL;
}

void stream_turns_run(struct stream_loop_head *loop)
{
	while (loop->turns) {
		struct stream_head *h = loop->turns;

		stream_head_leave(loop, h);
		h->filter->turn((struct stream *)h);
	}
}
