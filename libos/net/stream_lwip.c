/*
 * The life of a stream in the lwIP back end of <libos/stream.h>; stream_loop.c drives it.
 *
 * Accepted or connected (STREAM_OPENED) -> open -> closing (stream_close(), or the peer ended, or
 * an error) -> detached from its pcb -> closed() -> freed in the next section, when the log can no
 * longer name it. The pcb outlives a closed stream in lwIP's care until the peer has acknowledged;
 * only loans in flight delay the detachment, since their end must be seen.
 */
#include "stream_lwip.h"

#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>
#include <core/trace.h>

#include "address.h"
#include "connections.h"

COUNTER(stream_accepted, "streams opened");

#define DEFAULT_MAX_PENDING KIB(64)
#define DEFAULT_HIGH_WATER  KIB(256)
#define DEFAULT_BACKLOG     1024

/*
 * Small numbers for streams, listeners and datagrams: a stack of returned ones above a counter.
 * Stack lock.
 */
static struct {
	int *free;
	int free_count, free_room, next;
} ids = { .next = 16 };

/* Room for every id that may come back is made when it is given out. */
int stream_id_alloc(void)
{
	int *bigger;

	if (ids.free_count)
		return ids.free[--ids.free_count];
	if (ids.next - 16 >= ids.free_room) {
		int room = ids.free_room ? ids.free_room * 2 : 64;

		bigger = kmalloc((size_t)room * sizeof(int));
		if (!bigger)
			return -ENOMEM;
		kfree(ids.free);         /* empty: every id is out */
		ids.free = bigger;
		ids.free_room = room;
	}
	return ids.next++;
}

void stream_id_free(int id)
{
	ids.free[ids.free_count++] = id;
}

struct stream_class *stream_class_create(const struct stream_ops *ops,
					 const struct stream_options *options, int family)
{
	struct stream_class *class = kzalloc(sizeof(*class));

	if (!class)
		return NULL;
	class->refs = 1;
	class->ops = *ops;
	class->family = family;
	if (options)
		class->options = *options;
	if (!class->options.max_pending)
		class->options.max_pending = DEFAULT_MAX_PENDING;
	if (!class->options.high_water)
		class->options.high_water = DEFAULT_HIGH_WATER;
	if (!class->options.low_water)
		class->options.low_water = class->options.high_water / 4;
	if (class->options.backlog <= 0)
		class->options.backlog = DEFAULT_BACKLOG;
	stream_class_head_init(&class->head, &class->ops, &class->options);
	return class;
}

void stream_class_get(struct stream_class *class)
{
	class->refs++;
}

void stream_class_put(struct stream_class *class)
{
	if (!--class->refs)
		kfree(class);
}

void stream_mark(struct stream *s, unsigned events)
{
	s->events |= events;
	if (list_is_linked(&s->ready))
		return;
	list_push_back(&s->loop->ready, &s->ready);
	stream_loop_mark(s->loop);
}

void stream_touch(struct stream *s)
{
	if (unlikely(!list_is_linked(&s->touched)))
		list_push_back(&s->loop->touched, &s->touched);
}

/* lwIP has dropped the connection and freed the pcb. */
static void gone_callback(void *arg, err_t err)
{
	struct stream *s = arg;

	s->pcb = NULL;
	s->error = err == ERR_CLSD ? 0 : net_errno(err);
	stream_output_drop(s);
	stream_mark(s, STREAM_GONE);
}

/* The same without a reason: lwIP has forgotten a connection that was over (TIME_WAIT). */
static void forgotten(void *owner)
{
	struct stream *s = owner;

	s->pcb = NULL;
	stream_output_drop(s);
	stream_mark(s, STREAM_GONE);
}

static void pcb_attach(struct stream *s, struct tcp_pcb *pcb)
{
	s->pcb = pcb;
	tcp_arg(pcb, s);
	tcp_recv(pcb, stream_recv_callback);
	tcp_sent(pcb, stream_sent_callback);
	tcp_err(pcb, gone_callback);
	net_connection_watch(pcb, forgotten, s);
	tcp_nagle_disable(pcb);
	ip_set_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = CONFIG_NET_KEEPALIVE_S * 1000u;
	pcb->keep_intvl = 10000;
	pcb->keep_cnt = 3;
}

void stream_pcb_detach(struct tcp_pcb *pcb)
{
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	net_connection_watch(pcb, NULL, NULL);
}

int stream_track(struct stream *s)
{
	int err = net_connection_track(s->pcb);

	if (!err)
		net_connection_watch(s->pcb, forgotten, s);
	return err;
}

