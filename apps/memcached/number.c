/*
 * Numbers in text. The odd rules are strtoull()'s, on which memcached's parser rests and with it
 * what clients may send: "+5", " 5" and even "-18446744073709551611" are 5.
 */
#include "number.h"

#include <limits.h>

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Sign and magnitude. False without digits, on overflow, or when something else follows. */
static bool parse(const char *text, size_t len, bool *negative, uint64_t *magnitude)
{
	const char *p = text, *end = text + len, *digits;
	uint64_t n = 0;

	while (p < end && is_space(*p))
		p++;
	*negative = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	for (digits = p; p < end && *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	}
	*magnitude = n;
	return p > digits && (p == end || *p == '\0' || is_space(*p));
}

bool number_parse_u64(const char *text, size_t len, uint64_t *out)
{
	bool negative;
	uint64_t n;

	if (!parse(text, len, &negative, &n))
		return false;
	if (negative)
		n = -n;
	if (negative && (int64_t)n < 0)
		return false;
	*out = n;
	return true;
}

bool number_parse_u32(const char *text, size_t len, uint32_t *out)
{
	uint64_t n;

	if (!number_parse_u64(text, len, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

bool number_parse_i32(const char *text, size_t len, int32_t *out)
{
	bool negative;
	uint64_t n;

	if (!parse(text, len, &negative, &n) || n > (uint64_t)INT64_MAX + negative)
		return false;
	*out = (int32_t)(uint32_t)(negative ? -n : n);
	return true;
}

char *number_format(char *to, uint64_t n)
{
	uint64_t power = 10;
	unsigned len = 1;
	char *p;

	for (; len < NUMBER_MAX && n >= power; len++)
		power *= 10;
	for (p = to + len; n >= 10; n /= 10)
		*--p = (char)('0' + n % 10);
	*--p = (char)('0' + n);
	return to + len;
}
