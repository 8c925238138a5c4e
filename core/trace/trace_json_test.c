/*
 * The trace as JSON: the same records always give well-formed, paired events in order of time.
 */
#include <core/hart.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <core/trace.h>

static char text[32 * CONFIG_TRACE_RECORDS * 8];
static size_t text_len;

static bool read_all(void)
{
	static char line[TRACE_JSON_LINE_MAX];
	struct trace_json *j = trace_json_begin();
	size_t len;

	text_len = 0;
	while (j && (len = trace_json_line(j, line)) != 0 && len < sizeof(text) - text_len) {
		memcpy(text + text_len, line, len);
		text_len += len;
	}
	text[text_len] = '\0';
	trace_json_end(j);
	return j != NULL;
}

static unsigned count_of(const char *part)
{
	unsigned n = 0;

	for (const char *at = text; *at; at++)
		n += str_starts_with(at, part);
	return n;
}

/* Braces and brackets close in order outside of strings, and the document ends with the last. */
static bool is_well_formed(void)
{
	char open[16];
	unsigned depth = 0;
	bool in_string = false;

	for (const char *at = text; *at; at++) {
		if (in_string) {
			at += *at == '\\';
			in_string = *at != '"';
			continue;
		}
		in_string = *at == '"';
		if (*at == '{' || *at == '[')
			open[depth++] = *at;
		if ((*at == '}' || *at == ']') && (!depth || open[--depth] != *at - 2))
			return false;
		if (depth == ARRAY_SIZE(open))
			return false;
	}
	return !depth && !in_string;
}

TEST(trace_json_shows_what_was_traced)
{
	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	trace_enable(true);
	preempt_disable();
	trace_begin("outer \"quoted\"", 5);
	trace_instant("now", 0);
	trace_hart_begin("interrupt", 3);
	trace_hart_end("interrupt");
	trace_end("outer \"quoted\"");
	trace_counter("level", 0);
	preempt_enable();
	trace_enable(false);
	CHECK(read_all() && is_well_formed());
	CHECK(str_starts_with(text, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":["));
	CHECK(count_of("\"name\":\"outer \\\"quoted\\\"\",\"args\":{\"value\":5}}") == 1);
	CHECK(count_of("\"ph\":\"i\"") == 1 && count_of("\"ph\":\"C\"") == 1);
	CHECK(count_of("\"name\":\"interrupt\"") >= 1);
	CHECK_EQ(count_of("\"ph\":\"B\""), count_of("\"ph\":\"E\""));
}

TEST(trace_json_pairs_what_the_ring_has_cut)
{
	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	trace_enable(true);
	preempt_disable();
	trace_end("never begun");
	trace_hart_end("never begun");
	for (unsigned i = 0; i < 20; i++)
		trace_begin("never ended", i);
	trace_switch(thread_id(thread_current()));
	trace_hart_begin("never ended", 1);
	preempt_enable();
	trace_enable(false);
	CHECK(read_all() && is_well_formed());
	CHECK(count_of("never ended") == 21);
	CHECK_EQ(count_of("\"ph\":\"B\""), count_of("\"ph\":\"E\""));
}

TEST(trace_json_survives_any_order)
{
	static const enum trace_kind kinds[] = { TRACE_INSTANT, TRACE_BEGIN,      TRACE_END,
						 TRACE_COUNTER, TRACE_HART_BEGIN, TRACE_HART_END,
						 TRACE_SWITCH };

	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	for (unsigned round = 0; round < 20; round++) {
		trace_enable(true);
		for (unsigned i = 0; i < 2 * CONFIG_TRACE_RECORDS; i++) {
			enum trace_kind kind = kinds[test_random_below(ARRAY_SIZE(kinds))];

			/*
			 * a switch ends what interrupted the thread, so few of those may be open at
			 * once
			 */
			trace_write(kind == TRACE_HART_BEGIN && i % 3 ? TRACE_HART_END : kind, "x",
				    test_random_below(5));
		}
		trace_enable(false);
		CHECK(read_all() && is_well_formed());
		CHECK_EQ(count_of("\"ph\":\"B\""), count_of("\"ph\":\"E\""));
	}
}

TEST(trace_json_leaves_out_an_earlier_trace)
{
	if (!IS_ENABLED(CONFIG_TRACE))
		return;
	trace_enable(true);
	trace_instant("before", 0);
	trace_enable(false);
	thread_sleep_until(clock_ns() + 1000);
	trace_enable(true);
	trace_instant("after", 0);
	trace_enable(false);
	CHECK(read_all());
	CHECK(count_of("\"before\"") == 0 && count_of("\"after\"") == 1);
}
