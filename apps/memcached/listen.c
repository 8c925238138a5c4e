/*
 * Addresses: from the text of -l to listeners for TCP and sockets for UDP.
 *
 * Each item of -l is a host with or without a port; one with a port has it for TCP and UDP alike,
 * as in memcached. Without -l, all addresses of both families are served, where the system has
 * both.
 */
#define _GNU_SOURCE
#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "settings.h"
#include "tls.h"
#include "udp.h"

enum { LISTENERS_MAX = 64 };

static struct stream_listener *listeners[LISTENERS_MAX];
static struct stream_datagrams *datagrams[LISTENERS_MAX];
static unsigned listeners_count, datagrams_count;

struct place {
	struct stream_loop *loop;
	bool udp;
	const struct stream_filter *filter; /* of TCP connections: TLS, or NULL */
	char *host, *port;         /* NULL: all, and what -p or -U says */
};

/* Where a test, or a supervisor, learns which port was chosen for -p -1. */
static void port_file_write(bool udp, const struct sockaddr_storage *addr)
{
	const char *name = getenv("MEMCACHED_PORT_FILENAME"), *kind = udp ? "UDP" : "TCP";
	FILE *f = name ? fopen(name, "a") : NULL;

	if (!f)
		return;
	if (addr->ss_family == AF_INET6)
		fprintf(f, "%s INET6: %u\n", kind,
			ntohs(((const struct sockaddr_in6 *)addr)->sin6_port));
	else
		fprintf(f, "%s INET: %u\n", kind,
			ntohs(((const struct sockaddr_in *)addr)->sin_port));
	fclose(f);
}

static int listen_tcp(const struct place *at, const struct sockaddr *addr, socklen_t len)
{
	struct stream_options options = {
		.backlog = (int)settings.backlog, .nodelay = true, .filter = at->filter,
	};
	struct sockaddr_storage bound;
	struct stream_listener *l;
	int err = stream_listen(at->loop, addr, len, &conn_ops, &options, NULL, &l);

	if (err == 0 && listeners_count < LISTENERS_MAX)
		listeners[listeners_count++] = l;
	if (err == 0 && stream_listener_address(l, &bound, &len) == 0)
		port_file_write(false, &bound);
	return err;
}

static int listen_udp(const struct place *at, const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_storage bound;
	struct stream_datagrams *d;
	int err = udp_open(at->loop, addr, len, &d);

	if (err == 0 && datagrams_count < LISTENERS_MAX)
		datagrams[datagrams_count++] = d;
	if (err == 0 && stream_datagrams_address(d, &bound, &len) == 0)
		port_file_write(true, &bound);
	return err;
}

static int listen_at(const struct place *at, const struct sockaddr *addr, socklen_t len)
{
	return at->udp ? listen_udp(at, addr, len) : listen_tcp(at, addr, len);
}

static uint16_t port_number(const struct place *at)
{
	int port = at->udp ? settings.udp_port : settings.port;

	return port == PORT_ANY ? 0 : (uint16_t)port;
}

/* Every address, of both families where the system has both. */
static int listen_everywhere(const struct place *at)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port_number(at)) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port_number(at)) };
	int err = listen_at(at, (struct sockaddr *)&six, sizeof(six));

	if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)
		err = listen_at(at, (struct sockaddr *)&four, sizeof(four));
	return err;
}

static int listen_named(const struct place *at)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found;
	char number[8];
	int err;

	snprintf(number, sizeof(number), "%u", port_number(at));
	if (getaddrinfo(at->host, at->port ? at->port : number, &hints, &found) != 0) {
		fprintf(stderr, "memcached: -l: no such address: %s\n", at->host);
		return -EADDRNOTAVAIL;
	}
	err = listen_at(at, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return err;
}

/* "[addr]:port", "addr:port", "addr" or "[addr]" into its parts; the text is cut up. */
static void address_split(char *text, struct place *at)
{
	char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');

	at->host = text;
	at->port = NULL;
	if (colon && (bracket ? colon > bracket : strchr(text, ':') == colon)) {
		*colon = '\0';
		at->port = colon + 1;
	}
	if (text[0] == '[' && bracket) {
		at->host = text + 1;
		*bracket = '\0';
	}
}

static int listen_item(struct place *at, char *item)
{
	if (!tls_filter(&item, &at->filter))
		return -EINVAL;
	address_split(item, at);
	return listen_named(at);
}

static int listen_list(struct place *at)
{
	char *list = settings.listen ? strdup(settings.listen) : NULL, *rest;
	int err = 0;

	if (!settings.listen) {
		tls_filter(&(char *){ "" }, &at->filter);
		return listen_everywhere(at);
	}
	if (!list)
		return -ENOMEM;
	for (char *item = strtok_r(list, ",;", &rest); item && err == 0;
	     item = strtok_r(NULL, ",;", &rest))
		err = listen_item(at, item);
	free(list);
	return err;
}

static int listen_kind(struct stream_loop *loop, bool udp)
{
	int port = udp ? settings.udp_port : settings.port;
	int err = port ? listen_list(&(struct place){ .loop = loop, .udp = udp }) : 0;

	if (err < 0)
		fprintf(stderr, "memcached: failed to listen on %s port %d: %s\n",
			udp ? "UDP" : "TCP", port, strerror(-err));
	return err;
}

bool listen_place(unsigned n, struct listen_place *out)
{
	socklen_t len;

	if (n >= listeners_count + datagrams_count)
		return false;
	out->is_udp = n >= listeners_count;
	if (out->is_udp) {
		struct stream_datagrams *d = datagrams[n - listeners_count];

		out->id = stream_datagrams_id(d);
		return stream_datagrams_address(d, &out->address, &len) == 0;
	}
	out->id = stream_listener_id(listeners[n]);
	return stream_listener_address(listeners[n], &out->address, &len) == 0;
}

void listen_pause(bool paused)
{
	for (unsigned i = 0; i < listeners_count; i++)
		stream_listener_pause(listeners[i], paused);
}

int listen_start(struct stream_loop *loop)
{
	int err = listen_kind(loop, false);

	return err < 0 ? err : listen_kind(loop, true);
}