/* As tcp_write() has it: no segment larger than half of the peer's largest window. */
static void stream_measure_segments(struct stream *s)
{
	uint32_t half = s->pcb->snd_wnd_max / 2, room = s->pcb->mss;

	if (half && half < room)
		room = half;
	s->segment_room = (uint16_t)MIN(room, (uint32_t)PACKET_ROOM);
}

struct stream *stream_create(struct stream_loop *loop, struct stream_class *class, void *user,
			     struct tcp_pcb *pcb)
{
	struct stream *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->id = stream_id_alloc();
	if (s->id < 0) {
		kfree(s);
		return NULL;
	}
	s->loop = loop;
	s->class = class;
	stream_head_init(&s->head, &class->head);
	s->user = user;
	stream_class_get(class);
	list_init(&s->ready);
	list_init(&s->work);
	list_init(&s->touched);
	list_init(&s->starved);
	list_init(&s->in_flight);
	list_push_back(&loop->streams, &s->all);
	pcb_attach(s, pcb);
	stream_measure_segments(s);
	return s;
}

/* Stack lock and loop thread. Nothing names the stream any more but us. */
void stream_free(struct stream *s)
{
	stream_output_discard(s);
	assert(!s->pcb && list_is_empty(&s->in_flight));
	stream_head_fini(&s->loop->head, &s->head);
	list_remove(&s->all);
	list_remove(&s->ready);
	list_remove(&s->touched);
	list_remove(&s->starved);
	stream_id_free(s->id);
	stream_class_put(s->class);
	if (s->inbox)
		pbuf_free(s->inbox);
	kfree(s);
}

static void detach(struct stream *s, int error)
{
	s->is_detached = true;
	s->close_error = error;
	s->acked_seen = s->appended;
	stream_mark(s, 0);
}

void stream_do_abort(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;

	s->pcb = NULL;
	stream_pcb_detach(pcb);
	tcp_abort(pcb);
	stream_output_drop(s);
	detach(s, s->close_error);
}

/*
 * Input that the server will not read is credited first: a connection closed with unread bytes
 * would be reset by lwIP, and the reset would overtake our output.
 */
static void credit_all(struct stream *s)
{
	while (s->unread_bytes) {
		u16_t n = (u16_t)MIN(s->unread_bytes, (size_t)UINT16_MAX);

		tcp_recved(s->pcb, n);
		s->unread_bytes -= n;
	}
}

void stream_do_close(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;

	net_connection_closing(pcb);
	stream_input_discard(s);
	credit_all(s);
	if (s->out_first)
		return;                  /* the acknowledgement that makes room comes back here */
	if (!list_is_empty(&s->in_flight)) {
		tcp_shutdown(pcb, 0, 1);
		return;
	}
	stream_pcb_detach(pcb);
	s->pcb = NULL;
	if (tcp_close(pcb) != ERR_OK)
		tcp_abort(pcb);
	detach(s, 0);
}

static void credit_consumed(struct stream *s)
{
	size_t n = MIN(s->consumed, s->unread_bytes);

	s->unread_bytes -= n;
	s->consumed = 0;
	for (; n; n -= MIN(n, (size_t)UINT16_MAX))
		tcp_recved(s->pcb, (u16_t)MIN(n, (size_t)UINT16_MAX));
}

/* tcp_output(), where it has something to do. */
void stream_tcp_output(struct stream *s)
{
	if (s->pcb->unsent || (s->pcb->flags & (TF_ACK_NOW | TF_NAGLEMEMERR)))
		tcp_output(s->pcb);
}

/*
 * Is more waiting than the server wants? Asked before acknowledgements are collected, which may
 * come all at once: then nobody else sees the backlog that they end.
 */
static inline void note_backlog(struct stream *s)
{
	if (unlikely(stream_backlog(s) > s->class->options.high_water))
		s->is_over_high = true;
}

/* What the server asked of a stream during the last round. */
static void carry_out(struct stream *s)
{
	list_remove(&s->touched);
	if (!s->pcb || s->is_dead)
		return;
	net_timer_tcp_active();
	if (s->is_aborting) {
		stream_do_abort(s);
		return;
	}
	credit_consumed(s);
	note_backlog(s);
	stream_output_push(s);
	if (s->is_closing)
		stream_do_close(s);
	if (s->pcb)
		stream_tcp_output(s);
}

static void free_dead(struct stream_loop *loop)
{
	struct list *link;

	while ((link = list_pop_front(&loop->dead)))
		stream_free(list_entry(link, struct stream, work));
}

