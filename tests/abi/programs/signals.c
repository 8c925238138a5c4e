/*
 * Signals to oneself and to threads: handlers, masks, pending ones, interrupted and restarted
 * calls.
 */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile sig_atomic_t caught, last_value, inside_mask_blocked;

static void count(int sig)
{
	(void)sig;
	caught++;
}

static void look_at_info(int sig, siginfo_t *info, void *context)
{
	sigset_t now;

	(void)context;
	caught++;
	last_value = info->si_value.sival_int;
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	inside_mask_blocked = sigismember(&now, sig) && sigismember(&now, SIGUSR2);
}

static void handlers(void)
{
	struct sigaction sa = { .sa_handler = count }, old;

	SHOW(sigaction(SIGUSR1, &sa, NULL));
	SHOW(sigaction(SIGUSR1, NULL, &old));
	YES("the handler is read back", old.sa_handler == count);
	SHOW(raise(SIGUSR1));
	printf("caught %d\n", caught);
	SHOW(kill(getpid(), SIGUSR1));
	printf("caught %d\n", caught);
	signal(SIGUSR1, SIG_IGN);
	SHOW(raise(SIGUSR1));
	printf("caught %d\n", caught);
	SHOW(sigaction(SIGKILL, &sa, NULL));
	SHOW(sigaction(9999, &sa, NULL));
	SHOW(kill(getpid(), 0));
	SHOW(kill(getpid(), 9999));
}

static void masks(void)
{
	sigset_t set, old, pending;
	struct sigaction sa = { .sa_sigaction = look_at_info, .sa_flags = SA_SIGINFO };

	caught = 0;
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SHOW(sigprocmask(SIG_BLOCK, &set, &old));
	raise(SIGUSR1);
	raise(SIGUSR1);
	printf("caught while blocked %d\n", caught);
	SHOW(sigpending(&pending));
	printf("pending %d\n", sigismember(&pending, SIGUSR1));
	SHOW(sigprocmask(SIG_SETMASK, &old, NULL));
	printf("caught after unblocking %d, masked inside %d\n", caught, inside_mask_blocked);

	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	int sig = 0;
	SHOW(sigwait(&set, &sig));
	printf("sigwait took it: %d, caught %d\n", sig == SIGUSR1, caught);
	struct timespec ts = { 0, 10000000 };
	SHOW(sigtimedwait(&set, NULL, &ts));
	sigprocmask(SIG_SETMASK, &old, NULL);

	sigaction(SIGRTMIN, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	caught = 0;
	for (int i = 1; i <= 3; i++)
		sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i });
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("queued real-time signals caught %d, last value %d\n", caught, last_value);
}

static sem_t ready;
static int ends[2];

static ssize_t read_result;
static int read_errno;

/* The result is told by who joins, so that lines come in one order. */
static void *read_one(void *arg)
{
	char c;

	sem_post(&ready);
	read_result = read(ends[0], &c, 1);
	read_errno = errno;
	return arg;
}

static void threads(void)
{
	struct sigaction sa = { .sa_handler = count };
	pthread_t t;

	sem_init(&ready, 0, 0);
	if (pipe(ends) < 0)
		return;
	caught = 0;
	sigaction(SIGUSR2, &sa, NULL);
	pthread_create(&t, NULL, read_one, NULL);
	sem_wait(&ready);
	sleep_ms(100);
	int err = pthread_kill(t, SIGUSR2);
	pthread_join(t, NULL);
	printf("%s\n", errno_name(err));
	printf("read in the thread: %zd %s\n", read_result,
	       read_result < 0 ? errno_name(read_errno) : "ok");
	printf("caught %d\n", caught);

	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &sa, NULL);
	pthread_create(&t, NULL, read_one, NULL);
	sem_wait(&ready);
	sleep_ms(100);
	pthread_kill(t, SIGUSR2);
	sleep_ms(100);
	SHOW(write(ends[1], "x", 1));
	pthread_join(t, NULL);
	printf("read in the thread: %zd %s\n", read_result,
	       read_result < 0 ? errno_name(read_errno) : "ok");
	printf("caught %d\n", caught);
}

static void *kill_main_later(void *arg)
{
	sleep_ms(100);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void interrupted_sleep(void)
{
	struct sigaction sa = { .sa_handler = count, .sa_flags = SA_RESTART };
	struct timespec ts = { 10, 0 }, left = { 0, 0 };
	pthread_t self = pthread_self(), t;

	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, kill_main_later, &self);
	SHOW(nanosleep(&ts, &left));
	YES("time left is told", left.tv_sec >= 8);
	pthread_join(t, NULL);
	pthread_create(&t, NULL, kill_main_later, &self);
	SHOW(pause());
	pthread_join(t, NULL);
}

static sigjmp_buf back;
static char *volatile page;
static int address_told;
static volatile char *volatile nowhere = (volatile char *)8;

static void jump_back(int sig)
{
	siglongjmp(back, sig);
}

static void give_page(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	address_told = info->si_addr == page + 5;
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void faults(void)
{
	struct sigaction sa = { .sa_handler = jump_back };
	double kept = 1.5;

	sigaction(SIGSEGV, &sa, NULL);
	for (int i = 0; i < 2; i++)
		if (!sigsetjmp(back, 1))
			*nowhere = 1;
		else
			printf("came back from a null pointer\n");
	sa = (struct sigaction){ .sa_sigaction = give_page, .sa_flags = SA_SIGINFO };
	sigaction(SIGSEGV, &sa, NULL);
	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page[5] = 'x';
	kept += page[5] == 'x';
	printf("the store was tried again: %g, address told: %d\n", kept, address_told);
	signal(SIGSEGV, SIG_DFL);
}

int main(void)
{
	faults();
	handlers();
	masks();
	threads();
	interrupted_sleep();
	signal(SIGALRM, count);
	caught = 0;
	SHOW(alarm(1));
	SHOW(pause());
	printf("alarms %d\n", caught);
	return 0;
}
