/*
 * Formatting text without floating point: the part of printf that a kernel needs.
 *
 * %d %i %u %x %X %o %c %s %p %% with the flags `-0+ #` and space, width and precision (also `*`),
 * and the lengths hh h l ll j z t. Anything else is copied as it stands. %s of NULL prints
 * "(null)". Pure functions of core/lib; any context.
 */
#ifndef CORE_FMT_H
#define CORE_FMT_H

#include <core/types.h>

/*
 * As snprintf(): writes at most `size` bytes including the terminating zero (nothing when size is
 * 0) and returns the length the whole text has.
 */
size_t fmt_print(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list args) PRINTF_LIKE(3, 0);

/* Hands the text piece by piece to put(arg, bytes, len). Returns its length. */
typedef void (*fmt_put_t)(void *arg, const char *bytes, size_t len);
size_t fmt_emit(fmt_put_t put, void *arg, const char *fmt, va_list args) PRINTF_LIKE(3, 0);

#endif
