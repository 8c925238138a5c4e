/*
 * The operator's lines and commands.
 */
#include <core/errno.h>
#include <core/log.h>
#include <core/string.h>
#include <core/test.h>

#include "operator.h"

static char answer[65536];
static size_t answer_len;

static void keep(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	len = MIN(len, sizeof(answer) - 1 - answer_len);
	memcpy(answer + answer_len, bytes, len);
	answer_len += len;
	answer[answer_len] = 0;
}

static int ask(const char *line)
{
	answer_len = 0;
	answer[0] = 0;
	return operator_run(line, keep, NULL);
}

static bool ends_with(const char *text)
{
	size_t len = str_length(text);

	return answer_len >= len && !memcmp(answer + answer_len - len, text, len);
}

static bool contains(const char *text)
{
	for (const char *at = answer; *at; at++) {
		if (str_starts_with(at, text))
			return true;
	}
	return false;
}

TEST(operator_lists_its_commands)
{
	CHECK_EQ(ask("help"), 0);
	CHECK(contains("stats ") && contains("threads ") && contains("stop "));
	CHECK(ends_with("\nok\n"));
}

TEST(operator_answers_every_command_with_a_closing_line)
{
	CHECK_EQ(ask("stats"), 0);
	CHECK(contains("pages_free ") && contains("virtio_lies ") && ends_with("\nok\n"));
	CHECK_EQ(ask("  memory  "), 0);
	CHECK(contains("kmem_") && ends_with("\nok\n"));
	CHECK_EQ(ask("threads"), 0);
	CHECK(contains("running") && ends_with("\nok\n"));
	CHECK_EQ(ask("stat"), -ENOSYS);
	CHECK(str_equal(answer, "error: there is no command stat, see help\n"));
	CHECK_EQ(ask(""), -ENOSYS);
	CHECK_EQ(ask("statsx y"), -ENOSYS);
}

TEST(operator_shows_and_sets_the_log_level)
{
	enum log_level before = log_threshold;

	CHECK_EQ(ask("log error"), 0);
	CHECK_EQ(log_threshold, LOG_ERROR);
	CHECK_EQ(ask("log"), 0);
	CHECK(str_equal(answer, "error\nok\n"));
	log_threshold = before;
	CHECK_EQ(ask("log loud"), -EINVAL);
	CHECK(str_starts_with(answer, "error: "));
}

static unsigned stops;

static void note_stop(void)
{
	stops += ends_with("ok\n");
}

TEST(operator_stop_answers_before_it_acts)
{
	operator_on_stop(note_stop);
	CHECK_EQ(ask("stop"), 0);
	CHECK_EQ(stops, 1);
	operator_on_stop(NULL);
}

static enum operator_line_event feed(struct operator_line *l, const char *bytes, size_t len)
{
	enum operator_line_event e = LINE_GROWS;

	for (size_t i = 0; i < len; i++)
		e = operator_line_add(l, bytes[i]);
	return e;
}

TEST(operator_lines_are_bounded_and_printable)
{
	static struct operator_line l;

	operator_line_clear(&l);
	CHECK_EQ(feed(&l, "stats\r\n", 7), LINE_COMPLETE);
	CHECK(str_equal(l.text, "stats"));
	operator_line_clear(&l);
	for (unsigned i = 0; i < 100000; i++)
		CHECK_EQ(operator_line_add(&l, 'a'), LINE_GROWS);
	CHECK_EQ(l.len, OPERATOR_LINE_MAX);
	CHECK_EQ(operator_line_add(&l, '\n'), LINE_TOO_LONG);
	operator_line_clear(&l);
	CHECK_EQ(feed(&l, "st\0ts\n", 6), LINE_UNPRINTABLE);
	operator_line_clear(&l);
	CHECK_EQ(feed(&l, "\x80\n", 2), LINE_UNPRINTABLE);
	operator_line_clear(&l);
	for (unsigned i = 0; i < OPERATOR_LINE_MAX; i++)
		operator_line_add(&l, 'b');
	CHECK_EQ(operator_line_add(&l, '\n'), LINE_COMPLETE);
	CHECK_EQ(str_length(l.text), OPERATOR_LINE_MAX);
}

TEST(operator_lines_can_be_taken_back)
{
	static struct operator_line l;

	operator_line_clear(&l);
	CHECK_EQ(feed(&l, "half a \x80 line\x15stats\n", 20), LINE_COMPLETE);
	CHECK(str_equal(l.text, "stats"));
}

TEST(operator_survives_noise)
{
	static struct operator_line l;

	operator_line_clear(&l);
	for (unsigned i = 0; i < 200000; i++) {
		char byte = (char)test_random();

		if (test_random_below(40) == 0)
			byte = '\n';
		if (operator_line_add(&l, byte) == LINE_GROWS)
			continue;
		CHECK(l.len <= OPERATOR_LINE_MAX && l.text[l.len] == 0);
		operator_line_clear(&l);
	}
}
