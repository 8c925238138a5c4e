/* What lwIP asks of <stdlib.h>: a number at the end of an interface's name. */
#ifndef NET_PORT_STDLIB_H
#define NET_PORT_STDLIB_H

static inline int net_atoi(const char *s)
{
	int n = 0;

	while (*s >= '0' && *s <= '9' && n < 100000)
		n = n * 10 + (*s++ - '0');
	return n;
}

#define atoi(s) net_atoi(s)

#endif
