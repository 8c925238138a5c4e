/*
 * The clock starts at CLOCK_LEAD, so that times a little before the start can be told from "never",
 * which is 0, and an expiry date in the past can be 1.
 */
#include "clock.h"

#include <time.h>

#include <libos/stream.h>

static const uint64_t NS_PER_S = 1000000000;

reltime_t clock_now;

static int64_t origin;            /* date of clock 0 */
static uint64_t next_second_ns;   /* monotonic time at which clock_now grows */

void clock_start(void)
{
	origin = (int64_t)time(NULL) - CLOCK_LEAD;
	clock_now = CLOCK_LEAD;
	next_second_ns = stream_now_ns() + NS_PER_S;
}

void clock_update(void)
{
	uint64_t now = stream_now_ns();
	uint64_t seconds;

	if (now < next_second_ns)
		return;
	seconds = (now - next_second_ns) / NS_PER_S + 1;
	clock_now += (reltime_t)seconds;
	next_second_ns += seconds * NS_PER_S;
}

int64_t clock_origin(void)
{
	return origin;
}

reltime_t clock_from_exptime(int64_t exptime)
{
	if (exptime == 0)
		return 0;
	if (exptime < 0)
		return 1;
	if (exptime <= EXPTIME_RELATIVE_MAX)
		return clock_now + (reltime_t)exptime;
	return exptime <= origin ? 1 : (reltime_t)(exptime - origin);
}
