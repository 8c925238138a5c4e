/*
 * The formatter beside the C library's: random directives and values must give the same text.
 */
#include <stdio.h>
#include <core/fmt.h>
#include <core/string.h>
#include <core/test.h>

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static char pick(const char *from)
{
	return from[test_random_below(str_length(from))];
}

/* %[flags][width][.precision][length]conversion, without combinations that C leaves undefined. */
static void random_directive(char *out, char conversion, const char *length)
{
	char *p = out;

	*p++ = '%';
	if (test_random_below(2))
		*p++ = pick("-0");
	if (test_random_below(3) == 0 && conversion == 'd')
		*p++ = pick("+ ");
	if (test_random_below(3) == 0 &&
	    (conversion == 'x' || conversion == 'X' || conversion == 'o'))
		*p++ = '#';
	if (test_random_below(2))
		p += fmt_print(p, 4, "%u", (unsigned)test_random_below(30) + 1);
	if (test_random_below(2))
		p += fmt_print(p, 4, ".%u", (unsigned)test_random_below(25));
	p += fmt_print(p, 4, "%s%c", length, conversion);
}

static uint64_t random_value(void)
{
	return test_random() >> test_random_below(64);
}

TEST(fmt_prints_what_the_c_library_prints)
{
	static const char *const lengths[] = { "", "l", "ll", "h", "hh", "z" };

	for (int i = 0; i < 200000; i++) {
		const char *length = lengths[test_random_below(6)];
		bool wide = *length == 'l' || *length == 'z';
		char directive[32], ours[64], theirs[64];
		uint64_t v = random_value();
		int n;

		random_directive(directive, pick("duxXo"), length);
		if (wide) {
			n = snprintf(theirs, sizeof(theirs), directive, v);
			CHECK_EQ(fmt_print(ours, sizeof(ours), directive, v), n);
		} else {
			n = snprintf(theirs, sizeof(theirs), directive, (unsigned)v);
			CHECK_EQ(fmt_print(ours, sizeof(ours), directive, (unsigned)v), n);
		}
		if (!str_equal(ours, theirs))
			test_print("%s of 0x%lx: \"%s\", C library \"%s\"\n", directive, v, ours,
				   theirs);
		CHECK(str_equal(ours, theirs));
	}
}

TEST(fmt_pads_strings_as_the_c_library_does)
{
	static const char *const texts[] = { "", "a", "hello", "a longer piece of text" };

	for (int i = 0; i < 20000; i++) {
		const char *text = texts[test_random_below(4)];
		int width = (int)test_random_below(60) - 30,
		    precision = (int)test_random_below(30) - 3;
		size_t size = test_random_below(40);
		char ours[64] = "", theirs[64] = "";

		CHECK_EQ(fmt_print(ours, size, "<%*.*s>", width, precision, text),
			 snprintf(theirs, size, "<%*.*s>", width, precision, text));
		CHECK(str_equal(ours, theirs));
	}
}
