/*
 * Timers: never early, in order, once, and not at all when cancelled.
 */
#include <core/sync.h>
#include <core/test.h>
#include <core/time.h>

#define TIMERS 64

static struct ktimer timers[TIMERS];
static uint64_t fired_at[TIMERS];
static uint32_t fired;     /* atomic */
static bool out_of_order;
static uint64_t last_deadline;

static void note(struct ktimer *t)
{
	size_t i = (size_t)(t - timers);

	fired_at[i] = clock_ns();
	if (t->deadline_ns < last_deadline)
		out_of_order = true;
	last_deadline = t->deadline_ns;
	__atomic_fetch_add(&fired, 1, __ATOMIC_SEQ_CST);
}

/* A test that failed may have left some armed. */
static void prepare(void)
{
	for (int i = 0; i < TIMERS; i++) {
		if (timers[i].fire)
			ktimer_cancel(&timers[i]);
	}
	fired = 0;
	out_of_order = false;
	last_deadline = 0;
	for (int i = 0; i < TIMERS; i++) {
		ktimer_init(&timers[i], note);
		fired_at[i] = 0;
	}
}

static void nap(uint64_t ns)
{
	thread_sleep_until(clock_ns() + ns);
}

/* Machines may stall for longer than any fixed time. */
static bool all_fire(uint32_t want)
{
	for (int i = 0; i < 5000 && __atomic_load_n(&fired, __ATOMIC_SEQ_CST) < want; i++)
		nap(NSEC_PER_MSEC);
	return __atomic_load_n(&fired, __ATOMIC_SEQ_CST) == want;
}

static unsigned armed_everywhere(void)
{
	unsigned n = 0;

	for (hart_t h = 0; h < hart_count(); h++)
		n += ktimer_armed(h);
	return n;
}

/* Others have timers, too, but not so many that come and go meanwhile. */
TEST(timers_that_wait_are_counted)
{
	unsigned before, during;

	prepare();
	before = armed_everywhere();
	for (int i = 0; i < TIMERS; i++)
		ktimer_arm(&timers[i], clock_ns() + 1000 * NSEC_PER_SEC);
	ktimer_arm(&timers[0], clock_ns() + 2000 * NSEC_PER_SEC);
	during = armed_everywhere();
	CHECK(during >= before + TIMERS - 8 && during <= before + TIMERS + 8);
	for (int i = 0; i < TIMERS; i++)
		CHECK(ktimer_cancel(&timers[i]));
	CHECK(armed_everywhere() <= during - TIMERS + 8);
}

TEST(clock_moves_forward)
{
	uint64_t before = clock_ns();

	nap(NSEC_PER_MSEC);
	CHECK(clock_ns() >= before + NSEC_PER_MSEC);
}

TEST(clock_wall_time_follows_what_it_is_set_to)
{
	uint64_t wall = 1700000000ull * NSEC_PER_SEC, old = clock_wall_ns();

	clock_set_wall_ns(wall);
	nap(NSEC_PER_MSEC);
	CHECK(clock_wall_ns() >= wall + NSEC_PER_MSEC &&
	      clock_wall_ns() < wall + 60 * NSEC_PER_SEC);
	clock_set_wall_ns(old);
}

TEST(timers_fire_once_and_never_early)
{
	uint64_t start;
	uint64_t deadline[TIMERS];

	prepare();
	preempt_disable();
	start = clock_ns();
	for (int i = 0; i < TIMERS; i++) {
		deadline[i] = start + 5 * NSEC_PER_MSEC + test_random_below(10 * NSEC_PER_MSEC);
		ktimer_arm(&timers[i], deadline[i]);
	}
	preempt_enable();
	CHECK(all_fire(TIMERS));
	nap(5 * NSEC_PER_MSEC);
	CHECK_EQ(fired, TIMERS);
	for (int i = 0; i < TIMERS; i++)
		CHECK(fired_at[i] >= deadline[i]);
}

TEST(timers_fire_in_order_of_deadline)
{
	irqflags_t flags;
	uint64_t start;

	prepare();
	flags = arch_irq_save();
	start = clock_ns();
	for (int i = 0; i < TIMERS; i++)
		ktimer_arm(&timers[i], start + test_random_below(NSEC_PER_MSEC));
	arch_irq_restore(flags);
	CHECK(all_fire(TIMERS));
	CHECK(!out_of_order);
}

TEST(timers_cancelled_do_not_fire)
{
	uint64_t start = clock_ns();
	uint32_t cancelled = 0;

	prepare();
	for (int i = 0; i < TIMERS; i++)
		ktimer_arm(&timers[i], start + 30 * NSEC_PER_MSEC + (uint64_t)i);
	for (int i = 0; i < TIMERS; i++)
		cancelled += ktimer_cancel(&timers[i]);
	for (int i = 0; i < TIMERS; i++)
		CHECK(!ktimer_cancel(&timers[i]));
	nap(40 * NSEC_PER_MSEC);
	CHECK_EQ(fired + cancelled, TIMERS);
}

TEST(timers_armed_again_move)
{
	irqflags_t flags;
	uint64_t start;

	prepare();
	flags = arch_irq_save(); /* nothing fires before it is moved */
	start = clock_ns();
	ktimer_arm(&timers[0], start + 10 * NSEC_PER_SEC);
	ktimer_arm(&timers[0], start + NSEC_PER_MSEC);
	ktimer_arm(&timers[1], start + NSEC_PER_MSEC);
	ktimer_arm(&timers[1], start + 20 * NSEC_PER_MSEC);
	arch_irq_restore(flags);
	CHECK(all_fire(2));
	CHECK(fired_at[0] >= start + NSEC_PER_MSEC);
	CHECK(fired_at[1] >= start + 20 * NSEC_PER_MSEC);
}

static void again(struct ktimer *t)
{
	if (__atomic_add_fetch(&fired, 1, __ATOMIC_SEQ_CST) < 10)
		ktimer_arm(t, clock_ns() + 100 * NSEC_PER_USEC);
}

TEST(timers_may_arm_themselves)
{
	prepare();
	ktimer_init(&timers[0], again);
	ktimer_arm(&timers[0], 0);
	CHECK(all_fire(10));
}
