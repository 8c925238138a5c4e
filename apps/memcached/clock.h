/*
 * Time as memcached counts it: whole seconds since a little before the start.
 *
 * The clock does not tick. clock_update() reads the monotonic clock once for each batch of input,
 * and everything in between sees the same `now`, so an idle cache executes nothing.
 */
#ifndef MEMCACHED_CLOCK_H
#define MEMCACHED_CLOCK_H

#include <stdint.h>

/* Seconds since the origin; 0 as an expiry time means never. */
typedef uint32_t reltime_t;

enum {
	CLOCK_LEAD = 62,                     /* what the clock shows at the start */
	EXPTIME_RELATIVE_MAX = 60 * 60 * 24 * 30, /* larger times are dates */
};

extern reltime_t clock_now;

void clock_start(void);
/* Brings clock_now up to date. */
void clock_update(void);
/* The date, in seconds since 1970, at which the clock showed 0. */
int64_t clock_origin(void);
/* What a client's expiry time means now: relative, a date, or (negative) at once. 0: never. */
reltime_t clock_from_exptime(int64_t exptime);

#endif
