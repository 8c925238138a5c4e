/* Clocks and sleeping: monotonic, real time, resolution, interval of sleeps, processor time. */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static void sleeps_are_close(void)
{
	long long worst = 0;

	for (int i = 0; i < 10; i++) {
		long long start = now_ns();
		sleep_ms(5);
		long long took = now_ns() - start;
		if (took < 5000000)
			printf("a sleep of 5 ms was too short\n");
		if (took > worst)
			worst = took;
	}
	YES("no sleep of 5 ms took more than a second", worst < 1000000000);
}

static void clock_kinds(void)
{
	struct timespec a, b, res;
	struct timeval tv;

	SHOW(clock_gettime(CLOCK_REALTIME, &a));
	SHOW(gettimeofday(&tv, NULL));
	YES("real time agrees with gettimeofday", tv.tv_sec - a.tv_sec <= 1);
	YES("real time is after 2023", a.tv_sec > 1700000000);
	SHOW(clock_gettime(CLOCK_MONOTONIC_RAW, &a));
	SHOW(clock_gettime(CLOCK_BOOTTIME, &b));
	SHOW(clock_getres(CLOCK_MONOTONIC, &res));
	YES("resolution is finer than a microsecond", res.tv_sec == 0 && res.tv_nsec <= 1000);
	SHOW(clock_gettime(1234, &a));
	SHOW(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a));
	volatile unsigned long x = 0;
	for (long i = 0; i < 3000000; i++)
		x += (unsigned long)i;
	SHOW(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b));
	YES("processor time advances", b.tv_sec > a.tv_sec || b.tv_nsec > a.tv_nsec);
	sleep_ms(50);
	SHOW(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a));
	YES("but not while asleep",
	    (a.tv_sec - b.tv_sec) * 1000000000LL + a.tv_nsec - b.tv_nsec < 40000000);
	YES("time() agrees", time(NULL) - tv.tv_sec <= 1);
}

static void monotonic_never_goes_back(void)
{
	long long last = now_ns(), steps_back = 0;

	for (int i = 0; i < 100000; i++) {
		long long t = now_ns();
		steps_back += t < last;
		last = t;
	}
	printf("steps back %lld\n", steps_back);
}

static void absolute_sleep(void)
{
	struct timespec ts;
	long long start = now_ns();

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += 20000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	YES("20 ms passed", now_ns() - start >= 20000000);
	start = now_ns();
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	YES("the past is no sleep", now_ns() - start < 500000000);
	ts.tv_nsec = 1000000000;
	printf("%s\n", errno_name(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL)));
	ts.tv_nsec = -1;
	SHOW(nanosleep(&ts, NULL));
}

int main(void)
{
	sleeps_are_close();
	clock_kinds();
	monotonic_never_goes_back();
	absolute_sleep();
	return 0;
}
