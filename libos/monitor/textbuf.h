/*
 * Text that grows in a buffer of fixed size. What does not fit is left out as a whole and noted, so
 * that the writer can take back a line that is not complete.
 */
#ifndef MONITOR_TEXTBUF_H
#define MONITOR_TEXTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct textbuf {
	char *at;
	size_t len, room;
	bool is_cut;       /* something did not fit */
};

void textbuf_add_bytes(struct textbuf *t, const char *bytes, size_t len);
void textbuf_add(struct textbuf *t, const char *s);
void textbuf_add_char(struct textbuf *t, char c);
void textbuf_add_number(struct textbuf *t, uint64_t n);
void textbuf_add_hex(struct textbuf *t, uint64_t n);
/* Nanoseconds as seconds, with nine places behind the point. */
void textbuf_add_seconds(struct textbuf *t, uint64_t ns);

/* Back to a length that it had before. */
static inline void textbuf_take_back(struct textbuf *t, size_t len)
{
	t->len = len;
	t->is_cut = false;
}

#endif
