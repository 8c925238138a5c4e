/*
 * Where streams come from: listeners and stream_connect(), and the service that they share with
 * their streams (callbacks, limits, user).
 */
#define _GNU_SOURCE
#include "stream_epoll.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	ACCEPTS = 64,                   /* taken from a listener in one turn */
	DEFAULT_PENDING = 64 * 1024,
	DEFAULT_HIGH_WATER = 256 * 1024,
	DEFAULT_BACKLOG = 1024,
};

static const uint64_t ACCEPT_RETRY_NS = 100 * 1000000ull;

/* ---- services: what a listener and its streams share ---- */

static struct service *service_new(const struct stream_ops *ops,
				   const struct stream_options *options, void *user)
{
	struct service *sv = calloc(1, sizeof(*sv));

	if (!sv)
		return NULL;
	sv->ops = *ops;
	sv->user = user;
	sv->refs = 1;
	if (options)
		sv->options = *options;
	if (!sv->options.max_pending)
		sv->options.max_pending = DEFAULT_PENDING;
	if (!sv->options.high_water)
		sv->options.high_water = DEFAULT_HIGH_WATER;
	if (!sv->options.low_water)
		sv->options.low_water = sv->options.high_water / 4;
	if (!sv->options.backlog)
		sv->options.backlog = DEFAULT_BACKLOG;
	stream_class_head_init(&sv->head, &sv->ops, &sv->options);
	return sv;
}

void service_put(struct service *sv)
{
	if (--sv->refs == 0)
		free(sv);
}

static void listener_retry(struct stream_timer *t)
{
	struct stream_listener *l =
		(struct stream_listener *)((char *)t - offsetof(struct stream_listener, retry));

	source_watch(l->loop, &l->source, l->paused ? 0 : EPOLLIN);
}

/* Without descriptors the waiting connection stays ready forever: look away for a moment. */
static void listener_rest(struct stream_listener *l)
{
	source_watch(l->loop, &l->source, 0);
	stream_timer_arm(l->loop, &l->retry, stream_now_ns() + ACCEPT_RETRY_NS, listener_retry);
}

void listener_event(struct stream_listener *l)
{
	for (int i = 0; i < ACCEPTS && l->service && !l->paused; i++) {
		int fd = accept4(l->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct stream *s;

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				listener_rest(l);
			return;
		}
		s = stream_new(l->loop, l->service, fd, EPOLLIN);
		if (!s)
			return;
		l->loop->stats.accepted++;
		stream_open(s);
	}
}

/* ---- listeners ---- */

static int listener_bind(int fd, const struct sockaddr *addr, socklen_t addr_len, int backlog)
{
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (addr->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int));
	if (bind(fd, addr, addr_len) < 0 || listen(fd, backlog) < 0)
		return -errno;
	return 0;
}

int stream_listen(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
		  const struct stream_ops *ops, const struct stream_options *options, void *user,
		  struct stream_listener **out)
{
	struct stream_listener *l = calloc(1, sizeof(*l));
	int err = -ENOMEM;

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	l->service = service_new(ops, options, user);
	if (!l->service)
		goto no_service;
	l->source.kind = SOURCE_LISTENER;
	l->source.fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->source.fd < 0) {
		err = -errno;
		goto no_socket;
	}
	err = listener_bind(l->source.fd, addr, addr_len, l->service->options.backlog);
	if (err == 0)
		err = source_add(loop, &l->source, EPOLLIN);
	if (err < 0)
		goto no_bind;
	l->link = &loop->listeners;
	l->next = loop->listeners;
	if (l->next)
		l->next->link = &l->next;
	loop->listeners = l;
	*out = l;
	return 0;
no_bind:
	close(l->source.fd);
no_socket:
	service_put(l->service);
no_service:
	free(l);
	return err;
}

void stream_listener_close(struct stream_listener *l)
{
	close(l->source.fd);
	stream_timer_cancel(l->loop, &l->retry);
	*l->link = l->next;
	if (l->next)
		l->next->link = l->link;
	service_put(l->service);
	l->service = NULL; /* an event of this turn may still name it */
	l->next = l->loop->dead_listeners;
	l->loop->dead_listeners = l;
}

int stream_listener_address(const struct stream_listener *l, struct sockaddr_storage *addr,
			    socklen_t *len)
{
	*len = sizeof(*addr);
	return getsockname(l->source.fd, (struct sockaddr *)addr, len) < 0 ? -errno : 0;
}

int stream_listener_id(const struct stream_listener *l)
{
	return l->source.fd;
}

void stream_listener_pause(struct stream_listener *l, bool paused)
{
	l->paused = paused;
	stream_timer_cancel(l->loop, &l->retry);
	source_watch(l->loop, &l->source, paused ? 0 : EPOLLIN);
}

int stream_connect(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
		   const struct stream_ops *ops, const struct stream_options *options, void *user,
		   struct stream **out)
{
	struct service *sv = service_new(ops, options, user);
	int err = -ENOMEM, fd;

	if (!sv)
		return -ENOMEM;
	fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	if (connect(fd, addr, addr_len) < 0 && errno != EINPROGRESS) {
		err = -errno;
		close(fd);
		goto out;
	}
	*out = stream_new(loop, sv, fd, EPOLLOUT);
	if (*out) {
		(*out)->connecting = true;
		err = 0;
	}
out:
	service_put(sv);
	return err;
}
