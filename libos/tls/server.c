/*
 * TLS servers: what the connections of an application have in common.
 */
#include "tls_parts.h"

#include <errno.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { HANDSHAKE_MS = 10000, HANDSHAKES_MAX = 128 };

void tls_explain(char *why, size_t why_len, const char *what, int err)
{
	snprintf(why, why_len, "%s: %s (-0x%04x)", what, tls_reason(err), (unsigned)-err);
}

static void doors_init(struct tls_server *server)
{
	for (int i = 0; i < TLS_VERIFY_MODES; i++) {
		server->doors[i].filter = tls_stream_filter;
		server->doors[i].server = server;
		server->doors[i].verify = i;
	}
}

int tls_server_create(const struct tls_options *options, struct tls_server **out, char *why,
		      size_t why_len)
{
	struct tls_server *server = calloc(1, sizeof(*server));
	int err = -ENOMEM;

	if (!server)
		return -ENOMEM;
	if (psa_crypto_init() != PSA_SUCCESS)
		goto fail;
	doors_init(server);
	server->waiting_end = &server->waiting;
	server->min_version = options->min_version;
	server->resume = options->resume;
	server->handshake_ms = options->handshake_ms ? options->handshake_ms : HANDSHAKE_MS;
	server->handshakes_max = options->handshakes_max ? options->handshakes_max : HANDSHAKES_MAX;
	server->failed = options->failed;
	err = -EINVAL;
	if (!tls_ciphers_choose(options->ciphers, server->suites)) {
		snprintf(why, why_len, "the ciphers: none of \"%s\" is known", options->ciphers);
		goto fail;
	}
	tls_ciphers_first(server->suites, server->first_suites);
	err = tls_credentials_create(server, &options->credentials, &server->credentials, why,
				     why_len);
	if (err)
		goto fail;
	*out = server;
	return 0;
fail:
	free(server);
	return err;
}

int tls_server_reload(struct tls_server *server, const struct tls_credentials_text *text, char *why,
		      size_t why_len)
{
	struct tls_credentials *fresh;
	int err = tls_credentials_create(server, text, &fresh, why, why_len);

	if (err)
		return err;
	tls_credentials_put(server->credentials);
	server->credentials = fresh;
	return 0;
}

void tls_server_destroy(struct tls_server *server)
{
	tls_credentials_put(server->credentials);
	tls_output_free_spares(server);
	free(server);
}

const struct stream_filter *tls_server_filter(struct tls_server *server, enum tls_verify verify)
{
	return &server->doors[verify].filter;
}

void tls_server_stats(const struct tls_server *server, struct tls_stats *out)
{
	*out = server->stats;
}
