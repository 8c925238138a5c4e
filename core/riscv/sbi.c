/*
 * The firmware's console. The legacy calls are what every OpenSBI has; they cost a trap per byte and
 * serve until a driver for the UART takes over, and in panics before that.
 */
#include "sbi.h"

void sbi_console_put(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n')
			sbi_call(SBI_LEGACY_PUTCHAR, 0, '\r', 0, 0);
		sbi_call(SBI_LEGACY_PUTCHAR, 0, (uint8_t)bytes[i], 0, 0);
	}
}

int sbi_console_get(void)
{
	long c = sbi_call(SBI_LEGACY_GETCHAR, 0, 0, 0, 0).error;

	return c < 0 ? -1 : (int)(c & 0xff);
}
