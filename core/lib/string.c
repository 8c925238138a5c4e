/*
 * Strings: the small helpers of string.h. Byte loops, since no string here is long; what is on a
 * hot path works on memory with a length (mem.c).
 */
#include <core/string.h>

size_t str_length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t str_length_max(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int str_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (int)(unsigned char)*a - (int)(unsigned char)*b;
}

bool str_equal(const char *a, const char *b)
{
	return str_compare(a, b) == 0;
}

bool str_starts_with(const char *s, const char *prefix)
{
	while (*prefix) {
		if (*s++ != *prefix++)
			return false;
	}
	return true;
}

const char *str_find(const char *s, char c)
{
	for (; *s; s++) {
		if (*s == c)
			return s;
	}
	return NULL;
}

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t n = 0;

	while (n + 1 < size && src[n]) {
		dst[n] = src[n];
		n++;
	}
	dst[n] = '\0';
	return src[n] == '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

bool str_parse_u64(const char **s, uint64_t *value)
{
	const char *p = *s;
	unsigned base = 10;
	uint64_t v = 0;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && digit_value(p[2]) < 16) {
		base = 16;
		p += 2;
	}
	if ((unsigned)digit_value(*p) >= base)
		return false;
	for (; (unsigned)digit_value(*p) < base; p++) {
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit_value(*p), &v))
			return false;
	}
	*s = p;
	*value = v;
	return true;
}

bool str_parse_size(const char *s, uint64_t *bytes)
{
	unsigned shift = 0;
	uint64_t v;

	if (!str_parse_u64(&s, &v))
		return false;
	if (*s == 'k' || *s == 'K')
		shift = 10;
	else if (*s == 'm' || *s == 'M')
		shift = 20;
	else if (*s == 'g' || *s == 'G')
		shift = 30;
	if (shift)
		s++;
	if (*s || v > UINT64_MAX >> shift)
		return false;
	*bytes = v << shift;
	return true;
}
