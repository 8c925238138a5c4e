/*
 * Pipes with names: which opens wait for whom, ends, readiness, what outlives whom. Runs in an
 * empty folder of a tmpfs, named by TREE (else /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void show_poll(const char *when, int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
	int n = poll(&p, 1, 0);

	printf("%s: %d%s%s%s%s\n", when, n, p.revents & POLLIN ? " IN" : "",
	       p.revents & POLLOUT ? " OUT" : "", p.revents & POLLHUP ? " HUP" : "",
	       p.revents & POLLERR ? " ERR" : "");
}

static void alone(void)
{
	char buf[8];
	int r, w, both;

	SHOW(mkfifo("p", 0644));
	SHOW(mkfifo("p", 0644));
	SHOW(open("p", O_WRONLY | O_NONBLOCK));
	r = open("p", O_RDONLY | O_NONBLOCK);
	SHOW(read(r, buf, 8));
	show_poll("a reader before any writer", r);
	w = open("p", O_WRONLY | O_NONBLOCK);
	YES("a writer finds the reader", w >= 0);
	SHOW(read(r, buf, 8));
	show_poll("a reader with a writer", r);
	show_poll("the writer", w);
	SHOW(write(w, "12345", 5));
	SHOW(write(r, "x", 1));
	SHOW(read(w, buf, 1));
	SHOW(read(r, buf, 2));
	SHOW(close(w));
	show_poll("after the writer, with bytes", r);
	SHOW(read(r, buf, 8));
	SHOW(read(r, buf, 8));
	show_poll("after the writer", r);
	w = open("p", O_WRONLY);
	SHOW(write(w, "left", 4));
	SHOW(close(r));
	signal(SIGPIPE, SIG_IGN);
	SHOW(write(w, "x", 1));
	show_poll("a writer without reader", w);
	r = open("p", O_RDONLY);
	SHOW(read(r, buf, 4));
	SHOW(close(w) + close(r));
	both = open("p", O_RDWR);
	SHOW(write(both, "kept", 4));
	show_poll("both ends", both);
	r = open("p", O_RDONLY);
	SHOW(close(both));
	SHOW(read(r, buf, 8));
	SHOW(read(r, buf, 8));
	SHOW(close(r));
	r = open("p", O_RDONLY | O_NONBLOCK);
	SHOW(read(r, buf, 8));
	SHOW(lseek(r, 0, SEEK_SET));
	SHOW(pread(r, buf, 1, 0));
	SHOW(ftruncate(r, 0));
	SHOW(close(r));
}

static void *write_name(void *path)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, "by a thread", 11) != 11)
		printf("the writer: %s\n", errno_name(errno));
	close(fd);
	return NULL;
}

static void *read_name(void *path)
{
	char buf[32] = "";
	int fd = open(path, O_RDONLY), n = 0, got;

	while (fd >= 0 && (got = (int)read(fd, buf + n, sizeof(buf) - 1 - (size_t)n)) > 0)
		n += got;
	printf("the reader got '%s'\n", buf);
	close(fd);
	return NULL;
}

static void meeting(void)
{
	pthread_t reader, writer;

	for (int i = 0; i < 3; i++) {
		pthread_create(&reader, NULL, read_name, "p");
		sleep_ms(i * 10);
		pthread_create(&writer, NULL, write_name, "p");
		pthread_join(reader, NULL);
		pthread_join(writer, NULL);
	}
	pthread_create(&writer, NULL, write_name, "p");
	sleep_ms(20);
	read_name("p");
	pthread_join(writer, NULL);
}

static void on_signal(int sig)
{
	(void)sig;
}

static pthread_t main_thread;

static void *interrupt(void *done)
{
	while (!__atomic_load_n((int *)done, __ATOMIC_ACQUIRE)) {
		pthread_kill(main_thread, SIGUSR1);
		sleep_ms(10);
	}
	return NULL;
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	pthread_t t;
	int done = 0, r;

	sigaction(SIGUSR1, &sa, NULL);
	main_thread = pthread_self();
	pthread_create(&t, NULL, interrupt, &done);
	SHOW(open("p", O_RDONLY));
	SHOW(open("p", O_WRONLY));
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	SHOW(open("p", O_WRONLY | O_NONBLOCK)); /* who gave up is no reader */
	r = open("p", O_RDONLY | O_NONBLOCK);
	YES("and no writer", read(r, &(char){ 0 }, 1) == 0);
	close(r);
}

static void names(void)
{
	struct stat st;
	char buf[8];
	int r = open("p", O_RDONLY | O_NONBLOCK), w, fresh;

	SHOW(link("p", "q"));
	w = open("q", O_WRONLY);
	SHOW(write(w, "by q", 4));
	SHOW(read(r, buf, 8));
	SHOW(unlink("p") + unlink("q"));
	SHOW(write(w, "gone", 4));
	SHOW(read(r, buf, 8));
	SHOW(fstat(r, &st));
	printf("mode %o, links %d\n", (unsigned)st.st_mode, (int)st.st_nlink);
	SHOW(mkfifo("p", 0644));
	fresh = open("p", O_RDONLY | O_NONBLOCK);
	SHOW(write(w, "old", 3));
	SHOW(read(fresh, buf, 8));
	SHOW(close(r) + close(w) + close(fresh) + unlink("p"));
}

int main(void)
{
	if (enter_tree() < 0)
		return 1;
	alone();
	meeting();
	interrupted();
	names();
	return 0;
}
