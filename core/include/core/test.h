/*
 * Tests that sit beside the code and tell behaviour. The same tests run on the host under the
 * sanitizers and in QEMU (selftest image).
 *
 * TEST(page_alloc_returns_neighbours_after_merge) { ... CHECK(a == b); CHECK_EQ(got, want); }
 * A CHECK that fails prints both values and the place and ends that test; the run goes on.
 */
#ifndef CORE_TEST_H
#define CORE_TEST_H

#include <core/types.h>

struct test_case {
	const char *name, *file;
	void (*run)(void);
};

/* The linker set: section "test_cases", whose name lets every linker provide the bounds. */
extern const struct test_case __start_test_cases[], __stop_test_cases[];

#define TEST(id)                                                                                   \
	static void test_##id(void);                                                               \
	static const struct test_case test_case_##id                                               \
		__attribute__((used, section("test_cases"), aligned(8))) = { #id, __FILE__,        \
									     test_##id };          \
	static void test_##id(void)

void test_fail(const char *file, int line, const char *text, long long got, long long want);
/* Ends the running test if it failed; see test_run_all(). */
#define CHECK(cond)                                                                 \
	do {                                                                        \
		if (!(cond)) {                                                      \
			test_fail(__FILE__, __LINE__, #cond, 0, 1);                 \
			return;                                                     \
		}                                                                   \
	} while (0)
#define CHECK_EQ(got, want)                                                         \
	do {                                                                        \
		long long got_ = (long long)(got), want_ = (long long)(want);       \
		if (got_ != want_) {                                                \
			test_fail(__FILE__, __LINE__, #got " == " #want, got_, want_); \
			return;                                                     \
		}                                                                   \
	} while (0)

/* A reproducible pseudo-random sequence; the seed of a failing run is printed. */
uint64_t test_random(void);
uint64_t test_random_below(uint64_t limit);
void test_seed(uint64_t seed);

/* To the console of the run. */
void test_print(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Called before each test and before the sum of all; NULL where nobody wants to know. */
extern void (*test_next)(void);

/*
 * Runs every test whose name or file contains `filter` (NULL: all). Prints "N passed, N failed".
 * Returns failures.
 */
int test_run_all(const char *filter);

#endif
