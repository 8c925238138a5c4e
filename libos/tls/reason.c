/*
 * Errors of Mbed TLS in a few words, for the one line that is said about a lost connection.
 */
#include "tls_parts.h"

#include <errno.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>

const char *tls_reason(int err)
{
	static const struct {
		int err;
		const char *text;
	} reasons[] = {
		{ MBEDTLS_ERR_SSL_INVALID_RECORD, "not a TLS record" },
		{ MBEDTLS_ERR_SSL_INVALID_MAC, "a record that was tampered with" },
		{ MBEDTLS_ERR_SSL_UNEXPECTED_RECORD, "a record of an unexpected kind" },
		{ MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, "an unexpected message" },
		{ MBEDTLS_ERR_SSL_DECODE_ERROR, "a message that cannot be read" },
		{ MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, "a message with an illegal parameter" },
		{ MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, "no version of TLS in common" },
		{ MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, "no cipher or group in common" },
		{ MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, "the client has no certificate" },
		{ MBEDTLS_ERR_SSL_BAD_CERTIFICATE, "the client's certificate cannot be used" },
		{ MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED, "a client's certificate, but no ssl_ca_cert" },
		{ MBEDTLS_ERR_X509_CERT_VERIFY_FAILED, "the client's certificate is not trusted" },
		{ MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, "the client sent an alert" },
		{ MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL, "no protocol in common" },
		{ MBEDTLS_ERR_SSL_CONN_EOF, "the client went away" },
		{ MBEDTLS_ERR_SSL_TIMEOUT, "it took too long" },
		{ MBEDTLS_ERR_SSL_ALLOC_FAILED, "no memory" },
		{ MBEDTLS_ERR_SSL_PK_TYPE_MISMATCH, "the key does not belong to the certificate" },
		{ MBEDTLS_ERR_RSA_KEY_CHECK_FAILED, "the key does not belong to the certificate" },
		{ MBEDTLS_ERR_PK_TYPE_MISMATCH, "the key does not belong to the certificate" },
		{ MBEDTLS_ERR_PK_BAD_INPUT_DATA, "the key does not belong to the certificate" },
		{ MBEDTLS_ERR_ECP_BAD_INPUT_DATA, "the key does not belong to the certificate" },
		{ MBEDTLS_ERR_PEM_NO_HEADER_FOOTER_PRESENT, "no PEM in it" },
		{ MBEDTLS_ERR_PK_KEY_INVALID_FORMAT, "no private key in it" },
		{ MBEDTLS_ERR_PK_PASSWORD_REQUIRED, "the key is encrypted" },
		{ MBEDTLS_ERR_X509_INVALID_FORMAT, "no certificate in it" },
		{ MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT, "no certificate in it" },
		{ MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE, "a curve that is not supported" },
		{ MBEDTLS_ERR_PK_UNKNOWN_PK_ALG, "a kind of key that is not supported" },
		{ -EPIPE, "the connection is closed" },
		{ -ENOMEM, "no memory" },
		{ -EMSGSIZE, "too much unread input" },
	};

	/* Composed errors carry the outer one in bits 7 to 14; both are tried. */
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (err == reasons[i].err || (err < -0x1000 && -(-err & 0xff80) == reasons[i].err))
			return reasons[i].text;
	}
	return "an error in the TLS protocol";
}
