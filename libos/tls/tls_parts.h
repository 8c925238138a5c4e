/*
 * What the files of the TLS filter share: server, credentials, connection.
 *
 * Everything belongs to the loop's thread.
 */
#ifndef TLS_PARTS_H
#define TLS_PARTS_H

#include <libos/stream_filter.h>
#include <libos/tls.h>

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>

enum {
	TLS_SUITES_MAX = 16,
	TLS_PLAIN_BYTES = MBEDTLS_SSL_IN_CONTENT_LEN,   /* the most that one record brings */
	TLS_SEGMENT_BYTES = MBEDTLS_SSL_OUT_CONTENT_LEN,
};

/*
 * A certificate with its key, and what Mbed TLS needs to know, for each way of asking clients.
 * Counted: the server holds the current one, connections that which they began with.
 */
struct tls_credentials {
	unsigned refs;
	mbedtls_x509_crt chain, client_ca;
	mbedtls_pk_context key;
	bool resume;
	/* [1]: of the suites of TLS 1.3, only the one that the server likes best. See ciphers.c. */
	mbedtls_ssl_config config[TLS_VERIFY_MODES][2];
	/* One for each mode: a session may not be resumed where more is asked of clients. */
	struct tls_tickets {
		mbedtls_ssl_ticket_context context;
		struct tls_server *server;
	} tickets[TLS_VERIFY_MODES];
};

/* What a stream's filter pointer leads to. */
struct tls_door {
	struct stream_filter filter;
	struct tls_server *server;
	enum tls_verify verify;
};

/* A piece of plain output: bytes in `buffer`, or the server's own until release(arg). */
struct tls_segment {
	struct tls_segment *next;
	const uint8_t *data;             /* first byte not yet encrypted */
	size_t len, room;                /* room: free bytes behind them; 0 for a reference */
	void (*release)(void *arg);
	void *arg;
	uint8_t buffer[];
};

struct tls_server {
	struct tls_door doors[TLS_VERIFY_MODES];
	struct tls_credentials *credentials;
	int suites[TLS_SUITES_MAX];      /* ends with 0 */
	int first_suites[TLS_SUITES_MAX];
	enum tls_version min_version;
	bool resume;
	unsigned handshake_ms, handshakes_max;
	void (*failed)(struct stream *s, bool in_handshake, const char *why);
	struct tls_stats stats;

	unsigned handshakes;             /* going on now */
	struct tls_connection *waiting, **waiting_end;
	struct tls_segment *spare;       /* buffers to use again */
	unsigned spares;
	uint8_t plain[TLS_PLAIN_BYTES];  /* what a record brought, while it is handed out */
};

enum tls_stage {
	TLS_SILENT,                      /* connected, and nothing said yet: holds no memory */
	TLS_WAITING,                     /* for others to end their handshakes */
	TLS_HANDSHAKE,
	TLS_OPEN,
	TLS_OVER,                        /* failed or closed: input is thrown away */
};

struct tls_connection {
	struct stream *stream;
	struct tls_server *server;
	struct tls_credentials *credentials;    /* NULL: `ssl` is not set up */
	enum tls_verify verify;
	enum tls_stage stage;
	mbedtls_ssl_context ssl;
	struct tls_connection *next, **link;    /* while waiting */
	struct stream_timer timer;              /* of the handshake, and of the end */

	const uint8_t *in;                      /* what the network brought, during received() */
	size_t in_len;
	uint8_t *held;                          /* plain bytes that the server left over, or NULL */
	size_t held_len, held_room;

	struct tls_segment *out_first, *out_last;
	size_t out_bytes;                       /* plain, in them */
	struct tls_segment *sent;               /* references to give back */

	int error;                              /* for closed() */
	bool is_known;                          /* the server has heard of it: opened() */
	bool has_failed;                        /* and it was said why */
	/* the server wants more before it sees `held` again */
	bool held_waits;
	bool is_paused;                         /* by the server */
	bool is_stalled;                        /* the network is, because of the backlog */
	bool is_over_high;
	bool is_closing;                        /* by the server */
	bool has_ended, end_is_told;            /* the peer has said all */
};

static inline struct tls_connection *tls_connection_of(const struct stream *s)
{
	return stream_filter_state(s);
}

/* server.c */
void tls_explain(char *why, size_t why_len, const char *what, int err);

/* credentials.c: 0 and *out; -EINVAL and `why`; -ENOMEM. */
int tls_credentials_create(struct tls_server *server, const struct tls_credentials_text *text,
			   struct tls_credentials **out, char *why, size_t why_len);
void tls_credentials_put(struct tls_credentials *c);

/* ciphers.c: fills `suites`; false when none of the names is known. */
bool tls_ciphers_choose(const char *names, int suites[TLS_SUITES_MAX]);
/* The same without those of TLS 1.3 behind the first. */
void tls_ciphers_first(const int suites[TLS_SUITES_MAX], int first[TLS_SUITES_MAX]);
/* Whether a client offers a suite, as far as the beginning of its first record shows it. */
bool tls_hello_offers(const uint8_t *hello, size_t len, int suite);

/* connection.c */
extern const struct stream_filter tls_stream_filter;
/* The connection is lost for a reason of Mbed TLS or a negative errno; says so and ends it. */
void tls_connection_fail(struct tls_connection *c, int err);
/* What waits for a handshake's end or a fallen backlog is asked for again, or not. */
void tls_connection_look(struct tls_connection *c);

/* input.c */
int tls_input_callback(void *connection, unsigned char *buffer, size_t len);
size_t tls_input_received(struct stream *s, const uint8_t *data, size_t len);
bool tls_input_is_wanted(const struct tls_connection *c);
/* Hands out what is held, if the server may be called, and tells it of the end behind it. */
void tls_input_deliver_held(struct tls_connection *c);
void tls_input_drop(struct tls_connection *c);
void tls_handshake_step(struct tls_connection *c);

/* output.c */
int tls_output_callback(void *connection, const unsigned char *data, size_t len);
void *tls_output_reserve(struct stream *s, size_t len);
void tls_output_commit(struct stream *s, size_t len);
int tls_output_write(struct stream *s, const void *data, size_t len);
int tls_output_write_ref(struct stream *s, const void *data, size_t len, void (*release)(void *arg),
			 void *arg);
size_t tls_output_backlog(const struct stream *s);
void tls_output_pump(struct tls_connection *c);
void tls_output_release(struct tls_connection *c);
void tls_output_drop(struct tls_connection *c);
void tls_output_free_spares(struct tls_server *server);

/* reason.c: what an error of Mbed TLS means, in a few words. */
const char *tls_reason(int err);

/* entropy.c: the random bytes that everything here uses. 0, or an error of Mbed TLS. */
int tls_random(void *unused, unsigned char *to, size_t len);

#endif
