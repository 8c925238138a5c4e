/*
 * TLS of this memcached, on <libos/tls.h>. The files that the options name are read with ordinary
 * calls, when the server starts and again for refresh_certs.
 *
 * Where memcached's options reach into OpenSSL: ssl_min_version 0 and 1 (TLS 1.0 and 1.1) mean 1.2
 * here; ssl_keyformat must be PEM; ssl_wbuf_size and ssl_kernel_tls are accepted and change
 * nothing.
 */
#define _GNU_SOURCE
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libos/tls.h>
#include <netinet/in.h>

#include "options.h"
#include "report.h"
#include "settings.h"
#include "watch.h"

enum { FILE_MAX = 1024 * 1024, WHY_MAX = 200, PEM_FORMAT = 1, KIB = 1024 };

/* How OpenSSL counts what -o ssl_verify_mode chooses; stats settings shows it. */
static const int VERIFY_SHOWN[] = { 0, 1, 3, 7 };
static const enum tls_verify VERIFY[] = {
	TLS_VERIFY_NONE, TLS_VERIFY_IF_GIVEN, TLS_VERIFY_REQUIRED, TLS_VERIFY_REQUIRED,
};
static const char *const VERSIONS[] = { "tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3" };

static struct {
	bool enabled;
	const char *chain_cert, *key, *ca_cert, *ciphers;
	double verify_mode, min_version, wbuf_kib, keyformat;
	bool session_cache, kernel_tls;
	struct tls_server *server;
	uint64_t refreshed_ns;
} tls = { .min_version = 2, .wbuf_kib = 16, .keyformat = PEM_FORMAT };

/* ---- options ---- */

int tls_enable(void)
{
	tls.enabled = true;
	return OPTIONS_GO_ON;
}

static const struct {
	const char *name;
	const char **text;
	double *number, max;
	bool *flag;
	bool has_no_effect;
} OPTIONS[] = {
	{ "ssl_chain_cert", &tls.chain_cert, NULL, 0, NULL, false },
	{ "ssl_key", &tls.key, NULL, 0, NULL, false },
	{ "ssl_ca_cert", &tls.ca_cert, NULL, 0, NULL, false },
	{ "ssl_ciphers", &tls.ciphers, NULL, 0, NULL, false },
	{ "ssl_verify_mode", NULL, &tls.verify_mode, 3, NULL, false },
	{ "ssl_min_version", NULL, &tls.min_version, 3, NULL, false },
	{ "ssl_keyformat", NULL, &tls.keyformat, 3, NULL, false },
	{ "ssl_wbuf_size", NULL, &tls.wbuf_kib, 1 << 20, NULL, true },
	{ "ssl_session_cache", NULL, NULL, 0, &tls.session_cache, false },
	{ "ssl_kernel_tls", NULL, NULL, 0, &tls.kernel_tls, true },
};

static int apply(size_t i, const char *value)
{
	if (OPTIONS[i].has_no_effect)
		option_has_no_effect(OPTIONS[i].name);
	if (OPTIONS[i].flag) {
		*OPTIONS[i].flag = true;
		return OPTIONS_GO_ON;
	}
	if (!value)
		return option_refuse("missing value of -o", OPTIONS[i].name);
	if (OPTIONS[i].text) {
		*OPTIONS[i].text = value;
		return OPTIONS_GO_ON;
	}
	if (!option_number(value, 0, OPTIONS[i].max, OPTIONS[i].number)) {
		fprintf(stderr, "memcached: -o %s needs a number from 0 to %.10g, not \"%s\"\n",
			OPTIONS[i].name, OPTIONS[i].max, value);
		return OPTIONS_USAGE;
	}
	return OPTIONS_GO_ON;
}

bool tls_option(const char *name, const char *value, int *result)
{
	for (size_t i = 0; i < sizeof(OPTIONS) / sizeof(OPTIONS[0]); i++) {
		if (strcmp(OPTIONS[i].name, name) == 0) {
			*result = apply(i, value);
			return true;
		}
	}
	return false;
}

/* ---- files ---- */

/* Reads all of a descriptor into memory that the caller frees, with a 0 behind it. */
static char *read_all(int fd, size_t size)
{
	char *text = malloc(size + 1);
	size_t done = 0;
	ssize_t n = 1;

	while (text && done < size && n > 0) {
		n = read(fd, text + done, size - done);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			done += (size_t)n;
	}
	if (text && n < 0) {
		free(text);
		return NULL;
	}
	if (text)
		text[done] = '\0';
	return text;
}

/* The text of a file. False: there is a name, and it could not be read; `why` says so. */
static bool file_read(const char *name, char **text, char *why)
{
	struct stat st;
	int fd;

	*text = NULL;
	if (!name)
		return true;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		if (st.st_size <= FILE_MAX)
			*text = read_all(fd, (size_t)st.st_size);
		else
			errno = EFBIG;
	}
	if (!*text)
		snprintf(why, WHY_MAX, "%s: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return *text != NULL;
}

static void file_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* Reads the three files and has `use` do something with them. 0 or negative errno and `why`. */
static int with_files(int (*use)(const struct tls_credentials_text *text, char *why), char *why)
{
	char *chain, *key = NULL, *ca = NULL;
	int err = -ENOENT;

	if (file_read(tls.chain_cert, &chain, why) && file_read(tls.key, &key, why) &&
	    file_read(tls.ca_cert, &ca, why))
		err = use(&(struct tls_credentials_text){ chain, key, ca }, why);
	if (err == -ENOMEM)
		snprintf(why, WHY_MAX, "%s", "no memory");
	if (err == 0)
		tls.refreshed_ns = stream_now_ns();
	file_free(chain);
	file_free(key);
	file_free(ca);
	return err;
}

