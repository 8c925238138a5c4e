/*
 * The timer of each hart: stimecmp where the hart has Sstc and firmware lets us use it, else SBI,
 * which costs a trap into the firmware for each setting.
 */
#include <core/arch.h>
#include <core/log.h>
#include "csr.h"
#include "hart.h"
#include "sbi.h"

int probe_stimecmp(uint64_t value);

static uint64_t tick_hz;
static bool use_stimecmp;

bool timer_init(bool has_sstc, uint64_t hz)
{
	tick_hz = hz;
	use_stimecmp = has_sstc && probe_stimecmp(UINT64_MAX) == 0;
	return use_stimecmp;
}

uint64_t arch_tick_hz(void)
{
	return tick_hz;
}

void arch_timer_set(uint64_t deadline_ticks)
{
	if (likely(use_stimecmp))
		__asm__ volatile("csrw %0, %1" : : "i"(CSR_STIMECMP), "r"(deadline_ticks));
	else
		sbi_call(SBI_TIME, 0, deadline_ticks, 0, 0);
}
