/* epoll over eventfds, by its system calls: what tests/abi does not reach, and many of them. */
#include <core/errno.h>
#include <core/test.h>
#include <libos/abi.h>

#include "fd.h"
#include "syscalls.h"

#define ADD 1
#define DEL 2
#define IN  1u
#define MANY 500

static void add_to(int fd, uint64_t value)
{
	struct uio_vec vec = { &value, sizeof(value) };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = sizeof(value), .offset = -1 };
	struct file *f = fd_get(fd);

	f->ops->write(f, &u);
	file_put(f);
}

static long wait_now(int ep, struct abi_epoll_event *events, int max)
{
	return sys_epoll_pwait(ep, events, max, 0, NULL, 8);
}

TEST(epoll_finds_the_ready_few_among_many)
{
	static int fds[MANY];
	struct abi_epoll_event events[8];
	int ep = (int)sys_epoll_create1(0);

	for (int i = 0; i < MANY; i++) {
		struct abi_epoll_event e = { IN, (uint64_t)i };

		fds[i] = (int)sys_eventfd2(0, O_NONBLOCK);
		CHECK_EQ(sys_epoll_ctl(ep, ADD, fds[i], &e), 0);
	}
	CHECK_EQ(wait_now(ep, events, 8), 0);
	for (int i = 7; i < MANY; i += 100)
		add_to(fds[i], 1);
	CHECK_EQ(wait_now(ep, events, 8), 5);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(events[i].data, 7 + 100 * i);
	CHECK_EQ(wait_now(ep, events, 2), 2); /* the others have their turn, */
	CHECK_EQ(wait_now(ep, events + 2, 3), 3); /* whoever asks next */
	CHECK(events[0].data != events[2].data && events[1].data != events[2].data);
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(fd_close(fds[i]), 0);
	CHECK_EQ(wait_now(ep, events, 8), 0);
	CHECK_EQ(fd_close(ep), 0);
}

TEST(epoll_refuses_loops_and_depth)
{
	struct abi_epoll_event e = { IN, 0 };
	int chain[7];

	for (int i = 0; i < 7; i++)
		chain[i] = (int)sys_epoll_create1(0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(sys_epoll_ctl(chain[i + 1], ADD, chain[i], &e), 0);
	CHECK_EQ(sys_epoll_ctl(chain[0], ADD, chain[4], &e), -ELOOP);
	CHECK_EQ(sys_epoll_ctl(chain[0], ADD, chain[0], &e), -EINVAL);
	CHECK_EQ(sys_epoll_ctl(chain[0], DEL, chain[6], &e), -ENOENT);
	for (int i = 0; i < 7; i++)
		CHECK_EQ(fd_close(chain[i]), 0);
}

TEST(epoll_may_be_closed_before_what_it_watches)
{
	struct abi_epoll_event e = { IN, 0 };
	int ep = (int)sys_epoll_create1(0), fd = (int)sys_eventfd2(0, 0);

	CHECK_EQ(sys_epoll_ctl(ep, ADD, fd, &e), 0);
	CHECK_EQ(fd_close(ep), 0);
	add_to(fd, 1);
	CHECK_EQ(fd_close(fd), 0);
}
