/*
 * The general section of stats: memcached's names in memcached's order. What has no meaning here
 * (event libraries, log workers) is reported as by a memcached in which nothing of it has happened.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "crawler.h"
#include "mover.h"
#include "report.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "table.h"
#include "tls.h"

#define COUNTER(c, name) stat_number(c, #name, stats.name)
#define SUM(c, name)     stat_number(c, #name, sum.name)

static void stats_process(struct conn *c)
{
	struct rusage usage = { 0 };

	getrusage(RUSAGE_SELF, &usage);
	stat_line(c, "pid", "%ld", (long)getpid());
	stat_number(c, "uptime", clock_now - CLOCK_LEAD);
	stat_line(c, "time", "%lld", (long long)clock_origin() + clock_now);
	stat_line(c, "version", "%s", MEMCACHED_VERSION);
	stat_line(c, "libevent", "%s", "none");
	stat_number(c, "pointer_size", 8 * sizeof(void *));
	stat_line(c, "rusage_user", "%ld.%06ld", (long)usage.ru_utime.tv_sec,
		  (long)usage.ru_utime.tv_usec);
	stat_line(c, "rusage_system", "%ld.%06ld", (long)usage.ru_stime.tv_sec,
		  (long)usage.ru_stime.tv_usec);
}

static void stats_connections(struct conn *c)
{
	stat_number(c, "max_connections", settings.connections);
	COUNTER(c, curr_connections);
	COUNTER(c, total_connections);
	if (settings.refuse_fast)
		COUNTER(c, rejected_connections);
	stat_number(c, "connection_structures", stats.connections_max);
	ZEROS(c, "response_obj_oom", "response_obj_count", "response_obj_bytes", "read_buf_count",
	      "read_buf_bytes", "read_buf_bytes_free", "read_buf_oom", "reserved_fds");
}

static void stats_commands(struct conn *c)
{
	struct class_stats sum = stats_sum();

	stat_number(c, "cmd_get", stats_get_hits() + stats.get_misses);
	SUM(c, cmd_set);
	COUNTER(c, cmd_flush);
	COUNTER(c, cmd_touch);
	COUNTER(c, cmd_meta);
	stat_number(c, "get_hits", stats_get_hits());
	COUNTER(c, get_misses);
	COUNTER(c, get_expired);
	COUNTER(c, get_flushed);
	COUNTER(c, delete_misses);
	SUM(c, delete_hits);
	COUNTER(c, incr_misses);
	SUM(c, incr_hits);
	COUNTER(c, decr_misses);
	SUM(c, decr_hits);
	COUNTER(c, cas_misses);
	SUM(c, cas_hits);
	SUM(c, cas_badval);
	SUM(c, touch_hits);
	COUNTER(c, touch_misses);
	COUNTER(c, store_too_large);
	COUNTER(c, store_no_memory);
	COUNTER(c, auth_cmds);
	COUNTER(c, auth_errors);
	if (settings.idle_timeout)
		COUNTER(c, idle_kicks);
}

static void stats_mover(struct conn *c)
{
	COUNTER(c, slab_reassign_rescues);
	COUNTER(c, slab_reassign_chunk_rescues);
	COUNTER(c, slab_reassign_inline_reclaim);
	COUNTER(c, slab_reassign_busy_items);
	COUNTER(c, slab_reassign_busy_deletes);
	COUNTER(c, slab_reassign_busy_nomem);
	stat_number(c, "slab_reassign_running", mover_is_running());
	COUNTER(c, slabs_moved);
}

static void stats_server(struct conn *c)
{
	struct stream_stats net;

	stream_loop_stats(conn_loop(), &net);
	stat_number(c, "bytes_read", net.bytes_in);
	stat_number(c, "bytes_written", net.bytes_out);
	stat_number(c, "limit_maxbytes", settings.memory_limit);
	stat_number(c, "accepting_conns", !stats.listen_is_paused);
	COUNTER(c, listen_disabled_num);
	stat_number(c, "time_in_listen_disabled_us", 0);
	stat_number(c, "threads", settings.threads);
	COUNTER(c, conn_yields);
	stat_number(c, "hash_power_level", table_power());
	stat_number(c, "hash_bytes", table_bytes());
	stat_number(c, "hash_is_expanding", 0);
	if (settings.slab_reassign)
		stats_mover(c);
	if (settings.lru_crawler) {
		stat_number(c, "lru_crawler_running", crawler_is_running());
		COUNTER(c, lru_crawler_starts);
	}
	if (settings.lru_maintainer)
		COUNTER(c, lru_maintainer_juggles);
	ZEROS(c, "malloc_fails", "log_worker_dropped");
	COUNTER(c, log_worker_written);
	COUNTER(c, log_watcher_skipped);
	COUNTER(c, log_watcher_sent);
	COUNTER(c, log_watchers);
	tls_show_stats(c);
	ZEROS(c, "unexpected_napi_ids", "round_robin_fallback");
}

static void stats_items(struct conn *c)
{
	struct class_stats sum = stats_sum();

	stat_number(c, "bytes", lru_bytes_all());
	stat_number(c, "curr_items", table_items());
	COUNTER(c, total_items);
	stat_number(c, "slab_global_page_pool", slab_pages_pooled());
	SUM(c, expired_unfetched);
	SUM(c, evicted_unfetched);
	if (settings.lru_maintainer)
		SUM(c, evicted_active);
	SUM(c, evictions);
	SUM(c, reclaimed);
	SUM(c, crawler_reclaimed);
	SUM(c, crawler_items_checked);
	SUM(c, lrutail_reflocked);
	if (!settings.lru_maintainer)
		return;
	SUM(c, moves_to_cold);
	SUM(c, moves_to_warm);
	SUM(c, moves_within_lru);
	SUM(c, direct_reclaims);
	ZEROS(c, "lru_bumps_dropped");
}

void stats_show_general(struct conn *c)
{
	stats_process(c);
	stats_connections(c);
	stats_commands(c);
	stats_server(c);
	stats_items(c);
}
