/*
 * echo: a TCP server that sends back what it receives, on plain POSIX sockets.
 *
 * Each thread has an epoll with its own share of the connections; all of them watch the one
 * listening socket, and whoever is woken accepts. A connection is one buffer: it is read when it is
 * empty, written when it is not, so a peer that does not read stops being read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 16384
#define EVENTS 64

struct connection {
	int fd;
	size_t from, to;            /* bytes buffer[from..to) are to be sent back */
	uint32_t watched;           /* what epoll watches now */
	char buffer[BUFFER_BYTES];
};

static int listener;
static volatile sig_atomic_t stopping;

static void stop(int sig)
{
	(void)sig;
	stopping = 1;
}

static int fail(const char *what)
{
	fprintf(stderr, "echo: %s: %s\n", what, strerror(errno));
	return 1;
}

/* An IPv6 socket takes IPv4 as well; without IPv6, an IPv4 one. */
static int listen_on(unsigned short port)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	bool ipv6 = fd >= 0;

	if (!ipv6)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ipv6 ? (struct sockaddr *)&any6 : (struct sockaddr *)&any4,
		 ipv6 ? sizeof(any6) : sizeof(any4)) < 0)
		return -1;
	return listen(fd, 1024) < 0 ? -1 : fd;
}

static void watch(int epoll, struct connection *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (c->watched != events)
		epoll_ctl(epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev);
	c->watched = events;
}

static void accept_all(int epoll)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct connection *c = calloc(1, sizeof(*c));

		if (!c) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->fd = fd;
		watch(epoll, c, EPOLLIN);
	}
}

/* Echoes until it would have to wait; false when the connection is over. */
static bool serve(struct connection *c)
{
	for (;;) {
		ssize_t n;

		while (c->from < c->to) {
			n = send(c->fd, c->buffer + c->from, c->to - c->from, MSG_NOSIGNAL);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR;
			c->from += (size_t)n;
		}
		n = recv(c->fd, c->buffer, sizeof(c->buffer), 0);
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR);
		c->from = 0;
		c->to = (size_t)n;
	}
}

static void *run(void *arg)
{
	int epoll = epoll_create1(0);
	struct epoll_event events[EVENTS];
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL };

	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	while (!stopping) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (!c) {
				accept_all(epoll);
			} else if (serve(c)) {
				watch(epoll, c, c->from < c->to ? EPOLLOUT : EPOLLIN);
			} else {
				close(c->fd);
				free(c);
			}
		}
	}
	close(epoll);
	return arg;
}

static int start(unsigned short port, int threads)
{
	sigset_t signals;

	listener = listen_on(port);
	if (listener < 0)
		return fail("listen");
	/* Only the first thread takes signals, so that it is the one whose wait they end. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	for (int i = 1; i < threads; i++) {
		pthread_t t;

		errno = pthread_create(&t, NULL, run, NULL);
		if (errno)
			return fail("pthread_create");
	}
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	printf("echo: listening on port %u with %d threads\n", port, threads);
	fflush(stdout);
	run(NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = stop };
	int option, port = 7777, threads = 1;

	while ((option = getopt(argc, argv, "p:t:")) != -1) {
		if (option == 'p')
			port = atoi(optarg);
		else if (option == 't')
			threads = atoi(optarg);
		else
			return 2;
	}
	if (port < 1 || port > 65535 || threads < 1 || threads > 256) {
		fprintf(stderr, "usage: echo [-p PORT] [-t THREADS]\n");
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	return start((unsigned short)port, threads);
}
