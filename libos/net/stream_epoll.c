/*
 * stream.h on epoll: the back end for ordinary POSIX systems.
 *
 * One turn of the loop is one batch: epoll_wait() tells which descriptors are ready, every ready
 * stream is read once and its bytes are handed to the server where they lie, and then settle()
 * looks at each stream that was touched: it sends the answers, tells closed(), and asks epoll for
 * what the stream now waits for. So all answers of a turn leave together, and nothing is freed or
 * closed while the events of the same turn may still name it.
 *
 * All streams of a loop read into one buffer; only bytes that the server leaves over are copied to
 * a buffer of the stream's own. An idle stream holds neither input nor output memory.
 *
 * Life of a stream: accepted or connecting -> open -> [closing: flush, FIN] -> gone -> freed, all
 * but the first step in settle(). `gone` is the point of no return: from there on only closed()
 * follows.
 *
 * Threads: everything belongs to the thread inside stream_run(), except the list of posts
 * (post_lock), the two flags beside it, and the wake descriptor.
 */
#define _GNU_SOURCE
#include "stream_epoll.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256 }; /* taken from epoll in one turn */

static const uint64_t NS_PER_MS = 1000000;

/* ---- what epoll watches ---- */

int source_watch(struct stream_loop *loop, struct source *src, uint32_t interest)
{
	struct epoll_event ev = { .events = interest, .data.ptr = src };

	if (src->interest == interest)
		return 0;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, src->fd, &ev) < 0)
		return -errno;
	src->interest = interest;
	return 0;
}

int source_add(struct stream_loop *loop, struct source *src, uint32_t interest)
{
	struct epoll_event ev = { .events = interest, .data.ptr = src };

	src->interest = interest;
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, src->fd, &ev) < 0 ? -errno : 0;
}

/* ---- the end of a batch ---- */

/* What epoll should report next. */
static uint32_t stream_interest(const struct stream *s)
{
	uint32_t interest = 0;

	if (s->connecting)
		return EPOLLOUT;
	if (input_is_wanted(s) && !s->fin)
		interest |= EPOLLIN;
	if (s->backlog > 0)
		interest |= EPOLLOUT;
	return interest;
}

/* The backlog has fallen: tells the server and goes on with the input. */
static void check_low_water(struct stream *s)
{
	if (!s->backed_up || s->backlog > s->service->options.low_water)
		return;
	s->backed_up = false;
	s->retry = true;
	if (s->service->ops.writable)
		s->service->ops.writable(s);
}

static void check_fin(struct stream *s)
{
	if (!s->fin || s->fin_told || !input_is_wanted(s))
		return;
	s->fin_told = true;
	if (s->service->ops.ended)
		s->service->ops.ended(s);
	else
		s->closing = true;
	stream_touch(s);
}

/* Brings one stream to rest: everything sent that can be, every callback told that is due. */
static void stream_settle(struct stream *s)
{
	int err;

	if (s->gone) {
		stream_bury(s);
		return;
	}
	err = output_send(s);
	if (err < 0) {
		stream_fail(s, err);
		return;
	}
	check_low_water(s);
	stream_head_resume(&s->head);
	if (s->retry && input_is_wanted(s)) {
		s->retry = false;
		if (s->pending_len > 0) {
			pending_deliver(s);
			stream_touch(s);
			return; /* once more, to send the answers */
		}
	}
	check_fin(s);
	if (s->closing && s->backlog == 0 && !s->gone)
		stream_finish(s);
	if (!s->gone && source_watch(s->loop, &s->source, stream_interest(s)) < 0)
		stream_fail(s, -ENOMEM);
}

/* Looks at every touched stream once; those touched meanwhile have their turn in the next batch. */
static void settle(struct stream_loop *loop)
{
	struct stream *list;

	stream_turns_run(&loop->head);
	list = loop->dirty;
	loop->dirty = NULL;
	loop->dirty_end = &loop->dirty;
	while (list) {
		struct stream *s = list;

		list = s->next_dirty;
		s->dirty = false;
		stream_settle(s);
	}
	output_release_sent(loop);
	while (loop->dead_listeners) {
		struct stream_listener *l = loop->dead_listeners;

		loop->dead_listeners = l->next;
		free(l);
	}
	datagrams_free_dead(loop);
}

/* ---- events ---- */

static int socket_error(int fd)
{
	int err = 0;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){ sizeof(err) });
	return err;
}

static void stream_event(struct stream *s, uint32_t events)
{
	if (s->gone)
		return;
	if (events & EPOLLERR) {
		int err = socket_error(s->source.fd);

		stream_fail(s, err && err != EPIPE ? -err : -ECONNRESET);
		return;
	}
	if (s->connecting) {
		stream_open(s);
		stream_touch(s);
		return;
	}
	if (events & EPOLLOUT) {
		s->blocked = false;
		stream_touch(s);
	}
	if (input_is_wanted(s) && !s->fin && (events & (EPOLLIN | EPOLLHUP)))
		stream_readable(s);
	else if (events & EPOLLHUP)
		stream_fail(s, -ECONNRESET);
}

