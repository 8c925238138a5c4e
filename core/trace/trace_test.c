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

static struct trace_record records[CONFIG_TRACE_RECORDS];

/* What lies in this hart's ring; *position as trace_read() has it. */
static size_t read_here(uint64_t *position)
{
	return trace_read(hart_id(), position, records, ARRAY_SIZE(records));
}

TEST(trace_keeps_the_newest_records_in_order)
{
	const uint64_t count = 3 * CONFIG_TRACE_RECORDS;
	uint64_t position = 0;
	size_t n;

	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	trace_enable(true);
	preempt_disable();
	for (uint64_t i = 0; i < count; i++)
		trace_instant("test", i);
	n = read_here(&position);
	preempt_enable();
	trace_enable(false);
	CHECK(n > CONFIG_TRACE_RECORDS / 2);
	for (size_t i = 1; i < n; i++)
		CHECK(records[i].time_ns >= records[i - 1].time_ns);
	CHECK_EQ(records[n - 1].value, count - 1);
	CHECK(str_equal(records[n - 1].name, "test"));
	CHECK_EQ(records[n - 1].thread_id, thread_id(thread_current()));
}

TEST(trace_is_read_piece_by_piece)
{
	uint64_t position = 0, next;
	struct trace_record one;

	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	trace_enable(true);
	preempt_disable();
	while (read_here(&position))
		;
	next = position;
	trace_instant("first", 1);
	trace_instant("second", 2);
	CHECK(trace_read(hart_id(), &position, &one, 1) == 1 && one.value == 1);
	CHECK(trace_read(hart_id(), &position, &one, 1) == 1 && one.value == 2);
	CHECK(trace_read(hart_id(), &position, &one, 1) == 0);
	CHECK_EQ(position, next + 2);
	preempt_enable();
	trace_enable(false);
}

TEST(trace_writes_nothing_while_off)
{
	uint64_t position = 0;

	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	trace_enable(true);
	trace_enable(false);
	preempt_disable();
	while (read_here(&position))
		;
	trace_instant("unseen", 2);
	CHECK_EQ(read_here(&position), 0);
	preempt_enable();
}
