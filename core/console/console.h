/*
 * Between the console and the drivers behind it.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include <core/types.h>

struct console_driver {
	const char *name;
	void (*put)(const char *bytes,
		    size_t len); /* polled, interrupts off; "\n" becomes "\r\n" */
};

void console_register(const struct console_driver *d);

/* From a driver's interrupt: bytes that arrived, then the end of this batch. */
void console_input(uint8_t byte);
void console_input_done(void);

/* For tests: what the UART sends comes back to it. False: there is no 16550. */
bool ns16550_loop(bool on);

/* Without the lock: for panic, when its holder may never come back. */
void console_put_raw(const char *bytes, size_t len);

#endif
