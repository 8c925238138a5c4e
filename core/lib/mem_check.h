/*
 * The checks of memcpy and its family, included where the functions under test have their names:
 * once as the image has them, once on the host compiled under other names.
 */
#include <core/test.h>

#define SPAN 400

static uint8_t mem_a[SPAN], mem_b[SPAN], mem_want[SPAN];

static void fill_random(uint8_t *p)
{
	for (int i = 0; i < SPAN; i++)
		p[i] = (uint8_t)test_random();
}

static bool same(const uint8_t *p, const uint8_t *q)
{
	for (int i = 0; i < SPAN; i++) {
		if (p[i] != q[i])
			return false;
	}
	return true;
}

static void copy_plainly(uint8_t *d, const uint8_t *s, size_t n)
{
	while (n--)
		*d++ = *s++;
}

static void check_memcpy(void *(*copy)(void *restrict, const void *restrict, size_t))
{
	for (int i = 0; i < 5000; i++) {
		size_t n = test_random_below(i % 2 ? 20 : 300), to = test_random_below(64),
		       from = test_random_below(64);

		fill_random(mem_a);
		copy_plainly(mem_b, mem_a, SPAN);
		fill_random(mem_want);
		copy_plainly(mem_b, mem_want, SPAN);
		copy_plainly(mem_want + to, mem_a + from, n);
		CHECK(copy(mem_b + to, mem_a + from, n) == mem_b + to);
		CHECK(same(mem_b, mem_want));
	}
}

static void check_memmove(void *(*move)(void *, const void *, size_t))
{
	for (int i = 0; i < 5000; i++) {
		size_t n = test_random_below(i % 2 ? 20 : 300), to = test_random_below(64),
		       from = test_random_below(64);

		fill_random(mem_a);
		copy_plainly(mem_b, mem_a, SPAN);
		copy_plainly(mem_want, mem_a, SPAN);
		copy_plainly(mem_want + to, mem_b + from, n);
		CHECK(move(mem_a + to, mem_a + from, n) == mem_a + to);
		CHECK(same(mem_a, mem_want));
	}
}

static void check_memset(void *(*set)(void *, int, size_t))
{
	for (int i = 0; i < 3000; i++) {
		size_t n = test_random_below(300), at = test_random_below(64);
		int byte = (int)test_random();

		fill_random(mem_a);
		copy_plainly(mem_want, mem_a, SPAN);
		for (size_t k = 0; k < n; k++)
			mem_want[at + k] = (uint8_t)byte;
		CHECK(set(mem_a + at, byte, n) == mem_a + at);
		CHECK(same(mem_a, mem_want));
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void check_memcmp(int (*compare)(const void *, const void *, size_t))
{
	for (int i = 0; i < 5000; i++) {
		size_t n = test_random_below(200), a = test_random_below(64),
		       b = test_random_below(64);
		size_t differ = test_random_below(n + 10);
		int want = 0;

		fill_random(mem_a);
		copy_plainly(mem_b + b, mem_a + a, n);
		if (differ < n) {
			mem_b[b + differ] ^= (uint8_t)(1 + test_random_below(255));
			want = mem_a[a + differ] < mem_b[b + differ] ? -1 : 1;
		}
		CHECK_EQ(sign(compare(mem_a + a, mem_b + b, n)), want);
	}
}
