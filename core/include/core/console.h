/*
 * The console: bytes to and from whoever watches the machine. Output is polled and goes out before
 * the call returns. Input arrives by interrupt in a small ring; what nobody reads in time is
 * dropped.
 */
#ifndef CORE_CONSOLE_H
#define CORE_CONSOLE_H

#include <core/types.h>

/*
 * Any context. "\n" is sent as "\r\n". Lines of the log and writes do not interleave within a call.
 */
void console_write(const char *bytes, size_t len);

/* Any context: up to `max` bytes that are waiting, 0 when none. */
size_t console_read(char *buf, size_t max);
bool console_can_read(void);

/* `notify` is called in interrupt context when bytes arrive. One listener. */
void console_set_notify(void (*notify)(void));

/* The newest bytes of the log, for dmesg and the trace; returns how many. Any context. */
size_t log_read(char *buf, size_t max);

#endif
