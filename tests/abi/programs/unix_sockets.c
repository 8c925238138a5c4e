/*
 * Sockets of AF_UNIX: pairs, names in the file system and abstract ones, connecting, ends,
 * readiness, errnos. Runs in an empty folder, named by TREE (else /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address;

static socklen_t at(const char *path)
{
	memset(&address, 0, sizeof(address));
	address.sun_family = AF_UNIX;
	strcpy(address.sun_path, path);
	return sizeof(address);
}

static int bind_to(int fd, const char *path)
{
	socklen_t len = at(path);

	return bind(fd, (void *)&address, len);
}

static int connect_to(int fd, const char *path)
{
	socklen_t len = at(path);

	return connect(fd, (void *)&address, len);
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static void show_poll(const char *what, int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLRDHUP, 0 };

	poll(&p, 1, 0);
	printf("%s:%s%s%s%s%s\n", what, p.revents & POLLIN ? " IN" : "",
	       p.revents & POLLOUT ? " OUT" : "", p.revents & POLLHUP ? " HUP" : "",
	       p.revents & POLLERR ? " ERR" : "", p.revents & POLLRDHUP ? " RDHUP" : "");
}

static void show_name(const char *what, int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);

	memset(&a, 0, sizeof(a));
	if (get(fd, (void *)&a, &len) < 0)
		printf("%s: %s\n", what, errno_name(errno));
	else
		printf("%s: %d bytes, %s%s\n", what, (int)len,
		       a.sun_path[0] || len < 3 ? "" : "abstract ", a.sun_path + !a.sun_path[0]);
}

static void pairs(void)
{
	char buf[16] = "";
	int s[2], n = -1;

	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	SHOW(send(s[0], "hello", 5, 0));
	SHOW(ioctl(s[1], FIONREAD, &n));
	printf("%d bytes wait\n", n);
	SHOW(recv(s[1], buf, 3, MSG_PEEK));
	SHOW(recv(s[1], buf, 16, 0));
	printf("'%s'\n", buf);
	SHOW(recv(s[1], buf, 16, MSG_DONTWAIT));
	SHOW(write(s[1], "back", 4));
	SHOW(read(s[0], buf, 2) + read(s[0], buf, 16));
	show_name("name of a pair", s[0], getsockname);
	show_name("its peer", s[0], getpeername);
	show_poll("idle", s[0]);
	SHOW(shutdown(s[1], SHUT_WR));
	show_poll("the peer will not write", s[0]);
	show_poll("who will not write", s[1]);
	SHOW(recv(s[0], buf, 16, 0));
	SHOW(send(s[1], "x", 1, MSG_NOSIGNAL));
	SHOW(send(s[0], "still", 5, 0));
	SHOW(recv(s[1], buf, 16, 0));
	SHOW(shutdown(s[0], SHUT_RDWR));
	show_poll("both shut", s[0]);
	SHOW(shutdown(s[0], 7));
	SHOW(close(s[0]));
	show_poll("the peer is gone", s[1]);
	SHOW(recv(s[1], buf, 16, 0));
	SHOW(send(s[1], "x", 1, MSG_NOSIGNAL));
	show_name("its peer", s[1], getpeername);
	SHOW(close(s[1]));
	SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s));
	SHOW(write(s[0], "unread", 6));
	SHOW(close(s[1]));
	SHOW(read(s[0], buf, 16));
	SHOW(read(s[0], buf, 16));
	SHOW(close(s[0]));
	SHOW(socketpair(AF_UNIX, SOCK_RAW + 100, 0, s));
	SHOW(socketpair(AF_INET, SOCK_STREAM, 0, s));
}

static void options(void)
{
	int s[2], value;
	socklen_t len = sizeof(value);
	struct ucred who;
	struct timeval tv = { 0, 20000 };

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &value, &len) + value);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &value, &len) + value);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &value, &len) + value);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &value, &len) + value);
	len = sizeof(who);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &who, &len));
	YES("the peer is this process",
	    who.pid == getpid() && who.uid == geteuid() && who.gid == getegid());
	SHOW(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	SHOW(recv(s[0], &value, 4, 0));
	close(s[0]);
	close(s[1]);
}

static void names(void)
{
	struct stat st;
	int a = new_socket(), b = new_socket(), c = new_socket(), end;
	socklen_t len;
	char buf[8];

	show_poll("new", a);
	SHOW(listen(a, 1));
	SHOW(bind_to(a, "s"));
	SHOW(bind_to(a, "t"));
	SHOW(bind_to(b, "s"));
	SHOW(stat("s", &st));
	printf("mode %o\n", (unsigned)st.st_mode);
	SHOW(open("s", O_RDONLY));
	show_name("its name", a, getsockname);
	SHOW(connect_to(b, "s"));
	SHOW(accept(a, NULL, NULL));
	SHOW(listen(a, 1));
	show_poll("listening", a);
	SHOW(connect_to(b, "missing"));
	SHOW(connect_to(b, "."));
	SHOW(close(open("plain", O_CREAT | O_RDWR, 0644)));
	SHOW(connect_to(b, "plain"));
	SHOW(connect_to(b, "plain/x"));
	SHOW(connect_to(b, "s"));
	SHOW(connect_to(b, "s"));
	SHOW(connect_to(a, "s"));
	show_poll("somebody waits", a);
	SHOW(send(b, "early", 5, 0));
	show_name("who is asked", b, getpeername);
	end = accept(a, NULL, NULL);
	SHOW(recv(end, buf, 8, 0));
	show_name("the end's name", end, getsockname);
	show_name("who asks", end, getpeername);
	SHOW(bind_to(c, "c") + connect_to(c, "s"));
	SHOW(close(end));
	len = sizeof(address);
	end = accept4(a, (void *)&address, &len, SOCK_NONBLOCK);
	printf("accepted: %d bytes, %s\n", (int)len, address.sun_path);
	SHOW(recv(end, buf, 8, 0));
	SHOW(send(a, "x", 1, MSG_NOSIGNAL));
	SHOW(recv(a, buf, 1, 0));
	SHOW(shutdown(end, SHUT_RDWR));
	SHOW(unlink("s"));
	SHOW(connect_to(b, "s"));
	SHOW(close(a) + close(b) + close(c) + close(end));
	SHOW(bind_to(a = new_socket(), "c"));
	SHOW(unlink("c") + unlink("plain") + close(a));
	a = new_socket();
	SHOW(bind(a, (void *)&address, 1));
	SHOW(bind(a, (void *)&address, 200));
	at("");
	address.sun_family = AF_INET;
	SHOW(bind(a, (void *)&address, sizeof(address)));
	SHOW(send(a, "x", 1, MSG_NOSIGNAL));
	SHOW(recv(a, buf, 1, 0));
	SHOW(sendto(a, "x", 1, 0, (void *)&address, sizeof(address)));
	show_name("nobody's peer", a, getpeername);
	SHOW(close(a));
	SHOW(socket(AF_UNIX, SOCK_STREAM, 77));
}

static void abstract(void)
{
	int a = new_socket(), b = new_socket(), c = new_socket();
	socklen_t len = 2 + 1 + 9;

	at("");
	snprintf(address.sun_path + 1, 40, "abi-%05u", (unsigned)getpid() % 100000);
	SHOW(bind(a, (void *)&address, len));
	SHOW(bind(b, (void *)&address, len));
	SHOW(connect(b, (void *)&address, len));
	SHOW(listen(a, 5));
	SHOW(connect(b, (void *)&address, len - 1));
	SHOW(connect(b, (void *)&address, len));
	SHOW(connect(c, (void *)&address, len));
	SHOW(close(accept(a, NULL, NULL)));
	SHOW(close(a));
	SHOW(read(c, &address, 1)); /* nobody ever accepted it */
	SHOW(read(b, &address, 1));
	SHOW(close(b) + close(c));
}

