/*
 * The firmware's console: the debug console extension (DBCN) where firmware has it, else the legacy
 * calls, which are all that older OpenSBI offers. A trap for each byte; it serves until a driver
 * for the UART takes over, and in panics before that.
 */
#include "early.h"
#include "sbi.h"

static bool has_dbcn(void)
{
	static enum { UNKNOWN, ABSENT, PRESENT } state;

	if (state == UNKNOWN)
		state = sbi_has(SBI_DBCN) ? PRESENT : ABSENT;
	return state == PRESENT;
}

static void put(char c)
{
	if (has_dbcn())
		sbi_call(SBI_DBCN, SBI_DBCN_WRITE_BYTE, (uint8_t)c, 0, 0);
	else
		sbi_call(SBI_LEGACY_PUTCHAR, 0, (uint8_t)c, 0, 0);
}

void sbi_console_put(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n')
			put('\r');
		put(bytes[i]);
	}
}

/* DBCN writes to physical memory; the image's offset turns the buffer's address into one. */
static int dbcn_get(void)
{
	static volatile uint8_t byte;
	struct sbi_result r = sbi_call(SBI_DBCN, SBI_DBCN_READ, 1,
				       (uintptr_t)&byte - boot_layout.image_offset, 0);

	return r.error == 0 && r.value == 1 ? byte : -1;
}

int sbi_console_get(void)
{
	long c;

	if (has_dbcn())
		return dbcn_get();
	c = sbi_call(SBI_LEGACY_GETCHAR, 0, 0, 0, 0).error;
	return c < 0 ? -1 : (int)(c & 0xff);
}
