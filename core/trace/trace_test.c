/*
 * Counters add up; trace rings keep the newest records in order.
 */
#include <core/counter.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <core/trace.h>

COUNTER(test_counter, "what the counter test counts");

static void find_mine(const struct counter *c, uint64_t value, void *arg)
{
	if (str_equal(c->name, "test_counter"))
		*(uint64_t *)arg = value + 1;
}

TEST(counters_add_up_and_are_listed)
{
	uint64_t before = counter_read(&counter_test_counter), listed = 0;

	preempt_disable();
	counter_inc(test_counter);
	counter_add(test_counter, 41);
	preempt_enable();
	CHECK_EQ(counter_read(&counter_test_counter), before + 42);
	counter_for_each(find_mine, &listed);
	CHECK_EQ(listed, before + 43);
}

TEST(trace_keeps_the_newest_records_in_order)
{
	static struct trace_record out[64];
	const uint64_t count = 3 * CONFIG_TRACE_RECORDS;
	size_t n;
	hart_t hart;

	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	trace_enable(true);
	preempt_disable();
	hart = hart_id();
	for (uint64_t i = 0; i < count; i++)
		trace_instant("test", i);
	n = trace_read(hart, out, ARRAY_SIZE(out));
	preempt_enable();
	trace_enable(false);
	CHECK_EQ(n, ARRAY_SIZE(out));
	for (size_t i = 1; i < n; i++)
		CHECK(out[i].time_ns >= out[i - 1].time_ns);
	CHECK_EQ(out[n - 1].value, count - 1);
	CHECK(str_equal(out[n - 1].name, "test"));
	CHECK_EQ(out[n - 1].thread_id, thread_id(thread_current()));
}

TEST(trace_writes_nothing_while_off)
{
	struct trace_record before, after;

	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	trace_enable(true);
	trace_instant("last", 1);
	trace_enable(false);
	trace_read(hart_id(), &before, 1);
	trace_instant("unseen", 2);
	trace_read(hart_id(), &after, 1);
	CHECK_EQ(after.time_ns, before.time_ns);
}
