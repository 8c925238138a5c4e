/*
 * The clock starts at CLOCK_LEAD, so that times a little before the start can be told from "never",
 * which is 0, and an expiry date in the past can be 1.
 */
#include "clock.h"

#include <time.h>

#include <libos/stream.h>

static const uint64_t NS_PER_S = 1000000000;

reltime_t clock_now;
uint64_t clock_next_ns;

static int64_t origin;            /* date of clock 0 */
static reltime_t ticks;           /* what the clock would show if nobody had moved it */
static int64_t moved;             /* by clock_debug_add() */
static bool stopped;
static void (*on_second)(void);

void clock_start(void)
{
	origin = (int64_t)time(NULL) - CLOCK_LEAD;
	clock_now = ticks = CLOCK_LEAD;
	clock_next_ns = stream_now_ns() + NS_PER_S;
}

bool clock_continue(int64_t earlier_origin)
{
	int64_t shows = clock_date() - earlier_origin;

	if (shows < CLOCK_LEAD || shows > INT32_MAX)
		return false;
	origin = earlier_origin;
	clock_now = ticks = (reltime_t)shows;
	return true;
}

void clock_on_second(void (*fn)(void))
{
	on_second = fn;
}

static void clock_show(int64_t seconds)
{
	clock_now = (reltime_t)seconds;
	if (on_second)
		on_second();
}

__attribute__((noinline)) void clock_advance(uint64_t now)
{
	uint64_t seconds = (now - clock_next_ns) / NS_PER_S + 1;
	ticks += (reltime_t)seconds;
	clock_next_ns += seconds * NS_PER_S;
	if (!stopped)
		clock_show(ticks + moved);
}

void clock_update(void)
{
	clock_update_to(stream_now_ns());
}

void clock_debug_pause(void)
{
	stopped = true;
}

void clock_debug_resume(void)
{
	stopped = false;
}

void clock_debug_add(int64_t seconds)
{
	moved += seconds;
	clock_show(clock_now + moved);
}

int64_t clock_origin(void)
{
	return origin;
}

int64_t clock_date(void)
{
	return origin + clock_now;
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
