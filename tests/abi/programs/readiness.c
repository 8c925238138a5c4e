/* poll, select, epoll, eventfd, timerfd: what is ready when. */
#define _GNU_SOURCE
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void poll_pipe(void)
{
	int p[2];

	SHOW(pipe(p));
	struct pollfd f[3] = { { p[0], POLLIN, 0 }, { p[1], POLLOUT, 0 }, { -1, POLLIN, 0 } };
	SHOW(poll(f, 3, 0));
	printf("revents %x %x %x\n", f[0].revents, f[1].revents, f[2].revents);
	SHOW(write(p[1], "x", 1));
	SHOW(poll(f, 1, -1));
	printf("revents %x\n", f[0].revents);
	close(p[1]);
	SHOW(poll(f, 2, 10));
	printf("revents %x %x\n", f[0].revents, f[1].revents);
	close(p[0]);
	long long start = now_ns();
	SHOW(poll(NULL, 0, 30));
	YES("waited 30 ms", now_ns() - start >= 29000000);
}

static void *write_later(void *arg)
{
	sleep_ms(30);
	if (write(*(int *)arg, "y", 1) != 1)
		printf("write failed\n");
	return NULL;
}

static void select_wakes(void)
{
	int p[2];
	fd_set r;
	pthread_t t;
	struct timeval tv = { 5, 0 };

	SHOW(pipe(p));
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	pthread_create(&t, NULL, write_later, &p[1]);
	int n = select(p[0] + 1, &r, NULL, NULL, &tv);
	printf("select %d, set %d\n", n, FD_ISSET(p[0], &r) != 0);
	pthread_join(t, NULL);
	tv = (struct timeval){ 0, 10000 };
	FD_ZERO(&r);
	SHOW(select(0, NULL, NULL, NULL, &tv));
	close(p[0]);
	close(p[1]);
}

static void eventfds(void)
{
	uint64_t v = 3;
	int e = eventfd(2, EFD_NONBLOCK), s = eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE);

	SHOW(write(e, &v, 8));
	SHOW(read(e, &v, 8));
	printf("value %llu\n", (unsigned long long)v);
	SHOW(read(e, &v, 8));
	SHOW(read(e, &v, 7));
	v = UINT64_MAX;
	SHOW(write(e, &v, 8));
	v = UINT64_MAX - 1;
	SHOW(write(e, &v, 8));
	v = 1;
	SHOW(write(e, &v, 8));
	struct pollfd f = { e, POLLIN | POLLOUT, 0 };
	SHOW(poll(&f, 1, 0));
	printf("revents %x\n", f.revents);
	for (int i = 0; i < 4; i++) {
		v = 0;
		ssize_t n = read(s, &v, 8);
		printf("semaphore read %zd value %llu\n", n, (unsigned long long)v);
	}
	close(e);
	close(s);
}

static void timerfds(void)
{
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	struct itimerspec in = { { 0, 10000000 }, { 0, 10000000 } }, out;
	uint64_t n = 0;

	SHOW(read(t, &n, 8));
	SHOW(timerfd_settime(t, 0, &in, NULL));
	struct pollfd f = { t, POLLIN, 0 };
	SHOW(poll(&f, 1, 1000));
	SHOW(read(t, &n, 8));
	YES("at least one expiry", n >= 1);
	sleep_ms(55);
	SHOW(read(t, &n, 8));
	YES("at least four expiries", n >= 4);
	SHOW(timerfd_gettime(t, &out));
	YES("interval kept", out.it_interval.tv_nsec == 10000000 && out.it_interval.tv_sec == 0);
	memset(&in, 0, sizeof(in));
	SHOW(timerfd_settime(t, 0, &in, &out));
	SHOW(poll(&f, 1, 25));
	in.it_value.tv_nsec = 1;
	SHOW(timerfd_settime(t, TFD_TIMER_ABSTIME, &in, NULL));
	SHOW(poll(&f, 1, 1000));
	in.it_value.tv_nsec = 1000000000;
	SHOW(timerfd_settime(t, 0, &in, NULL));
	SHOW(timerfd_create(99, 0));
	close(t);
}

static void show_events(int ep, int timeout)
{
	struct epoll_event ev[8];
	int n = epoll_wait(ep, ev, 8, timeout);

	printf("epoll_wait %d:", n);
	for (int i = 0; i < n; i++)
		printf(" %llu=%x", (unsigned long long)ev[i].data.u64, ev[i].events);
	printf("\n");
}

static void epoll_triggers(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 1 };
	char c;

	SHOW(pipe(p));
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	show_events(ep, 0);
	SHOW(write(p[1], "ab", 2));
	show_events(ep, -1);
	show_events(ep, 0);
	ev.events = EPOLLIN | EPOLLET;
	SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	show_events(ep, 0);
	show_events(ep, 0);
	SHOW(write(p[1], "c", 1));
	show_events(ep, 0);
	ev.events = EPOLLIN | EPOLLONESHOT;
	SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	show_events(ep, 0);
	SHOW(write(p[1], "d", 1));
	show_events(ep, 0);
	SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	show_events(ep, 0);
	ev.events = EPOLLIN;
	SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	for (int i = 0; i < 4; i++)
		SHOW(read(p[0], &c, 1));
	show_events(ep, 0);
	close(p[1]);
	show_events(ep, 0);
	SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev));
	SHOW(epoll_ctl(p[0], EPOLL_CTL_ADD, ep, &ev));
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, 77, &ev));
	struct epoll_event room[2];
	SHOW(epoll_wait(ep, room, 0, 0));
	close(p[0]);
	close(ep);
}

static void nested_epoll(void)
{
	int inner = epoll_create1(0), outer = epoll_create1(0), e = eventfd(0, 0);
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 5 };
	uint64_t one = 1;

	SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, e, &ev));
	ev.data.u64 = 6;
	SHOW(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &ev));
	show_events(outer, 0);
	SHOW(write(e, &one, 8));
	show_events(outer, 100);
	close(e);
	show_events(outer, 0);
	close(inner);
	close(outer);
}

static void closing_removes(void)
{
	int ep = epoll_create1(0), e = eventfd(1, 0), copy = dup(e);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.u64 = 9 };

	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev));
	close(e);
	show_events(ep, 0);
	close(copy);
	show_events(ep, 0);
	close(ep);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	poll_pipe();
	select_wakes();
	eventfds();
	timerfds();
	epoll_triggers();
	nested_epoll();
	closing_removes();
	return 0;
}
