/*
 * tls.h: TLS for servers on <libos/stream.h>, as a filter.
 *
 * A server makes a `struct tls_server` from a certificate chain and its key and puts the filter
 * into its stream_options. From then on its callbacks see the plain bytes of connections whose
 * handshake has succeeded: opened() is called behind the handshake, and a connection that fails
 * before it is never shown. TLS 1.3 and 1.2, with ephemeral keys and authenticated encryption only;
 * renegotiation is refused.
 *
 * A tls_server belongs to the loop (and thread) that its filters are used in. A filter has no name
 * for the peer beyond its certificate having been accepted.
 */
#ifndef LIBOS_TLS_H
#define LIBOS_TLS_H

#include <libos/stream.h>

struct tls_server;

enum tls_verify {
	TLS_VERIFY_NONE,         /* clients are not asked for a certificate */
	TLS_VERIFY_IF_GIVEN,     /* asked; one that is given must be good */
	TLS_VERIFY_REQUIRED,
};
#define TLS_VERIFY_MODES 3

enum tls_version { TLS_1_2, TLS_1_3 };

/* Certificates and keys are PEM. The texts are needed only during the call they are given to. */
struct tls_credentials_text {
	const char *chain;       /* the server's certificate first, then those that signed it */
	const char *key;         /* of the first; RSA or ECDSA (P-256, P-384) */
	const char *client_ca;   /* who may sign clients' certificates; NULL: nobody */
};

struct tls_options {
	struct tls_credentials_text credentials;
	enum tls_version min_version;
	/*
	 * Names of suites as OpenSSL spells them, separated by colons, in the order of preference.
	 * Only those of TLS 1.2 are chosen from; NULL: all that there are.
	 */
	const char *ciphers;
	/* session tickets, with keys that live as long as the credentials */
	bool resume;
	unsigned handshake_ms;   /* how long a handshake may take; 0: 10 seconds */
	unsigned handshakes_max; /* how many go on at once, the others wait; 0: 128 */
	/*
	 * Optional: a connection is lost, in its handshake or behind it, and why, in a few words.
	 * Once for each connection at most, before closed().
	 */
	void (*failed)(struct stream *s, bool in_handshake, const char *why);
};

struct tls_stats {
	uint64_t handshakes;        /* that succeeded, and how many of them resumed a session */
	uint64_t resumed;
	uint64_t handshake_errors;
	uint64_t protocol_errors;   /* of connections whose handshake had succeeded */
	uint64_t records_out;       /* of application data */
};

/*
 * 0 and *out. -EINVAL: something in the options is wrong, and `why` says what in one line of at
 * most `why_len` bytes. -ENOMEM.
 */
int tls_server_create(const struct tls_options *options, struct tls_server **out, char *why,
		      size_t why_len);

/*
 * New connections use other credentials; open ones keep theirs. Results as above; on an error
 * nothing changes.
 */
int tls_server_reload(struct tls_server *server, const struct tls_credentials_text *credentials,
		      char *why, size_t why_len);

/* When no stream uses its filters any more. */
void tls_server_destroy(struct tls_server *server);

/* For stream_options; lives as long as the server. */
const struct stream_filter *tls_server_filter(struct tls_server *server, enum tls_verify verify);

void tls_server_stats(const struct tls_server *server, struct tls_stats *out);

#endif
