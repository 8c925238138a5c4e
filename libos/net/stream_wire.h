/*
 * Where a filter (<libos/stream_filter.h>) joins a back end of <libos/stream.h>.
 *
 * A back end puts `struct stream_head` first into its streams and `struct stream_loop_head` first
 * into its loops, and calls the stream_head_ functions below at the places that their comments
 * name. With CONFIG_STREAM_FILTER the functions that a filter may stand before are compiled under
 * their stream_wire_ names, and stream_filter.c has those that servers call. Without it nothing of
 * this takes a byte: the heads are empty and the back end's functions are the servers' ones.
 */
#ifndef NET_STREAM_WIRE_H
#define NET_STREAM_WIRE_H

#include <libos/stream.h>

#ifdef CONFIG_STREAM_FILTER

#include <libos/stream_filter.h>

#define stream_reserve   stream_wire_reserve
#define stream_commit    stream_wire_commit
#define stream_write     stream_wire_write
#define stream_write_ref stream_wire_write_ref
#define stream_backlog   stream_wire_backlog
#define stream_flush     stream_wire_flush
#define stream_pause     stream_wire_pause
#define stream_close     stream_wire_close

/* What a listener's streams share: the server behind the filter. In the class or service. */
struct stream_class_head {
	const struct stream_filter *filter;
	struct stream_ops server;
	struct stream_options options;
};

struct stream_head {
	const struct stream_filter *filter;      /* NULL: none, and the rest is unused */
	const struct stream_class_head *class;
	void *state;
	struct stream_head *next, **link;        /* on the loop's list of turns; link NULL: not */
	bool wants_resume;
};

struct stream_loop_head {
	struct stream_head *turns, **turns_end;
};

/* When the callbacks and the options (defaults filled in) of a class are known. */
static inline void stream_class_head_init(struct stream_class_head *h, struct stream_ops *ops,
					  struct stream_options *options)
{
	h->filter = options->filter;
	if (!h->filter)
		return;
	h->server = *ops;
	h->options = *options;
	*ops = h->filter->wire;
	options->max_pending = SIZE_MAX / 2; /* the filter sees to it, in the server's bytes */
}

/* When a stream is made, and just before it is freed. */
static inline void stream_head_init(struct stream_head *h, const struct stream_class_head *class)
{
	h->filter = class->filter;
	h->class = class;
}

void stream_head_leave(struct stream_loop_head *loop, struct stream_head *h);

static inline void stream_head_fini(struct stream_loop_head *loop, struct stream_head *h)
{
	if (h->link)
		stream_head_leave(loop, h);
}

/* At the end of the loop's callbacks, before their output is handed to the network. */
void stream_turns_run(struct stream_loop_head *loop);

static inline bool stream_turns_are_due(const struct stream_loop_head *loop)
{
	return loop->turns != NULL;
}

/* While a stream is served, behind its input: see resume() in the filter. True: it was called. */
static inline bool stream_head_resume(struct stream_head *h)
{
	if (!h->wants_resume)
		return false;
	h->filter->resume((struct stream *)h);
	return true;
}

#else

struct stream_class_head {};
struct stream_head {};
struct stream_loop_head {};

static inline void stream_class_head_init(struct stream_class_head *h, struct stream_ops *ops,
					  struct stream_options *options)
{
	(void)h, (void)ops, (void)options;
}

static inline void stream_head_init(struct stream_head *h, const struct stream_class_head *class)
{
	(void)h, (void)class;
}

static inline void stream_head_fini(struct stream_loop_head *loop, struct stream_head *h)
{
	(void)loop, (void)h;
}

static inline void stream_turns_run(struct stream_loop_head *loop)
{
	(void)loop;
}

static inline bool stream_turns_are_due(const struct stream_loop_head *loop)
{
	(void)loop;
	return false;
}

static inline bool stream_head_resume(struct stream_head *h)
{
	(void)h;
	return false;
}

#endif

#endif
