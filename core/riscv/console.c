/*
 * The console that firmware offers: the machine's part of core/console.
 */
#include <core/arch.h>
#include "sbi.h"

void arch_console_put(const char *bytes, size_t len)
{
	sbi_console_put(bytes, len);
}

int arch_console_get(void)
{
	return sbi_console_get();
}
