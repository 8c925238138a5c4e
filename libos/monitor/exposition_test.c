/*
 * Metrics as text: form, escapes, and what happens when there is no room.
 */
#include <core/string.h>
#include <core/test.h>

#include "exposition.h"

static char buffer[1024];

static const char *written(const struct metric *m, size_t room)
{
	static struct textbuf t;

	t = (struct textbuf){ .at = buffer, .room = room };
	exposition_write(&t, m);
	buffer[t.len] = '\0';
	return buffer;
}

static void one(struct metric_samples *out)
{
	metric_sample(out, UINT64_MAX, NULL);
}

TEST(exposition_shows_a_plain_metric)
{
	static const struct metric m = { "requests_total", "what was asked", one, METRIC_COUNTER };

	CHECK(str_equal(written(&m, sizeof(buffer) - 1),
			"# HELP requests_total what was asked\n"
			"# TYPE requests_total counter\n"
			"requests_total 18446744073709551615\n"));
}

static void odd(struct metric_samples *out)
{
	metric_sample(out, 0, METRIC_LABELS({ "a", "say \"hi\"" }, { "b", "back\\slash\nline" }));
	metric_sample_ns(out, 1000000001, METRIC_LABELS({ "a", "" }));
}

TEST(exposition_escapes_what_would_break_a_line)
{
	static const struct metric m = { "odd_seconds", "one\\two\nthree \"four\"", odd,
					 METRIC_GAUGE };

	CHECK(str_equal(written(&m, sizeof(buffer) - 1),
			"# HELP odd_seconds one\\\\two\\nthree \"four\"\n"
			"# TYPE odd_seconds gauge\n"
			"odd_seconds{a=\"say \\\"hi\\\"\",b=\"back\\\\slash\\nline\"} 0\n"
			"odd_seconds{a=\"\"} 1.000000001\n"));
}

static void none(struct metric_samples *out)
{
	(void)out;
}

TEST(exposition_leaves_out_a_metric_without_samples)
{
	static const struct metric m = { "absent", "nothing", none, METRIC_GAUGE };

	CHECK(str_equal(written(&m, sizeof(buffer) - 1), ""));
}

static void many(struct metric_samples *out)
{
	char number[METRIC_NUMBER_MAX];

	for (uint64_t i = 0; i < 100; i++)
		metric_sample(out, i, METRIC_LABELS({ "i", metric_number(i, number) }));
}

TEST(exposition_cuts_between_lines)
{
	static const struct metric m = { "many", "a hundred", many, METRIC_GAUGE };

	for (size_t room = 0; room < 400; room++) {
		const char *text = written(&m, room);
		size_t len = str_length(text);

		CHECK(len <= room);
		CHECK(len == 0 || text[len - 1] == '\n');
		CHECK(len == 0 ||
		      str_starts_with(
			      text, "# HELP many a hundred\n# TYPE many gauge\nmany{i=\"0\"} 0\n"));
	}
}
