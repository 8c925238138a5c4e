/*
 * Running tests: every TEST() of the link, in link order, each after the same seed.
 *
 * A failing test prints where, what it got and wanted, and its seed. One line ends the run.
 */
#include <core/arch.h>
#include <core/fmt.h>
#include <core/string.h>
#include <core/test.h>

#define FIRST_SEED 0x4b696c6e32303236ull

static uint64_t random_state, seed_of_test;
static bool current_failed;
static unsigned passed, failed;
void (*test_next)(void);

static void put(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	arch_console_put(bytes, len);
}

void test_print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fmt_emit(put, NULL, fmt, args);
	va_end(args);
}

void test_seed(uint64_t seed)
{
	random_state = seed_of_test = seed ? seed : 1;
}

/* xorshift64* (Vigna, 2016). */
uint64_t test_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dull;
}

uint64_t test_random_below(uint64_t limit)
{
	return test_random() % limit;
}

void test_fail(const char *file, int line, const char *text, long long got, long long want)
{
	test_print("%s:%d: %s: got %lld (0x%llx), want %lld; seed 0x%llx\n", file, line, text, got,
		   got, want, (long long)seed_of_test);
	current_failed = true;
}

static bool name_contains(const char *name, const char *part)
{
	for (; *name; name++) {
		if (str_starts_with(name, part))
			return true;
	}
	return false;
}

static void run_one(const struct test_case *t)
{
	current_failed = false;
	test_seed(FIRST_SEED);
	if (test_next)
		test_next();
	t->run();
	if (current_failed)
		test_print("FAILED %s\n", t->name);
	passed += !current_failed;
	failed += current_failed;
}

int test_run_all(const char *filter)
{
	passed = failed = 0;
	for (const struct test_case *t = __start_test_cases; t < __stop_test_cases; t++) {
		if (!filter || name_contains(t->name, filter) || name_contains(t->file, filter))
			run_one(t);
	}
	if (test_next)
		test_next();
	test_print("%u passed, %u failed\n", passed, failed);
	return (int)failed;
}
