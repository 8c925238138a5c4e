/*
 * Names and values of statistics: STAT lines in the text protocol, packets in the binary one.
 */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>

#include "binary.h"

enum { VALUE_MAX = 1024 };         /* a list of addresses (-l) may be long */

void stat_line(struct conn *c, const char *name, const char *format, ...)
{
	char line[VALUE_MAX];
	int prefix, n;
	va_list args;

	if (c->state == CONN_CLOSING)
		return;
	prefix = c->protocol == PROTOCOL_BINARY ? 0
						: snprintf(line, sizeof(line), "STAT %s ", name);
	va_start(args, format);
	n = prefix + vsnprintf(line + prefix, sizeof(line) - (size_t)prefix, format, args);
	va_end(args);
	if (n > VALUE_MAX - 3)
		n = VALUE_MAX - 3;
	if (c->protocol == PROTOCOL_BINARY) {
		binary_stat(c, name, line, (size_t)n);
		return;
	}
	memcpy(line + n, "\r\n", 3);
	conn_reply(c, line);
}

void stat_number(struct conn *c, const char *name, uint64_t n)
{
	stat_line(c, name, "%llu", (unsigned long long)n);
}

void stat_zeros(struct conn *c, const char *const *names)
{
	for (; *names; names++)
		stat_number(c, *names, 0);
}

void stat_end(struct conn *c)
{
	if (c->protocol == PROTOCOL_BINARY)
		binary_stat(c, "", "", 0);
	else
		conn_reply(c, "END\r\n");
}
