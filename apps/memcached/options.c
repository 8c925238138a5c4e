/*
 * Options. What memcached knows, this knows; what only makes sense for a Unix process (daemons,
 * users, files, sockets in the file system) is accepted and said to be without effect, so that a
 * command line can be taken over as it is. What is not there yet says so, and what is unknown is an
 * error with its name.
 */
#include "options.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"

enum { GO_ON = -1, OK = 0, USAGE = 64, MIB = 1024 * 1024 };

struct settings settings = {
	.memory_limit = 64ul * MIB,
	.port = 11211,
	.connections = 1024,
	.threads = 4,
	.requests_per_event = 20,
	.backlog = 1024,
	.item_size_max = MIB,
	.factor = 1.25,
	.chunk_size = 48,
	.use_cas = true,
	.evict = true,
	.flush_enabled = true,
	.dump_enabled = true,
	.watch_enabled = true,
	.refuse_fast = true,
	.prefix_delimiter = ':',
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

static const char HELP[] =
	"memcached " MEMCACHED_VERSION " on Kiln\n"
	"-p, --port=<num>          TCP port to listen on (11211; -1: any that is free)\n"
	"-l, --listen=<addr>       addresses to listen on, separated by commas (all)\n"
	"-m, --memory-limit=<num>  memory for items and their index, in megabytes (64)\n"
	"-c, --conn-limit=<num>    simultaneous connections (1024)\n"
	"-I, --max-item-size=<num> largest item, with suffix k or m (1m; 1k to 1024m)\n"
	"-M, --disable-evictions   an error instead of evicting items\n"
	"-C, --disable-cas         no CAS numbers, 8 bytes less for each item\n"
	"-f, --slab-growth-factor  factor between sizes of chunks (1.25)\n"
	"-n, --slab-min-size       smallest space for key, value and flags (48)\n"
	"-b, --listen-backlog      connections waiting to be accepted (1024)\n"
	"-F, --disable-flush-all   no flush_all\n"
	"-A, --enable-shutdown     the shutdown command\n"
	"-t, --threads=<num>       accepted; one thread serves\n"
	"-R, --max-reqs-per-event  accepted; requests are worked off in batches of input\n"
	"-v, --verbose             more about what happens (-vv: commands)\n"
	"-o, --extended            list of further options, separated by commas\n"
	"-h, -V, -i                help, version, licence\n";

/* -o options that tune machinery which is not here, or which is always on or off. */
static const char *const TOLERATED[] = {
	"hashpower", "no_hashexpand", "slab_reassign", "no_slab_reassign", "slab_automove",
	"no_slab_automove", "slab_automove_ratio", "slab_automove_window", "tail_repair_time",
	"hash_algorithm", "lru_crawler", "no_lru_crawler", "lru_crawler_sleep",
	"lru_crawler_tocrawl", "lru_maintainer", "no_lru_maintainer", "hot_lru_pct", "warm_lru_pct",
	"hot_max_factor", "warm_max_factor", "temporary_ttl", "watcher_logbuf_size",
	"worker_logbuf_size", "slab_sizes", "slab_chunk_max", "no_inline_ascii_resp",
	"inline_ascii_resp", "modern", "no_modern", "no_chunked_items", "no_drop_privileges",
	"drop_privileges", "resp_obj_mem_limit", "read_buf_mem_limit", "relaxed_privileges",
	"track_sizes", NULL,
};

static int complain(const char *what, const char *which)
{
	fprintf(stderr, "memcached: %s: %s\n", what, which);
	return USAGE;
}

static void no_effect(const char *option)
{
	fprintf(stderr, "memcached: option %s has no effect here\n", option);
}

/* A number within bounds, with an optional suffix k, m or g where `scaled`. */
static bool parse_number(const char *text, bool scaled, unsigned long min, unsigned long max,
			 unsigned long *out)
{
	char *end;
	unsigned long n;

	while (isspace((unsigned char)*text))
		text++;
	if (!isdigit((unsigned char)*text))
		return false;
	n = strtoul(text, &end, 10);
	if (scaled && *end) {
		static const char suffixes[] = "kmg";
		const char *s = strchr(suffixes, tolower((unsigned char)*end));

		if (!s || n > ULONG_MAX >> (10 * (s - suffixes + 1)))
			return false;
		n <<= 10 * (s - suffixes + 1);
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

	if (!parse_number(optarg, false, min, max, &n)) {
		fprintf(stderr, "memcached: %s needs a number from %lu to %lu, not \"%s\"\n", option, min,
			max, optarg);
		return USAGE;
	}
	*setting = (unsigned)n;
	return GO_ON;
}

static int set_size(size_t *setting, const char *option, size_t unit, unsigned long min,
		    unsigned long max)
{
	unsigned long n;

	if (!parse_number(optarg, unit == 1, min, max, &n)) {
		fprintf(stderr, "memcached: %s cannot be \"%s\"\n", option, optarg);
		return USAGE;
	}
	*setting = n * unit;
	return GO_ON;
}

static int set_threads(void)
{
	int result = set_unsigned(&settings.threads, "-t", 1, 1024);

	if (result == GO_ON && settings.threads > 1)
		fprintf(stderr, "memcached: -t %u: one thread serves all the same\n", settings.threads);
	return result;
}

static int set_factor(void)
{
	char *end;
	double f = strtod(optarg, &end);

	if (*end || !(f > 1.0) || f > 100.0)
		return complain("-f (factor) must be greater than 1, not", optarg);
	settings.factor = f;
	return GO_ON;
}

static int set_protocol(void)
{
	if (strcmp(optarg, "auto") == 0 || strcmp(optarg, "ascii") == 0)
		return GO_ON;
	if (strcmp(optarg, "binary") == 0)
		return complain("this protocol is not there", optarg);
	return complain("-B (protocol) must be auto, ascii or binary, not", optarg);
}

static int set_idle_timeout(const char *value)
{
	unsigned long n;

	if (!parse_number(value, false, 0, 1ul << 30, &n))
		return complain("-o idle_timeout needs seconds, not", value);
	settings.idle_timeout = (unsigned)n;
	return GO_ON;
}

/* The list behind -o. */
static int set_extended(void)
{
	char *list = optarg;

	for (char *item = strtok(list, ","); item; item = strtok(NULL, ",")) {
		size_t len = strcspn(item, "=");
		const char *const *known = TOLERATED;

		if (strcmp(item, "maxconns_fast") == 0 || strcmp(item, "no_maxconns_fast") == 0) {
			settings.refuse_fast = item[0] == 'm';
			continue;
		}
		if (strncmp(item, "idle_timeout=", 13) == 0) {
			if (set_idle_timeout(item + 13) != GO_ON)
				return USAGE;
			continue;
		}
		while (*known && (strlen(*known) != len || memcmp(*known, item, len) != 0))
			known++;
		if (!*known)
			return complain("unknown option -o", item);
		no_effect(item);
	}
	return GO_ON;
}

static int not_there(const char *what)
{
	return complain("this build has no", what);
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
		settings.port = 0; /* -1: any that is free */
		return strcmp(optarg, "-1") == 0 ? GO_ON : set_unsigned(&settings.port, "-p", 1, 65535);
	case 'U':
		return set_unsigned(&settings.udp_port, "-U", 0, 65535);
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
		return set_extended();
	case 'l':
		settings.listen = optarg;
		return GO_ON;
	case 'D':
		settings.prefix_delimiter = optarg[0];
		settings.detail_enabled = true;
		return GO_ON;
	}
	return USAGE;
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
		return GO_ON;
	if (strchr("LduPsarkSN", option)) {
		no_effect((const char[]){ '-', (char)option, 0 });
		return GO_ON;
	}
	switch (option) {
	case 'Z':
		return not_there("TLS (-Z)");
	case 'Y':
		return not_there("authentication (-Y)");
	case 'e':
		return not_there("memory file (-e)");
	case 'h':
		fputs(HELP, stdout);
		return OK;
	case 'V':
		puts("memcached " MEMCACHED_VERSION);
		return OK;
	case 'i':
		puts("MIT licence, see the file LICENSE.");
		return OK;
	}
	return value_apply(option);
}

/* getopt() found an option that it does not know, or one without its value. */
static int option_refuse(int problem, char *word)
{
	const char name[] = { '-', (char)optopt, 0 };

	if (problem == ':')
		return complain("option needs a value", optopt && word[1] != '-' ? name : word);
	return complain("unknown option", optopt ? name : word);
}

/* Settings that do not fit together. */
static int settings_check(void)
{
	if (settings.udp_port)
		fprintf(stderr, "memcached: UDP (-U %u) is not served\n", settings.udp_port);
	if (settings.item_size_max > settings.memory_limit / 2)
		return complain("-I must not be more than half of", "-m");
	return GO_ON;
}

int options_parse(int argc, char **argv)
{
	int option, result;

	opterr = 0;
	while ((option = getopt_long(argc, argv, SHORT, LONG, NULL)) != -1) {
		if (option == '?' || option == ':')
			return option_refuse(option, argv[optind - 1]);
		result = option_apply(option);
		if (result != GO_ON)
			return result;
	}
	if (optind < argc)
		return complain("unknown argument", argv[optind]);
	return settings_check();
}
