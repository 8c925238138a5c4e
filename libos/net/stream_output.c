/*
 * Output of a loop's streams on its way to TCP.
 *
 * A stream's output is a queue of pieces. A server writes into the packet at its end, which is the
 * TCP segment to be: what is copied there is copied once, and lies where the device will read it.
 * Bytes lent with stream_write_ref() are pieces of their own. The queue belongs to the loop's
 * thread; the loop's next section hands it to TCP, piece by piece, as far as TCP has room. The rest
 * waits, without being copied, for an acknowledgement.
 *
 * A packet becomes a segment as it is: sent at once with headers from the connection's template
 * (template.c) when nothing waits before it and the windows have room, else queued for tcp_output()
 * as tcp_write() would have queued it. Behind an unsent segment that has room for it, it joins that
 * one.
 *
 * Most answers are small. A stream starts with a small packet; one that has filled it starts its
 * next batches with large ones, until a batch would have fitted into a small one again.
 *
 * A loan is in flight from tcp_write() on, and ends when no segment names it (everything before the
 * first segment that TCP still keeps; an acknowledgement in the middle of a segment does not count,
 * because the segment may be sent again) and then no transmission does (transmit.c).
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>

#include <string.h>

#include "connections.h"
#include "loans.h"
#include "lwip/priv/tcp_priv.h"
#include "stream_lwip.h"
#include "template.h"

COUNTER(stream_output_waits, "writes that found TCP's send buffer full");

#define WRITE_MAX 0xffffu       /* tcp_write() takes 16-bit lengths */
#define JOIN_MAX  12u           /* pieces of one segment */

static void loan_to_release(struct stream_loop *loop, struct stream_loan *loan)
{
	loan->mark = net_transmit_mark();
	list_push_back(&loop->releasing, &loan->link);
}

