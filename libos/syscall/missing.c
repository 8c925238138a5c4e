/*
 * System calls that are not there: they answer -ENOSYS, are counted, and the first call of each is
 * logged by its name.
 */
#include <core/counter.h>
#include <core/errno.h>
#include <core/log.h>
#include <core/types.h>

#include "syscall_direct.h"

#define NUMBERS 512

COUNTER(syscalls_missing, "system calls that are not in this image");

const char *direct_name(long number);

/* True for the first call with this number. */
static bool is_first(long number)
{
	static uint64_t seen[NUMBERS / 64];
	uint64_t bit;

	if (number < 0 || number >= NUMBERS)
		return false;
	bit = 1ull << (number % 64);
	return !(__atomic_fetch_or(&seen[number / 64], bit, __ATOMIC_RELAXED) & bit);
}

long direct_missing(long number)
{
	const char *name = direct_name(number);

	counter_inc(syscalls_missing);
	if (is_first(number))
		log_warn("syscall: %s (%ld) is not in this image", name ? name : "unknown", number);
	return -ENOSYS;
}
