/*
 * Time as memcached counts it: whole seconds since a little before the start.
 *
 * The clock does not tick. clock_update() reads the monotonic clock once for each batch of input,
 * and everything in between sees the same `now`, so an idle cache executes nothing.
 */
#ifndef MEMCACHED_CLOCK_H
#define MEMCACHED_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds since the origin; 0 as an expiry time means never. */
typedef uint32_t reltime_t;

enum {
	CLOCK_LEAD = 62,                     /* what the clock shows at the start */
	EXPTIME_RELATIVE_MAX = 60 * 60 * 24 * 30, /* larger times are dates */
};

extern reltime_t clock_now;

void clock_start(void);
/*
 * Goes on as the clock of an earlier run whose 0 was at that date, so that its times still hold.
 * False: that would be too far from now, or in the future.
 */
bool clock_continue(int64_t earlier_origin);
/* From now on calls fn() whenever clock_now has changed. */
void clock_on_second(void (*fn)(void));
/* Brings clock_now up to date, by the clock or by a monotonic time known already. */
void clock_update(void);
extern uint64_t clock_next_ns;     /* when clock_now grows */
void clock_advance(uint64_t now_ns);
static inline void clock_update_to(uint64_t now_ns)
{
	if (__builtin_expect(now_ns >= clock_next_ns, 0))
		clock_advance(now_ns);
}
/* The date, in seconds since 1970, at which the clock showed 0. */
int64_t clock_origin(void);
/* The date, in seconds since 1970, that the clock shows now. */
int64_t clock_date(void);
/* What a client's expiry time means now: relative, a date, or (negative) at once. 0: never. */
reltime_t clock_from_exptime(int64_t exptime);

/*
 * debugtime, in builds with CONFIG_MEMCACHED_DEBUG (the native ones have it): stops the clock, lets
 * it run, or moves it. As in memcached's debugging build, what is added to the clock is the sum of
 * all that was ever said to clock_debug_add().
 */
void clock_debug_pause(void);
void clock_debug_resume(void);
void clock_debug_add(int64_t seconds);

#endif