static void release_unnamed(struct stream *s)
{
	struct stream_loan *loan, *next;
	uint32_t seq;

	if (list_is_empty(&s->in_flight))
		return;
	seq = net_first_named_seq(s->pcb);
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

static void starve(struct stream *s, err_t err)
{
	if (err == ERR_MEM && !list_is_linked(&s->starved))
		list_push_back(&s->loop->starved, &s->starved);
}

static struct stream_loan *loan_of(struct output_piece *piece)
{
	return container_of(piece, struct stream_loan, piece);
}

static void queue_piece(struct stream *s, struct output_piece *piece)
{
	piece->next = NULL;
	if (s->out_first)
		s->out_last->next = piece;
	else
		s->out_first = piece;
	s->out_last = piece;
}

static void dequeue(struct stream *s)
{
	s->out_first = s->out_first->next;
	if (!s->out_first)
		s->out_last = NULL;
}

/* Hands TCP as much of a loan as it takes; true when that is all of it. */
static bool push_loan(struct stream *s, struct stream_loan *loan)
{
	err_t err = ERR_OK;

	while (loan->len) {
		size_t n = MIN(MIN(loan->len, (size_t)tcp_sndbuf(s->pcb)), (size_t)WRITE_MAX);

		if (!n)
			break;
		err = tcp_write(s->pcb, loan->data, (u16_t)n,
				loan->piece.next ? TCP_WRITE_FLAG_MORE : 0);
		if (err != ERR_OK)
			break;
		loan->data += n;
		loan->len -= n;
	}
	starve(s, err);
	if (loan->len)
		return false;
	loan->end_seq = s->pcb->snd_lbb;
	dequeue(s);
	list_push_back(&s->in_flight, &loan->link);
	return true;
}

/* The packet's bytes as a segment that follows all others. */
static void make_segment(struct tcp_pcb *pcb, struct packet *k, bool push)
{
	struct tcp_seg *seg = &k->segment;
	uint32_t *tcp = (uint32_t *)(k->payload - TCP_HLEN);

	*seg = (struct tcp_seg){
		.p = &k->custom.pbuf, .len = packet_len(k), .tcphdr = (struct tcp_hdr *)tcp
	};
	tcp[0] = lwip_htons(pcb->local_port) | (uint32_t)lwip_htons(pcb->remote_port) << 16;
	tcp[1] = lwip_htonl(pcb->snd_lbb);
	tcp[3] = 0x50 | (push ? TCP_PSH << 8 : 0);
	tcp[4] = 0;
}

/* Bytes that may still be added to a segment. */
static uint16_t join_room(const struct stream *s, const struct tcp_seg *tail)
{
	if (!tail->len || (TCPH_FLAGS(tail->tcphdr) & (TCP_SYN | TCP_FIN)) ||
	    pbuf_clen(tail->p) >= JOIN_MAX)
		return 0;
	return (uint16_t)(s->segment_room - MIN(s->segment_room, tail->len));
}

/* Behind what waits for the window, as a segment or as the end of one. */
static void append_unsent(struct stream *s, struct tcp_pcb *pcb, struct packet *k, bool push)
{
	struct tcp_seg *tail = pcb->unsent;
	struct pbuf *p = &k->custom.pbuf;

	pcb->unsent_oversize = 0;
	if (!tail) {
		p->payload = k->payload - TCP_HLEN;
		p->len = p->tot_len = (u16_t)(p->len + TCP_HLEN);
		pcb->unsent = &k->segment;
		return;
	}
	while (tail->next)
		tail = tail->next;
	if (join_room(s, tail) >= p->len) {
		tail->len = (u16_t)(tail->len + p->len);
		pbuf_cat(tail->p, p);
		if (push)
			TCPH_SET_FLAG(tail->tcphdr, TCP_PSH);
		return;
	}
	p->payload = k->payload - TCP_HLEN;
	p->len = p->tot_len = (u16_t)(p->len + TCP_HLEN);
	tail->next = &k->segment;
}

/* True when TCP has taken the packet over. */
static bool push_packet(struct stream *s, struct packet *k)
{
	struct tcp_pcb *pcb = s->pcb;
	uint16_t len = packet_len(k);
	bool push = !k->piece.next;

	if (unlikely(pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT))
		return false;
	if (unlikely(len > pcb->snd_buf || pcb->snd_queuelen >= TCP_SND_QUEUELEN)) {
		counter_inc(stream_output_waits);
		return false;
	}
	if (s->open == k)
		s->open = NULL;
	dequeue(s);
	make_segment(pcb, k, push);
	pcb->snd_lbb += len;
	pcb->snd_buf -= len;
	pcb->snd_queuelen++;
	if (likely(net_template_send(net_connection_template(pcb), k)))
		return true;
	append_unsent(s, pcb, k, push);
	return true;
}

static void drop_packet(struct stream *s, struct packet *k)
{
	if (s->open == k)
		s->open = NULL;
	dequeue(s);
	packet_put(k);
}

/* What the next batch starts with. */
static void choose_size(struct stream *s)
{
	if (s->appended == s->size_chosen_at)
		return;
	s->packet_size = s->appended - s->size_chosen_at > PACKET_SMALL_ROOM ? PACKET_LARGE
									     : PACKET_SMALL;
	s->size_chosen_at = s->appended;
}

void stream_output_push(struct stream *s)
{
	struct output_piece *piece;

	choose_size(s);
	while ((piece = s->out_first)) {
		if (piece->is_loan) {
			if (!push_loan(s, loan_of(piece)))
				break;
		} else if (unlikely(!packet_len(packet_of(piece)))) {
			drop_packet(s, packet_of(piece));
		} else if (!push_packet(s, packet_of(piece))) {
			break;
		}
	}
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
}

/* Nobody will take what is queued. S and o */
void stream_output_discard(struct stream *s)
{
	while (s->out_first) {
		struct output_piece *piece = s->out_first;

		if (!piece->is_loan) {
			drop_packet(s, packet_of(piece));
			continue;
		}
		dequeue(s);
		loan_to_release(s->loop, loan_of(piece));
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

static inline bool is_writable(const struct stream *s)
{
	return !s->is_closing && !s->is_aborting && !s->is_dead && !(s->seen & STREAM_GONE);
}

/* Bytes that the packet still has room for, within one segment of this connection. */
static inline size_t room_in(const struct stream *s, const struct packet *k)
{
	size_t room = MIN(k->room, s->segment_room);

	return room > packet_len(k) ? room - packet_len(k) : 0;
}

static inline void appended(struct stream *s, size_t len)
{
	s->appended += len;
	s->loop->stats.bytes_out += len;
	if (unlikely(!list_is_linked(&s->touched)))
		stream_touch(s);
}

/* A packet for at least `len` bytes at the end of the queue; NULL: no memory. */
static struct packet *open_packet(struct stream *s, size_t len)
{
	enum packet_size size = s->open || len > PACKET_SMALL_ROOM ? PACKET_LARGE : s->packet_size;
	struct packet *k = stream_packet_take(s->loop, size);

	if (!k)
		return NULL;
	queue_piece(s, &k->piece);
	s->open = k;
	return k;
}

/* The one place where the back end copies output. */
static void copy_bytes(struct stream_loop *loop, void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	loop->stats.bytes_copied_out += len;
}

static void copy_in(struct stream *s, struct packet *k, const void *from, size_t len)
{
	copy_bytes(s->loop, k->payload + packet_len(k), from, len);
	packet_set_len(k, packet_len(k) + len);
	if (planted(STREAM_SECOND_COPY))
		copy_bytes(s->loop, k->payload + packet_len(k) - len, from, len);
}

/* More than one segment holds is written aside, and copied by stream_commit(). */
static void *reserve_aside(struct stream *s, size_t len)
{
	struct stream_loop *loop = s->loop;

	if (len > STREAM_RESERVE_MAX)
		return NULL;
	if (!loop->aside)
		loop->aside = kmalloc(STREAM_RESERVE_MAX);
	loop->aside_is_reserved = loop->aside != NULL;
	return loop->aside;
}

static __attribute__((noinline)) void *reserve_elsewhere(struct stream *s, size_t len)
{
	struct packet *k;

	if (!is_writable(s))
		return NULL;
	if (unlikely(len > s->segment_room))
		return reserve_aside(s, len);
	k = open_packet(s, len);
	return k ? k->payload : NULL;
}

void *stream_reserve(struct stream *s, size_t len)
{
	struct packet *k = s->open;

	if (likely(k && room_in(s, k) >= len && is_writable(s)))
		return k->payload + packet_len(k);
	return reserve_elsewhere(s, len);
}

static __attribute__((noinline)) void commit_aside(struct stream *s, size_t len)
{
	s->loop->aside_is_reserved = false;
	if (stream_write(s, s->loop->aside, len) < 0)
		stream_abort(s);              /* memory went between the two calls */
}

void stream_commit(struct stream *s, size_t len)
{
	struct packet *k = s->open;

	if (unlikely(s->loop->aside_is_reserved)) {
		commit_aside(s, len);
		return;
	}
	assert(k && len <= room_in(s, k));
	packet_set_len(k, packet_len(k) + len);
	appended(s, len);
}

/* Packets for `len` bytes, linked, not yet in the queue. False: no memory, and none are taken. */
static bool take_packets(struct stream *s, size_t len, struct output_piece **list)
{
	enum packet_size size = s->open || len > PACKET_SMALL_ROOM ? PACKET_LARGE : s->packet_size;
	size_t room = 0;

	for (*list = NULL; room < len; room += room_in(s, packet_of(*list))) {
		struct packet *k = stream_packet_take(s->loop, size);

		if (!k) {
			for (struct output_piece *piece; (piece = *list);) {
				*list = piece->next;
				stream_packet_return(s->loop, packet_of(piece));
			}
			return false;
		}
		k->piece.next = *list;
		*list = &k->piece;
	}
	return true;
}

int stream_write(struct stream *s, const void *data, size_t len)
{
	size_t here = s->open ? MIN(len, room_in(s, s->open)) : 0, left = len - here;
	const uint8_t *from = data;
	struct output_piece *more;

	if (unlikely(!is_writable(s)))
		return -EPIPE;
	if (unlikely(!take_packets(s, left, &more)))
		return -ENOMEM;
	if (here)
		copy_in(s, s->open, from, here);
	for (from += here; left; from += here, left -= here) {
		struct packet *k = packet_of(more);

		more = more->next;
		queue_piece(s, &k->piece);
		s->open = k;
		here = MIN(left, room_in(s, k));
		copy_in(s, k, from, here);
	}
	appended(s, len);
	return 0;
}

/* A short loan is copied, and given back in the next service. */
static int write_short_ref(struct stream *s, struct stream_loan *loan)
{
	int err = stream_write(s, loan->data, loan->len);

	if (err)
		kfree(loan);
	else
		list_push_back(&s->loop->released, &loan->link);
	return err;
}

int stream_write_ref(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
		     void *arg)
{
	struct stream_loan *loan;

	if (!is_writable(s))
		return -EPIPE;
	loan = kmalloc(sizeof(*loan));
	if (!loan)
		return -ENOMEM;
	*loan = (struct stream_loan){ .piece.is_loan = true, .data = data, .len = len,
				      .release = release, .arg = arg };
	if (len <= STREAM_COPY_MAX)
		return write_short_ref(s, loan);
	queue_piece(s, &loan->piece);
	s->open = NULL;
	appended(s, len);
	return 0;
}

void stream_flush(struct stream *s)
{
	if (!s->out_first)
		return;
	net_enter();
	if (s->pcb && !s->is_dead && !s->is_aborting) {
		stream_output_push(s);
		stream_tcp_output(s);
	}
	net_leave();
}

size_t stream_backlog(const struct stream *s)
{
	return s->appended > s->acked_seen ? (size_t)(s->appended - s->acked_seen) : 0;
}