static void wake_event(struct stream_loop *loop)
{
	uint64_t count;

	while (read(loop->wake.fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static void posts_run(struct stream_loop *loop)
{
	struct post *list;

	if (!atomic_exchange(&loop->posted, false))
		return;
	pthread_mutex_lock(&loop->post_lock);
	list = loop->posts;
	loop->posts = NULL;
	loop->posts_end = &loop->posts;
	pthread_mutex_unlock(&loop->post_lock);
	while (list) {
		struct post *p = list;

		list = p->next;
		p->fn(p->arg);
		free(p);
	}
}

static void timers_run(struct stream_loop *loop)
{
	struct stream_timer *t = timer_heap_first(&loop->timers);
	uint64_t now = t ? stream_now_ns() : 0;

	while (t && t->deadline_ns <= now) {
		timer_heap_remove(&loop->timers, t);
		t->armed = false;
		t->fire(t);
		t = timer_heap_first(&loop->timers);
	}
}

/* How long epoll may wait, in its milliseconds, rounded up so that no timer finds itself early. */
static int wait_ms(const struct stream_loop *loop)
{
	const struct stream_timer *t = timer_heap_first(&loop->timers);
	uint64_t now, ms;

	if (loop->dirty || stream_turns_are_due(&loop->head))
		return 0;
	if (!t)
		return -1;
	now = stream_now_ns();
	if (t->deadline_ns <= now)
		return 0;
	ms = (t->deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void event_dispatch(struct stream_loop *loop, const struct epoll_event *ev)
{
	struct source *src = ev->data.ptr;

	switch (src->kind) {
	case SOURCE_WAKE:
		wake_event(loop);
		break;
	case SOURCE_LISTENER:
		listener_event((struct stream_listener *)src);
		break;
	case SOURCE_STREAM:
		stream_event((struct stream *)((char *)src - offsetof(struct stream, source)),
			     ev->events);
		break;
	case SOURCE_DATAGRAMS:
		datagrams_event((struct stream_datagrams *)src);
		break;
	case SOURCE_DEAD:
		break;
	}
}

int stream_run(struct stream_loop *loop)
{
	struct epoll_event events[EVENTS];

	while (!atomic_load(&loop->stopping)) {
		int n = epoll_wait(loop->epoll, events, EVENTS, wait_ms(loop));

		loop->now_ns = stream_now_ns();

		if (n < 0 && errno != EINTR)
			return -errno;
		loop->stats.wakeups++;
		for (int i = 0; i < n; i++)
			event_dispatch(loop, &events[i]);
		posts_run(loop);
		timers_run(loop);
		settle(loop);
	}
	atomic_store(&loop->stopping, false);
	return 0;
}

/* ---- the loop ---- */

int stream_loop_create(struct stream_loop **out)
{
	struct stream_loop *loop = calloc(1, sizeof(*loop));
	int err = -ENOMEM;

	if (!loop)
		return -ENOMEM;
	loop->dirty_end = &loop->dirty;
	loop->posts_end = &loop->posts;
	pthread_mutex_init(&loop->post_lock, NULL);
	loop->input = malloc(INPUT_BYTES);
	if (!loop->input)
		goto no_input;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		err = -errno;
		goto no_epoll;
	}
	loop->wake.kind = SOURCE_WAKE;
	loop->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake.fd < 0) {
		err = -errno;
		goto no_wake;
	}
	err = source_add(loop, &loop->wake, EPOLLIN);
	if (err < 0)
		goto no_source;
	*out = loop;
	return 0;
no_source:
	close(loop->wake.fd);
no_wake:
	close(loop->epoll);
no_epoll:
	free(loop->input);
no_input:
	free(loop);
	return err;
}

void stream_loop_destroy(struct stream_loop *loop)
{
	loop->destroying = true;
	loop->dirty = NULL;
	loop->dirty_end = &loop->dirty;
	while (loop->streams) {
		loop->streams->dirty = false;
		loop->streams->gone = true;
		stream_bury(loop->streams);
	}
	while (loop->listeners)
		stream_listener_close(loop->listeners);
	while (loop->datagrams)
		stream_datagrams_close(loop->datagrams);
	settle(loop);
	while (loop->posts) {
		struct post *p = loop->posts;

		loop->posts = p->next;
		free(p);
	}
	output_free_spares(loop);
	pthread_mutex_destroy(&loop->post_lock);
	close(loop->wake.fd);
	close(loop->epoll);
	free(loop->input);
	free(loop);
}

/* Safe in signal handlers: write() is, and errno is kept. */
static void loop_wake(struct stream_loop *loop)
{
	int saved = errno;
	ssize_t n = write(loop->wake.fd, &(uint64_t){ 1 }, sizeof(uint64_t));

	(void)n; /* full means that it will wake anyway */
	errno = saved;
}

void stream_stop(struct stream_loop *loop)
{
	atomic_store(&loop->stopping, true);
	loop_wake(loop);
}

int stream_post(struct stream_loop *loop, void (*fn)(void *arg), void *arg)
{
	struct post *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&loop->post_lock);
	*loop->posts_end = p;
	loop->posts_end = &p->next;
	pthread_mutex_unlock(&loop->post_lock);
	atomic_store(&loop->posted, true);
	loop_wake(loop);
	return 0;
}

void stream_loop_stats(const struct stream_loop *loop, struct stream_stats *out)
{
	*out = loop->stats;
}

/* ---- timers ---- */

uint64_t stream_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t stream_round_ns(const struct stream_loop *loop)
{
	return loop->now_ns;
}

void stream_timer_arm(struct stream_loop *loop, struct stream_timer *t, uint64_t deadline_ns,
		      void (*fire)(struct stream_timer *t))
{
	stream_timer_cancel(loop, t);
	t->fire = fire;
	t->deadline_ns = deadline_ns;
	t->armed = true;
	timer_heap_insert(&loop->timers, t);
}

void stream_timer_cancel(struct stream_loop *loop, struct stream_timer *t)
{
	if (!t->armed)
		return;
	timer_heap_remove(&loop->timers, t);
	t->armed = false;
}
