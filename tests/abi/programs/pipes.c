/* Pipes: order, capacity, atomic small writes, ends that close, non-blocking ends. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static void *write_much(void *arg)
{
	int fd = *(int *)arg;
	char block[1000];

	for (int i = 0; i < 500; i++) {
		memset(block, 'a' + i % 26, sizeof(block));
		for (size_t done = 0; done < sizeof(block);)
			done += (size_t)write(fd, block + done, sizeof(block) - done);
	}
	close(fd);
	return NULL;
}

static void stream_of_bytes(void)
{
	int p[2];
	pthread_t t;
	unsigned long sum = 0, total = 0;
	char buf[777];
	ssize_t n;

	SHOW(pipe(p));
	pthread_create(&t, NULL, write_much, &p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum = sum * 31 + (unsigned char)buf[i];
		total += (unsigned long)n;
	}
	pthread_join(t, NULL);
	printf("read %lu bytes, sum %lu, then %zd\n", total, sum, n);
	close(p[0]);
}

static void non_blocking(void)
{
	int p[2], queued = -1;
	char buf[4096] = { 0 };
	long filled = 0;
	ssize_t n;

	SHOW(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	SHOW(read(p[0], buf, 1));
	while ((n = write(p[1], buf, sizeof(buf))) > 0)
		filled += n;
	printf("full after %ld bytes: %s\n", filled, errno_name(errno));
	SHOW(ioctl(p[0], FIONREAD, &queued));
	printf("queued %d\n", queued);
	SHOW(fcntl(p[0], F_GETFD));
	SHOW(fcntl(p[1], F_GETFL) & (O_NONBLOCK | O_ACCMODE));
	SHOW(fcntl(p[0], F_GETPIPE_SZ));
	SHOW(read(p[0], buf, 4096));
	SHOW(write(p[1], buf, 4096));
	close(p[0]);
	SHOW(write(p[1], "x", 1));
	close(p[1]);
}

static void vectors_and_errors(void)
{
	int p[2];
	char a[3] = "", b[5] = "";
	struct iovec out[3] = { { "one ", 4 }, { NULL, 0 }, { "two", 3 } };
	struct iovec in[2] = { { a, 2 }, { b, 4 } };

	SHOW(pipe(p));
	SHOW(writev(p[1], out, 3));
	SHOW(readv(p[0], in, 2));
	printf("'%s' '%s'\n", a, b);
	SHOW(write(p[0], "x", 1));
	SHOW(read(p[1], a, 1));
	SHOW(lseek(p[0], 0, SEEK_SET));
	SHOW(pread(p[0], a, 1, 0));
	SHOW(write(p[1], "", 0));
	volatile int negative = -1;
	SHOW(writev(p[1], out, negative));
	SHOW(dup2(p[0], 50));
	SHOW(read(50, a, 1));
	SHOW(dup3(p[0], p[0], 0));
	close(p[1]);
	SHOW(read(50, a, 1));
	SHOW(close(50));
	SHOW(close(50));
	close(p[0]);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	stream_of_bytes();
	non_blocking();
	vectors_and_errors();
	return 0;
}
