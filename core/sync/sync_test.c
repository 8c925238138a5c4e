/*
 * Locks keep others out, queues lose no wake-up, events latch.
 */
#include <core/errno.h>
#include <core/hart.h>
#include <core/sync.h>
#include <core/test.h>

#define THREADS 5
#define TURNS   2000

static uint64_t shared[2]; /* equal whenever nobody is inside */
static bool torn;

static void enter_section(void)
{
	if (shared[0] != shared[1])
		torn = true;
	shared[0]++;
	if (test_random() % 16 == 0)
		arch_relax();
	shared[1]++;
}

static void run_on_threads(void (*entry)(void *))
{
	struct thread_attr attr = { .name = "lock", .priority = THREAD_PRIORITY_APP, .hart = -1 };
	struct thread *t[THREADS];

	shared[0] = shared[1] = 0;
	torn = false;
	for (int i = 0; i < THREADS; i++) {
		CHECK_EQ(thread_create(&attr, entry, NULL, 0, &t[i]), 0);
		thread_start(t[i]);
	}
	for (int i = 0; i < THREADS; i++)
		thread_join(t[i]);
}

static struct spinlock spin = SPINLOCK_INIT;

static void use_spinlock(void *arg)
{
	(void)arg;
	for (int i = 0; i < TURNS; i++) {
		if (i % 3 == 0) {
			irqflags_t flags = spin_lock_irq(&spin);

			enter_section();
			spin_unlock_irq(&spin, flags);
		} else if (i % 3 == 1 || !spin_try_lock(&spin)) {
			spin_lock(&spin);
			enter_section();
			spin_unlock(&spin);
		} else {
			enter_section();
			spin_unlock(&spin);
		}
		if (i % 64 == 0)
			thread_yield();
	}
}

TEST(spinlock_keeps_others_out)
{
	run_on_threads(use_spinlock);
	CHECK(!torn);
	CHECK_EQ(shared[0], THREADS * TURNS);
}

TEST(spinlock_knows_its_holder)
{
	struct spinlock l = SPINLOCK_INIT;

	CHECK(!spin_is_held(&l));
	spin_lock(&l);
	CHECK(spin_is_held(&l));
	CHECK(!spin_try_lock(&l));
	spin_unlock(&l);
	CHECK(!spin_is_held(&l));
}

static struct mutex mutex = MUTEX_INIT(mutex);

static void use_mutex(void *arg)
{
	(void)arg;
	for (int i = 0; i < TURNS; i++) {
		mutex_lock(&mutex);
		enter_section();
		if (i % 8 == 0)
			thread_yield();
		if (i % 500 == 0)
			thread_sleep_until(clock_ns() + 50 * NSEC_PER_USEC);
		mutex_unlock(&mutex);
	}
}

TEST(mutex_keeps_others_out_while_its_holder_sleeps)
{
	run_on_threads(use_mutex);
	CHECK(!torn);
	CHECK_EQ(shared[0], THREADS * TURNS);
}

TEST(mutex_knows_its_owner)
{
	CHECK(!mutex_is_held(&mutex));
	CHECK(mutex_try_lock(&mutex));
	CHECK(mutex_is_held(&mutex) && !mutex_try_lock(&mutex));
	mutex_unlock(&mutex);
	CHECK(!mutex_is_held(&mutex));
}

/* A bounded buffer between producers and consumers. */
static struct waitq not_empty = WAITQ_INIT(not_empty), not_full = WAITQ_INIT(not_full);
static uint32_t filled; /* atomic, 0..4 */
static uint32_t taken;  /* atomic */

static bool put_one(void)
{
	uint32_t n = __atomic_load_n(&filled, __ATOMIC_RELAXED);

	while (n < 4) {
		if (__atomic_compare_exchange_n(&filled, &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static bool take_one(void)
{
	uint32_t n = __atomic_load_n(&filled, __ATOMIC_RELAXED);

	while (n > 0) {
		if (__atomic_compare_exchange_n(&filled, &n, n - 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static void producer(void *arg)
{
	(void)arg;
	for (int i = 0; i < TURNS; i++) {
		waitq_wait(&not_full, put_one(), DEADLINE_NEVER, false);
		waitq_wake_one(&not_empty);
	}
}

static void consumer(void *arg)
{
	(void)arg;
	for (int i = 0; i < TURNS; i++) {
		while (waitq_wait(&not_empty, take_one(), clock_ns() + 200 * NSEC_PER_USEC, true) != 0)
			;
		__atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
		waitq_wake_one(&not_full);
	}
}

TEST(waitq_loses_no_wake_up_between_producers_and_consumers)
{
	struct thread_attr attr = { .name = "buffer", .priority = THREAD_PRIORITY_APP, .hart = -1 };
	struct thread *t[6];

	filled = taken = 0;
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(thread_create(&attr, i % 2 ? producer : consumer, NULL, 0, &t[i]), 0);
		thread_start(t[i]);
	}
	for (int i = 0; i < 6; i++)
		thread_join(t[i]);
	CHECK_EQ(taken, 3 * TURNS);
	CHECK_EQ(filled, 0);
}

TEST(waitq_wait_times_out_and_sees_a_condition_that_holds)
{
	struct waitq q = WAITQ_INIT(q);
	bool never = false, always = true;

	CHECK_EQ(waitq_wait(&q, never, clock_ns() + NSEC_PER_MSEC, false), -ETIMEDOUT);
	CHECK_EQ(waitq_wait(&q, always, 0, false), 0);
	CHECK_EQ(waitq_wake_all(&q), 0);
}

TEST(waiting_on_two_queues_keeps_the_first_wake)
{
	struct waitq a = WAITQ_INIT(a), b = WAITQ_INIT(b);
	struct waiter wa, wb;

	waiter_begin(&wa, &a);
	CHECK_EQ(waitq_wake_one(&a), 1);
	waiter_begin(&wb, &b);
	CHECK_EQ(thread_block(DEADLINE_NEVER, false), 0);
	waiter_end(&wb);
	waiter_end(&wa);
	CHECK_EQ(waitq_wake_all(&b), 0);
}

static struct event event;
static uint32_t passed_event;

static void wait_for_event(void *arg)
{
	(void)arg;
	if (event_wait(&event, DEADLINE_NEVER) == 0)
		__atomic_fetch_add(&passed_event, 1, __ATOMIC_SEQ_CST);
}

static void set_event_later(struct ktimer *t)
{
	(void)t;
	event_set(&event);
}

TEST(event_lets_everybody_through_once_set)
{
	struct ktimer timer;

	passed_event = 0;
	event_init(&event);
	CHECK_EQ(event_wait(&event, clock_ns() + 1000), -ETIMEDOUT);
	ktimer_init(&timer, set_event_later);
	ktimer_arm(&timer, clock_ns() + 2 * NSEC_PER_MSEC);
	run_on_threads(wait_for_event);
	CHECK_EQ(passed_event, THREADS);
	CHECK_EQ(event_wait(&event, 0), 0);
	event_reset(&event);
	CHECK(!event_is_set(&event));
}
