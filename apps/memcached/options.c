/*
 * Options. What memcached knows, this knows; what only makes sense for a Unix process (daemons,
 * users, files, sockets in the file system) is accepted and said to be without effect, so that a
 * command line can be taken over as it is. What is not there yet says so, and what is unknown is an
 * error with its name.
 */
#define _GNU_SOURCE
#include "options.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"
#include "tls.h"

enum { MIB = 1024 * 1024, PORT_MAX = 65535 };

struct settings settings = {
	.port = 11211,
	.connections = 1024,
	.threads = 4,
	.requests_per_event = 20,
	.backlog = 1024,
	.refuse_fast = true,
	.memory_limit = 64ul * MIB,
	.item_size_max = MIB,
	.factor = 1.25,
	.chunk_size = 48,
	.hash_grows = true,
	.use_cas = true,
	.evict = true,
	.lru_maintainer = true,
	.lru_segmented = true,
	.hot_lru_pct = 20,
	.warm_lru_pct = 40,
	.hot_max_factor = 0.2,
	.warm_max_factor = 2.0,
	.temporary_ttl = 61,
	.lru_crawler = true,
	.lru_crawler_sleep = 100,
	.slab_reassign = true,
	.slab_automove = 1,
	.slab_automove_ratio = 0.8,
	.slab_automove_freeratio = 0.01,
	.slab_automove_window = 10,
	.flush_enabled = true,
	.dump_enabled = true,
	.watch_enabled = true,
	.prefix_delimiter = ':',
	.watcher_buffer = MIB / 4,
	.worker_buffer = MIB / 16,
};

static const char SHORT[] = ":a:AZp:s:U:m:Mc:khiVrvdl:u:P:f:n:t:D:LR:Cb:B:I:SFXWY:e:o:N:";

static const struct option LONG[] = {
	{ "unix-mask", required_argument, NULL, 'a' },
	{ "enable-shutdown", no_argument, NULL, 'A' },
	{ "enable-ssl", no_argument, NULL, 'Z' },
	{ "port", required_argument, NULL, 'p' },
	{ "unix-socket", required_argument, NULL, 's' },
	{ "udp-port", required_argument, NULL, 'U' },
	{ "memory-limit", required_argument, NULL, 'm' },
	{ "disable-evictions", no_argument, NULL, 'M' },
	{ "conn-limit", required_argument, NULL, 'c' },
	{ "lock-memory", no_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },
	{ "license", no_argument, NULL, 'i' },
	{ "version", no_argument, NULL, 'V' },
	{ "enable-coredumps", no_argument, NULL, 'r' },
	{ "verbose", optional_argument, NULL, 'v' },
	{ "daemon", no_argument, NULL, 'd' },
	{ "listen", required_argument, NULL, 'l' },
	{ "user", required_argument, NULL, 'u' },
	{ "pidfile", required_argument, NULL, 'P' },
	{ "slab-growth-factor", required_argument, NULL, 'f' },
	{ "slab-min-size", required_argument, NULL, 'n' },
	{ "threads", required_argument, NULL, 't' },
	{ "enable-largepages", no_argument, NULL, 'L' },
	{ "max-reqs-per-event", required_argument, NULL, 'R' },
	{ "disable-cas", no_argument, NULL, 'C' },
	{ "listen-backlog", required_argument, NULL, 'b' },
	{ "protocol", required_argument, NULL, 'B' },
	{ "max-item-size", required_argument, NULL, 'I' },
	{ "enable-sasl", no_argument, NULL, 'S' },
	{ "disable-flush-all", no_argument, NULL, 'F' },
	{ "disable-dumping", no_argument, NULL, 'X' },
	{ "disable-watch", no_argument, NULL, 'W' },
	{ "auth-file", required_argument, NULL, 'Y' },
	{ "memory-file", required_argument, NULL, 'e' },
	{ "extended", required_argument, NULL, 'o' },
	{ "napi-ids", required_argument, NULL, 'N' },
	{ NULL, 0, NULL, 0 },
};

int option_refuse(const char *what, const char *which)
{
	fprintf(stderr, "memcached: %s: %s\n", what, which);
	return OPTIONS_USAGE;
}

void option_has_no_effect(const char *option)
{
	fprintf(stderr, "memcached: option %s has no effect here\n", option);
}

bool option_number(const char *text, double min, double max, double *out)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	*out = strtod(text, &end);
	return (isdigit((unsigned char)*text) || *text == '.') && *end == '\0' && *out >= min &&
	       *out <= max;
}

