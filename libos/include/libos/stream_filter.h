/*
 * stream_filter.h: what stands between a stream's server and the network, such as TLS.
 *
 * A filter is given in struct stream_options. On its streams the back end calls the filter's `wire`
 * callbacks where it would call the server's, and the server's stream_reserve(), stream_commit(),
 * stream_write(), stream_write_ref(), stream_backlog(), stream_flush(), stream_pause() and
 * stream_close() arrive at the filter, which keeps the promises of <libos/stream.h> towards the
 * server: opened(), received(), writable(), ended(), closed() are its to call. What it has to say
 * to the network it says with the stream_wire_ functions below, which are the back end's own.
 * stream_abort() and the questions (addresses, id, user) go past the filter.
 *
 * All of it happens in the loop's thread, inside stream_run(). Only with CONFIG_STREAM_FILTER; then
 * a stream without a filter pays one branch for each of the calls named above.
 */
#ifndef LIBOS_STREAM_FILTER_H
#define LIBOS_STREAM_FILTER_H

#include <libos/stream.h>

struct stream_filter {
	/*
	 * From the network. received() may consume nothing for as long as it likes when it has
	 * paused the stream or its backlog is over high water. closed() is the last call of all.
	 */
	struct stream_ops wire;

	/* From the server, with the promises of <libos/stream.h>. */
	void *(*reserve)(struct stream *s, size_t len);
	void (*commit)(struct stream *s, size_t len);
	int (*write)(struct stream *s, const void *data, size_t len);
	int (*write_ref)(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
			 void *arg);
	size_t (*backlog)(const struct stream *s);
	void (*flush)(struct stream *s);
	void (*pause)(struct stream *s, bool paused);
	void (*close)(struct stream *s);

	/* When the batch ends, for streams that asked with stream_filter_want_turn(); once. */
	void (*turn)(struct stream *s);

	/*
	 * For streams that asked with stream_filter_want_resume(): whenever something has happened
	 * to the stream (input, an acknowledgement or room in the socket, the end of a pause),
	 * until told otherwise.
	 */
	void (*resume)(struct stream *s);
};

const struct stream_filter *stream_filter_of(const struct stream *s);
/* The server's callbacks, and its options with the defaults filled in. */
const struct stream_ops *stream_filter_server(const struct stream *s);
const struct stream_options *stream_filter_options(const struct stream *s);
/* The filter's object for this stream: NULL at first. */
void *stream_filter_state(const struct stream *s);
void stream_filter_set_state(struct stream *s, void *state);
void stream_filter_want_turn(struct stream *s);
void stream_filter_want_resume(struct stream *s, bool wanted);

/* As the functions of <libos/stream.h> without "wire_". */
void *stream_wire_reserve(struct stream *s, size_t len);
void stream_wire_commit(struct stream *s, size_t len);
int stream_wire_write(struct stream *s, const void *data, size_t len);
int stream_wire_write_ref(struct stream *s, const void *data, size_t len,
			  void (*release)(void *arg), void *arg);
size_t stream_wire_backlog(const struct stream *s);
void stream_wire_flush(struct stream *s);
void stream_wire_pause(struct stream *s, bool paused);
void stream_wire_close(struct stream *s);

#endif
