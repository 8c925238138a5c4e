/*
 * stream.h: the fast road for servers, callbacks over TCP connections.
 *
 * A server makes a loop, listens, and calls stream_run(). The loop calls the server back with
 * received bytes where they lie; the server answers into an output batch, which leaves once per
 * batch of input in as few segments as fit. There are two back ends with the same behaviour: lwIP
 * directly in an appliance (libos/net/stream_lwip.c), and epoll on any POSIX system
 * (libos/net/stream_epoll.c), so a server written on this header runs as an ordinary program, too.
 *
 * A loop belongs to the thread that calls stream_run(); all callbacks of its streams come from
 * inside that call, never two at once, and never from inside a stream_*() call that the server
 * makes. Functions that take a stream or loop may be called only from that thread (or before
 * stream_run()), except stream_post() and stream_stop(). Several threads may each have a loop.
 *
 * This header needs only the C library, so that applications can include it everywhere.
 */
#ifndef LIBOS_STREAM_H
#define LIBOS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct stream_loop;
struct stream_listener;
struct stream_datagrams;
struct stream;

struct stream_ops {
	/*
	 * A connection was accepted (or stream_connect() succeeded). 0 keeps it; a negative errno
	 * closes it without a call to closed().
	 */
	int (*opened)(struct stream *s);

	/*
	 * `len` > 0 bytes have arrived and lie at `data` until this call returns. Returns how many
	 * of them are consumed. What is left over is presented again, followed by what arrives
	 * later, in one contiguous piece; when the server consumes nothing although max_pending
	 * bytes lie before it, the stream is closed with -EMSGSIZE. Called again at once while it
	 * consumes something and bytes remain, unless output is backed up (see stream_backlog) or
	 * input is paused.
	 */
	size_t (*received)(struct stream *s, const uint8_t *data, size_t len);

	/*
	 * Optional. The backlog has fallen under the low-water mark after having been over the high
	 * one.
	 */
	void (*writable)(struct stream *s);

	/*
	 * Optional. The peer sent FIN, and its bytes were consumed, except those that received()
	 * left over and that nothing will follow. Without it: flush, then close.
	 */
	void (*ended)(struct stream *s);

	/*
	 * The stream is gone: error 0 after an orderly close by either side, else a negative errno
	 * (-ECONNRESET, -ETIMEDOUT, ...). The last call for this stream; `s` is invalid afterwards.
	 * Called exactly once for each stream whose opened() returned 0.
	 */
	void (*closed)(struct stream *s, int error);
};

struct stream_filter;            /* <libos/stream_filter.h>; TLS: <libos/tls.h> */

struct stream_options {          /* all zero: the defaults */
	size_t max_pending;      /* bytes of unconsumed input kept contiguous; default 64 KiB */
	/* bytes of unsent output above which input pauses; default 256 KiB */
	size_t high_water;
	size_t low_water;        /* default high_water / 4 */
	int    backlog;          /* connections not yet accepted; default 1024 */
	/* default true behaviour is set by the back end: batches, never Nagle */
	bool   nodelay;
	/* Stands between the network and the server; lives longer than the streams. NULL: none. */
	const struct stream_filter *filter;
};

/* 0 and *out, or -ENOMEM, -EMFILE. */
int stream_loop_create(struct stream_loop **out);
/* Closes what is still open (closed() is called with 0) and frees the loop. Not from a callback. */
void stream_loop_destroy(struct stream_loop *loop);

/*
 * Serves until stream_stop(); returns 0 then, or a negative errno when the loop cannot go on.
 * Signal handlers of the application run while it waits; a handler that calls stream_stop() ends
 * it.
 */
int stream_run(struct stream_loop *loop);

/* Any thread, and signal handlers: makes stream_run() return soon. Remembered if it comes first. */
void stream_stop(struct stream_loop *loop);

/* Any thread: calls fn(arg) inside stream_run() of `loop`. 0 or -ENOMEM. */
int stream_post(struct stream_loop *loop, void (*fn)(void *arg), void *arg);

/*
 * Listens on a TCP address (AF_INET or AF_INET6; an IPv6 wildcard also takes IPv4). `ops` and
 * `options` are copied. 0 and *out; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOMEM, -EAFNOSUPPORT.
 */
int stream_listen(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
		  const struct stream_ops *ops, const struct stream_options *options, void *user,
		  struct stream_listener **out);
void stream_listener_close(struct stream_listener *l);   /* accepted streams live on */
/* The bound address (the port, when 0 was asked for). 0 or negative errno. */
int stream_listener_address(const struct stream_listener *l, struct sockaddr_storage *addr,
			    socklen_t *len);
/* A number as that of stream_id(), from the same set. */
int stream_listener_id(const struct stream_listener *l);
/* Stops or resumes accepting; connections wait in the backlog meanwhile. */
void stream_listener_pause(struct stream_listener *l, bool paused);

/* Starts a connection; opened() or closed(error) follows. 0 and *out or negative errno. */
int stream_connect(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
		   const struct stream_ops *ops, const struct stream_options *options, void *user,
		   struct stream **out);

/* Who the stream belongs to. A stream starts with its listener's `user`. */
void *stream_user(const struct stream *s);
void stream_set_user(struct stream *s, void *user);
struct stream_loop *stream_loop_of(const struct stream *s);
int stream_peer_address(const struct stream *s, struct sockaddr_storage *addr, socklen_t *len);
int stream_local_address(const struct stream *s, struct sockaddr_storage *addr, socklen_t *len);
/* A small number naming the stream while it is open, unique in the process (memcached's "fd"). */
int stream_id(const struct stream *s);

