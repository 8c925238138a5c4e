/*
 * The few string functions that lwIP and its glue use: memcpy's family from core/lib, the rest
 * inline, so that the stack needs no C library.
 */
#ifndef NET_PORT_STRING_H
#define NET_PORT_STRING_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

static inline size_t net_strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static inline int net_strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (unsigned char)*a - (unsigned char)*b;
		if (!*a)
			break;
	}
	return 0;
}

#define strlen(s)        net_strlen(s)
#define strcmp(a, b)     net_strncmp(a, b, (size_t)-1)
#define strncmp(a, b, n) net_strncmp(a, b, n)

#endif
