/*
 * memcached's numbers for a monitor, under the names that Prometheus's memcached exporter made known.
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

static void up(struct metric_samples *out)
{
	metric_sample(out, 1, METRIC_LABELS({ "version", MEMCACHED_VERSION }));
}
METRIC(memcached_version, METRIC_GAUGE, "the memcached whose behaviour this is; always 1", up);

static void uptime(struct metric_samples *out)
{
	metric_sample(out, clock_now - CLOCK_LEAD, NULL);
}
METRIC(memcached_uptime_seconds, METRIC_GAUGE, "seconds since the server started", uptime);

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

static void connections(struct metric_samples *out)
{
	metric_sample(out, stats.curr_connections, NULL);
}
METRIC(memcached_current_connections, METRIC_GAUGE, "open connections", connections);

static void connections_total(struct metric_samples *out)
{
	metric_sample(out, stats.total_connections, NULL);
}
METRIC(memcached_connections_total, METRIC_COUNTER, "connections ever opened", connections_total);

static void connections_rejected(struct metric_samples *out)
{
	metric_sample(out, stats.rejected_connections, NULL);
}
METRIC(memcached_connections_rejected_total, METRIC_COUNTER, "connections refused at the limit", connections_rejected);

static void connections_max(struct metric_samples *out)
{
	metric_sample(out, settings.connections, NULL);
}
METRIC(memcached_max_connections, METRIC_GAUGE, "limit of open connections", connections_max);

/* ---- items and memory ---- */

static void items(struct metric_samples *out)
{
	metric_sample(out, table_items(), NULL);
}
METRIC(memcached_current_items, METRIC_GAUGE, "items in the cache", items);

static void items_total(struct metric_samples *out)
{
	metric_sample(out, stats.total_items, NULL);
}
METRIC(memcached_items_total, METRIC_COUNTER, "items ever stored", items_total);

static void bytes(struct metric_samples *out)
{
	uint64_t sum = 0;

	for (unsigned id = 1; id <= slab_classes(); id++)
		sum += lru_bytes(id);
	metric_sample(out, sum, NULL);
}
METRIC(memcached_current_bytes, METRIC_GAUGE, "bytes of headers, keys and values of all items", bytes);

static void limit(struct metric_samples *out)
{
	metric_sample(out, settings.memory_limit, NULL);
}
METRIC(memcached_limit_bytes, METRIC_GAUGE, "memory the cache may use", limit);

static void hash_bytes(struct metric_samples *out)
{
	metric_sample(out, table_bytes(), NULL);
}
METRIC(memcached_hash_bytes, METRIC_GAUGE, "memory of the hash table", hash_bytes);

static void evictions(struct metric_samples *out)
{
	metric_sample(out, stats_sum().evictions, NULL);
}
METRIC(memcached_items_evicted_total, METRIC_COUNTER, "items that made room for others", evictions);

static void reclaimed(struct metric_samples *out)
{
	metric_sample(out, stats_sum().reclaimed, NULL);
}
METRIC(memcached_items_reclaimed_total, METRIC_COUNTER, "expired items whose memory was used again", reclaimed);

static void no_memory(struct metric_samples *out)
{
	metric_sample(out, stats.store_no_memory, NULL);
}
METRIC(memcached_store_no_memory_total, METRIC_COUNTER, "stores refused because no memory could be freed", no_memory);

/* ---- slab classes ---- */

static void per_class(struct metric_samples *out, uint64_t (*read)(unsigned id))
{
	char number[METRIC_NUMBER_MAX];

	for (unsigned id = 1; id <= slab_classes(); id++) {
		if (slab_pages_of(id))
			metric_sample(out, read(id), METRIC_LABELS({ "slab", metric_number(id, number) }));
	}
}

static uint64_t class_chunk_bytes(unsigned id)
{
	return slab_chunk_bytes(id);
}

static void chunk_bytes(struct metric_samples *out)
{
	per_class(out, class_chunk_bytes);
}
METRIC(memcached_slab_chunk_size_bytes, METRIC_GAUGE, "bytes of a chunk of each slab class in use", chunk_bytes);

static uint64_t class_pages(unsigned id)
{
	return slab_pages_of(id);
}

static void pages(struct metric_samples *out)
{
	per_class(out, class_pages);
}
METRIC(memcached_slab_current_pages, METRIC_GAUGE, "pages of each slab class", pages);

static uint64_t class_chunks_used(unsigned id)
{
	return slab_chunks_used(id);
}

static void chunks_used(struct metric_samples *out)
{
	per_class(out, class_chunks_used);
}
METRIC(memcached_slab_chunks_used, METRIC_GAUGE, "chunks in use of each slab class", chunks_used);

static uint64_t class_items(unsigned id)
{
	return lru_length(id);
}

static void slab_items(struct metric_samples *out)
{
	per_class(out, class_items);
}
METRIC(memcached_slab_current_items, METRIC_GAUGE, "items of each slab class", slab_items);

static uint64_t class_evictions(unsigned id)
{
	return class_stats[id].evictions;
}

static void slab_evictions(struct metric_samples *out)
{
	per_class(out, class_evictions);
}
METRIC(memcached_slab_items_evicted_total, METRIC_COUNTER, "items of each slab class that made room", slab_evictions);
