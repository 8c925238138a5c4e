/* TCP and UDP over loopback, IPv4 and IPv6: connections, half-close, addresses, options, errors. */
#define _GNU_SOURCE
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t loopback(int family, union address *a, unsigned short port)
{
	memset(a, 0, sizeof(*a));
	if (family == AF_INET) {
		a->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
					      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		return sizeof(a->v4);
	}
	a->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port),
				       .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	return sizeof(a->v6);
}

static unsigned short port_of(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

static int listener(int family, union address *a)
{
	int s = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = loopback(family, a, 0);

	if (s < 0 || bind(s, &a->any, len) < 0 || listen(s, 8) < 0 ||
	    getsockname(s, &a->any, &len) < 0) {
		printf("no listener: %s\n", errno_name(errno));
		exit(1);
	}
	return s;
}

static int connected(const union address *a)
{
	int s = socket(a->any.sa_family, SOCK_STREAM, 0);

	if (connect(s, &a->any, a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6)) < 0)
		printf("connect: %s\n", errno_name(errno));
	return s;
}

static void *echo_until_end(void *arg)
{
	int s = *(int *)arg;
	char buf[3000];
	ssize_t n;

	while ((n = recv(s, buf, sizeof(buf), 0)) > 0)
		for (ssize_t done = 0; done < n;) {
			ssize_t w = send(s, buf + done, (size_t)(n - done), MSG_NOSIGNAL);
			if (w < 0)
				return NULL;
			done += w;
		}
	shutdown(s, SHUT_WR);
	return NULL;
}

struct flood { int s; size_t bytes; };

static void *send_flood(void *arg)
{
	struct flood *f = arg;
	char buf[4096];

	for (size_t sent = 0; sent < f->bytes;) {
		size_t n = sizeof(buf) < f->bytes - sent ? sizeof(buf) : f->bytes - sent;
		for (size_t i = 0; i < n; i++)
			buf[i] = (char)((sent + i) * 7 % 251);
		ssize_t w = send(f->s, buf, n, 0);
		if (w < 0) {
			printf("send: %s\n", errno_name(errno));
			break;
		}
		sent += (size_t)w;
	}
	shutdown(f->s, SHUT_WR);
	return NULL;
}

