/*
 * Mbed TLS as Kiln uses it (MBEDTLS_CONFIG_FILE): a TLS 1.3 and 1.2 server with forward secrecy and
 * authenticated encryption, and nothing else. The same in an image and on the build machine.
 *
 * Left out on purpose: renegotiation (a ClientHello inside a connection is refused), compression,
 * CBC suites, static RSA and finite-field key exchange, SHA-1, early data, DTLS.
 */
#ifndef KILN_MBEDTLS_CONFIG_H
#define KILN_MBEDTLS_CONFIG_H

/* The platform: a C library, a clock, and libos/tls/entropy.c as the only source of randomness. */
#define MBEDTLS_HAVE_ASM
#ifdef CONFIG_MISALIGNED_FAST          /* words of any address are one load here */
#define MBEDTLS_EFFICIENT_UNALIGNED_ACCESS
#endif
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE
#define MBEDTLS_DEPRECATED_REMOVED
#define MBEDTLS_NO_PLATFORM_ENTROPY
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_PTHREAD

/* The protocol. */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES
#define MBEDTLS_SSL_SESSION_TICKETS
#define MBEDTLS_SSL_TICKET_C
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED

/* A client for tests and measurements on the build machine. */
#ifdef KILN_TLS_CLIENT
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#endif

/*
 * Memory for each connection: whatever a peer may send must fit, what we send is up to us. Records
 * of half the largest size cost one half percent more bytes and save 8 KiB; our certificate chain
 * has to fit into one of them (libos/tls checks it when it is loaded).
 */
#define MBEDTLS_SSL_IN_CONTENT_LEN  16384
#define MBEDTLS_SSL_OUT_CONTENT_LEN 8192

/* Records are as long as what they carry: lengths of cached values are no secret worth padding. */
#define MBEDTLS_SSL_CID_TLS1_3_PADDING_GRANULARITY 1

/*
 * Suites in the order of our choice. ChaCha20-Poly1305 first: without instructions for AES it is
 * four times as fast, and takes the same time for all data, which AES by tables does not.
 */
#define MBEDTLS_SSL_CIPHERSUITES                                 \
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,                 \
	MBEDTLS_TLS1_3_AES_128_GCM_SHA256,                       \
	MBEDTLS_TLS1_3_AES_256_GCM_SHA384,                       \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,   \
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,     \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,         \
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,           \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,         \
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384

/* Ciphers, with constant tables, so that nothing is computed at boot. */
#define MBEDTLS_CIPHER_C
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_GCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C

/* Hashes. */
#define MBEDTLS_MD_C
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_HKDF_C

/* Public keys. */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_PARSE_EC_EXTENDED

/* Certificates. */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_OID_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT

/* TLS 1.3 computes its keys through this interface. */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_KEY_STORE_DYNAMIC

#endif
