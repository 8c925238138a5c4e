/*
 * Datagrams on epoll: one socket for each stream_datagrams_open().
 *
 * A turn takes up to TAKEN datagrams from a ready socket, so that a flood of them leaves time for
 * the streams. An answer leaves at once, by one sendmsg(); a socket that takes no more drops it, as
 * the network would. Answers come from the address that the datagram was sent to, which a socket
 * bound to a wildcard learns from the control message (ip(7), IP_PKTINFO) and hands back with the
 * answer.
 */
#define _GNU_SOURCE
#include "stream_epoll.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TAKEN = 64 };

struct stream_datagrams {
	struct source source;
	struct stream_loop *loop;
	struct stream_datagram_ops ops;
	void *user;
	struct stream_datagrams *next, **link;

	struct sockaddr_storage peer;  /* of the datagram being received; peer_len 0: none is */
	socklen_t peer_len;
	size_t reserved;
	uint8_t answer[STREAM_DATAGRAM_MAX];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
			      CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	size_t control_len;
};

/* The kernel's word on where a datagram went becomes ours on where the answer comes from. */
static void keep_local_address(struct stream_datagrams *d, struct msghdr *msg)
{
	d->control_len = msg->msg_controllen;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex = 0;
		else if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO)
			d->control_len = 0;
	}
}

/* Receives one datagram; false when there is none. */
static bool receive_one(struct stream_datagrams *d)
{
	struct iovec iov = { d->loop->input, INPUT_BYTES };
	struct msghdr msg = { .msg_name = &d->peer, .msg_namelen = sizeof(d->peer), .msg_iov = &iov,
			      .msg_iovlen = 1, .msg_control = &d->control,
			      .msg_controllen = sizeof(d->control) };
	ssize_t n = recvmsg(d->source.fd, &msg, 0);

	if (n < 0)
		return errno == EINTR || errno == ECONNREFUSED;
	keep_local_address(d, &msg);
	d->peer_len = msg.msg_namelen;
	d->loop->stats.datagrams_in++;
	d->loop->stats.bytes_in += (size_t)n;
	d->ops.received(d, d->loop->input, (size_t)n);
	d->peer_len = 0;
	d->reserved = 0;
	return true;
}

void datagrams_event(struct stream_datagrams *d)
{
	for (int i = 0; i < TAKEN && receive_one(d); i++)
		;
}

void *stream_datagram_reserve(struct stream_datagrams *d, size_t len)
{
	if (!d->peer_len || len > STREAM_DATAGRAM_MAX)
		return NULL;
	d->reserved = len;
	return d->answer;
}

void stream_datagram_commit(struct stream_datagrams *d, size_t len)
{
	struct iovec iov = { d->answer, len };
	struct msghdr msg = { .msg_name = &d->peer, .msg_namelen = d->peer_len, .msg_iov = &iov,
			      .msg_iovlen = 1, .msg_controllen = d->control_len,
			      .msg_control = d->control_len ? &d->control : NULL };

	assert(len <= d->reserved);
	d->reserved = 0;
	if (sendmsg(d->source.fd, &msg, MSG_NOSIGNAL) < 0)
		return;
	d->loop->stats.datagrams_out++;
	d->loop->stats.bytes_out += len;
}

static int datagrams_bind(int fd, const struct sockaddr *addr, socklen_t addr_len)
{
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &(int){ 1 }, sizeof(int));
	if (addr->sa_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &(int){ 1 }, sizeof(int));
	}
	return bind(fd, addr, addr_len) < 0 ? -errno : 0;
}

int stream_datagrams_open(struct stream_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
			  const struct stream_datagram_ops *ops, void *user,
			  struct stream_datagrams **out)
{
	struct stream_datagrams *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->loop = loop;
	d->ops = *ops;
	d->user = user;
	d->source.kind = SOURCE_DATAGRAMS;
	d->source.fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->source.fd < 0) {
		err = -errno;
		goto no_socket;
	}
	err = datagrams_bind(d->source.fd, addr, addr_len);
	if (err == 0)
		err = source_add(loop, &d->source, EPOLLIN);
	if (err < 0)
		goto no_bind;
	d->link = &loop->datagrams;
	d->next = loop->datagrams;
	if (d->next)
		d->next->link = &d->next;
	loop->datagrams = d;
	*out = d;
	return 0;
no_bind:
	close(d->source.fd);
no_socket:
	free(d);
	return err;
}

void stream_datagrams_close(struct stream_datagrams *d)
{
	close(d->source.fd);
	d->source.kind = SOURCE_DEAD; /* an event of this turn may still name it */
	*d->link = d->next;
	if (d->next)
		d->next->link = d->link;
	d->next = d->loop->dead_datagrams;
	d->loop->dead_datagrams = d;
}

void datagrams_free_dead(struct stream_loop *loop)
{
	while (loop->dead_datagrams) {
		struct stream_datagrams *d = loop->dead_datagrams;

		loop->dead_datagrams = d->next;
		free(d);
	}
}

int stream_datagrams_id(const struct stream_datagrams *d)
{
	return d->source.fd;
}

void *stream_datagrams_user(const struct stream_datagrams *d)
{
	return d->user;
}

int stream_datagrams_address(const struct stream_datagrams *d, struct sockaddr_storage *addr,
			     socklen_t *len)
{
	*len = sizeof(*addr);
	return getsockname(d->source.fd, (struct sockaddr *)addr, len) < 0 ? -errno : 0;
}

int stream_datagrams_peer(const struct stream_datagrams *d, struct sockaddr_storage *addr,
			  socklen_t *len)
{
	if (!d->peer_len)
		return -ENOTCONN;
	memset(addr, 0, sizeof(*addr));
	memcpy(addr, &d->peer, d->peer_len);
	*len = d->peer_len;
	return 0;
}
