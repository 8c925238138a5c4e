/*
 * Choosing cipher suites by name. The names are OpenSSL's, because that is what operators have in
 * their configurations. As there, a list speaks of TLS 1.2; the suites of 1.3 are always offered,
 * unless the list names some of them.
 *
 * In TLS 1.3 Mbed TLS takes the first suite of the client's list that it has, and clients put AES
 * first, because they have instructions for it. The server's wish counts for more here: when the
 * ClientHello shows that the client knows the suite we like best, the handshake begins with a
 * configuration that has no other of TLS 1.3.
 */
#include "tls_parts.h"

#include <string.h>

/* In the order of our own preference; the first three are TLS 1.3. */
static const struct suite {
	const char *name;
	int id;
} SUITES[] = {
	{ "TLS_CHACHA20_POLY1305_SHA256", MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256 },
	{ "TLS_AES_128_GCM_SHA256", MBEDTLS_TLS1_3_AES_128_GCM_SHA256 },
	{ "TLS_AES_256_GCM_SHA384", MBEDTLS_TLS1_3_AES_256_GCM_SHA384 },
	{ "ECDHE-ECDSA-CHACHA20-POLY1305", MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 },
	{ "ECDHE-RSA-CHACHA20-POLY1305", MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 },
	{ "ECDHE-ECDSA-AES128-GCM-SHA256", MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 },
	{ "ECDHE-RSA-AES128-GCM-SHA256", MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 },
	{ "ECDHE-ECDSA-AES256-GCM-SHA384", MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 },
	{ "ECDHE-RSA-AES256-GCM-SHA384", MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 },
};
enum { SUITES_COUNT = sizeof(SUITES) / sizeof(SUITES[0]), SUITES_OF_1_3 = 3 };

static bool word_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(word, name, len) == 0;
}

/*
 * Words that stand for everything we have; what they leave out in OpenSSL, we do not have either.
 */
static bool means_all(const char *word, size_t len)
{
	static const char *const words[] = { "DEFAULT", "ALL", "HIGH", "ECDHE", "EECDH", "AEAD" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (word_is(word, len, words[i]))
			return true;
	}
	return false;
}

static void append(int suites[], int *count, int id)
{
	for (int i = 0; i < *count; i++) {
		if (suites[i] == id)
			return;
	}
	suites[(*count)++] = id;
}

static void append_all(int suites[], int *count, int from, int to)
{
	for (int i = from; i < to; i++)
		append(suites, count, SUITES[i].id);
}

static void append_named(int suites[], int *count, const char *word, size_t len, bool of_1_3)
{
	for (int i = 0; i < SUITES_COUNT; i++) {
		if ((i < SUITES_OF_1_3) == of_1_3 && word_is(word, len, SUITES[i].name))
			append(suites, count, SUITES[i].id);
	}
	if (!of_1_3 && means_all(word, len))
		append_all(suites, count, SUITES_OF_1_3, SUITES_COUNT);
}

static void append_list(int suites[], int *count, const char *names, bool of_1_3)
{
	while (*names) {
		size_t len = strcspn(names, ":, ");

		append_named(suites, count, names, len, of_1_3);
		names += len + (names[len] != '\0');
	}
}

bool tls_ciphers_choose(const char *names, int suites[TLS_SUITES_MAX])
{
	int count = 0, of_1_3;

	if (!names)
		names = "DEFAULT";
	append_list(suites, &count, names, true);
	of_1_3 = count;
	append_list(suites, &count, names, false);
	if (count == 0)
		return false;
	if (of_1_3 == 0) {
		memmove(suites + SUITES_OF_1_3, suites, (size_t)count * sizeof(suites[0]));
		for (int i = 0; i < SUITES_OF_1_3; i++)
			suites[i] = SUITES[i].id;
		count += SUITES_OF_1_3;
	}
	suites[count] = 0;
	return true;
}

static bool is_of_1_3(int id)
{
	for (int i = 0; i < SUITES_OF_1_3; i++) {
		if (SUITES[i].id == id)
			return true;
	}
	return false;
}

void tls_ciphers_first(const int suites[TLS_SUITES_MAX], int first[TLS_SUITES_MAX])
{
	int count = 0;

	first[count++] = suites[0];
	for (int i = 1; suites[i]; i++) {
		if (!is_of_1_3(suites[i]))
			first[count++] = suites[i];
	}
	first[count] = 0;
}

/* A record (RFC 8446, 5.1), in it a handshake message (4), in it the ClientHello (4.1.2). */
bool tls_hello_offers(const uint8_t *hello, size_t len, int suite)
{
	enum { MESSAGE_AT = 5, SESSION_ID_AT = MESSAGE_AT + 4 + 2 + 32 };
	size_t at, end;

	if (len <= SESSION_ID_AT || hello[0] != MBEDTLS_SSL_MSG_HANDSHAKE ||
	    hello[MESSAGE_AT] != MBEDTLS_SSL_HS_CLIENT_HELLO)
		return false;
	at = SESSION_ID_AT + 1 + hello[SESSION_ID_AT];
	if (at + 2 > len)
		return false;
	end = at + 2 + (size_t)(hello[at] << 8 | hello[at + 1]);
	if (end > len)
		end = len;
	for (at += 2; at + 2 <= end; at += 2) {
		if ((hello[at] << 8 | hello[at + 1]) == suite)
			return true;
	}
	return false;
}
