/*
 * Output of a loop's streams on its way to TCP.
 *
 * What servers write during a batch goes into the loop's log: short writes are gathered in the
 * arena, one behind the other, loans are entered by reference. The log is carried into TCP in the
 * loop's next section under the stack lock, in order; bytes of the arena are copied there into
 * segments (their only copy), and each stream that had output calls tcp_output() once.
 *
 * What TCP has no room for waits in the stream's queue: the arena's bytes in a heap copy. A loan is
 * in flight from tcp_write() on, and ends when no segment names it (everything before the first
 * segment that TCP still keeps; an acknowledgement in the middle of a segment does not count,
 * because the segment may be sent again) and then no transmission does (transmit.c).
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>

#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "stream_lwip.h"

COUNTER(stream_output_waits, "writes that found TCP's send buffer full");
COUNTER(stream_drop_memory, "streams ended because their output could not be kept");

#define WRITE_MAX 0xffffu       /* tcp_write() takes 16-bit lengths */

static void loan_to_release(struct stream_loop *loop, struct stream_loan *loan)
{
	loan->mark = net_transmit_mark();
	list_push_back(&loop->releasing, &loan->link);
}

/* The number before which no segment of the connection names a byte. */
static uint32_t first_named_seq(const struct tcp_pcb *pcb)
{
	uint32_t seq = pcb->snd_lbb;

	if (pcb->unsent && TCP_SEQ_LT(lwip_ntohl(pcb->unsent->tcphdr->seqno), seq))
		seq = lwip_ntohl(pcb->unsent->tcphdr->seqno);
	if (pcb->unacked && TCP_SEQ_LT(lwip_ntohl(pcb->unacked->tcphdr->seqno), seq))
		seq = lwip_ntohl(pcb->unacked->tcphdr->seqno);
	return seq;
}

static void release_unnamed(struct stream *s)
{
	struct stream_loan *loan, *next;
	uint32_t seq;

	if (list_is_empty(&s->in_flight))
		return;
	seq = first_named_seq(s->pcb);
	list_for_each_safe(loan, next, &s->in_flight, link) {
		if (TCP_SEQ_GT(loan->end_seq, seq))
			break;
		list_remove(&loan->link);
		loan_to_release(s->loop, loan);
	}
}

err_t stream_sent_callback(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct stream *s = arg;

	(void)pcb;
	s->acked_bytes += len;
	release_unnamed(s);
	stream_mark(s, STREAM_SENT);
	return ERR_OK;
}

/* Hands TCP as much as it takes; the number of bytes, and *err of the last attempt. */
static size_t write_some(struct stream *s, const uint8_t *data, size_t len, u8_t flags, err_t *err)
{
	size_t done = 0;

	*err = ERR_OK;
	while (done < len) {
		size_t n = MIN(MIN(len - done, (size_t)tcp_sndbuf(s->pcb)), (size_t)WRITE_MAX);

		if (!n)
			break;
		*err = tcp_write(s->pcb, data + done, (u16_t)n, flags);
		if (*err != ERR_OK)
			break;
		done += n;
	}
	return done;
}

static void starve(struct stream *s, err_t err)
{
	if (err == ERR_MEM && !list_is_linked(&s->starved))
		list_push_back(&s->loop->starved, &s->starved);
}

/* Writes from the front of a queued loan; true when all of it is in TCP. */
static bool push_loan(struct stream *s, struct stream_loan *loan)
{
	err_t err;
	size_t n = write_some(s, loan->data, loan->len, 0, &err);

	loan->data += n;
	loan->len -= n;
	starve(s, err);
	if (loan->len)
		return false;
	loan->end_seq = s->pcb->snd_lbb;
	list_remove(&loan->link);
	list_push_back(&s->in_flight, &loan->link);
	return true;
}

void stream_output_push(struct stream *s)
{
	while (s->pcb && !list_is_empty(&s->queued))
		if (!push_loan(s, list_first(&s->queued, struct stream_loan, link)))
			break;
}

/* What TCP did not take of the arena is kept in a copy, which is lent to TCP later. */
static void queue_copy(struct stream *s, const uint8_t *data, size_t len)
{
	struct stream_loan *loan = kmalloc(sizeof(*loan) + len);

	counter_inc(stream_output_waits);
	if (!loan) {
		counter_inc(stream_drop_memory);
		s->is_aborting = true;
		s->close_error = -ENOMEM;
		return;
	}
	memcpy(loan + 1, data, len);
	loan->data = (uint8_t *)(loan + 1);
	loan->len = len;
	loan->release = NULL;
	list_push_back(&s->queued, &loan->link);
}

static void flush_bytes(const struct stream_output *o, bool more)
{
	struct stream *s = o->stream;
	err_t err = ERR_OK;
	size_t n = 0;

	if (list_is_empty(&s->queued))
		n = write_some(s, o->data, o->len,
			       TCP_WRITE_FLAG_COPY | (more ? TCP_WRITE_FLAG_MORE : 0), &err);
	s->loop->stats.bytes_copied_out += n;
	if (n == o->len)
		return;
	starve(s, err);
	queue_copy(s, o->data + n, o->len - n);
}

static void flush_loan(const struct stream_output *o)
{
	struct stream *s = o->stream;
	bool is_first = list_is_empty(&s->queued);

	list_push_back(&s->queued, &o->loan->link);
	if (is_first)
		push_loan(s, o->loan);
}