static void tcp_echo(int family)
{
	union address a, peer;
	socklen_t len = sizeof(peer);
	int l = listener(family, &a), c = connected(&a),
	    s = accept4(l, &peer.any, &len, SOCK_CLOEXEC);
	struct flood f = { c, 300000 };
	pthread_t echo, flood;
	size_t got = 0;
	int wrong = 0;
	char buf[5000];
	ssize_t n;

	YES("accept gives the family and its length",
	    peer.any.sa_family == family &&
		    len == (family == AF_INET ? sizeof(peer.v4) : sizeof(peer.v6)));
	pthread_create(&echo, NULL, echo_until_end, &s);
	pthread_create(&flood, NULL, send_flood, &f);
	while ((n = recv(c, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			wrong += buf[i] != (char)((got + (size_t)i) * 7 % 251);
		got += (size_t)n;
	}
	printf("echoed %zu bytes, %d wrong, then %zd\n", got, wrong, n);
	pthread_join(echo, NULL);
	pthread_join(flood, NULL);
	SHOW(send(c, "x", 1, MSG_NOSIGNAL));
	close(c);
	close(s);
	close(l);
}

static void tcp_details(void)
{
	union address a, name;
	socklen_t len = sizeof(name);
	int l = listener(AF_INET, &a), c = connected(&a), s = accept(l, NULL, NULL), v = -1;
	char buf[16] = "";
	struct pollfd f = { s, POLLIN | POLLOUT | POLLRDHUP, 0 };

	SHOW(getpeername(c, &name.any, &len));
	YES("peer name is the listener", port_of(&name) == port_of(&a));
	SHOW(poll(&f, 1, 0));
	printf("revents %x\n", f.revents);
	SHOW(send(c, "hello", 5, 0));
	SHOW(poll(&f, 1, 1000) > 0 && (f.revents & POLLIN));
	SHOW(recv(s, buf, 3, MSG_PEEK));
	SHOW(ioctl(s, FIONREAD, &v));
	printf("readable %d\n", v);
	SHOW(recv(s, buf, sizeof(buf), 0));
	printf("%s\n", buf);
	SHOW(recv(s, buf, sizeof(buf), MSG_DONTWAIT));
	SHOW(shutdown(c, SHUT_WR));
	f.events = POLLIN | POLLRDHUP;
	SHOW(poll(&f, 1, 1000));
	printf("revents %x\n", f.revents);
	SHOW(recv(s, buf, sizeof(buf), 0));
	SHOW(send(s, "still", 5, 0));
	SHOW(recv(c, buf, 5, MSG_WAITALL));
	close(s);
	SHOW(recv(c, buf, 5, 0));
	close(c);

	c = connected(&a);
	s = accept(l, NULL, NULL);
	struct linger hard = { 1, 0 };
	SHOW(setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	close(c);
	SHOW(recv(s, buf, 5, 0));
	SHOW(recv(s, buf, 5, 0));
	close(s);

	SHOW(fcntl(l, F_SETFL, O_NONBLOCK));
	SHOW(accept(l, NULL, NULL));
	close(l);
}

static void vectors(void)
{
	union address a;
	int l = listener(AF_INET6, &a), c = connected(&a), s = accept(l, NULL, NULL);
	struct iovec out[2] = { { "ab", 2 }, { "cdef", 4 } };
	char x[4] = "", y[4] = "";
	struct iovec in[2] = { { x, 3 }, { y, 3 } };
	struct msghdr o = { .msg_iov = out, .msg_iovlen = 2 }, i = {
		.msg_iov = in, .msg_iovlen = 2
	};

	SHOW(sendmsg(c, &o, 0));
	SHOW(recvmsg(s, &i, MSG_WAITALL));
	printf("%s %s\n", x, y);
	SHOW(writev(s, out, 2));
	SHOW(read(c, x, 3));
	SHOW(readv(c, in, 2));
	close(c);
	close(s);
	close(l);
}

static void options(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), v = -1;
	socklen_t len = sizeof(v);
	struct timeval tv = { 0, 30000 };
	char c;

	SHOW(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &len));
	YES("type is SOCK_STREAM", v == SOCK_STREAM);
	SHOW(getsockopt(s, SOL_SOCKET, SO_ERROR, &v, &len));
	printf("error %d, length %u\n", v, len);
	v = 1;
	SHOW(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, sizeof(v)));
	SHOW(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, sizeof(v)));
	SHOW(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)));
	v = 0;
	SHOW(getsockopt(s, IPPROTO_TCP, TCP_NODELAY, &v, &len));
	printf("nodelay %d\n", v != 0);
	SHOW(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, 1));
	SHOW(setsockopt(s, SOL_SOCKET, 9999, &v, sizeof(v)));
	SHOW(getsockopt(s, 9999, 1, &v, &len));
	SHOW(recv(s, &c, 1, 0));
	SHOW(send(s, "x", 1, MSG_NOSIGNAL));
	SHOW(shutdown(s, SHUT_RD));
	SHOW(accept(s, NULL, NULL));
	close(s);

	union address a;
	int l = listener(AF_INET, &a), k = connected(&a);
	SHOW(setsockopt(k, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	long long start = now_ns();
	SHOW(recv(k, &c, 1, 0));
	YES("30 ms passed", now_ns() - start >= 29000000);
	close(k);
	close(l);
}

static void refusals(void)
{
	union address a, b;
	socklen_t len;
	int l = listener(AF_INET, &a), s = socket(AF_INET, SOCK_STREAM, 0), file[2];

	SHOW(bind(s, &a.any, sizeof(a.v4)));
	len = loopback(AF_INET, &b, 0);
	b.v4.sin_addr.s_addr = htonl(0xC0000201);
	SHOW(bind(s, &b.any, len));
	SHOW(bind(s, &a.any, 3));
	close(l);
	SHOW(connect(s, &a.any, sizeof(a.v4)));
	close(s);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	l = listener(AF_INET, &b);
	int r = connect(s, &b.any, sizeof(b.v4));
	YES("non-blocking connect is in progress or done", r == 0 || errno == EINPROGRESS);
	struct pollfd f = { s, POLLOUT, 0 };
	SHOW(poll(&f, 1, 1000));
	int err = -1;
	len = sizeof(err);
	SHOW(getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &len));
	printf("error %d\n", err);
	YES("connecting again says it is connected",
	    connect(s, &b.any, sizeof(b.v4)) == 0 || errno == EISCONN);
	close(s);
	close(l);

	SHOW(socket(77, SOCK_STREAM, 0));
	SHOW(socket(AF_INET, 77, 0));
	SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	SHOW(listen(-1, 1));
	SHOW(pipe(file));
	SHOW(listen(file[0], 1));
	SHOW(send(file[1], "x", 1, 0));
	close(file[0]);
	close(file[1]);
}

