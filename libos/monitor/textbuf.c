/*
 * Text in a buffer; see textbuf.h. Without a C library, because it is part of images that have
 * none.
 */
#include "textbuf.h"

#define NS_PER_SECOND 1000000000u
#define DIGITS_MAX    20

void textbuf_add_bytes(struct textbuf *t, const char *bytes, size_t len)
{
	if (t->is_cut || len > t->room - t->len) {
		t->is_cut = true;
		return;
	}
	__builtin_memcpy(t->at + t->len, bytes, len);
	t->len += len;
}

void textbuf_add(struct textbuf *t, const char *s)
{
	size_t len = 0;

	while (s[len])
		len++;
	textbuf_add_bytes(t, s, len);
}

void textbuf_add_char(struct textbuf *t, char c)
{
	textbuf_add_bytes(t, &c, 1);
}

/* At least `least` digits, with zeros in front. */
static void add_digits(struct textbuf *t, uint64_t n, unsigned base, unsigned least)
{
	char digits[DIGITS_MAX];
	unsigned len = 0;

	do {
		digits[DIGITS_MAX - ++len] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n || len < least);
	textbuf_add_bytes(t, digits + DIGITS_MAX - len, len);
}

void textbuf_add_number(struct textbuf *t, uint64_t n)
{
	add_digits(t, n, 10, 1);
}

void textbuf_add_hex(struct textbuf *t, uint64_t n)
{
	add_digits(t, n, 16, 1);
}

void textbuf_add_seconds(struct textbuf *t, uint64_t ns)
{
	add_digits(t, ns / NS_PER_SECOND, 10, 1);
	textbuf_add_char(t, '.');
	add_digits(t, ns % NS_PER_SECOND, 10, 9);
}
