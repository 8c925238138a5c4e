/*
 * Threads: waiting, waking, priorities, aging, joining, interruption. Stress on whatever harts
 * there are.
 */
#include <core/errno.h>
#include <core/hart.h>
#include <core/page.h>
#include <core/string.h>
#include <core/sync.h>
#include <core/test.h>

static struct thread *spawn_at(unsigned priority, int hart, void (*entry)(void *), void *arg)
{
	struct thread_attr attr = { .name = "test", .priority = priority, .hart = hart };
	struct thread *t;

	if (thread_create(&attr, entry, arg, 0, &t) != 0)
		return NULL;
	thread_start(t);
	return t;
}

static struct thread *spawn(void (*entry)(void *), void *arg)
{
	return spawn_at(THREAD_PRIORITY_APP, -1, entry, arg);
}

static void count_up(void *arg)
{
	__atomic_fetch_add((uint32_t *)arg, 1, __ATOMIC_SEQ_CST);
}

TEST(thread_runs_and_is_joined)
{
	uint32_t count = 0;
	struct thread *t = spawn(count_up, &count);

	CHECK(t);
	CHECK_EQ(thread_join(t), 0);
	CHECK_EQ(count, 1);
}

TEST(thread_ids_are_positive_and_differ)
{
	uint32_t count = 0;
	struct thread *a = spawn(count_up, &count), *b = spawn(count_up, &count);

	CHECK(thread_id(a) > 0 && thread_id(a) != thread_id(b));
	CHECK(thread_id(a) != thread_id(thread_current()));
	thread_join(a);
	thread_join(b);
}

static void count_and_yield(void *arg)
{
	for (int i = 0; i < 10; i++) {
		count_up(arg);
		thread_yield();
	}
}

TEST(many_threads_come_and_go_without_leaking)
{
	struct page_stats before, after;
	uint32_t count = 0;

	for (int round = 0; round < 2; round++) {
		struct thread *t[40];

		page_stats(&before);
		for (size_t i = 0; i < ARRAY_SIZE(t); i++)
			CHECK((t[i] = spawn(count_and_yield, &count)));
		for (size_t i = 0; i < ARRAY_SIZE(t); i++)
			thread_join(t[i]);
		page_stats(&after);
	}
	CHECK_EQ(count, 2 * 40 * 10);
	CHECK(after.free_pages + 16 >= before.free_pages);
}

static uint32_t released;

static void note_release(void *user)
{
	released += user == &released;
}

static void set_user(void *arg)
{
	thread_set_user(thread_current(), arg);
}

static bool wait_for(const uint32_t *value, uint32_t want)
{
	for (int i = 0; i < 1000 && __atomic_load_n(value, __ATOMIC_SEQ_CST) != want; i++)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	return __atomic_load_n(value, __ATOMIC_SEQ_CST) == want;
}

TEST(detached_threads_are_reaped_and_tell_their_owner)
{
	struct thread_attr attr = { .name = "gone",
				    .priority = THREAD_PRIORITY_APP,
				    .detached = true,
				    .released = note_release,
				    .hart = -1 };
	struct thread *t;

	released = 0;
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(thread_create(&attr, set_user, &released, 0, &t), 0);
		thread_start(t);
	}
	CHECK(wait_for(&released, 10));
}

static void use_stack(void *arg)
{
	char mark;

	*(uintptr_t *)arg = (uintptr_t)&mark;
}

TEST(thread_runs_on_the_callers_stack)
{
	static char stack[KIB(64)] __attribute__((aligned(16)));
	struct thread_attr attr = { .name = "own",
				    .priority = THREAD_PRIORITY_APP,
				    .stack = stack,
				    .stack_bytes = sizeof(stack),
				    .hart = -1 };
	uintptr_t at = 0;
	struct thread *t;

	CHECK_EQ(thread_create(&attr, use_stack, &at, 0, &t), 0);
	thread_start(t);
	thread_join(t);
	CHECK(at != 0);
	if (!IS_ENABLED(KILN_HOST)) /* there a POSIX thread brings its own */
		CHECK(at - (uintptr_t)stack < sizeof(stack));
}

/* --- waiting --- */

TEST(sleep_lasts_as_long_as_asked)
{
	uint64_t start = clock_ns();

	thread_sleep_until(start + 3 * NSEC_PER_MSEC);
	CHECK(clock_ns() >= start + 3 * NSEC_PER_MSEC);
	CHECK(clock_ns() < start + NSEC_PER_SEC);
	thread_sleep_until(0);
}

