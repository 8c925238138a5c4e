/*
 * Numbers in text, in both directions, with the C library's notion of what a number is: leading
 * white space and a sign are allowed, and what follows must be white space or the end.
 */
#ifndef MEMCACHED_NUMBER_H
#define MEMCACHED_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBER_MAX = 20 }; /* digits of the largest number */

/*
 * Text ends after len bytes or at a NUL. A negative number is refused unless it wraps to a small
 * one.
 */
bool number_parse_u64(const char *text, size_t len, uint64_t *out);
/* As above, then cut to 32 bits, as memcached does. */
bool number_parse_u32(const char *text, size_t len, uint32_t *out);
/* Signed, 64 bits, cut to 32. */
bool number_parse_i32(const char *text, size_t len, int32_t *out);

/* Writes the digits without a NUL, returns the end. */
char *number_format(char *to, uint64_t n);

#endif