static void *connect_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		int fd = new_socket();

		if (connect_to(fd, "many") < 0 || write(fd, "0123456789", 10) != 10)
			printf("connect: %s\n", errno_name(errno));
		close(fd);
	}
	return NULL;
}

static void waiting(void)
{
	int a = new_socket(), b = new_socket(), count = 0, bytes = 0, refused;
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(0);
	char buf[32];
	pthread_t t;

	SHOW(bind_to(a, "many") + listen(a, 0));
	fcntl(b, F_SETFL, O_NONBLOCK);
	SHOW(connect_to(b, "many"));
	refused = new_socket();
	fcntl(refused, F_SETFL, O_NONBLOCK);
	SHOW(connect_to(refused, "many"));
	close(refused);
	SHOW(close(accept(a, NULL, NULL)) + close(b));
	pthread_create(&t, NULL, connect_many, NULL);
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, a, &e));
	while (count < 20 && epoll_wait(ep, &e, 1, 10000) == 1) {
		int fd = accept(a, NULL, NULL), n;

		count++;
		while ((n = (int)read(fd, buf, sizeof(buf))) > 0)
			bytes += n;
		close(fd);
	}
	pthread_join(t, NULL);
	printf("%d connections, %d bytes\n", count, bytes);
	SHOW(close(a) + close(ep) + unlink("many"));
}

static void *send_much(void *arg)
{
	static char block[7000];
	long total = 0, n;

	for (int i = 0; i < 200; i++) {
		memset(block, i, sizeof(block));
		n = write(*(int *)arg, block, sizeof(block));
		total += n;
	}
	close(*(int *)arg);
	printf("sent %ld\n", total);
	return NULL;
}

static void much(void)
{
	static char buf[9000];
	long total = 0, wrong = 0, n;
	pthread_t t;
	int s[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pthread_create(&t, NULL, send_much, &s[0]);
	while ((n = recv(s[1], buf, sizeof(buf), 0)) > 0) {
		for (long i = 0; i < n; i++)
			wrong += buf[i] != (char)((total + i) / 7000);
		total += n;
	}
	pthread_join(t, NULL);
	printf("received %ld, %ld wrong\n", total, wrong);
	close(s[1]);
}

int main(void)
{
	if (enter_tree() < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	pairs();
	options();
	names();
	abstract();
	waiting();
	much();
	return 0;
}
