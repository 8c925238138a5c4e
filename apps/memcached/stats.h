/*
 * The numbers that `stats` reports, under memcached's names.
 */
#ifndef MEMCACHED_STATS_H
#define MEMCACHED_STATS_H

#include <stdint.h>

#include "cache.h"
#include "lru.h"
#include "slab.h"

struct stats {
	uint64_t cmd_flush, cmd_touch, cmd_meta;
	uint64_t get_misses, get_expired, get_flushed;
	uint64_t delete_misses, incr_misses, decr_misses, cas_misses, touch_misses;
	uint64_t store_too_large, store_no_memory;
	uint64_t total_items, slabs_moved;
	/* what became of the chunks of pages that moved (mover.h), in the order of `stats` */
	uint64_t slab_reassign_rescues, slab_reassign_chunk_rescues, slab_reassign_inline_reclaim;
	uint64_t slab_reassign_busy_items, slab_reassign_busy_deletes, slab_reassign_busy_nomem;
	uint64_t lru_crawler_starts, lru_maintainer_juggles;
	uint64_t value_bytes_copied;       /* by value_copy(), of values on their way out */
	uint64_t total_connections, rejected_connections, idle_kicks;
	uint64_t listen_disabled_num, conn_yields;
	uint64_t auth_cmds, auth_errors;
	uint64_t log_worker_written, log_watcher_skipped, log_watcher_sent;
	/* what is, rather than what has happened: not touched by `stats reset` */
	uint64_t curr_connections, connections_max, log_watchers;
	bool listen_is_paused;
};

/* What happened to the items of one class; the general section shows the sums. */
struct class_stats {
	uint64_t cmd_set, delete_hits, incr_hits, decr_hits, cas_hits, cas_badval, touch_hits;
	uint64_t evictions, evicted_nonzero, evicted_time, outofmemory, reclaimed;
	uint64_t expired_unfetched, evicted_unfetched, evicted_active, lrutail_reflocked;
	uint64_t tailrepairs, crawler_reclaimed, crawler_items_checked;
	uint64_t moves_to_cold, moves_to_warm, moves_within_lru, direct_reclaims;
};

extern struct stats stats;
extern struct class_stats class_stats[SLAB_CLASSES_MAX + 1];
/* Gets that found an item, by class and segment as they stand in item->class_segment. */
extern uint64_t stats_hits[UINT8_MAX + 1];

/* Those of an item's class: large items count for the largest. */
static inline struct class_stats *stats_of(const struct item *it)
{
	return &class_stats[lru_class_of(it)];
}

/* Counts the outcome of an incr or decr, hit or miss; mult and div count as these two. */
void stats_count(const struct count_terms *t, bool hit);

/* A get found the item. */
static inline void stats_hit(const struct item *it)
{
	stats_hits[lru_class_of(it) | item_segment(it) << CLASS_BITS]++;
}

static inline uint64_t stats_hits_to(unsigned class, enum lru_segment segment)
{
	return stats_hits[class | (unsigned)segment << CLASS_BITS];
}

/* get_hits of a class, and of all. Whoever did not hit has missed, so cmd_get is the sum. */
uint64_t stats_class_hits(unsigned class);
uint64_t stats_get_hits(void);

/* The sum over all classes, except evicted_time. */
struct class_stats stats_sum(void);

void stats_reset(void);

#endif
