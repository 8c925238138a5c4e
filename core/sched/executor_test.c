/*
 * The executor: every wake is followed by a run, a task never runs twice at once, stop means stop.
 */
#include <core/executor.h>
#include <core/hart.h>
#include <core/sync.h>
#include <core/test.h>

static uint32_t runs; /* atomic */

static void count_run(struct task *t)
{
	(void)t;
	__atomic_fetch_add(&runs, 1, __ATOMIC_SEQ_CST);
}

static bool runs_reach(uint32_t want)
{
	for (int i = 0; i < 1000 && __atomic_load_n(&runs, __ATOMIC_SEQ_CST) < want; i++)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	return __atomic_load_n(&runs, __ATOMIC_SEQ_CST) == want;
}

TEST(task_runs_once_per_wake_and_wakes_merge)
{
	struct task t;

	runs = 0;
	task_init(&t, "count", count_run);
	preempt_disable();
	task_wake(&t);
	task_wake(&t);
	preempt_enable();
	CHECK(runs_reach(1));
	task_wake(&t);
	CHECK(runs_reach(2));
	task_stop(&t);
}

TEST(waiting_thread_runs_pending_tasks_itself)
{
	struct task t;

	runs = 0;
	task_init(&t, "count", count_run);
	task_wake(&t);
	/* with preemption, or on another hart after a move, the worker may be first */
	executor_run_pending();
	CHECK(runs_reach(1));
	CHECK(!executor_run_pending());
	task_stop(&t);
}

static void wake_self(struct task *t)
{
	if (__atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST) < 100)
		task_wake(t);
}

TEST(task_may_wake_itself)
{
	struct task t;

	runs = 0;
	task_init(&t, "again", wake_self);
	task_wake(&t);
	CHECK(runs_reach(100));
	task_stop(&t);
}

static bool keep_going;
static void wake_self_for_ever(struct task *t)
{
	__atomic_fetch_add(&runs, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&keep_going, __ATOMIC_SEQ_CST))
		task_wake(t);
}

static void bump(void *arg)
{
	__atomic_fetch_add((uint32_t *)arg, 1, __ATOMIC_SEQ_CST);
}

TEST(tasks_that_never_rest_leave_room_for_threads)
{
	struct task t;
	uint32_t ran = 0;

	for (hart_t h = 0; h < hart_count(); h++) {
		struct thread_attr attr = {
			.name = "app", .priority = THREAD_PRIORITY_APP, .hart = (int)h
		};
		struct thread *thread;

		keep_going = true;
		task_init(&t, "busy", wake_self_for_ever);
		task_wake(&t);
		CHECK_EQ(thread_create(&attr, bump, &ran, 0, &thread), 0);
		thread_start(thread);
		thread_join(thread);
		__atomic_store_n(&keep_going, false, __ATOMIC_SEQ_CST);
		task_stop(&t);
	}
	CHECK_EQ(ran, hart_count());
}

TEST(stopped_task_ignores_wakes)
{
	struct task t;

	runs = 0;
	task_init(&t, "count", count_run);
	preempt_disable();
	task_wake(&t);
	preempt_enable();
	task_stop(&t);
	runs = 0;
	task_wake(&t);
	CHECK(!executor_run_pending());
	thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	CHECK_EQ(runs, 0);
}

static struct mutex lock = MUTEX_INIT(lock);
static uint32_t guarded;

static void lock_and_count(struct task *t)
{
	(void)t;
	mutex_lock(&lock);
	guarded++;
	mutex_unlock(&lock);
}

TEST(task_may_wait_for_a_mutex)
{
	struct task t;

	guarded = 0;
	task_init(&t, "lock", lock_and_count);
	mutex_lock(&lock);
	task_wake(&t);
	thread_sleep_until(clock_ns() + 2 * NSEC_PER_MSEC);
	CHECK_EQ(guarded, 0);
	mutex_unlock(&lock);
	for (int i = 0; i < 1000 && __atomic_load_n(&guarded, __ATOMIC_SEQ_CST) == 0; i++)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	CHECK_EQ(guarded, 1);
	task_stop(&t);
}

/*
 * Several threads and a timer wake one task; whatever was produced before a wake must get consumed.
 */
static struct task consumer;
static uint32_t produced, consumed, inside;
static bool ran_twice_at_once;

static void consume(struct task *t)
{
	(void)t;
	if (__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST) != 0)
		ran_twice_at_once = true;
	consumed = __atomic_load_n(&produced, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
}

static void produce(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		__atomic_fetch_add(&produced, 1, __ATOMIC_RELAXED);
		task_wake(&consumer);
		if (i % 7 == 0)
			thread_yield();
		if (i % 50 == 0)
			executor_run_pending();
	}
}

TEST(no_wake_of_a_task_is_lost)
{
	struct thread_attr attr = {
		.name = "producer", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t[4];

	produced = consumed = inside = 0;
	ran_twice_at_once = false;
	task_init(&consumer, "consumer", consume);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		CHECK_EQ(thread_create(&attr, produce, NULL, 0, &t[i]), 0);
		thread_start(t[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		thread_join(t[i]);
	for (int i = 0; i < 1000 && __atomic_load_n(&consumed, __ATOMIC_SEQ_CST) != 12000; i++)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	task_stop(&consumer);
	CHECK_EQ(consumed, 12000);
	CHECK(!ran_twice_at_once);
}
