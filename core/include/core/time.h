/*
 * Time: a monotonic clock in nanoseconds since boot, wall-clock time above it, and one-shot timers
 * of nanosecond resolution without a tick. A hart with no armed timer takes no timer interrupt.
 */
#ifndef CORE_TIME_H
#define CORE_TIME_H

#include <core/hart.h>
#include <core/heap.h>
#include <core/types.h>

#define DEADLINE_NEVER UINT64_MAX

/* boot, once arch_tick_hz() is known; clock_ns() is 0 before */
void clock_init(void);
uint64_t clock_ns(void);                 /* any context: monotonic since boot */
uint64_t clock_ticks_to_ns(uint64_t ticks); /* a length of time in arch_ticks() */
uint64_t clock_wall_ns(void);            /* any context: nanoseconds since 1970-01-01 UTC */
/* from the RTC, later corrected by SNTP and settimeofday */
void clock_set_wall_ns(uint64_t ns);

/*
 * A timer calls fire(timer) once, in interrupt context on the hart that armed it. Embed it, set
 * it up once with ktimer_init(). (musl owns the name timer_create.)
 */
struct ktimer {
	struct heap_node node;            /* [hart's timer lock] */
	uint64_t deadline_ns;             /* [hart's timer lock] */
	void (*fire)(struct ktimer *t);   /* [I] may arm the timer again, or free it */
	hart_t hart;                      /* atomic: where it is, or was last, armed */
};

void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *));
void ktimer_arm(struct ktimer *t, uint64_t deadline_ns); /* any context; re-arming moves it */
/* any context; true if it had not fired; on return fire() is not running elsewhere */
bool ktimer_cancel(struct ktimer *t);
/* any context; how many wait on that hart */
unsigned ktimer_armed(hart_t hart);

/* Threads. Sleeps at least until clock_ns() is `deadline_ns`; not interruptible. */
void thread_sleep_until(uint64_t deadline_ns);

#endif