void stream_carry_out_all(struct stream_loop *loop)
{
	struct stream *s;

	loop->stats.batches += !list_is_empty(&loop->touched);
	while (!list_is_empty(&loop->starved)) {
		s = list_first(&loop->starved, struct stream, starved);
		list_remove(&s->starved);
		stream_touch(s);
	}
	while (!list_is_empty(&loop->touched))
		carry_out(list_first(&loop->touched, struct stream, touched));
	stream_input_free_used(loop);
	free_dead(loop);
}

void stream_collect_all(struct stream_loop *loop)
{
	struct list *link;

	while ((link = list_pop_front(&loop->ready))) {
		struct stream *s = list_entry(link, struct stream, ready);

		stream_input_collect(s);
		s->seen |= s->events;
		s->seen_error = s->error;
		s->acked_seen = MAX(s->acked_seen, s->acked_bytes);
		if (s->pcb)
			stream_measure_segments(s);
		s->events = 0;
		if (s->pcb && s->out_first)
			stream_touch(s);
		if (s->is_closing && s->pcb)
			stream_touch(s);
		if (!list_is_linked(&s->work))
			list_push_back(&loop->work, &s->work);
	}
	stream_output_collect_releases(loop);
}

/* A connect that failed was never opened, and its server must hear of it all the same. */
static void serve_close(struct stream *s, int error)
{
	bool must_tell = s->is_open || s->is_connecting;

	s->is_dead = true;
	s->is_open = false;
	stream_input_drop(s);
	if (s->is_connecting && error == -ECONNRESET)
		error = -ECONNREFUSED;
	s->is_connecting = false;
	if (must_tell)
		s->class->ops.closed(s, error);
	list_remove(&s->work);
	list_push_back(&s->loop->dead, &s->work);
	s->loop->is_awake = true;
}

static void serve_opened(struct stream *s)
{
	int err;

	s->seen &= ~(unsigned)STREAM_OPENED;
	s->loop->stats.accepted++;
	counter_inc(stream_accepted);
	s->is_open = true;
	s->is_connecting = false;
	err = s->class->ops.opened ? s->class->ops.opened(s) : 0;
	if (err) {
		s->is_open = false;
		s->is_aborting = true;
		stream_touch(s);
	}
}

static void serve_backlog(struct stream *s)
{
	const struct stream_options *o = &s->class->options;

	note_backlog(s);
	if (s->is_over_high && stream_backlog(s) < o->low_water) {
		s->is_over_high = false;
		if (s->class->ops.writable)
			s->class->ops.writable(s);
	}
}

static void serve_end(struct stream *s)
{
	if (!(s->seen & STREAM_FIN) || s->has_ended || s->is_closing || s->is_aborting ||
	    s->is_paused)
		return;
	if (!stream_input_is_empty(s) && !s->has_left_over)
		return;
	s->has_ended = true;
	if (s->class->ops.ended)
		s->class->ops.ended(s);
	else
		stream_close(s);
}

static void serve_gone(struct stream *s)
{
	if (s->seen & STREAM_GONE && !s->is_aborting)
		serve_close(s, s->is_closing ? 0 : s->seen_error);
	else
		serve_close(s, s->close_error);
}

void stream_serve(struct stream *s)
{
	bool is_gone = s->seen & STREAM_GONE || s->is_detached;

	list_remove(&s->work);
	if (s->is_dead)
		return;
	trace_detail_begin("serve", s->id);
	if (s->seen & STREAM_OPENED && !is_gone)
		serve_opened(s);
	if (s->is_open && !s->is_aborting && !s->is_detached) {
		serve_backlog(s);
		stream_input_serve(s);
		stream_head_resume(&s->head);
		if (!is_gone)
			serve_end(s);
		serve_backlog(s);
	}
	s->seen &= STREAM_FIN | STREAM_GONE | STREAM_OPENED;
	if (is_gone)
		serve_gone(s);
	trace_detail_end("serve");
}

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
	return s->id;
}

void stream_pause(struct stream *s, bool paused)
{
	s->is_paused = paused;
	if (paused || s->is_dead)
		return;
	if (!list_is_linked(&s->work))
		list_push_back(&s->loop->work, &s->work);
	s->loop->is_awake = true;
}

void stream_close(struct stream *s)
{
	s->is_closing = true;
	stream_touch(s);
}

void stream_abort(struct stream *s)
{
	if (!s->is_aborting)
		s->close_error = -ECONNABORTED;
	s->is_aborting = true;
	stream_touch(s);
}
