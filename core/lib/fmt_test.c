/*
 * The formatter: what it prints, and on the host the same as the C library for random directives.
 */
#include <core/fmt.h>
#include <core/string.h>
#include <core/test.h>

static bool prints(const char *want, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool prints(const char *want, const char *fmt, ...)
{
	char buf[128];
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = fmt_vprint(buf, sizeof(buf), fmt, args);
	va_end(args);
	if (!str_equal(buf, want))
		test_print("printed \"%s\", want \"%s\"\n", buf, want);
	return str_equal(buf, want) && len == str_length(want);
}

TEST(fmt_prints_numbers)
{
	CHECK(prints("0 -1 42", "%d %d %u", 0, -1, 42));
	CHECK(prints("-9223372036854775808", "%ld", INT64_MIN));
	CHECK(prints("18446744073709551615", "%lu", UINT64_MAX));
	CHECK(prints("ff 0XFF 0377 0", "%x %#X %#o %#x", 255, 255, 255, 0));
	CHECK(prints("-1 255 7fff", "%hhd %hhu %hx", 255, 255, 0x7fff));
}

TEST(fmt_pads_and_aligns)
{
	CHECK(prints("[   42][42   ][00042]", "[%5d][%-5d][%05d]", 42, 42, 42));
	CHECK(prints("[  -007][+5][ 5]", "[%6.3d][%+d][% d]", -7, 5, 5));
	CHECK(prints("[   ab][ab   ][a]", "[%5s][%-5s][%.1s]", "ab", "ab", "ab"));
	CHECK(prints("[    x][x    ]", "[%*c][%*c]", 5, 'x', -5, 'x'));
}

TEST(fmt_says_null_and_percent)
{
	const char *volatile nothing = NULL; /* or the compiler objects */

	CHECK(prints("(null) 100%", "%s 100%%", nothing));
	CHECK(prints("0x1234", "%p", (void *)0x1234));
}

TEST(fmt_cuts_at_the_buffer_and_tells_the_length)
{
	char buf[6] = "?????";

	CHECK_EQ(fmt_print(buf, 4, "%s", "abcdef"), 6);
	CHECK(str_equal(buf, "abc"));
	CHECK_EQ(buf[4], '?');
	CHECK_EQ(fmt_print(buf, 0, "%d", 12345), 5);
	CHECK_EQ(buf[0], 'a');
}

TEST(fmt_copies_what_it_does_not_know)
{
	char buf[16];
	const char *odd = "a%y b%"; /* not a literal: the compiler would object */

	CHECK_EQ(fmt_print(buf, sizeof(buf), odd, 0), 6);
	CHECK(str_equal(buf, odd));
}
