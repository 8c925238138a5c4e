/*
 * Clocks. Monotonic time is arch_ticks() since clock_init(), scaled by a 32.32 fixed-point factor:
 * one multiplication, exact for the frequencies that divide 10^9. Wall-clock time is an offset
 * above it.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/atomic.h>
#include <core/time.h>
#include "clock.h"

static uint64_t first_tick;    /* [I] */
static uint64_t ns_per_tick;   /* [I] 32.32 */
static uint64_t ticks_per_ns;  /* [I] 0.64 */
static uint64_t wall_offset;   /* atomic: wall - monotonic, in nanoseconds, modulo 2^64 */

void clock_init(void)
{
	uint64_t hz = arch_tick_hz();

	assert(hz > 0 && hz < NSEC_PER_SEC);
	ns_per_tick = (NSEC_PER_SEC << 32) / hz;
	ticks_per_ns = (uint64_t)(((unsigned __int128)hz << 64) / NSEC_PER_SEC);
	first_tick = arch_ticks();
}

uint64_t clock_ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * ns_per_tick >> 32);
}

uint64_t clock_ns(void)
{
	return clock_ticks_to_ns(arch_ticks() - first_tick);
}

/* Rounded up, and one more: a timer must not come before its deadline. */
uint64_t clock_deadline_ticks(uint64_t deadline_ns)
{
	if (deadline_ns > INT64_MAX)
		return UINT64_MAX;
	return first_tick + (uint64_t)((unsigned __int128)deadline_ns * ticks_per_ns >> 64) + 1;
}

uint64_t clock_wall_ns(void)
{
	return clock_ns() + __atomic_load_n(&wall_offset, __ATOMIC_RELAXED);
}

void clock_set_wall_ns(uint64_t ns)
{
	store_relaxed(&wall_offset, ns - clock_ns());
}
