/* Between the clock and the timers. */
#ifndef TIME_CLOCK_H
#define TIME_CLOCK_H

#include <core/types.h>

uint64_t clock_deadline_ticks(uint64_t deadline_ns); /* what arch_timer_set() takes */

#endif