/* A whole number within bounds, with an optional suffix k, m or g where `scaled`. */
static bool parse_whole(const char *text, bool scaled, unsigned long min, unsigned long max,
			unsigned long *out)
{
	static const char suffixes[] = "kmg";
	const char *suffix;
	char *end;
	unsigned long n;

	while (isspace((unsigned char)*text))
		text++;
	if (!isdigit((unsigned char)*text))
		return false;
	n = strtoul(text, &end, 10);
	if (scaled && *end) {
		suffix = strchr(suffixes, tolower((unsigned char)*end));
		if (!suffix || n > ULONG_MAX >> (10 * (suffix - suffixes + 1)))
			return false;
		n <<= 10 * (suffix - suffixes + 1);
		end++;
	}
	if (*end || n < min || n > max)
		return false;
	*out = n;
	return true;
}

static int set_unsigned(unsigned *setting, const char *option, unsigned long min, unsigned long max)
{
	unsigned long n;

	if (!parse_whole(optarg, false, min, max, &n)) {
		fprintf(stderr, "memcached: %s needs a number from %lu to %lu, not \"%s\"\n",
			option, min, max, optarg);
		return OPTIONS_USAGE;
	}
	*setting = (unsigned)n;
	return OPTIONS_GO_ON;
}

static int set_size(size_t *setting, const char *option, size_t unit, unsigned long min,
		    unsigned long max)
{
	unsigned long n;

	if (!parse_whole(optarg, unit == 1, min, max, &n)) {
		fprintf(stderr, "memcached: %s cannot be \"%s\"\n", option, optarg);
		return OPTIONS_USAGE;
	}
	*setting = n * unit;
	return OPTIONS_GO_ON;
}

static int set_threads(void)
{
	int result = set_unsigned(&settings.threads, "-t", 1, 1024);

	if (result == OPTIONS_GO_ON && settings.threads > 1)
		fprintf(stderr, "memcached: -t %u: one thread serves all the same\n",
			settings.threads);
	return result;
}

static int set_factor(void)
{
	char *end;
	double f = strtod(optarg, &end);

	if (*end || !(f > 1.0) || f > 100.0)
		return option_refuse("-f (factor) must be greater than 1, not", optarg);
	settings.factor = f;
	return OPTIONS_GO_ON;
}

static int set_protocol(void)
{
	static const char *const names[] = {
		[PROTOCOL_AUTO] = "auto", [PROTOCOL_ASCII] = "ascii", [PROTOCOL_BINARY] = "binary",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(optarg, names[i]) == 0) {
			settings.protocol = (enum protocol)i;
			return OPTIONS_GO_ON;
		}
	}
	return option_refuse("-B (protocol) must be auto, ascii or binary, not", optarg);
}

static int set_port(int *port, const char *option)
{
	unsigned n;
	int result;

	if (strcmp(optarg, "-1") == 0) {
		*port = PORT_ANY;
		return OPTIONS_GO_ON;
	}
	result = set_unsigned(&n, option, 0, PORT_MAX);
	if (result == OPTIONS_GO_ON)
		*port = (int)n;
	return result;
}

/* Several -l make one list. */
static int set_listen(void)
{
	static char *joined;
	char *list;

	if (!settings.listen) {
		settings.listen = optarg;
		return OPTIONS_GO_ON;
	}
	if (strstr(settings.listen, optarg))
		return OPTIONS_GO_ON;
	if (asprintf(&list, "%s,%s", settings.listen, optarg) < 0)
		return option_refuse("no memory for", "-l");
	free(joined);
	settings.listen = joined = list;
	return OPTIONS_GO_ON;
}

static int set_delimiter(void)
{
	if (!optarg[0])
		return option_refuse("option needs a character", "-D");
	settings.prefix_delimiter = optarg[0];
	settings.detail_enabled = true;
	return OPTIONS_GO_ON;
}

/* Options with a value. */
static int value_apply(int option)
{
	switch (option) {
	case 'm':
		return set_size(&settings.memory_limit, "-m", MIB, 1, 1ul << 20);
	case 'I':
		return set_size(&settings.item_size_max, "-I", 1, 1024, 1024ul * MIB);
	case 'p':
		return set_port(&settings.port, "-p");
	case 'U':
		return set_port(&settings.udp_port, "-U");
	case 'c':
		return set_unsigned(&settings.connections, "-c", 1, 1 << 24);
	case 't':
		return set_threads();
	case 'R':
		return set_unsigned(&settings.requests_per_event, "-R", 1, 1 << 24);
	case 'b':
		return set_unsigned(&settings.backlog, "-b", 1, 1 << 16);
	case 'n':
		return set_unsigned(&settings.chunk_size, "-n", 1, 4096);
	case 'f':
		return set_factor();
	case 'B':
		return set_protocol();
	case 'o':
		return options_extended(optarg);
	case 'l':
		return set_listen();
	case 'D':
		return set_delimiter();
	case 'Y':
		settings.auth_file = optarg;
		return OPTIONS_GO_ON;
	}
	return OPTIONS_USAGE;
}

