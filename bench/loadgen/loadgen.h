/*
 * What the parts of the load generator know of each other. main.c tells what it does and how.
 */
#ifndef LOADGEN_H
#define LOADGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KEY_BYTES    16
#define PIPELINE_MAX 256
#define MULTIGET_MAX 100
#define VALUE_MAX    (1000u << 10)
#define FILL_DEPTH   64             /* stores in flight while the keys are stored */
#define FRAME_BYTES  8              /* memcached's header of each UDP datagram */

struct connection;
struct request;

/* ---- options.c: the command line ---- */

struct options {
	const char *host, *port, *counts, *snapshots;
	unsigned connections, pipeline, multiget, keys, value_bytes, set_percent;
	unsigned lockstep;              /* connections that send at once; 0: each for itself */
	unsigned stay;                  /* rounds that they have before the next ones */
	unsigned warm_up;               /* requests before those that count */
	double seconds, idle_seconds;
	uint64_t requests, seed;
	pid_t guest;                    /* the emulator's process, or 0 */
	bool binary, udp, tls, no_fill, stall;
};
extern struct options opt;
void options_read(int argc, char **argv);

/* ---- protocols: how requests are written and replies read ---- */

struct protocol {
	/* a request that changes nothing; how its reply begins */
	const char *greeting, *greeted;
	/* reply length 0: up to a line's end */
	size_t greeting_len, greeted_len, greeting_reply_len;
	void (*put_get)(struct connection *c, const struct request *r);
	void (*put_set)(struct connection *c, const struct request *r);
	/*
	 * Takes one piece of the reply to the request at the head, which lies at `data`. Returns
	 * its length, 0 while it is incomplete. Calls request_done() when the reply is whole.
	 */
	size_t (*take)(struct connection *c, const char *data, size_t available);
};
extern const struct protocol protocol_text, protocol_binary;

/* ---- transports: the bytes' way; both return -1 with errno EAGAIN when they would wait ---- */

struct transport {
	void (*open)(struct connection *c);     /* after connect(); the socket is still blocking */
	ssize_t (*send)(struct connection *c, const char *bytes, size_t len);
	ssize_t (*receive)(struct connection *c, char *room, size_t len);
	/* it may hold some that the socket no longer shows */
	bool keeps_bytes;
};
extern const struct transport transport_tcp, transport_tls, transport_udp;

/* ---- connection.c ---- */

struct request {
	uint64_t sent_ns;
	size_t bytes;                           /* as written, with its frame header over UDP */
	bool is_set;
	unsigned key[];                         /* opt.multiget of them */
};

struct connection {
	int fd;
	const struct protocol *protocol;
	const struct transport *transport;
	void *tls;
	bool wants_write;
	char *queue;                            /* ring of `depth` requests */
	unsigned depth, head, in_flight;
	unsigned unsent;                        /* the last ones in flight; over UDP only */
	unsigned keys_passed, values_seen;      /* of the get at the head */
	/* of the oldest request; of the datagrams that answer it */
	uint16_t frame_id, frames_seen;
	char *out;
	size_t out_len, out_sent, out_cap;
	char *in;
	size_t in_len, in_cap;
};

struct request *request_at(struct connection *c, unsigned place);   /* 0 is the oldest in flight */
void request_done(struct connection *c);        /* the reply to the oldest is whole */
/* the oldest ones will not be answered (UDP) */
void requests_lost(struct connection *c, unsigned count);
char *out_room(struct connection *c, size_t len);

void connections_begin(void);
/* Those that connections_pump() looks after. */
void connections_watch(struct connection *all);
/* Connects, and waits for the reply to a greeting, so that the server is known to serve it. */
void connection_open(struct connection *c, const struct transport *t, unsigned depth);
void connection_close(struct connection *c);
void connections_close(struct connection *all);
/*
 * A connection that asks for much and reads nothing, so that the server's TCP keeps its timers
 * running for it: begin opens it, ask makes it ask.
 */
void staller_begin(void);
void staller_ask(void);
void connection_issue_set(struct connection *c, unsigned key, uint64_t now_ns);
void connection_issue_get(struct connection *c, uint64_t now_ns);
void connection_send(struct connection *c);     /* what was issued, as far as the socket takes it */
/*
 * Waits for replies and takes them; calls drained() for each connection that has none left to wait
 * for. Ends the program when nothing comes for ten seconds; over UDP, what has no answer after one
 * is lost.
 */
void connections_pump(void (*drained)(struct connection *c));

/* ---- keys and values, in value.c ---- */

uint64_t random_next(void);
void random_seed(uint64_t seed);
unsigned random_key(void);
void key_write(char *out, unsigned key);                     /* KEY_BYTES of them */
bool key_read(const char *text, unsigned *key);
void value_write(char *out, unsigned key);                   /* opt.value_bytes of them */
bool value_matches(unsigned key, const char *bytes);

/* ---- result.c ---- */

struct result {
	uint64_t issued, done, lost, gets, sets, hits, misses, mismatches, errors, bytes_in;
};
extern struct result result;
void result_clear(void);
void result_latency(uint64_t ns);
/* counts; tells the first */
void result_error(const char *what, const char *bytes, size_t len);
void result_print(double seconds);
uint64_t now_ns(void);
void die(const char *what) __attribute__((noreturn));

/* ---- guest.c: the emulator that the server runs in, when opt.guest or opt.counts name it ---- */

void guest_begin(void);
void guest_settle(void);        /* waits until the guest has nothing left to do */
/* stops the emulator, so that what is sent meanwhile arrives at once */
void guest_hold(void);
void guest_release(void);
void guest_mark_start(void);
void guest_mark_end(void);
/* members of the JSON object, each after a comma */
void guest_print(double seconds, double requests);

#endif
