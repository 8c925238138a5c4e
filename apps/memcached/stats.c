/*
 * The counters themselves. What turns them into text is text_stats.c.
 */
#include "stats.h"

struct stats stats;

void stats_reset(void)
{
	struct stats zero = {
		.bytes = stats.bytes,
		.curr_connections = stats.curr_connections,
		.connections_max = stats.connections_max,
	};

	stats = zero;
}
