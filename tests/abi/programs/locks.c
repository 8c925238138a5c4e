/*
 * Locks on files: flock, record locks of the process and of open files, waiting, what a close gives
 * back.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
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
		       (long long)l.l_start, (long long)l.l_len,
		       l.l_pid == -1 ? "an open file's" : "a process's");
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

/*
 * flock: a change gives back what there was before it takes what is wanted, so a change that fails
 * loses both.
 */
static void changing(void)
{
	int a = open("locked", O_RDWR), b = open("locked", O_RDWR);

	SHOW(flock(a, LOCK_SH) + flock(b, LOCK_SH));
	SHOW(flock(a, LOCK_EX | LOCK_NB));
	SHOW(flock(b, LOCK_EX | LOCK_NB));
	SHOW(flock(b, LOCK_EX | LOCK_NB));
	SHOW(flock(a, LOCK_SH | LOCK_NB));
	SHOW(flock(b, LOCK_SH | LOCK_NB));
	SHOW(flock(a, LOCK_SH | LOCK_NB));
	SHOW(close(a) + close(b));
}

static void *wants_alone(void *fd)
{
	flock(*(int *)fd, LOCK_EX);
	flock(*(int *)fd, LOCK_UN);
	return NULL;
}

/* Two who share a lock and both want it alone do not wait for each other. */
static void two_change(void)
{
	int fds[2] = { open("locked", O_RDWR), open("locked", O_RDWR) };
	pthread_t threads[2];

	SHOW(flock(fds[0], LOCK_SH) + flock(fds[1], LOCK_SH));
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, wants_alone, &fds[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	SHOW(close(fds[0]) + close(fds[1]));
}

/* Every way to close a descriptor gives the process's locks on its file back. */
static void closing(void)
{
	int open_file = open("locked", O_RDWR), null = open("/dev/null", O_RDWR), fd;

	fd = open("locked", O_RDWR);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	test(open_file, F_OFD_GETLK, F_WRLCK, 0, 0);
	SHOW(dup2(null, fd) == fd);
	test(open_file, F_OFD_GETLK, F_WRLCK, 0, 0);
	SHOW(close(fd));
	fd = open("locked", O_RDWR);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 5, 10));
	SHOW(syscall(SYS_close_range, fd, fd, 0));
	test(open_file, F_OFD_GETLK, F_WRLCK, 0, 0);
	fd = open("locked", O_RDWR);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 5, 10));
	SHOW(close(open("locked", O_PATH)));
	test(open_file, F_OFD_GETLK, F_WRLCK, 0, 0);
	SHOW(close(dup(fd)));
	test(open_file, F_OFD_GETLK, F_WRLCK, 0, 0);
	SHOW(close(fd) + close(null) + close(open_file));
}

static int waited, waited_errno;

static void *waits_for_the_process(void *fd)
{
	waited = lock(*(int *)fd, F_SETLKW, F_WRLCK, 0, 10);
	waited_errno = errno;
	return NULL;
}

/* A lock that comes after its descriptor was closed does not stay. */
static void closed_while_waiting(void)
{
	int open_file = open("locked", O_RDWR), fd = open("locked", O_RDWR);
	pthread_t thread;

	SHOW(lock(open_file, F_OFD_SETLK, F_WRLCK, 0, 10));
	pthread_create(&thread, NULL, waits_for_the_process, &fd);
	sleep_ms(100); /* whether it waits already or finds no descriptor, it says the same */
	close(fd);
	SHOW(lock(open_file, F_OFD_SETLK, F_UNLCK, 0, 0));
	pthread_join(thread, NULL);
	SHOW((errno = waited_errno, waited));
	test(open_file, F_OFD_GETLK, F_WRLCK, 0, 0);
	SHOW(close(open_file));
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
	SHOW(flock(b, LOCK_UN));
	changing();
	two_change();
	closing();
	closed_while_waiting();
	SHOW(unlink("locked"));
	return 0;
}
