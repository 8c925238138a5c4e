/*
 * Assertions: what only a bug can cause. An assertion that fails panics with its text, place and a
 * backtrace. What the outside world can cause is never asserted but returned as an error.
 */
#ifndef CORE_ASSERT_H
#define CORE_ASSERT_H

#include <core/types.h>

NORETURN void assert_failed(const char *text, const char *file, int line);

#undef assert
#define assert(cond) \
	(likely(cond) ? (void)0 : assert_failed(#cond, __FILE__, __LINE__))

/*
 * Prints the sentence and a backtrace, then halts, reboots or exits QEMU as configured. Any
 * context.
 */
NORETURN void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The same about the code that a trap interrupted. */
struct trap_frame;
NORETURN void panic_at(const struct trap_frame *frame, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