/* ---- starting, and starting anew ---- */

static void peer_name(struct stream *s, char *name, size_t size)
{
	struct sockaddr_storage addr;
	socklen_t len;

	snprintf(name, size, "%s", "a client");
	if (stream_peer_address(s, &addr, &len) < 0)
		return;
	if (addr.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&addr)->sin6_addr, name,
			  (socklen_t)size);
	else
		inet_ntop(AF_INET, &((struct sockaddr_in *)&addr)->sin_addr, name, (socklen_t)size);
}

static void connection_failed(struct stream *s, bool in_handshake, const char *why)
{
	char name[INET6_ADDRSTRLEN];

	if (watched(WATCH_CONNECTIONS))
		watch_tls_error(stream_id(s), why);
	if (!settings.verbose)
		return;
	peer_name(s, name, sizeof(name));
	fprintf(stderr, "memcached: TLS with %s %s: %s\n", name,
		in_handshake ? "did not come about" : "broke off", why);
}

static int server_create(const struct tls_credentials_text *text, char *why)
{
	struct tls_options options = {
		.credentials = *text,
		.min_version = tls.min_version > 2 ? TLS_1_3 : TLS_1_2,
		.ciphers = tls.ciphers,
		.resume = tls.session_cache,
		.failed = connection_failed,
	};

	return tls_server_create(&options, &tls.server, why, WHY_MAX);
}

static int server_reload(const struct tls_credentials_text *text, char *why)
{
	return tls_server_reload(tls.server, text, why, WHY_MAX);
}

int tls_start(void)
{
	char why[WHY_MAX] = "";
	int err;

	if (!tls.enabled)
		return 0;
	if (tls.min_version < 2)
		fprintf(stderr,
			"memcached: ssl_min_version %.0f: %s is the lowest that is spoken\n",
			tls.min_version, VERSIONS[2]);
	if (tls.keyformat != PEM_FORMAT) {
		fprintf(stderr, "memcached: -o ssl_keyformat: only PEM (1) is read\n");
		return -EINVAL;
	}
	if (!tls.chain_cert || !tls.key) {
		fprintf(stderr,
			"memcached: -Z needs -o ssl_chain_cert=<file> and ssl_key=<file>\n");
		return -EINVAL;
	}
	err = with_files(server_create, why);
	if (err)
		fprintf(stderr, "memcached: TLS (-Z): %s\n", why);
	return err;
}

const char *tls_refresh(void)
{
	static char line[WHY_MAX + 64];
	char why[WHY_MAX] = "";

	if (!tls.server)
		return "Error TLS not enabled\r\n";
	if (with_files(server_reload, why) == 0)
		return NULL;
	snprintf(line, sizeof(line), "Error loading the certificates: %s\r\n", why);
	return line;
}

static bool skip(char **text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*text, prefix, len) != 0)
		return false;
	*text += len;
	return true;
}

bool tls_filter(char **text, const struct stream_filter **filter)
{
	enum tls_verify verify = VERIFY[(int)tls.verify_mode];
	char *word = *text;
	bool plain = skip(text, "notls:");

	if (skip(text, "btls:"))
		verify = TLS_VERIFY_NONE;
	else if (skip(text, "mtls:"))
		verify = TLS_VERIFY_REQUIRED;
	*filter = NULL;
	if (!tls.enabled && *text != word) {
		fprintf(stderr, "memcached: -l %s needs TLS (-Z)\n", word);
		return false;
	}
	if (tls.enabled && !plain)
		*filter = tls_server_filter(tls.server, verify);
	return true;
}

/* ---- stats ---- */

void tls_show_stats(struct conn *c)
{
	struct tls_stats stats;

	if (!tls.server)
		return;
	tls_server_stats(tls.server, &stats);
	if (tls.session_cache)
		stat_number(c, "ssl_new_sessions", stats.handshakes - stats.resumed);
	stat_number(c, "ssl_handshake_errors", stats.handshake_errors);
	stat_number(c, "ssl_proto_errors", stats.protocol_errors);
	stat_number(c, "time_since_server_cert_refresh",
		    (stream_now_ns() - tls.refreshed_ns) / 1000000000);
}

void tls_show_settings(struct conn *c)
{
	stat_line(c, "ssl_enabled", "%s", tls.enabled ? "yes" : "no");
	stat_line(c, "ssl_chain_cert", "%s", tls.chain_cert ? tls.chain_cert : "(null)");
	stat_line(c, "ssl_key", "%s", tls.key ? tls.key : "(null)");
	stat_number(c, "ssl_verify_mode", (uint64_t)VERIFY_SHOWN[(int)tls.verify_mode]);
	stat_number(c, "ssl_keyformat", (uint64_t)tls.keyformat);
	stat_line(c, "ssl_ciphers", "%s", tls.ciphers ? tls.ciphers : "NULL");
	stat_line(c, "ssl_ca_cert", "%s", tls.ca_cert ? tls.ca_cert : "NULL");
	stat_number(c, "ssl_wbuf_size", (uint64_t)(tls.wbuf_kib * KIB));
	stat_line(c, "ssl_session_cache", "%s", tls.session_cache ? "yes" : "no");
	stat_line(c, "ssl_kernel_tls", "%s", tls.kernel_tls ? "yes" : "no");
	stat_line(c, "ssl_min_version", "%s", VERSIONS[(int)tls.min_version]);
}
