/*
 * Strings and numbers in text.
 */
#include <core/string.h>
#include <core/test.h>

static bool parses(const char *text, uint64_t want, const char *rest)
{
	const char *p = text;
	uint64_t v;

	return str_parse_u64(&p, &v) && v == want && str_equal(p, rest);
}

static bool refuses(const char *text)
{
	const char *p = text;
	uint64_t v;

	return !str_parse_u64(&p, &v) && p == text;
}

TEST(str_parse_reads_numbers_and_refuses_the_rest)
{
	CHECK(parses("0", 0, "") && parses("42k", 42, "k") && parses("0x1fZ", 0x1f, "Z"));
	CHECK(parses("18446744073709551615", UINT64_MAX, "") && parses("0x", 0, "x"));
	CHECK(refuses("") && refuses("x") && refuses("-1") && refuses("18446744073709551616"));
}

TEST(str_parse_size_knows_suffixes)
{
	uint64_t v = 0;

	CHECK(str_parse_size("64m", &v) && v == MIB(64));
	CHECK(str_parse_size("2G", &v) && v == GIB(2));
	CHECK(str_parse_size("512", &v) && v == 512);
	CHECK(!str_parse_size("1t", &v) && !str_parse_size("k", &v) && !str_parse_size("1kb", &v));
	CHECK(!str_parse_size("18446744073709551615k", &v));
}

TEST(str_copy_cuts_and_terminates)
{
	char buf[4] = "xyz";

	CHECK(str_copy(buf, sizeof(buf), "abc") && str_equal(buf, "abc"));
	CHECK(!str_copy(buf, sizeof(buf), "defg") && str_equal(buf, "def"));
	CHECK(str_copy(buf, 1, "") && str_equal(buf, ""));
}

TEST(str_compares_and_finds)
{
	CHECK(str_compare("a", "b") < 0 && str_compare("ab", "a") > 0 && str_compare("", "") == 0);
	CHECK(str_compare("\xff", "a") > 0);
	CHECK(str_starts_with("loglevel=debug", "loglevel=") &&
	      !str_starts_with("log", "loglevel"));
	CHECK_EQ(*str_find("a=b", '='), '=');
	CHECK(!str_find("abc", 'x'));
	CHECK_EQ(str_length_max("abcdef", 3), 3);
}
