/*
 * Inside the operator's door.
 */
#ifndef OPERATOR_H
#define OPERATOR_H

#include <libos/operator.h>

struct operator_reply {
	void (*write)(void *arg, const char *bytes, size_t len);
	void *arg;
	void (*after)(void);   /* done when the answer is out */
};

/*
 * Lines out of a stream of bytes that nobody vouches for. A line that is too long or holds anything
 * but printable ASCII is reported once, at its end, as bad. Control-U forgets what came before it.
 */
struct operator_line {
	char text[OPERATOR_LINE_MAX + 1];
	size_t len;
	bool too_long, unprintable;
};

enum operator_line_event { LINE_GROWS, LINE_COMPLETE, LINE_TOO_LONG, LINE_UNPRINTABLE };

enum operator_line_event operator_line_add(struct operator_line *l, char byte);
void operator_line_clear(struct operator_line *l);

#endif
