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
		if (__atomic_compare_exchange_n(&filled, &n, n + 1, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static bool take_one(void)
{
	uint32_t n = __atomic_load_n(&filled, __ATOMIC_RELAXED);

	while (n > 0) {
		if (__atomic_compare_exchange_n(&filled, &n, n - 1, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
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
		while (waitq_wait(&not_empty, take_one(), clock_ns() + 200 * NSEC_PER_USEC, true) !=
		       0)
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

/*
 * Store buffers. A waiter queues, then reads the flag; a waker sets it, then reads the queue. If
 * each read came before the other's write, the waiter would sleep for ever. No delay in the code
 * brings that about, but a write that takes long to arrive does: the list lies on a cache line that
 * the waker's hart has written last, what is read does not.
 */
#define PLACES 64
#define ROUNDS 400

static struct place {
	uint32_t flag;             /* atomic */
	char unused[CACHE_LINE - sizeof(uint32_t) - offsetof(struct waitq, waiters)];
	struct waitq queue;        /* its lock ends the line */
	bool was_clear;            /* when the waiter had queued */
} CACHE_ALIGNED places[PLACES];

static struct waiter waiters[PLACES];
static uint32_t waiter_at;                  /* atomic: place it goes to */
static uint32_t waiter_ended, setter_ended; /* atomic: rounds; half rounds */
/* once setter_ended tells of a round that there is none */
static bool is_over;

static void reach(const uint32_t *counter, uint32_t value)
{
	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < value)
		arch_relax();
}

/* All of a round is one wait, which ends when the setter has been everywhere. */
static void wait_at_places(void *unused)
{
	(void)unused;
	for (uint32_t round = 1; reach(&setter_ended, 2 * round - 1), !is_over; round++) {
		for (uint32_t i = 0; i < PLACES; i++) {
			store_relaxed(&waiter_at, round * PLACES + i);
			waiter_begin(&waiters[i], &places[i].queue);
			places[i].was_clear = !__atomic_load_n(&places[i].flag, __ATOMIC_RELAXED);
		}
		reach(&setter_ended, 2 * round);
		for (uint32_t i = 0; i < PLACES; i++) {
			torn |= places[i].was_clear && waiters[i].queue;
			waiter_end(&waiters[i]);
		}
		store_release(&waiter_ended, round);
	}
}

/* Each soon after the waiter has gone there, if it goes there soon. */
static void set_places(uint32_t round)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		for (int patience = 500; patience; patience--) {
			if (__atomic_load_n(&waiter_at, __ATOMIC_RELAXED) >= round * PLACES + i)
				break;
		}
		for (volatile uint64_t delay = test_random_below(100); delay; delay--)
			;
		store_relaxed(&places[i].flag, 1u);
		waitq_wake_all(&places[i].queue);
	}
}

static void clear_places(void)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		places[i].flag = 0;
		waitq_init(&places[i].queue);
	}
}

static void set_at_places(void *unused)
{
	uint64_t enough_ns = clock_ns() + NSEC_PER_SEC;

	(void)unused;
	for (uint32_t round = 1; round <= ROUNDS && clock_ns() < enough_ns; round++) {
		clear_places();
		store_release(&setter_ended, 2 * round - 1);
		set_places(round);
		store_release(&setter_ended, 2 * round);
		reach(&waiter_ended, round);
	}
	is_over = true;
	store_release(&setter_ended, UINT32_MAX);
}

TEST(a_waiter_sees_the_condition_or_is_seen_on_the_queue)
{
	struct thread_attr attr = { .name = "place", .priority = THREAD_PRIORITY_APP };
	struct thread *t[2];

	if (hart_count() < 2)
		return;
	torn = is_over = false;
	waiter_at = waiter_ended = setter_ended = 0;
	for (int i = 0; i < 2; i++) {
		attr.hart = i;
		CHECK_EQ(thread_create(&attr, i ? set_at_places : wait_at_places, NULL, 0, &t[i]),
			 0);
		thread_start(t[i]);
	}
	for (int i = 0; i < 2; i++)
		thread_join(t[i]);
	CHECK(!torn);
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
