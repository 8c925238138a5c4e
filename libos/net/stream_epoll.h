/*
 * What the files of the epoll back end share: loop, listener, stream and the output queue.
 * See stream_epoll.c for the story.
 */
#ifndef STREAM_EPOLL_H
#define STREAM_EPOLL_H

#include <pthread.h>
#include <stdatomic.h>

#include <libos/stream.h>

#include "timer_heap.h"
#include "stream_wire.h"

enum { INPUT_BYTES = 64 * 1024 };

/* What epoll's user data points to: told apart by `kind`. */
enum source_kind { SOURCE_WAKE, SOURCE_LISTENER, SOURCE_STREAM, SOURCE_DATAGRAMS, SOURCE_DEAD };

struct source {
	enum source_kind kind;
	int fd;
	uint32_t interest;       /* the events epoll has been asked for */
};

/* The callbacks and limits that a listener and its streams share. */
struct service {
	struct stream_ops ops;
	struct stream_options options;
	void *user;
	unsigned refs;
	struct stream_class_head head;
};

/*
 * A piece of output. Either bytes of ours, in `buffer`, with room for more behind them, or bytes
 * that belong to the server until release(arg).
 */
struct segment {
	struct segment *next;
	const uint8_t *data;     /* first unsent byte */
	size_t len;              /* unsent bytes */
	size_t room;             /* free bytes behind them; 0 for a reference */
	void (*release)(void *arg);
	void *arg;
	uint8_t buffer[];
};

struct stream_listener {
	struct source source;
	struct stream_loop *loop;
	struct service *service;
	struct stream_listener *next, **link;
	struct stream_timer retry; /* running while the process has no descriptors left */
	bool paused;
};

struct stream {
	struct stream_head head;       /* the filter */
	struct source source;
	struct stream_loop *loop;
	struct service *service;
	void *user;
	struct stream *next, **link;   /* all streams of the loop */
	struct stream *next_dirty;

	uint8_t *pending;              /* input that the server left over, or NULL */
	size_t pending_len, pending_room;

	struct segment *out_first, *out_last;
	size_t backlog;                /* bytes in them */

	int error;                     /* for closed(), once gone */
	bool dirty;                    /* in loop->dirty: settle() has to look at it */
	bool connecting;
	bool refused;                  /* opened() said no: no closed() */
	bool paused;                   /* by the server */
	bool backed_up;                /* over high water, not yet under low water */
	bool blocked;                  /* the socket takes no more; EPOLLOUT will tell */
	bool retry;                    /* present the pending input again */
	bool fin;                      /* the peer has sent its last byte */
	bool fin_told;
	bool closing;                  /* stream_close() was called */
	bool gone;                     /* nothing left but closed() and free() */
};

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct stream_loop {
	struct stream_loop_head head;  /* the filters */
	struct source wake;            /* an eventfd: stop and posts */
	int epoll;
	struct stream *streams;
	struct stream_listener *listeners;
	struct stream_listener *dead_listeners;
	struct stream_datagrams *datagrams, *dead_datagrams;
	struct stream *dirty, **dirty_end;
	struct segment *sent;          /* references whose bytes have left, release() due */
	struct segment *spare;         /* buffers to use again */
	unsigned spares;
	uint64_t now_ns;               /* when the last wait ended */
	struct timer_heap timers;
	struct stream_stats stats;
	uint8_t *input;                /* INPUT_BYTES that all streams read into */
	bool destroying;

	pthread_mutex_t post_lock;
	struct post *posts, **posts_end;
	atomic_bool posted;
	atomic_bool stopping;
};

int source_add(struct stream_loop *loop, struct source *src, uint32_t interest);
int source_watch(struct stream_loop *loop, struct source *src, uint32_t interest);

void service_put(struct service *sv);
void listener_event(struct stream_listener *l);
/* Datagrams have arrived. */
void datagrams_event(struct stream_datagrams *d);
/* Frees those that were closed; at the end of a turn. */
void datagrams_free_dead(struct stream_loop *loop);

/* Takes the descriptor over; on failure it is closed. */
struct stream *stream_new(struct stream_loop *loop, struct service *sv, int fd, uint32_t interest);
/* Calls opened(); a refusal makes the stream vanish without closed(). */
void stream_open(struct stream *s);
/* The last act: closed() unless the server never accepted the stream. Not while s is dirty. */
void stream_bury(struct stream *s);
/* Everything has been sent: FIN, and an orderly end. */
void stream_finish(struct stream *s);
bool input_is_wanted(const struct stream *s);
/* The socket has something to read. */
void stream_readable(struct stream *s);
/* Hands out what is pending. */
void pending_deliver(struct stream *s);

/* Puts the stream on the list of those that settle() looks at when the batch ends. */
void stream_touch(struct stream *s);
/* The stream is lost; closed(error) will be called at the end of the batch. */
void stream_fail(struct stream *s, int error);

/* Hands the queue to the socket as far as it takes it. 0 or negative errno. */
int output_send(struct stream *s);
/* Drops the queue; references become due for release. */
void output_drop(struct stream *s);
/* Calls release() of what has left. */
void output_release_sent(struct stream_loop *loop);
void output_free_spares(struct stream_loop *loop);

#endif
