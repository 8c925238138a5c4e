/*
 * Private to the lwIP back end of <libos/stream.h>: the objects, and who may touch what.
 *
 *   Locks:  I set once   S stack lock   o the loop's thread only   a atomic   p post lock
 *
 * lwIP's callbacks run under the stack lock in whichever thread runs the stack. They leave what
 * happened in the stream's [S] part and put the stream on its loop's `ready` list. The loop's
 * thread collects the list under the lock, then calls the server without it; what the server asks
 * for is noted in the [o] part and carried out in the loop's next section under the lock.
 */
#ifndef NET_STREAM_LWIP_H
#define NET_STREAM_LWIP_H

#include <core/errno.h>
#include <core/list.h>
#include <core/sync.h>
#include <libos/stream.h>

#include "lwip/tcp.h"
#include "packet.h"
#include "stack.h"
#include "stream_wire.h"
#include "timer_heap.h"

/* Events of a stream between lwIP's callbacks and the loop. */
enum {
	STREAM_OPENED = 1 << 0,
	STREAM_INPUT  = 1 << 1,
	STREAM_FIN    = 1 << 2,
	STREAM_SENT   = 1 << 3,
	STREAM_GONE   = 1 << 4,    /* lwIP has dropped the connection; `error` says why */
	STREAM_RESUME = 1 << 5,    /* stream_pause(false): look at the input again */
};

/* What a server is told about the streams of one listener or connect. Shared, counted. */
struct stream_class {
	unsigned refs;                    /* [S] */
	struct stream_ops ops;            /* [I] */
	struct stream_options options;    /* [I] defaults filled in */
	int family;                       /* [I] in which addresses are shown */
	struct stream_class_head head;    /* [I] */
};

/* Bytes lent by the server, from stream_write_ref() until release(). */
struct stream_loan {
	struct output_piece piece;
	struct list link;                 /* in_flight, then releasing, then released */
	const uint8_t *data;
	size_t len;
	/* the sequence number behind the last byte, once written */
	uint32_t end_seq;
	uint64_t mark;                    /* when no segment names it: transmissions to wait for */
	void (*release)(void *arg);
	void *arg;
};

struct stream {
	struct stream_head head;          /* [o] the filter */
	struct list all;                  /* [S] loop->streams */
	struct list ready;                /* [S] loop->ready */
	struct list work;                 /* [o] loop->work: collected, to be served */
	/* [o] loop->touched: has something for the next section */
	struct list touched;
	struct list starved;              /* [o] loop->starved: TCP had no memory for its output */
	struct stream_loop *loop;         /* [I] */
	struct stream_class *class;       /* [I] */
	void *user;                       /* [o] */
	int id;                           /* [I] */

	struct tcp_pcb *pcb;              /* [S] NULL: gone */
	unsigned events;                  /* [S] */
	int error;                        /* [S] with STREAM_GONE */
	struct pbuf *inbox;               /* [S] received, not collected */
	uint64_t acked_bytes;             /* [S] */
	struct list in_flight;            /* [S] loans that segments name, in sequence */
	size_t unread_bytes;              /* [S] received and not yet credited to the window */

	unsigned seen;                    /* [o] events collected and not served */
	int seen_error;                   /* [o] */
	uint64_t acked_seen;              /* [o] */
	uint64_t appended;                /* [o] bytes of output ever appended */
	struct output_piece *out_first, *out_last; /* [o] output that TCP has not taken */
	struct packet *open;              /* [o] the last piece, while it may be written to */
	uint64_t size_chosen_at;          /* [o] `appended` then */
	uint8_t packet_size;              /* [o] enum packet_size: what a batch starts with */
	uint16_t segment_room;            /* [o] the most bytes that fit into one segment */
	/* [o] collected pieces; the first is read from input_offset */
	struct pbuf *input;
	size_t input_offset;              /* [o] */
	uint8_t *pending;                 /* [o] contiguous left-over: pending_start..pending_end */
	size_t pending_start, pending_end, pending_room; /* [o] */
	bool has_left_over;               /* [o] the server wants more before it sees them again */
	size_t consumed;                  /* [o] bytes to credit in the next section */
	bool is_connecting;               /* [o] by stream_connect(), opened() not yet called */
	bool is_open;                     /* [o] opened() was called and kept it */
	bool is_paused;                   /* [o] */
	bool is_over_high;                /* [o] */
	bool has_ended;                   /* [o] FIN was reported */
	bool is_closing;                  /* [o] stream_close() */
	bool is_aborting;                 /* [o] stream_abort(), or opened() refused */
	bool is_detached;                 /* [o] no pcb of ours any more: closed() is due */
	bool is_dead;                     /* [o] closed() was called; freed in the next section */
	int close_error;                  /* [o] what closed() will say */
};

struct stream_listener {
	struct list link;                 /* [S] loop->listeners */
	int id;                           /* [I] */
	struct stream_loop *loop;         /* [I] */
	struct stream_class *class;       /* [I] */
	void *user;                       /* [I] */
	struct tcp_pcb *pcb;              /* [S] */
	bool is_paused;                   /* [S] */
	struct list held;                 /* [S] streams accepted while paused, by `ready` */
};

#define STREAM_COPY_MAX     1024      /* shorter loans are copied: cheaper than a reference */

struct stream_post;
struct datagram;

