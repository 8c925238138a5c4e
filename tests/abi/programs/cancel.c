/* Thread cancellation: deferred at cancellation points, asynchronous off, clean-up handlers. */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

static int pipe_ends[2];
static sem_t ready, asked;
static int cleaned;

static void note_cleanup(void *arg)
{
	cleaned += *(int *)arg;
}

static void *wait_in_read(void *arg)
{
	char c;
	int one = 1;

	pthread_cleanup_push(note_cleanup, &one);
	sem_post(&ready);
	if (read(pipe_ends[0], &c, 1) == 1)
		printf("read something\n");
	pthread_cleanup_pop(0);
	return arg;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void unlock(void *arg)
{
	pthread_mutex_unlock(arg);
	cleaned += 10;
}

static void *wait_for_condition(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(unlock, &lock);
	sem_post(&ready);
	for (;;)
		pthread_cond_wait(&never, &lock);
	pthread_cleanup_pop(0);
	return arg;
}

static void *sleep_long(void *arg)
{
	sem_post(&ready);
	sleep(100);
	return arg;
}

static void *refuse_then_test(void *arg)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	sem_post(&ready);
	while (sem_wait(&asked) < 0)
		;
	printf("still here with cancellation disabled\n");
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	pthread_testcancel();
	printf("never printed\n");
	return arg;
}

static void cancel_one(const char *what, void *(*entry)(void *))
{
	pthread_t t;
	void *value;

	sem_init(&asked, 0, 0);
	pthread_create(&t, NULL, entry, NULL);
	sem_wait(&ready);
	sleep_ms(20);
	pthread_cancel(t);
	sem_post(&asked);
	pthread_join(t, &value);
	printf("%s: %s, clean-up %d\n", what,
	       value == PTHREAD_CANCELED ? "cancelled" : "not cancelled", cleaned);
}

int main(void)
{
	sem_init(&ready, 0, 0);
	if (pipe(pipe_ends) < 0)
		return 1;
	cancel_one("in read", wait_in_read);
	cancel_one("in cond_wait", wait_for_condition);
	printf("mutex after it: %s\n", errno_name(pthread_mutex_trylock(&lock)));
	cancel_one("in sleep", sleep_long);
	cancel_one("disabled first", refuse_then_test);
	return 0;
}