TEST(block_times_out)
{
	thread_prepare_wait();
	CHECK_EQ(thread_block(clock_ns() + NSEC_PER_MSEC, false), -ETIMEDOUT);
	thread_prepare_wait();
	CHECK_EQ(thread_block(0, true), -ETIMEDOUT);
}

TEST(wake_between_prepare_and_block_is_kept)
{
	thread_prepare_wait();
	CHECK(thread_wake(thread_current()));
	CHECK(!thread_wake(thread_current()));
	CHECK_EQ(thread_block(DEADLINE_NEVER, false), 0);
	thread_prepare_wait();
	CHECK(thread_wake(thread_current()));
	CHECK_EQ(thread_block(0, false), 0);
	thread_prepare_wait();
	thread_cancel_wait();
	CHECK(!thread_wake(thread_current()));
}

struct sleeper {
	int result;
	uint32_t asleep, done;
	bool interruptible;
};

static void sleep_long(void *arg)
{
	struct sleeper *s = arg;

	thread_prepare_wait();
	__atomic_store_n(&s->asleep, 1, __ATOMIC_SEQ_CST);
	s->result = thread_block(clock_ns() + 20 * NSEC_PER_MSEC, s->interruptible);
	__atomic_store_n(&s->done, 1, __ATOMIC_SEQ_CST);
}

TEST(interrupt_ends_an_interruptible_wait_only)
{
	for (int interruptible = 0; interruptible < 2; interruptible++) {
		struct sleeper s = { .interruptible = interruptible };
		struct thread *t = spawn(sleep_long, &s);

		CHECK(wait_for(&s.asleep, 1));
		thread_interrupt(t);
		CHECK(thread_is_interrupted(t));
		CHECK(wait_for(&s.done, 1));
		CHECK_EQ(s.result, interruptible ? -EINTR : -ETIMEDOUT);
		thread_join(t);
	}
}

TEST(interrupt_before_the_wait_counts)
{
	thread_interrupt(thread_current());
	thread_prepare_wait();
	CHECK_EQ(thread_block(DEADLINE_NEVER, true), -EINTR);
	thread_interrupt_clear(thread_current());
	thread_prepare_wait();
	CHECK_EQ(thread_block(clock_ns() + 1000, true), -ETIMEDOUT);
}

/* --- resting in place --- */

static uint64_t look_for_ns;
static bool looked_with_interrupts_on;

static bool time_has_come(void *arg)
{
	(void)arg;
	looked_with_interrupts_on |= arch_irq_is_enabled();
	return clock_ns() >= look_for_ns;
}

static void ignore(struct ktimer *timer)
{
	(void)timer;
}

/* The timer ends the hart's sleep, and nobody but the look ends the wait. */
TEST(a_look_ends_a_wait_before_the_interrupt_is_taken)
{
	struct ktimer timer;
	unsigned found = 0;

	ktimer_init(&timer, ignore);
	looked_with_interrupts_on = false;
	for (int i = 0; i < 20; i++) {
		int result;

		look_for_ns = clock_ns() + NSEC_PER_MSEC;
		thread_prepare_wait();
		ktimer_arm(&timer, look_for_ns);
		result = thread_block_looking(look_for_ns + 20 * NSEC_PER_MSEC, false,
					      time_has_come, NULL);
		CHECK(result == 0 || result == -ETIMEDOUT);
		CHECK(clock_ns() >= look_for_ns);
		found += result == 0;
		ktimer_cancel(&timer);
	}
	CHECK(found > 0);
	CHECK(!looked_with_interrupts_on);
}

/* One waits for the other by spinning, as a thread may that relies on another hart. */
struct spinning {
	struct thread *rests, *follows, *waker;
	uint32_t resting, following;   /* rounds begun */
	uint32_t followed, ended;      /* rounds done */
	uint32_t left_behind;
};

#define SPIN_ROUNDS 1500u

static void wait_for_round(uint32_t *begun, uint32_t round)
{
	thread_prepare_wait();
	__atomic_store_n(begun, round, __ATOMIC_SEQ_CST);
	thread_block(DEADLINE_NEVER, false);
}

static void rest_and_spin(void *arg)
{
	struct spinning *s = arg;

	for (uint32_t round = 1; round <= SPIN_ROUNDS; round++) {
		uint64_t deadline;

		wait_for_round(&s->resting, round);
		deadline = clock_ns() + 2 * NSEC_PER_SEC;
		while (__atomic_load_n(&s->followed, __ATOMIC_SEQ_CST) < round &&
		       clock_ns() < deadline)
			;
		s->left_behind += __atomic_load_n(&s->followed, __ATOMIC_SEQ_CST) < round;
		__atomic_store_n(&s->ended, round, __ATOMIC_SEQ_CST);
		thread_wake(s->waker);
	}
}

