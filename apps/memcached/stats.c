/*
 * The counters themselves. What turns them into text is text_stats.c and text_sections.c.
 */
#include "stats.h"

struct stats stats;
struct class_stats class_stats[SLAB_CLASSES_MAX + 1];
uint64_t stats_hits[UINT8_MAX + 1];

void stats_reset(void)
{
	struct stats zero = {
		.curr_connections = stats.curr_connections,
		.connections_max = stats.connections_max,
		.log_watchers = stats.log_watchers,
		.listen_is_paused = stats.listen_is_paused,
	};

	stats = zero;
	memset(class_stats, 0, sizeof(class_stats));
	memset(stats_hits, 0, sizeof(stats_hits));
}

uint64_t stats_class_hits(unsigned class)
{
	uint64_t sum = 0;

	for (unsigned s = 0; s < LRU_SEGMENTS; s++)
		sum += stats_hits_to(class, (enum lru_segment)s);
	return sum;
}

uint64_t stats_get_hits(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i <= UINT8_MAX; i++)
		sum += stats_hits[i];
	return sum;
}

void stats_count(const struct count_terms *t, bool hit)
{
	bool up = t->op == COUNT_UP || t->op == COUNT_TIMES;

	if (hit) {
		stats_of(t->item)->incr_hits += up;
		stats_of(t->item)->decr_hits += !up;
	} else {
		stats.incr_misses += up;
		stats.decr_misses += !up;
	}
}

struct class_stats stats_sum(void)
{
	enum { COUNTERS = sizeof(struct class_stats) / sizeof(uint64_t) };
	uint64_t sum[COUNTERS] = { 0 }, one[COUNTERS];
	struct class_stats result;

	for (unsigned id = 0; id <= SLAB_CLASSES_MAX; id++) {
		memcpy(one, &class_stats[id], sizeof(one));
		for (unsigned i = 0; i < COUNTERS; i++)
			sum[i] += one[i];
	}
	memcpy(&result, sum, sizeof(result));
	return result;
}
