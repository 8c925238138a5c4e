/*
 * The numbers that `stats` reports, under memcached's names.
 */
#ifndef MEMCACHED_STATS_H
#define MEMCACHED_STATS_H

#include <stdint.h>

struct stats {
	uint64_t cmd_get, cmd_set, cmd_flush, cmd_touch, cmd_meta;
	uint64_t get_hits, get_misses, get_expired, get_flushed;
	uint64_t delete_misses, delete_hits, incr_misses, incr_hits, decr_misses, decr_hits;
	uint64_t cas_misses, cas_hits, cas_badval, touch_hits, touch_misses;
	uint64_t store_too_large, store_no_memory, store_no_chunk;
	uint64_t total_items, expired_unfetched, evicted_unfetched, evicted_active, evictions;
	uint64_t reclaimed, lrutail_reflocked, slabs_moved;
	uint64_t total_connections, rejected_connections, idle_kicks;
	/* what is, rather than what has happened: not touched by `stats reset` */
	uint64_t bytes, curr_connections, connections_max;
};

extern struct stats stats;

void stats_reset(void);

#endif