/* Options that are a switch. False: not one of them. */
static bool switch_apply(int option)
{
	switch (option) {
	case 'v':
		settings.verbose++;
		return true;
	case 'A':
		settings.shutdown_command = true;
		return true;
	case 'C':
		settings.use_cas = false;
		return true;
	case 'M':
		settings.evict = false;
		return true;
	case 'F':
		settings.flush_enabled = false;
		return true;
	case 'X':
		settings.dump_enabled = false;
		return true;
	case 'W':
		settings.watch_enabled = false;
		return true;
	}
	return false;
}

static int option_apply(int option)
{
	if (switch_apply(option))
		return OPTIONS_GO_ON;
	if (strchr("LduPsarkSN", option)) {
		option_has_no_effect((const char[]){ '-', (char)option, 0 });
		return OPTIONS_GO_ON;
	}
	switch (option) {
	case 'Z':
		return tls_enable();
	case 'e':
		settings.memory_file = optarg;
		return OPTIONS_GO_ON;
	case 'h':
		fputs(OPTIONS_HELP, stdout);
		return OPTIONS_OK;
	case 'V':
		puts("memcached " MEMCACHED_VERSION);
		return OPTIONS_OK;
	case 'i':
		puts("MIT licence, see the file LICENSE.");
		return OPTIONS_OK;
	}
	return value_apply(option);
}

/* getopt() found an option that it does not know, or one without its value. */
static int refuse_misread(int problem, char *word)
{
	const char name[] = { '-', (char)optopt, 0 };

	if (problem == ':')
		return option_refuse("option needs a value",
				     optopt && word[1] != '-' ? name : word);
	return option_refuse("unknown option", optopt ? name : word);
}

/* Settings that do not fit together. NULL, or what is wrong. slab_chunk_max: 0 if not given. */
static const char *settings_conflict(bool protocol_given)
{
	if (settings.item_size_max > settings.memory_limit / 2)
		return "-I must not be more than half of -m";
	if (settings.slab_chunk_max && settings.item_size_max % settings.slab_chunk_max != 0)
		return "-I must be a multiple of -o slab_chunk_max";
	if (settings.hot_lru_pct + settings.warm_lru_pct > 80)
		return "-o hot_lru_pct and warm_lru_pct must not be more than 80 together";
	if (settings.temp_lru && !settings.lru_maintainer)
		return "-o temporary_ttl needs lru_maintainer";
	if (settings.auth_file && protocol_given && settings.protocol != PROTOCOL_ASCII)
		return "-Y needs the text protocol (-B ascii)";
	if (settings.auth_file && settings.udp_port)
		return "-Y cannot protect UDP (-U)";
	return NULL;
}

static int settings_check(bool tcp_given, bool protocol_given)
{
	const char *conflict = settings_conflict(protocol_given);

	if (conflict) {
		fprintf(stderr, "memcached: %s\n", conflict);
		return OPTIONS_USAGE;
	}
	if (settings.udp_port && !tcp_given)
		settings.port = settings.udp_port;
	if (settings.auth_file)
		settings.protocol = PROTOCOL_ASCII;
	if (!settings.slab_chunk_max)
		settings.slab_chunk_max = settings.item_size_max < MIB / 2 ? settings.item_size_max
									   : MIB / 2;
	return OPTIONS_GO_ON;
}

int options_parse(int argc, char **argv)
{
	bool tcp_given = false, protocol_given = false;
	int option, result;

	opterr = 0;
	while ((option = getopt_long(argc, argv, SHORT, LONG, NULL)) != -1) {
		if (option == '?' || option == ':')
			return refuse_misread(option, argv[optind - 1]);
		tcp_given |= option == 'p';
		protocol_given |= option == 'B';
		result = option_apply(option);
		if (result != OPTIONS_GO_ON)
			return result;
	}
	if (optind < argc)
		return option_refuse("unknown argument", argv[optind]);
	return settings_check(tcp_given, protocol_given);
}
