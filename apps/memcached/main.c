/*
 * memcached on Kiln: start, serve, stop.
 *
 * One thread serves all connections from one stream_loop. In an appliance the network stack has one
 * lock and one hart at a time works in it, so a second serving thread would add switches and item
 * locks to each request and take away nothing; -t is accepted and said to be without effect. What
 * is above this file is written for more: each operation in cache.h takes the hash of its key, so a
 * later version can give each loop a part of the keys, with an own table, LRU and pages, and pass a
 * request for another part on by stream_post(), without locks on items.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <libos/stream.h>

#include "auth.h"
#include "clock.h"
#include "conn.h"
#include "listen.h"
#include "options.h"
#include "settings.h"
#include "storage.h"
#include "tls.h"

enum {
	DESCRIPTORS_SPARE = 32,            /* beside those of the connections */
};

static struct stream_loop *loop;

static void on_signal(int number)
{
	(void)number;
	stream_stop(loop);
}

static void on_hangup(int number)
{
	(void)number;
	auth_reload_later();
}

static void signals_start(void)
{
	struct sigaction stop = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	struct sigaction reload = { .sa_handler = on_hangup };

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &reload, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

/* As many descriptors as connections may need, where the system counts them. */
static void descriptors_start(void)
{
	struct rlimit limit;
	rlim_t want = settings.connections + DESCRIPTORS_SPARE;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
		return;
	limit.rlim_cur = want;
	if (limit.rlim_max < want)
		limit.rlim_max = want;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		fprintf(stderr, "memcached: the system allows fewer descriptors than -c %u needs\n",
			settings.connections);
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "memcached: %s: %s\n", what, strerror(-err));
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	int code = options_parse(argc, argv), err;

	if (code >= 0)
		return code;
	err = settings.auth_file ? auth_load(settings.auth_file) : 0;
	if (err < 0)
		return fail(settings.auth_file, err);
	descriptors_start();
	clock_start();
	err = storage_start();
	if (err < 0)
		return fail("memory", err);
	err = stream_loop_create(&loop);
	if (err < 0)
		return fail("network", err);
	signals_start();
	if (tls_start() < 0)
		return OPTIONS_USAGE;
	conn_start(loop);
	if (listen_start(loop) < 0)
		return EXIT_FAILURE;
	storage_run(loop);
	err = stream_run(loop);
	stream_loop_destroy(loop);
	storage_stop();
	return err < 0 ? fail("serving", err) : EXIT_SUCCESS;
}
