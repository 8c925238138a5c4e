/*
 * Bytes and strings. The four mem functions carry libc's names because the compiler calls them;
 * musl's own copies are left out of an image. Pure functions of core/lib; any context.
 */
#ifndef CORE_STRING_H
#define CORE_STRING_H

#include <core/types.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

size_t str_length(const char *s);
size_t str_length_max(const char *s, size_t max);           /* looks at no more than max bytes */
bool str_equal(const char *a, const char *b);
int str_compare(const char *a, const char *b);              /* <0, 0, >0 by unsigned bytes */
bool str_starts_with(const char *s, const char *prefix);
const char *str_find(const char *s, char c);                /* NULL: not there */
/* Copies what fits and always terminates (size > 0). False when the text was cut. */
bool str_copy(char *dst, size_t size, const char *src);

/*
 * Reads an unsigned number at *s: decimal, or hexadecimal after 0x. Moves *s past it. False, with
 * *s unmoved, when there is no digit or it does not fit in 64 bits.
 */
bool str_parse_u64(const char **s, uint64_t *value);
/* As above, with an optional suffix k, m or g (powers of 1024), and the string must end there. */
bool str_parse_size(const char *s, uint64_t *bytes);

#endif
