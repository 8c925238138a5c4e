/*
 * memcached's numbers for a monitor, under the names that Prometheus's memcached exporter made
 * known.
 *
 * Read in the monitor's thread while the server works: each number is one word that is right by
 * itself, and two of them may be a request apart.
 */
#include <libos/metrics.h>

#include "clock.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "table.h"

/* A metric of one number, which `value` says. */
#define NUMBER(name, kind, help, value)                          \
	static void collect_##name(struct metric_samples *out)   \
	{                                                        \
		metric_sample(out, (value), NULL);               \
	}                                                        \
	METRIC(memcached_##name, kind, help, collect_##name)

static void up(struct metric_samples *out)
{
	metric_sample(out, 1, METRIC_LABELS({ "version", MEMCACHED_VERSION }));
}
METRIC(memcached_version, METRIC_GAUGE, "the memcached whose behaviour this is; always 1", up);

NUMBER(uptime_seconds, METRIC_GAUGE, "seconds since the server started", clock_now - CLOCK_LEAD);

/* ---- commands ---- */

static void command(struct metric_samples *out, const char *name, const char *status, uint64_t n)
{
	metric_sample(out, n, METRIC_LABELS({ "command", name }, { "status", status }));
}

static void commands(struct metric_samples *out)
{
	struct class_stats sum = stats_sum();

	command(out, "get", "hit", stats_get_hits());
	command(out, "get", "miss", stats.get_misses);
	command(out, "set", "hit", sum.cmd_set);
	command(out, "delete", "hit", sum.delete_hits);
	command(out, "delete", "miss", stats.delete_misses);
	command(out, "incr", "hit", sum.incr_hits);
	command(out, "incr", "miss", stats.incr_misses);
	command(out, "decr", "hit", sum.decr_hits);
	command(out, "decr", "miss", stats.decr_misses);
	command(out, "cas", "hit", sum.cas_hits);
	command(out, "cas", "badval", sum.cas_badval);
	command(out, "cas", "miss", stats.cas_misses);
	command(out, "touch", "hit", sum.touch_hits);
	command(out, "touch", "miss", stats.touch_misses);
	command(out, "flush", "hit", stats.cmd_flush);
	command(out, "meta", "hit", stats.cmd_meta);
}
METRIC(memcached_commands_total, METRIC_COUNTER, "commands by name and outcome", commands);

/* ---- connections ---- */

NUMBER(current_connections, METRIC_GAUGE, "open connections", stats.curr_connections);
NUMBER(connections_total, METRIC_COUNTER, "connections ever opened", stats.total_connections);
NUMBER(connections_rejected_total, METRIC_COUNTER, "connections refused at the limit",
       stats.rejected_connections);
NUMBER(max_connections, METRIC_GAUGE, "limit of open connections", settings.connections);

/* ---- items and memory ---- */

NUMBER(current_items, METRIC_GAUGE, "items in the cache", table_items());
NUMBER(items_total, METRIC_COUNTER, "items ever stored", stats.total_items);

static void bytes(struct metric_samples *out)
{
	uint64_t sum = 0;

	for (unsigned id = 1; id <= slab_classes(); id++)
		sum += lru_bytes(id);
	metric_sample(out, sum, NULL);
}
METRIC(memcached_current_bytes, METRIC_GAUGE, "bytes of headers, keys and values of all items",
       bytes);

NUMBER(limit_bytes, METRIC_GAUGE, "memory the cache may use", settings.memory_limit);
NUMBER(hash_bytes, METRIC_GAUGE, "memory of the hash table", table_bytes());
NUMBER(items_evicted_total, METRIC_COUNTER, "items that made room for others",
       stats_sum().evictions);
NUMBER(items_reclaimed_total, METRIC_COUNTER, "expired items whose memory was used again",
       stats_sum().reclaimed);
NUMBER(store_no_memory_total, METRIC_COUNTER, "stores refused because no memory could be freed",
       stats.store_no_memory);

/* ---- slab classes ---- */

static void per_class(struct metric_samples *out, uint64_t (*read)(unsigned id))
{
	char number[METRIC_NUMBER_MAX];

	for (unsigned id = 1; id <= slab_classes(); id++) {
		if (slab_pages_of(id))
			metric_sample(out, read(id),
				      METRIC_LABELS({ "slab", metric_number(id, number) }));
	}
}

/* A metric of a number for each class in use, which `value` says of class `id`. */
#define PER_CLASS(name, kind, help, value)                       \
	static uint64_t read_##name(unsigned id)                 \
	{                                                        \
		return (value);                                  \
	}                                                        \
	static void collect_##name(struct metric_samples *out)   \
	{                                                        \
		per_class(out, read_##name);                     \
	}                                                        \
	METRIC(memcached_##name, kind, help, collect_##name)

PER_CLASS(slab_chunk_size_bytes, METRIC_GAUGE, "bytes of a chunk of each slab class in use",
	  slab_chunk_bytes(id));
PER_CLASS(slab_current_pages, METRIC_GAUGE, "pages of each slab class", slab_pages_of(id));
PER_CLASS(slab_chunks_used, METRIC_GAUGE, "chunks in use of each slab class", slab_chunks_used(id));
PER_CLASS(slab_current_items, METRIC_GAUGE, "items of each slab class", lru_length(id));
PER_CLASS(slab_items_evicted_total, METRIC_COUNTER, "items of each slab class that made room",
	  class_stats[id].evictions);