static void flush_entry(struct stream_loop *loop, unsigned i)
{
	const struct stream_output *o = &loop->log[i];
	struct stream *s = o->stream;

	if (!s->pcb || s->is_dead || s->is_aborting) {
		if (o->loan)
			loan_to_release(loop, o->loan);
		return;
	}
	if (o->loan)
		flush_loan(o);
	else
		flush_bytes(o, i + 1 < loop->log_used && loop->log[i + 1].stream == s);
}

void stream_output_flush(struct stream_loop *loop)
{
	for (unsigned i = 0; i < loop->log_used; i++)
		flush_entry(loop, i);
	loop->log_used = 0;
	loop->arena_used = 0;
}

bool stream_output_is_starved(const struct stream_loop *loop)
{
	return !list_is_empty(&loop->starved);
}

/* The connection is gone, and its segments with it. */
void stream_output_drop(struct stream *s)
{
	struct stream_loan *loan, *next;

	list_for_each_safe(loan, next, &s->in_flight, link) {
		list_remove(&loan->link);
		loan_to_release(s->loop, loan);
	}
	list_for_each_safe(loan, next, &s->queued, link) {
		list_remove(&loan->link);
		loan_to_release(s->loop, loan);
	}
}

void stream_output_collect_releases(struct stream_loop *loop)
{
	struct stream_loan *loan, *next;

	list_for_each_safe(loan, next, &loop->releasing, link) {
		if (!net_transmit_has_passed(loan->mark))
			break;
		list_remove(&loan->link);
		list_push_back(&loop->released, &loan->link);
	}
}

void stream_output_run_releases(struct stream_loop *loop)
{
	struct list *link;

	while ((link = list_pop_front(&loop->released))) {
		struct stream_loan *loan = list_entry(link, struct stream_loan, link);

		if (loan->release)
			loan->release(loan->arg);
		kfree(loan);
	}
}

/* Makes room in the log and the arena by ending the batch early. */
static void make_room(struct stream_loop *loop, size_t arena_bytes)
{
	if (loop->log_used < STREAM_LOG_ENTRIES &&
	    loop->arena_used + arena_bytes <= STREAM_ARENA_BYTES)
		return;
	net_enter();
	stream_output_flush(loop);
	net_leave();
}

static bool is_writable(const struct stream *s)
{
	return !s->is_closing && !s->is_aborting && !s->is_dead && !(s->seen & STREAM_GONE);
}

/* The last `len` bytes of the arena are the stream's; they join its last entry where they follow it. */
static void log_bytes(struct stream *s, size_t len)
{
	struct stream_loop *loop = s->loop;
	struct stream_output *last = loop->log_used ? &loop->log[loop->log_used - 1] : NULL;

	if (last && last->stream == s && !last->loan)
		last->len += len;
	else
		loop->log[loop->log_used++] =
			(struct stream_output){ s, loop->arena + loop->arena_used, len, NULL };
	loop->arena_used += len;
	s->appended += len;
	loop->stats.bytes_out += len;
	stream_touch(s);
}

void *stream_reserve(struct stream *s, size_t len)
{
	struct stream_loop *loop = s->loop;

	if (len > STREAM_RESERVE_MAX || !is_writable(s))
		return NULL;
	make_room(loop, len);
	loop->reserved = len;
	return loop->arena + loop->arena_used;
}

void stream_commit(struct stream *s, size_t len)
{
	assert(len <= s->loop->reserved);
	s->loop->reserved = 0;
	if (len)
		log_bytes(s, len);
}

int stream_write(struct stream *s, const void *data, size_t len)
{
	const uint8_t *from = data;

	if (!is_writable(s))
		return -EPIPE;
	while (len) {
		size_t n = MIN(len, STREAM_ARENA_BYTES / 4);

		make_room(s->loop, n);
		memcpy(s->loop->arena + s->loop->arena_used, from, n);
		log_bytes(s, n);
		from += n;
		len -= n;
	}
	return 0;
}

int stream_write_ref(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
		     void *arg)
{
	struct stream_loan *loan;
	struct stream_loop *loop = s->loop;

	if (!is_writable(s))
		return -EPIPE;
	loan = kmalloc(sizeof(*loan));
	if (!loan)
		return -ENOMEM;
	*loan = (struct stream_loan){ .data = data, .len = len, .release = release, .arg = arg };
	if (len <= STREAM_COPY_MAX) {
		make_room(loop, len);
		memcpy(loop->arena + loop->arena_used, data, len);
		if (len)
			log_bytes(s, len);
		list_push_back(&loop->released, &loan->link);
		return 0;
	}
	make_room(loop, 0);
	loop->log[loop->log_used++] = (struct stream_output){ s, data, len, loan };
	s->appended += len;
	loop->stats.bytes_out += len;
	stream_touch(s);
	return 0;
}

void stream_flush(struct stream *s)
{
	struct stream_loop *loop = s->loop;

	if (!loop->log_used)
		return;
	net_enter();
	stream_output_flush(loop);
	if (s->pcb)
		tcp_output(s->pcb);
	net_leave();
}

size_t stream_backlog(const struct stream *s)
{
	return s->appended > s->acked_seen ? (size_t)(s->appended - s->acked_seen) : 0;
}
