/*
 * Calls on other harts.
 */
#include <core/hart.h>
#include <core/sync.h>
#include <core/test.h>

struct visit {
	uint32_t count;
	hart_t hart;
	bool irqs_off;
};

static void note(void *arg)
{
	struct visit *v = arg;

	v->count++;
	v->hart = hart_id();
	v->irqs_off = !arch_irq_is_enabled();
}

TEST(hart_call_runs_once_on_the_hart_that_was_named)
{
	if (!IS_ENABLED(CONFIG_HART_CALL))
		return;
	for (unsigned round = 0; round < 20; round++) {
		for (hart_t h = 0; h < hart_count(); h++) {
			struct visit v = { 0 };

			hart_call(h, note, &v);
			CHECK_EQ(v.count, 1);
			CHECK_EQ(v.hart, h);
			CHECK(v.irqs_off);
		}
	}
}

static uint32_t total; /* each hart adds with interrupts off; calls come one after the other */

static void add(void *arg)
{
	(void)arg;
	total++;
}

static void call_all(void *arg)
{
	for (unsigned i = 0; i < 50; i++)
		hart_call(i % hart_count(), add, NULL);
	event_set(arg);
}

TEST(hart_calls_of_several_threads_do_not_mix)
{
	static const struct thread_attr attr = {
		.name = "caller", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *threads[4];
	struct event done[4];

	if (!IS_ENABLED(CONFIG_HART_CALL))
		return;
	for (unsigned i = 0; i < 4; i++) {
		event_init(&done[i]);
		CHECK_EQ(thread_create(&attr, call_all, &done[i], 0, &threads[i]), 0);
		thread_start(threads[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(event_wait(&done[i], DEADLINE_NEVER), 0);
		thread_join(threads[i]);
	}
	CHECK(total > 0);
}
