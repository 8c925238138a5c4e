/*
 * Credentials: from PEM to the configurations that connections begin with. Made as a whole or not
 * at all, so that a reload that fails leaves everything as it was.
 */
#include "tls_parts.h"

#include <errno.h>
#include <mbedtls/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* What else stands in the message that carries our certificates, and in each entry. */
	CERTIFICATE_MESSAGE_BYTES = 64,
	CERTIFICATE_ENTRY_BYTES = 5,
	TICKET_LIFETIME_S = 3600,
};

/* By what they cost here: a handshake with P-256 takes three quarters of one with X25519. */
static const uint16_t GROUPS[] = {
	MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
	MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

static int load_certificates(mbedtls_x509_crt *to, const char *pem, const char *what, char *why,
			     size_t why_len)
{
	int err = pem ? mbedtls_x509_crt_parse(to, (const unsigned char *)pem, strlen(pem) + 1) :
			MBEDTLS_ERR_PEM_NO_HEADER_FOOTER_PRESENT;

	if (err == 0)
		return 0;
	if (err > 0)
		snprintf(why, why_len, "%s: %d of the certificates cannot be read", what, err);
	else
		tls_explain(why, why_len, what, err);
	return -EINVAL;
}

/* Our chain travels in one message, which must fit into the output buffer of a connection. */
static int check_length(const mbedtls_x509_crt *chain, char *why, size_t why_len)
{
	size_t bytes = CERTIFICATE_MESSAGE_BYTES;

	for (; chain; chain = chain->next)
		bytes += chain->raw.len + CERTIFICATE_ENTRY_BYTES;
	if (bytes <= MBEDTLS_SSL_OUT_CONTENT_LEN)
		return 0;
	snprintf(why, why_len, "the certificate chain: longer than %d bytes",
		 MBEDTLS_SSL_OUT_CONTENT_LEN);
	return -EINVAL;
}

static int load_key(struct tls_credentials *c, const char *pem, char *why, size_t why_len)
{
	int err = pem ? mbedtls_pk_parse_key(&c->key, (const unsigned char *)pem, strlen(pem) + 1,
					     NULL, 0, tls_random, NULL)
		      : MBEDTLS_ERR_PK_KEY_INVALID_FORMAT;

	if (err) {
		tls_explain(why, why_len, "the key", err);
		return -EINVAL;
	}
	err = mbedtls_pk_check_pair(&c->chain.pk, &c->key, tls_random, NULL);
	if (err) {
		tls_explain(why, why_len, "the key", MBEDTLS_ERR_PK_TYPE_MISMATCH);
		return -EINVAL;
	}
	return 0;
}

static int load_all(struct tls_credentials *c, const struct tls_credentials_text *text, char *why,
		    size_t why_len)
{
	int err = load_certificates(&c->chain, text->chain, "the certificate chain", why, why_len);

	if (!err)
		err = check_length(&c->chain, why, why_len);
	if (!err)
		err = load_key(c, text->key, why, why_len);
	if (!err && text->client_ca)
		err = load_certificates(&c->client_ca, text->client_ca, "the CA certificate", why,
					why_len);
	return err;
}

static int write_ticket(void *tickets, const mbedtls_ssl_session *session, unsigned char *start,
			const unsigned char *end, size_t *len, uint32_t *lifetime)
{
	return mbedtls_ssl_ticket_write(&((struct tls_tickets *)tickets)->context, session, start,
					end, len, lifetime);
}

static int parse_ticket(void *tickets, mbedtls_ssl_session *session, unsigned char *ticket,
			size_t len)
{
	struct tls_tickets *t = tickets;
	int err = mbedtls_ssl_ticket_parse(&t->context, session, ticket, len);

	t->server->stats.resumed += !err;
	return err;
}

static int configure(struct tls_credentials *c, const struct tls_server *server,
		     enum tls_verify verify, bool first)
{
	static const int modes[TLS_VERIFY_MODES] = {
		MBEDTLS_SSL_VERIFY_NONE, MBEDTLS_SSL_VERIFY_OPTIONAL, MBEDTLS_SSL_VERIFY_REQUIRED,
	};
	mbedtls_ssl_config *config = &c->config[verify][first];
	int err = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_SERVER,
					      MBEDTLS_SSL_TRANSPORT_STREAM,
					      MBEDTLS_SSL_PRESET_DEFAULT);

	if (err)
		return err;
	mbedtls_ssl_conf_min_tls_version(config, server->min_version == TLS_1_3
							 ? MBEDTLS_SSL_VERSION_TLS1_3
							 : MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_rng(config, tls_random, NULL);
	mbedtls_ssl_conf_groups(config, GROUPS);
	mbedtls_ssl_conf_ciphersuites(config, first ? server->first_suites : server->suites);
	mbedtls_ssl_conf_authmode(config, modes[verify]);
	if (c->client_ca.raw.p)
		mbedtls_ssl_conf_ca_chain(config, &c->client_ca, NULL);
	err = mbedtls_ssl_conf_own_cert(config, &c->chain, &c->key);
	if (!err && c->resume)
		mbedtls_ssl_conf_session_tickets_cb(config, write_ticket, parse_ticket,
						    &c->tickets[verify]);
	return err;
}

static int configure_mode(struct tls_credentials *c, const struct tls_server *server,
			  enum tls_verify verify)
{
	int err = 0;

	if (c->resume)
		err = mbedtls_ssl_ticket_setup(&c->tickets[verify].context, tls_random, NULL,
					       MBEDTLS_CIPHER_AES_256_GCM, TICKET_LIFETIME_S);
	if (!err)
		err = configure(c, server, verify, false);
	if (!err)
		err = configure(c, server, verify, true);
	return err;
}

int tls_credentials_create(struct tls_server *server, const struct tls_credentials_text *text,
			   struct tls_credentials **out, char *why, size_t why_len)
{
	struct tls_credentials *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->refs = 1;
	c->resume = server->resume;
	mbedtls_x509_crt_init(&c->chain);
	mbedtls_x509_crt_init(&c->client_ca);
	mbedtls_pk_init(&c->key);
	for (int i = 0; i < TLS_VERIFY_MODES; i++) {
		mbedtls_ssl_config_init(&c->config[i][0]);
		mbedtls_ssl_config_init(&c->config[i][1]);
		mbedtls_ssl_ticket_init(&c->tickets[i].context);
		c->tickets[i].server = server;
	}
	err = load_all(c, text, why, why_len);
	for (int i = 0; i < TLS_VERIFY_MODES && !err; i++) {
		if (configure_mode(c, server, i) != 0)
			err = -ENOMEM;
	}
	if (err) {
		tls_credentials_put(c);
		return err;
	}
	*out = c;
	return 0;
}

void tls_credentials_put(struct tls_credentials *c)
{
	if (--c->refs > 0)
		return;
	for (int i = 0; i < TLS_VERIFY_MODES; i++) {
		mbedtls_ssl_config_free(&c->config[i][0]);
		mbedtls_ssl_config_free(&c->config[i][1]);
		mbedtls_ssl_ticket_free(&c->tickets[i].context);
	}
	mbedtls_pk_free(&c->key);
	mbedtls_x509_crt_free(&c->client_ca);
	mbedtls_x509_crt_free(&c->chain);
	free(c);
}