struct stream_loop {
	struct stream_loop_head head;     /* [o] the filters */
	struct net_runner runner;
	struct thread *thread;            /* [post_lock] runs it */
	bool is_waiting;                  /* [a] `thread` does */
	bool is_awake;                    /* [a] there is something to do */
	bool must_stop;                   /* [a] */
	bool is_running;                  /* [o] */
	bool leaves_devices;              /* [I] see net_leave_devices() */

	struct list streams, listeners, datagrams; /* [S] */
	struct list ready;                /* [S] */
	struct list work, touched, starved; /* [o] */
	struct list releasing;            /* [S] loans that only transmissions may still name */
	struct list released;             /* [o] loans to give back */
	struct list dead;                 /* [o] streams to free, by `work` */
	struct pbuf *used_input;          /* [o] pieces to free, chained by us */

	struct spinlock post_lock;
	struct stream_post *posts, **posts_end; /* [p] */

	struct packet *stock[PACKET_SIZES];        /* [o] packets to write output into */
	unsigned stock_count[PACKET_SIZES], stock_least[PACKET_SIZES]; /* [o] */
	/* [o] handed out, to be answered and freed */
	struct datagram *used_datagrams, **used_datagrams_end;
	bool has_inbox;                   /* [S] datagrams have arrived */
	bool has_datagrams;               /* [o] collected, to be handed out */
	struct output_piece *answers, **answers_end; /* [o] datagrams to send through lwIP */
	struct output_piece *short_answers, **short_answers_end; /* [o] and those past it */

	uint64_t now_ns;                  /* [o] when this round began */
	struct timer_heap timers;         /* [o] */
	struct ktimer alarm;              /* wakes the loop for them */
	/* [a] set by the loop's thread, DEADLINE_NEVER by the alarm itself */
	uint64_t alarm_ns;
	/* [o] for reservations larger than a segment; NULL: none yet */
	uint8_t *aside;
	bool aside_is_reserved;           /* [o] */
	struct stream_stats stats;        /* [o] */
};

/* stream_loop.c */
bool stream_round(struct stream_loop *loop);               /* one round, without waiting; o */
void stream_loop_mark(struct stream_loop *loop);           /* S: something of it is ready */

/* stream_lwip.c */
void stream_carry_out_all(struct stream_loop *loop);       /* S and o: what servers asked for */
void stream_collect_all(struct stream_loop *loop);         /* S and o: from `ready` to `work` */
void stream_serve(struct stream *s);                       /* o: calls the server */
void stream_tcp_output(struct stream *s);                  /* S and o */
void stream_do_close(struct stream *s);                    /* S and o */
void stream_do_abort(struct stream *s);                    /* S and o */
int stream_id_alloc(void);                                 /* S; a free number, or -ENOMEM */
void stream_id_free(int id);                               /* S */
struct stream *stream_create(struct stream_loop *loop, struct stream_class *class, void *user,
			     struct tcp_pcb *pcb);         /* S; NULL: no memory */
void stream_pcb_detach(struct tcp_pcb *pcb);               /* S */
int stream_track(struct stream *s);                        /* S: after tcp_connect; 0 or -ENOMEM */
void stream_free(struct stream *s);                        /* S and o: no pcb, no loans */
void stream_mark(struct stream *s, unsigned events);       /* S */
void stream_touch(struct stream *s);                       /* o */
struct stream_class *stream_class_create(const struct stream_ops *ops,
					 const struct stream_options *options, int family);
void stream_class_get(struct stream_class *class);         /* S */
void stream_class_put(struct stream_class *class);         /* S */

/* stream_input.c */
err_t stream_recv_callback(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err);
void stream_input_collect(struct stream *s);               /* S and o */
void stream_input_serve(struct stream *s);                 /* o: calls received() */
bool stream_input_is_empty(const struct stream *s);        /* o */
void stream_input_drop(struct stream *s);                  /* o */
void stream_input_discard(struct stream *s);               /* S and o: the inbox as well */
void stream_input_free_used(struct stream_loop *loop);     /* S and o */

/* stream_output.c */
void stream_output_push(struct stream *s);                 /* S and o: what TCP has room for */
void stream_output_discard(struct stream *s);              /* S and o: what TCP will never take */
err_t stream_sent_callback(void *arg, struct tcp_pcb *pcb, u16_t len);
void stream_output_drop(struct stream *s);                 /* S: loans in flight towards release */
void stream_output_collect_releases(struct stream_loop *loop); /* S and o */
void stream_output_run_releases(struct stream_loop *loop); /* o: calls release() */
bool stream_output_is_starved(const struct stream_loop *loop);

/* stream_packet.c */
/* o; NULL: no memory */
struct packet *stream_packet_take(struct stream_loop *loop, enum packet_size size);
void stream_packet_return(struct stream_loop *loop, struct packet *k); /* o: unused after all */
void stream_packets_restock(struct stream_loop *loop);     /* S and o */
void stream_packets_drop(struct stream_loop *loop);        /* S and o */

/* stream_datagrams.c */
/* S and o: sends answers, frees what was answered */
void stream_datagrams_flush(struct stream_loop *loop);
void stream_datagrams_collect(struct stream_loop *loop);   /* S and o: what arrived */
void stream_datagrams_serve(struct stream_loop *loop);     /* o: calls received() */
void stream_datagrams_close_all(struct stream_loop *loop);

/* stream_timer.c */
void stream_timers_run(struct stream_loop *loop, uint64_t now_ns);  /* o: calls fire() */
uint64_t stream_timers_deadline(const struct stream_loop *loop);    /* o */

#endif