static void follow(void *arg)
{
	struct spinning *s = arg;

	for (uint32_t round = 1; round <= SPIN_ROUNDS; round++) {
		wait_for_round(&s->following, round);
		__atomic_store_n(&s->followed, round, __ATOMIC_SEQ_CST);
	}
}

static void until(const uint32_t *value, uint32_t round)
{
	while (__atomic_load_n(value, __ATOMIC_SEQ_CST) < round)
		thread_sleep_until(clock_ns() + 20 * NSEC_PER_USEC);
}

/*
 * A thread is queued on a hart that looks idle, because another rests there, and that one is woken
 * at the same moment. It goes on, and the first must not wait behind it while other harts sleep.
 */
TEST(nobody_is_left_behind_a_thread_that_rested)
{
	struct spinning s = { .waker = thread_current() };

	if (hart_count() == 1 && !IS_ENABLED(CONFIG_PREEMPT))
		return;
	s.rests = spawn(rest_and_spin, &s);
	s.follows = spawn(follow, &s);
	for (uint32_t round = 1; round <= SPIN_ROUNDS; round++) {
		until(&s.resting, round);
		until(&s.following, round);
		thread_prepare_wait();
		thread_wake(s.follows);
		thread_wake(s.rests);
		thread_block(DEADLINE_NEVER, false); /* this hart sleeps, too */
		until(&s.ended, round);
	}
	thread_join(s.rests);
	thread_join(s.follows);
	CHECK_EQ(s.left_behind, 0);
}

TEST(a_wake_ends_a_wait_that_looks_in_vain)
{
	look_for_ns = UINT64_MAX;
	thread_prepare_wait();
	CHECK_EQ(thread_block_looking(clock_ns() + NSEC_PER_MSEC, false, time_has_come, NULL),
		 -ETIMEDOUT);
	thread_prepare_wait();
	thread_wake(thread_current());
	CHECK_EQ(thread_block_looking(DEADLINE_NEVER, false, time_has_come, NULL), 0);
}

/* A machine that is kept from running looks busy, so a few tries are allowed. */
TEST(resting_in_place_is_not_processor_time)
{
	uint64_t before, ran = UINT64_MAX;

	for (int i = 0; i < 5 && ran >= 10 * NSEC_PER_MSEC; i++) {
		before = thread_ran_ns(thread_current());
		thread_sleep_until(clock_ns() + 20 * NSEC_PER_MSEC);
		ran = thread_ran_ns(thread_current()) - before;
	}
	CHECK(ran < 10 * NSEC_PER_MSEC);
}

/* --- priorities --- */

static char order[8];
static uint32_t order_at;

static void note_name(void *arg)
{
	order[order_at++] = *(const char *)arg;
}

/* On hart 0, and more urgent than what it starts there. */
static void start_three(void *arg)
{
	struct thread **t = arg;

	t[0] = spawn_at(20, 0, note_name, "c");
	t[1] = spawn_at(10, 0, note_name, "a");
	t[2] = spawn_at(15, 0, note_name, "b");
}

TEST(urgent_threads_run_first)
{
	struct thread *t[3];

	order_at = 0;
	memset(order, 0, sizeof(order));
	thread_join(spawn_at(1, 0, start_three, t));
	for (int i = 0; i < 3; i++)
		thread_join(t[i]);
	CHECK(str_equal(order, "abc"));
}

static uint32_t stop_hogging;

static void hog(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop_hogging, __ATOMIC_SEQ_CST))
		thread_yield();
}

TEST(aging_lets_the_least_urgent_run)
{
	uint32_t ran = 0;
	struct thread *hogs[2], *meek;

	stop_hogging = 0;
	for (int i = 0; i < 2; i++)
		hogs[i] = spawn_at(8, 0, hog, NULL);
	meek = spawn_at(THREAD_PRIORITIES - 2, 0, count_up, &ran);
	for (int i = 0; i < 1000 && !__atomic_load_n(&ran, __ATOMIC_SEQ_CST); i++)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	stop_hogging = 1;
	CHECK_EQ(ran, 1);
	thread_join(meek);
	for (int i = 0; i < 2; i++)
		thread_join(hogs[i]);
}

static void spin_until_told(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop_hogging, __ATOMIC_SEQ_CST)) {
		clock_ns();
		arch_irq_restore(arch_irq_save()); /* where the host takes interrupts */
	}
}