/*
 * Output. All three append to the stream's batch in order, and never wait. 0, or -ENOMEM, or
 * -EPIPE when the stream is closing. After an error nothing was appended.
 *
 * stream_reserve() returns `len` contiguous bytes of the batch to be written in place (NULL: no
 * memory; len at most STREAM_RESERVE_MAX); stream_commit() appends the first `len` of them. Nothing
 * else may be called for this stream in between.
 *
 * stream_write_ref() sends bytes where they lie: they must not change until release(arg) has been
 * called, once, when the peer has acknowledged them and no device names them any more, or when the
 * stream is gone. release() comes from inside stream_run() (or stream_loop_destroy()); on an error
 * return it is not called.
 */
#define STREAM_RESERVE_MAX 2048
void *stream_reserve(struct stream *s, size_t len);
void stream_commit(struct stream *s, size_t len);
int stream_write(struct stream *s, const void *data, size_t len);
int stream_write_ref(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
		     void *arg);

/*
 * Ends the batch now. Otherwise it ends when the loop has handed out all input that had arrived.
 */
void stream_flush(struct stream *s);

/* Bytes appended and not yet handed to the network (epoll) or not yet acknowledged (lwIP). */
size_t stream_backlog(const struct stream *s);

/* Stops or resumes calling received(); the peer's window closes as buffers fill. */
void stream_pause(struct stream *s, bool paused);

/* Sends what was appended, then FIN; closed(0) follows. No more received(). */
void stream_close(struct stream *s);
/* Resets the connection at once; closed(-ECONNABORTED) follows. */
void stream_abort(struct stream *s);

/*
 * Datagrams (UDP): received() gets one datagram after the other, whole and in place, and may answer
 * its sender with as many as it likes. The answers leave with the batch. Nothing is promised about
 * their arrival: one that finds no memory or no way out is dropped and counted.
 */
#define STREAM_DATAGRAM_MAX 1400
struct stream_datagram_ops {
	/* `data` is valid until this returns. `len` may be 0. */
	void (*received)(struct stream_datagrams *d, const uint8_t *data, size_t len);
};
/*
 * Receives what is sent to a UDP address (AF_INET or AF_INET6; an IPv6 wildcard also takes IPv4).
 * `ops` is copied. 0 and *out; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOMEM, -EAFNOSUPPORT.
 */
int stream_datagrams_open(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
			  const struct stream_datagram_ops *ops, void *user,
			  struct stream_datagrams **out);
/* What has arrived and was not yet received is dropped. Not from inside received(). */
void stream_datagrams_close(struct stream_datagrams *d);
void *stream_datagrams_user(const struct stream_datagrams *d);
int stream_datagrams_id(const struct stream_datagrams *d);     /* as stream_listener_id() */
/* The bound address (the port, when 0 was asked for). 0 or negative errno. */
int stream_datagrams_address(const struct stream_datagrams *d, struct sockaddr_storage *addr,
			     socklen_t *len);
/* Inside received(): who sent the datagram. 0; elsewhere -ENOTCONN. */
int stream_datagrams_peer(const struct stream_datagrams *d, struct sockaddr_storage *addr,
			  socklen_t *len);
/*
 * Inside received(): room for one datagram of at most `len` bytes (up to STREAM_DATAGRAM_MAX) to
 * the sender; NULL: no memory. stream_datagram_commit() sends the first `len` of them, with the
 * batch, from the address that the datagram was sent to. A reserve that is not committed is
 * forgotten.
 */
void *stream_datagram_reserve(struct stream_datagrams *d, size_t len);
void stream_datagram_commit(struct stream_datagrams *d, size_t len);

/* One-shot timers of a loop, in monotonic nanoseconds. Zero-initialise; embed in the owner. */
struct stream_timer {
	void (*fire)(struct stream_timer *t);
	uint64_t deadline_ns;
	struct stream_timer *heap_child, *heap_next, *heap_prev; /* the back end's */
	bool armed;
};
uint64_t stream_now_ns(void);     /* CLOCK_MONOTONIC */
/* The same as of when the loop woke to what it now calls back for, without asking the clock. */
uint64_t stream_round_ns(const struct stream_loop *loop);
void stream_timer_arm(struct stream_loop *loop, struct stream_timer *t, uint64_t deadline_ns,
		      void (*fire)(struct stream_timer *t));
void stream_timer_cancel(struct stream_loop *loop, struct stream_timer *t);

/* What the loop has done since it was made. */
struct stream_stats {
	uint64_t wakeups;         /* returns from waiting */
	uint64_t accepted;
	uint64_t bytes_in, bytes_out;
	uint64_t bytes_copied_in; /* input bytes moved to make a piece contiguous */
	/* output bytes moved by the back end; those written into place are not */
	uint64_t bytes_copied_out;
	uint64_t batches;
	uint64_t datagrams_in, datagrams_out;
	/* Of all devices, whoever used them; 0 where the back end cannot know (epoll). */
	uint64_t packets_in, packets_out;
	uint64_t kicks;           /* notifications of devices */
	uint64_t interrupts;      /* of devices */
};
void stream_loop_stats(const struct stream_loop *loop, struct stream_stats *out);

#endif
