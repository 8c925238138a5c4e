/*
 * Bootargs split as <core/boot.h> says.
 */
#include <core/string.h>
#include <core/test.h>
#include "boot.h"

static char words[64];
static char *argv[8];
static bool cut;

static size_t split(const char *text)
{
	return bootargs_split(text, words, sizeof(words), argv, ARRAY_SIZE(argv), &cut);
}

static bool known(const char *name, size_t len)
{
	return len == 2 && name[0] == 'i' && name[1] == 'p';
}

TEST(bootargs_words_are_separated_by_blanks)
{
	CHECK_EQ(split("  a bc\td "), 3);
	CHECK(str_equal(argv[0], "a") && str_equal(argv[1], "bc") && str_equal(argv[2], "d"));
	CHECK(!cut);
	CHECK_EQ(split(""), 0);
}

TEST(bootargs_quotes_keep_blanks_and_disappear)
{
	CHECK_EQ(split("-o 'a b'\"c'd\" ''"), 3);
	CHECK(str_equal(argv[1], "a bc'd"));
	CHECK(str_equal(argv[2], ""));
	CHECK_EQ(split("'never closed "), 1);
	CHECK(str_equal(argv[0], "never closed "));
}

TEST(bootargs_that_do_not_fit_are_cut)
{
	CHECK_EQ(split("1 2 3 4 5 6 7 8 9"), 8);
	CHECK(cut);
	CHECK_EQ(split("0123456789012345678901234567890123456789012345678901234567890123456789"),
		 0);
	CHECK(cut);
	CHECK_EQ(split("a 01234567890123456789012345678901234567890123456789012345678901"), 1);
	CHECK(cut);
}

TEST(bootargs_without_separator_give_unknown_words_to_the_application)
{
	size_t argc = split("-m 64 ip=1.2.3.4 -c 9 ip");

	CHECK_EQ(bootargs_sort(argv, argc, known), 2);
	CHECK(str_equal(argv[0], "ip=1.2.3.4") && str_equal(argv[1], "ip"));
	CHECK(str_equal(argv[2], "-m") && str_equal(argv[5], "9"));
}

TEST(bootargs_with_separator_are_split_there)
{
	size_t argc = split("loglevel=debug -- ip");

	CHECK_EQ(bootargs_sort(argv, argc, known), 1);
	CHECK(str_equal(argv[1], "--"));
}
