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
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <libos/stream.h>

#include "auth.h"
#include "clock.h"
#include "conn.h"
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

/* Where a test, or a supervisor, learns which port was chosen for -p 0. */
static void port_file_write(const struct stream_listener *l)
{
	const char *name = getenv("MEMCACHED_PORT_FILENAME");
	struct sockaddr_storage addr;
	socklen_t len;
	FILE *f;

	if (!name || stream_listener_address(l, &addr, &len) < 0)
		return;
	f = fopen(name, "a");
	if (!f)
		return;
	if (addr.ss_family == AF_INET6)
		fprintf(f, "TCP INET6: %u\n", ntohs(((struct sockaddr_in6 *)&addr)->sin6_port));
	else
		fprintf(f, "TCP INET: %u\n", ntohs(((struct sockaddr_in *)&addr)->sin_port));
	fclose(f);
}

static int listen_at(const struct sockaddr *addr, socklen_t len, const struct stream_filter *filter)
{
	struct stream_options options = {
		.backlog = (int)settings.backlog, .nodelay = true, .filter = filter,
	};
	struct stream_listener *l;
	int err = stream_listen(loop, addr, len, &conn_ops, &options, NULL, &l);

	if (err == 0)
		port_file_write(l);
	return err;
}

static uint16_t port_number(void)
{
	return settings.port == PORT_ANY ? 0 : (uint16_t)settings.port;
}

/* Every address, of both families where the system has both. */
static int listen_everywhere(void)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port_number()) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port_number()) };
	const struct stream_filter *filter;
	int err;

	tls_filter(&(char *){ "" }, &filter);
	err = listen_at((struct sockaddr *)&six, sizeof(six), filter);
	if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)
		err = listen_at((struct sockaddr *)&four, sizeof(four), filter);
	return err;
}

/* "[addr]:port", "addr:port", "addr" or "[addr]" into its parts; the text is cut up. */
static void address_split(char *text, char **host, char **port)
{
	char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');

	*host = text;
	*port = NULL;
	if (colon && (bracket ? colon > bracket : strchr(text, ':') == colon)) {
		*colon = '\0';
		*port = colon + 1;
	}
	if (text[0] == '[' && bracket) {
		*host = text + 1;
		*bracket = '\0';
	}
}

static int listen_named(char *text)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found;
	const struct stream_filter *filter;
	char *host, *port, number[12];
	int err;

	if (!tls_filter(&text, &filter))
		return -EINVAL;
	address_split(text, &host, &port);
	snprintf(number, sizeof(number), "%u", port_number());
	if (getaddrinfo(host, port ? port : number, &hints, &found) != 0) {
		fprintf(stderr, "memcached: -l: no such address: %s\n", host);
		return -EADDRNOTAVAIL;
	}
	err = listen_at(found->ai_addr, found->ai_addrlen, filter);
	freeaddrinfo(found);
	return err;
}

static int listen_start(void)
{
	char *list = settings.listen ? strdup(settings.listen) : NULL, *rest;
	int err = 0;

	if (!settings.listen)
		return listen_everywhere();
	if (!list)
		return -ENOMEM;
	for (char *item = strtok_r(list, ",", &rest); item && err == 0; item = strtok_r(NULL, ",", &rest))
		err = listen_named(item);
	free(list);
	return err;
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
	err = listen_start();
	if (err < 0) {
		fprintf(stderr, "memcached: failed to listen on TCP port %d: %s\n", settings.port,
			strerror(-err));
		return EXIT_FAILURE;
	}
	storage_run(loop);
	err = stream_run(loop);
	stream_loop_destroy(loop);
	storage_stop();
	return err < 0 ? fail("serving", err) : EXIT_SUCCESS;
}
