/*
 * POSIX threads: creation, joining, thread-local storage, mutexes, condition variables and the
 * rest.
 */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = 2000 };

static _Thread_local int local = 7;
static pthread_mutex_t counter_lock = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *count_under_lock(void *arg)
{
	local += (int)(intptr_t)arg;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&counter_lock);
		long seen = counter;
		if (i % 64 == 0)
			sched_yield();
		counter = seen + 1;
		pthread_mutex_unlock(&counter_lock);
	}
	return (void *)(intptr_t)local;
}

static void mutual_exclusion(void)
{
	pthread_t t[THREADS];
	long sum = 0;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, count_under_lock, (void *)(intptr_t)i);
	for (int i = 0; i < THREADS; i++) {
		void *value;
		pthread_join(t[i], &value);
		sum += (long)(intptr_t)value;
	}
	printf("counter %ld, thread-local sum %ld, own copy %d\n", counter, sum, local);
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	int slots[4], head, count;
} queue = {
	PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, { 0 }, 0, 0
};

static void *produce(void *arg)
{
	for (int i = 1; i <= 1000; i++) {
		pthread_mutex_lock(&queue.lock);
		while (queue.count == 4)
			pthread_cond_wait(&queue.not_full, &queue.lock);
		queue.slots[(queue.head + queue.count++) % 4] = i;
		pthread_cond_signal(&queue.not_empty);
		pthread_mutex_unlock(&queue.lock);
	}
	return arg;
}

static void condition_variables(void)
{
	pthread_t producer[3];
	long sum = 0;

	for (int i = 0; i < 3; i++)
		pthread_create(&producer[i], NULL, produce, NULL);
	for (int i = 0; i < 3000; i++) {
		pthread_mutex_lock(&queue.lock);
		while (queue.count == 0)
			pthread_cond_wait(&queue.not_empty, &queue.lock);
		sum += queue.slots[queue.head];
		queue.head = (queue.head + 1) % 4;
		queue.count--;
		pthread_cond_broadcast(&queue.not_full);
		pthread_mutex_unlock(&queue.lock);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(producer[i], NULL);
	printf("consumed %ld\n", sum);
}

static void timed_waits(void)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	struct timespec ts;
	long long start = now_ns();

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 50000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	pthread_mutex_lock(&m);
	printf("cond_timedwait: %s\n", errno_name(pthread_cond_timedwait(&c, &m, &ts)));
	YES("at least 50 ms passed", now_ns() - start >= 49000000);
	printf("trylock of a held mutex: %s\n", errno_name(pthread_mutex_trylock(&m)));
	printf("timedlock of a held mutex, in the past: %s\n",
	       errno_name(pthread_mutex_timedlock(&m, &ts)));
	pthread_mutex_unlock(&m);

	sem_t s;
	sem_init(&s, 0, 1);
	SHOW(sem_wait(&s));
	SHOW(sem_trywait(&s));
	SHOW(sem_timedwait(&s, &ts));
	SHOW(sem_post(&s));
	SHOW(sem_wait(&s));
}

static void mutex_kinds(void)
{
	pthread_mutexattr_t a;
	pthread_mutex_t m;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&m, &a);
	pthread_mutex_lock(&m);
	printf("recursive relock: %s\n", errno_name(pthread_mutex_lock(&m)));
	pthread_mutex_unlock(&m);
	pthread_mutex_unlock(&m);
	printf("one unlock too many: %s\n", errno_name(pthread_mutex_unlock(&m)));

	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&m, &a);
	pthread_mutex_lock(&m);
	printf("error-checking relock: %s\n", errno_name(pthread_mutex_lock(&m)));
	pthread_mutex_unlock(&m);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long shared_pair[2];
static atomic_int torn;

static void *read_pairs(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		pthread_rwlock_rdlock(&rwlock);
		if (shared_pair[0] != shared_pair[1])
			torn++;
		pthread_rwlock_unlock(&rwlock);
	}
	return arg;
}

static void *write_pairs(void *arg)
{
	for (int i = 0; i < 500; i++) {
		pthread_rwlock_wrlock(&rwlock);
		shared_pair[0]++;
		sched_yield();
		shared_pair[1]++;
		pthread_rwlock_unlock(&rwlock);
	}
	return arg;
}

static void read_write_locks(void)
{
	pthread_t t[6];

	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, i % 3 ? read_pairs : write_pairs, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	printf("pairs written %ld, torn reads %d\n", shared_pair[0], torn);
}

static pthread_barrier_t barrier;
static atomic_int serial_threads, arrived, early;

static void *meet(void *arg)
{
	for (int round = 1; round <= 20; round++) {
		arrived++;
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			serial_threads++;
		if (arrived < round * 4)
			early++;
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

static void barriers(void)
{
	pthread_t t[4];

	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, meet, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("serial threads %d, early ones %d\n", serial_threads, early);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_calls;
static pthread_key_t key;
static atomic_int destructor_sum;

static void call_once(void)
{
	once_calls++;
}

static void add_to_sum(void *value)
{
	destructor_sum += (int)(intptr_t)value;
}

static void *use_key(void *arg)
{
	pthread_once(&once, call_once);
	pthread_setspecific(key, arg);
	return pthread_getspecific(key);
}

static void once_and_keys(void)
{
	pthread_t t[5];

	pthread_key_create(&key, add_to_sum);
	for (int i = 0; i < 5; i++)
		pthread_create(&t[i], NULL, use_key, (void *)(intptr_t)(i + 1));
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	printf("once called %d, destructors got %d\n", once_calls, destructor_sum);
}

static atomic_int detached_done;

static void *finish_detached(void *arg)
{
	detached_done++;
	return arg;
}

static void *exit_early(void *arg)
{
	pthread_exit((void *)"left by pthread_exit");
	return arg;
}

static void detached_and_many(void)
{
	pthread_attr_t a;
	pthread_t t;
	void *value;

	pthread_attr_init(&a);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&a, 65536);
	int started = 0;
	for (int i = 0; i < 200; i++) {
		while (pthread_create(&t, &a, finish_detached, NULL) == EAGAIN)
			sleep_ms(1);
		started++;
	}
	for (int i = 0; i < 5000 && detached_done < started; i++)
		sleep_ms(1);
	printf("detached %d of %d\n", detached_done, started);

	pthread_create(&t, NULL, exit_early, NULL);
	pthread_join(t, &value);
	printf("%s\n", (const char *)value);
}

int main(void)
{
	mutual_exclusion();
	condition_variables();
	timed_waits();
	mutex_kinds();
	read_write_locks();
	barriers();
	once_and_keys();
	detached_and_many();
	return 0;
}