TEST(preemption_shares_a_hart_between_equals)
{
	uint32_t ran = 0;
	struct thread *a, *b;

	if (!IS_ENABLED(CONFIG_PREEMPT))
		return;
	stop_hogging = 0;
	a = spawn_at(THREAD_PRIORITY_APP, 0, spin_until_told, NULL);
	b = spawn_at(THREAD_PRIORITY_APP, 0, count_up, &ran);
	CHECK(wait_for(&ran, 1));
	stop_hogging = 1;
	thread_join(a);
	thread_join(b);
}

TEST(preemption_gives_way_to_the_more_urgent)
{
	uint32_t ran = 0;
	struct thread *a, *b;

	if (!IS_ENABLED(CONFIG_PREEMPT))
		return;
	stop_hogging = 0;
	thread_set_priority(thread_current(), 5);
	a = spawn_at(THREAD_PRIORITY_APP, 0, spin_until_told, NULL);
	thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	b = spawn_at(6, 0, count_up, &ran);
	CHECK(wait_for(&ran, 1));
	stop_hogging = 1;
	thread_join(a);
	thread_join(b);
	thread_set_priority(thread_current(), THREAD_PRIORITY_APP);
}

TEST(pinned_threads_stay)
{
	for (hart_t h = 0; h < hart_count(); h++) {
		uint32_t count = 0;
		struct thread *t = spawn_at(THREAD_PRIORITY_APP, (int)h, count_and_yield, &count);

		CHECK(wait_for(&count, 10));
		CHECK_EQ(t->arch.hart, h);
		thread_join(t);
	}
}

/* --- stress --- */

#define RING   6
#define TURNS  2000

static struct {
	struct thread *thread;
	uint32_t tokens; /* atomic */
} ring[RING];
static uint32_t ring_done; /* atomic */

/* Passes tokens round; a lost wake-up leaves everybody asleep, and the run hangs or aborts. */
static void pass_tokens(void *arg)
{
	size_t me = (size_t)(uintptr_t)arg, next = (me + 1) % RING;

	for (int i = 0; i < TURNS; i++) {
		for (;;) {
			thread_prepare_wait();
			if (__atomic_load_n(&ring[me].tokens, __ATOMIC_RELAXED))
				break;
			thread_block(i % 3 ? DEADLINE_NEVER : clock_ns() + 100 * NSEC_PER_USEC,
				     false);
		}
		thread_cancel_wait();
		__atomic_fetch_sub(&ring[me].tokens, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&ring[next].tokens, 1, __ATOMIC_RELAXED);
		thread_wake(ring[next].thread);
	}
	__atomic_fetch_add(&ring_done, 1, __ATOMIC_SEQ_CST);
}

TEST(no_wake_up_is_lost_in_a_ring_of_threads)
{
	struct thread_attr attr = { .name = "ring", .priority = THREAD_PRIORITY_APP, .hart = -1 };

	for (size_t i = 0; i < RING; i++) {
		CHECK_EQ(thread_create(&attr, pass_tokens, (void *)i, 0, &ring[i].thread), 0);
		ring[i].tokens = 0;
	}
	ring_done = 0;
	for (size_t i = 0; i < RING; i++)
		thread_start(ring[i].thread);
	/* Tokens only now: a neighbour's wake would start a thread before we do. */
	for (size_t i = 1; i < RING; i += 2) {
		__atomic_fetch_add(&ring[i].tokens, 1, __ATOMIC_SEQ_CST);
		thread_wake(ring[i].thread);
	}
	/* a joined thread cannot be woken */
	while (__atomic_load_n(&ring_done, __ATOMIC_SEQ_CST) != RING)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	for (size_t i = 0; i < RING; i++)
		thread_join(ring[i].thread);
}

static void fork_and_join(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	struct thread *t[2];

	if (depth == 0)
		return;
	for (int i = 0; i < 2; i++)
		t[i] = spawn_at((unsigned)(8 + depth), -1, fork_and_join, (void *)(depth - 1));
	for (int i = 0; i < 2; i++) {
		if (t[i])
			thread_join(t[i]);
	}
}

TEST(threads_fork_and_join_in_a_tree)
{
	for (int i = 0; i < 5; i++)
		fork_and_join((void *)4);
}

static void look(const struct thread_info *info, void *arg)
{
	if (str_equal(info->name, "idle/0"))
		*(int *)arg += info->id > 0;
}

TEST(thread_for_each_sees_the_idle_thread)
{
	int found = 0;

	thread_for_each(look, &found);
	CHECK_EQ(found, 1);
}