static void udp(int family)
{
	union address a, b, from;
	socklen_t len = loopback(family, &a, 0), from_len = sizeof(from);
	int s = socket(family, SOCK_DGRAM, 0), c = socket(family, SOCK_DGRAM, 0);
	char buf[2000] = "", big[1400];

	SHOW(bind(s, &a.any, len));
	getsockname(s, &a.any, &len);
	SHOW(sendto(c, "one", 3, 0, &a.any, len));
	SHOW(recvfrom(s, buf, sizeof(buf), 0, &from.any, &from_len));
	printf("%.3s\n", buf);
	SHOW(sendto(s, "back", 4, 0, &from.any, from_len));
	SHOW(recv(c, buf, 2, MSG_TRUNC));
	SHOW(recv(c, buf, 2, MSG_DONTWAIT));
	SHOW(send(c, "x", 1, 0));
	SHOW(connect(c, &a.any, len));
	SHOW(send(c, "", 0, 0));
	SHOW(recv(s, buf, sizeof(buf), 0));
	memset(big, 'z', sizeof(big));
	SHOW(send(c, big, sizeof(big), 0));
	struct pollfd f = { s, POLLIN, 0 };
	SHOW(poll(&f, 1, 1000));
	SHOW(recv(s, buf, sizeof(buf), 0));
	static char huge[70000];
	SHOW(send(c, huge, sizeof(huge), 0));
	len = loopback(family, &b, 9);
	SHOW(connect(c, &b.any, len));
	close(s);
	close(c);
}

static void names(void)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found = NULL;
	struct sockaddr_in *in;

	SHOW(getaddrinfo("localhost", "80", &hints, &found));
	in = found ? (struct sockaddr_in *)found->ai_addr : NULL;
	YES("localhost is 127.0.0.1",
	    in && in->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && in->sin_port == htons(80));
	if (found)
		freeaddrinfo(found);
	hints = (struct addrinfo){ .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM };
	YES("an address is no name", getaddrinfo("fe80::zz", NULL, &hints, &found) == EAI_NONAME);
	SHOW(getaddrinfo("::1", "53", &hints, &found));
	YES("a numeric address is read",
	    found->ai_family == AF_INET6 && found->ai_socktype == SOCK_DGRAM);
	freeaddrinfo(found);
}

int main(void)
{
	names();
	signal(SIGPIPE, SIG_IGN);
	tcp_echo(AF_INET);
	tcp_echo(AF_INET6);
	tcp_details();
	vectors();
	options();
	refusals();
	udp(AF_INET);
	udp(AF_INET6);
	return 0;
}
