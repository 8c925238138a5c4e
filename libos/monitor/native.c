/*
 * The monitor of a program on a POSIX system: a thread with a loop of its own when the environment
 * asks for it, KILN_MONITOR_PORT=9100. The program shows what it registered; the rest is the
 * system's to tell.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor.h"

bool metrics_of_system(const void **at, struct textbuf *t)
{
	(void)at, (void)t;
	return false;
}

static void *serve(void *arg)
{
	stream_run(arg);
	return NULL;
}

/* Signals are the program's own threads' to take. */
static int thread_begin(struct stream_loop *loop)
{
	sigset_t all, before;
	pthread_t thread;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, serve, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		pthread_detach(thread);
	return -error;
}

static void __attribute__((constructor)) monitor_start(void)
{
	const char *port = getenv("KILN_MONITOR_PORT");
	struct stream_loop *loop;
	int error;

	if (!port)
		return;
	error = stream_loop_create(&loop);
	if (!error)
		error = monitor_listen(loop, (unsigned)strtoul(port, NULL, 10));
	if (!error)
		error = thread_begin(loop);
	if (error)
		fprintf(stderr, "monitor: port %s: %s\n", port, strerror(-error));
}
