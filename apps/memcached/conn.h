/*
 * One client's connection: where it stands in the protocol.
 */
#ifndef MEMCACHED_CONN_H
#define MEMCACHED_CONN_H

#include <libos/stream.h>

#include "cache.h"
#include "settings.h"
#include "udp.h"

enum conn_state {
	CONN_COMMAND,      /* a command line comes next */
	CONN_VALUE,        /* the value of a store command goes into conn->item */
	CONN_SWALLOW,      /* conn->left bytes of a refused value are thrown away */
	CONN_KEYS,         /* in the middle of a get line that is longer than the buffer */
	CONN_SWALLOW_LINE, /* as far as the end of the line */
	CONN_WATCH,        /* it watches, and is not listened to */
	CONN_DUMP,         /* a dump is on its way; what comes next waits */
	CONN_CLOSING,
};

struct conn {
	struct stream *stream;     /* NULL: the answer is collected for UDP (udp.c) */
	struct conn *next, **link;
	struct conn *next_yielded; /* while it waits for its next turn */
	struct item *item;         /* [CONN_VALUE] being filled, held */
	struct meta_set *meta;     /* [CONN_VALUE] what ms wants to be told, or NULL */
	uint64_t cas;              /* [CONN_VALUE] asked for */
	uint32_t left;             /* [CONN_VALUE, CONN_SWALLOW] bytes still to come */
	uint32_t opaque;           /* of the binary command being answered */
	reltime_t last_command;
	uint8_t peer_ip[16];       /* for who watches connections: told also when it is gone */
	uint16_t peer_port;
	bool peer_is_six;
	uint8_t state;
	uint8_t verb;              /* [CONN_VALUE] enum store_verb */
	uint8_t protocol;          /* AUTO until the first byte has come */
	uint8_t opcode;            /* of the binary command being answered */
	uint8_t fetch;             /* [CONN_KEYS] enum fetch_flag */
	bool idle;                 /* it is closed for being so */
	bool has_yielded;          /* its next turn comes when others have had theirs */
	bool authenticated;        /* or there is no need to be */
	bool noreply;              /* the command wants no answer */
	reltime_t expires;         /* [CONN_KEYS] for gat */
};

struct meta_set;
extern const struct stream_ops conn_ops;

/* The loop that serves; before the first connection. */
void conn_start(struct stream_loop *loop);
struct stream_loop *conn_loop(void);

/* All open connections, newest first; for `stats conns` and idle clients. */
struct conn *conn_first(void);

/* Works off one command, or a part of what belongs to it. Returns how many bytes it took. */
size_t conn_step(struct conn *c, const char *data, size_t len);
/* Lets go of what a half-received command holds. */
void conn_clear(struct conn *c);
/* So many answers wait that the client's further input has to. */
bool conn_is_backed_up(const struct conn *c);
/* The next `len` bytes of input are the beginning of the value of c->item, to be stored so. */
void conn_expect_value(struct conn *c, enum store_verb verb, uint32_t len);
/* The next `len` bytes of input are thrown away. */
void conn_swallow(struct conn *c, uint32_t len);
/* Sends a line; `line` includes the CR LF. Nothing if the command said noreply. */
void conn_reply(struct conn *c, const char *line);
/* Ends the connection after what has been answered. */
void conn_quit(struct conn *c);
/* No memory for an answer: the connection is lost, because the stream of answers has a hole. */
void conn_fail(struct conn *c);

/* ---- output: as stream_reserve() and so on, over TCP and UDP ---- */

static inline void *conn_reserve(struct conn *c, size_t len)
{
	return c->stream ? stream_reserve(c->stream, len) : udp_reserve(len);
}

static inline void conn_commit(struct conn *c, size_t len)
{
	if (c->stream)
		stream_commit(c->stream, len);
	else
		udp_commit(len);
}

int conn_write(struct conn *c, const void *data, size_t len);

static inline int conn_id(const struct conn *c)
{
	return c->stream ? stream_id(c->stream) : 0;
}

#endif
