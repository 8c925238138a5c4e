/* Locks on files: flock, record locks of the process and of open files, waiting, what a close gives back. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static int lock(int fd, int command, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, command, &l);
}

static void test(int fd, int command, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	if (fcntl(fd, command, &l) < 0)
		printf("test: %s\n", errno_name(errno));
	else if (l.l_type == F_UNLCK)
		printf("free\n");
	else
		printf("%s at %lld for %lld, %s\n", l.l_type == F_WRLCK ? "exclusive" : "shared",
		       (long long)l.l_start, (long long)l.l_len, l.l_pid == -1 ? "an open file's" : "a process's");
}

static int shared_fd;

static void *waits(void *unused)
{
	(void)unused;
	SHOW(lock(shared_fd, F_OFD_SETLKW, F_WRLCK, 0, 10));
	SHOW(lock(shared_fd, F_OFD_SETLK, F_UNLCK, 0, 0));
	SHOW(flock(shared_fd, LOCK_EX));
	return NULL;
}

int main(void)
{
	pthread_t thread;
	int a, b, readonly;

	if (enter_tree() < 0)
		return 2;
	a = open("locked", O_CREAT | O_RDWR, 0600);
	b = open("locked", O_RDWR);
	readonly = open("locked", O_RDONLY);
	SHOW(flock(a, LOCK_SH));
	SHOW(flock(b, LOCK_SH | LOCK_NB));
	SHOW(flock(b, LOCK_EX | LOCK_NB));
	SHOW(flock(a, LOCK_UN));
	SHOW(flock(b, LOCK_EX | LOCK_NB));
	SHOW(flock(a, LOCK_SH | LOCK_NB));
	SHOW(flock(dup(b), LOCK_EX | LOCK_NB));
	SHOW(flock(b, LOCK_UN));
	SHOW(flock(99, LOCK_SH));
	SHOW(flock(a, 77));

	SHOW(lock(a, F_OFD_SETLK, F_WRLCK, 10, 10));
	test(b, F_OFD_GETLK, F_RDLCK, 0, 0);
	test(b, F_OFD_GETLK, F_RDLCK, 0, 10);
	test(a, F_OFD_GETLK, F_WRLCK, 0, 0);
	SHOW(lock(b, F_OFD_SETLK, F_RDLCK, 19, 1));
	SHOW(lock(b, F_OFD_SETLK, F_RDLCK, 20, 0));
	SHOW(lock(a, F_OFD_SETLK, F_WRLCK, 0, 0));
	SHOW(lock(a, F_OFD_SETLK, F_UNLCK, 13, 2));
	test(b, F_OFD_GETLK, F_WRLCK, 0, 0);
	test(b, F_OFD_GETLK, F_WRLCK, 13, 2);
	test(b, F_OFD_GETLK, F_WRLCK, 14, 5);
	SHOW(lock(a, F_OFD_SETLK, F_RDLCK, 11, 1));
	SHOW(lock(b, F_OFD_SETLK, F_RDLCK, 11, 1));
	SHOW(lock(b, F_OFD_SETLK, F_WRLCK, 11, 1));
	SHOW(lock(b, F_SETLK, F_WRLCK, 13, 1));
	test(a, F_OFD_GETLK, F_RDLCK, 13, 1);
	SHOW(lock(a, F_SETLK, F_WRLCK, 13, 1));
	SHOW(lock(a, F_SETLK, F_WRLCK, 17, 1));
	SHOW(lock(readonly, F_OFD_SETLK, F_WRLCK, 0, 1));
	SHOW(lock(readonly, F_OFD_SETLK, F_RDLCK, 0, 1));
	SHOW(lock(a, F_OFD_SETLK, F_WRLCK, -1, 1));
	SHOW(lock(a, F_OFD_SETLK, 9, 0, 1));
	SHOW(close(readonly));
	test(a, F_OFD_GETLK, F_WRLCK, 13, 1);
	test(a, F_OFD_GETLK, F_WRLCK, 0, 1);

	SHOW(lock(b, F_OFD_SETLK, F_UNLCK, 0, 0));
	SHOW(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	SHOW(flock(a, LOCK_EX));
	shared_fd = b;
	pthread_create(&thread, NULL, waits, NULL);
	sleep_ms(50);
	printf("giving back\n");
	fflush(stdout);
	lock(a, F_OFD_SETLK, F_UNLCK, 0, 0);
	sleep_ms(100);
	printf("closing\n");
	fflush(stdout);
	close(a);
	pthread_join(thread, NULL);
	SHOW(unlink("locked"));
	return 0;
}
