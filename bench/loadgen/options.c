/* The command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "loadgen.h"

struct options opt = {
	.host = "127.0.0.1", .port = "11211", .connections = 50, .pipeline = 1, .multiget = 1,
	.keys = 10000, .value_bytes = 100, .set_percent = 10, .seconds = 10, .idle_seconds = 2,
	.seed = 1, .stay = 1,
};

static const char usage_text[] =
	"loadgen [-s HOST] [-p PORT] [--udp | --tls] [--binary]\n"
	"  load:      [-c connections] [-d requests in flight on each] [-m keys per get] [-w percent of sets]\n"
	"             [-k keys] [-v value bytes] [-S seed] [-F: the keys are stored already]\n"
	"  length:    [-t seconds | -n requests] [-u requests before those that count]\n"
	"  lockstep:  [-L connections that send at once] [-g rounds before the next have their turn]\n"
	"  the guest: [-P emulator's process] [-i instruction counts] [-I seconds to watch it idle]\n"
	"             [-o prefix: write the counts to prefix.before and prefix.after]\n"
	"             [-T: idle with TCP's timers running, for a connection whose client does not read]\n";

static void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (*end || n < least || n > most) {
		fprintf(stderr, "loadgen: %s is not a number from %u to %u\n", text, least, most);
		exit(2);
	}
	return (unsigned)n;
}

static void check(void)
{
	const char *wrong = NULL;
	if (opt.lockstep > opt.connections)
		wrong = "more connections send at once than there are";
	else if (opt.udp && (opt.tls || opt.binary))
		wrong = "UDP speaks the text protocol, without TLS";
	else if (opt.udp && opt.value_bytes > 60000)
		wrong = "a value must fit into a datagram";
	else if (opt.stall && (opt.tls || opt.binary))
		wrong = "-T speaks the text protocol, without TLS";
	else if (opt.snapshots && !opt.counts)
		wrong = "-o needs -i";
	if (wrong) {
		fprintf(stderr, "loadgen: %s\n", wrong);
		exit(2);
	}
}

void options_read(int argc, char **argv)
{
	enum { BINARY = 256, UDP, TLS };
	static const struct option words[] = {
		{ "binary", no_argument, NULL, BINARY }, { "udp", no_argument, NULL, UDP },
		{ "tls", no_argument, NULL, TLS }, { NULL, 0, NULL, 0 },
	};
	int o;
	while ((o = getopt_long(argc, argv, "s:p:c:d:m:w:k:v:t:n:u:S:L:g:P:i:I:o:FT", words,
				NULL)) != -1) {
		switch (o) {
		case 's': opt.host = optarg; break;
		case 'p': opt.port = optarg; break;
		case 'c': opt.connections = number(optarg, 1, 60000); break;
		case 'd': opt.pipeline = number(optarg, 1, PIPELINE_MAX); break;
		case 'm': opt.multiget = number(optarg, 1, MULTIGET_MAX); break;
		case 'w': opt.set_percent = number(optarg, 0, 100); break;
		case 'k': opt.keys = number(optarg, 1, 100000000); break;
		case 'v': opt.value_bytes = number(optarg, 1, VALUE_MAX); break;
		case 't': opt.seconds = atof(optarg); break;
		case 'n': opt.requests = number(optarg, 1, 2000000000); break;
		case 'u': opt.warm_up = number(optarg, 1, 2000000000); break;
		case 'S': opt.seed = number(optarg, 0, 4294967295u); break;
		case 'L': opt.lockstep = number(optarg, 1, 60000); break;
		case 'g': opt.stay = number(optarg, 1, 1000000); break;
		case 'P': opt.guest = (pid_t)number(optarg, 1, 2000000000); break;
		case 'i': opt.counts = optarg; break;
		case 'I': opt.idle_seconds = atof(optarg); break;
		case 'o': opt.snapshots = optarg; break;
		case 'T': opt.stall = true; break;
		case 'F': opt.no_fill = true; break;
		case BINARY: opt.binary = true; break;
		case UDP: opt.udp = true; break;
		case TLS: opt.tls = true; break;
		default: usage();
		}
	}
	if (optind != argc)
		usage();
	check();
}
