/*
 * stats settings: what the options said and commands have changed since, in memcached's order. What
 * has no meaning here is shown as in a memcached that does not use it.
 */
#include <stdio.h>

#include "report.h"
#include "settings.h"
#include "slab.h"
#include "tls.h"

struct named {
	const char *name, *value;
};

static void stat_texts(struct conn *c, const struct named *list)
{
	for (; list->name; list++)
		stat_line(c, list->name, "%s", list->value);
}

static const char *yes(bool b)
{
	return b ? "yes" : "no";
}

static const char *port_text(int port, char *text, size_t size)
{
	snprintf(text, size, "%d", port);
	return text;
}

static void settings_server(struct conn *c)
{
	static const char *const protocols[] = {
		[PROTOCOL_AUTO] = "auto-negotiate", [PROTOCOL_ASCII] = "ascii",
		[PROTOCOL_BINARY] = "binary",
	};
	char port[12];

	stat_number(c, "maxbytes", settings.memory_limit);
	stat_number(c, "maxconns", settings.connections);
	stat_line(c, "tcpport", "%s", port_text(settings.port, port, sizeof(port)));
	stat_line(c, "udpport", "%s", port_text(settings.udp_port, port, sizeof(port)));
	stat_line(c, "inter", "%s", settings.listen ? settings.listen : "NULL");
	stat_number(c, "verbosity", settings.verbose);
	stat_number(c, "oldest", cache_flushed_until());
	stat_line(c, "evictions", "%s", settings.evict ? "on" : "off");
	stat_line(c, "domain_socket", "%s", "NULL");
	stat_line(c, "umask", "%s", "700");
	stat_line(c, "shutdown_command", "%s", yes(settings.shutdown_command));
	stat_line(c, "growth_factor", "%.2f", settings.factor);
	stat_number(c, "chunk_size", settings.chunk_size);
	stat_number(c, "num_threads", settings.threads);
	stat_number(c, "num_threads_per_udp", settings.threads);
	stat_line(c, "stat_key_prefix", "%c", settings.prefix_delimiter);
	stat_line(c, "detail_enabled", "%s", yes(settings.detail_enabled));
	stat_number(c, "reqs_per_event", settings.requests_per_event);
	stat_line(c, "cas_enabled", "%s", yes(settings.use_cas));
	stat_number(c, "tcp_backlog", settings.backlog);
	stat_line(c, "binding_protocol", "%s", protocols[settings.protocol]);
	stat_line(c, "auth_enabled_sasl", "%s", "no");
	stat_line(c, "auth_enabled_ascii", "%s", settings.auth_file ? settings.auth_file : "no");
	stat_number(c, "item_size_max", settings.item_size_max);
	stat_line(c, "maxconns_fast", "%s", yes(settings.refuse_fast));
}

static void settings_memory(struct conn *c)
{
	stat_number(c, "hashpower_init", settings.hash_power);
	stat_line(c, "slab_reassign", "%s", yes(settings.slab_reassign));
	stat_number(c, "slab_automove", settings.slab_automove);
	stat_line(c, "slab_automove_ratio", "%.2f", settings.slab_automove_ratio);
	stat_number(c, "slab_automove_window", settings.slab_automove_window);
	stat_number(c, "slab_chunk_max", settings.slab_chunk_max);
	stat_line(c, "lru_crawler", "%s", yes(settings.lru_crawler));
	stat_number(c, "lru_crawler_sleep", settings.lru_crawler_sleep);
	stat_number(c, "lru_crawler_tocrawl", settings.lru_crawler_tocrawl);
	stat_number(c, "tail_repair_time", settings.tail_repair_time);
}

static void settings_cache(struct conn *c)
{
	stat_line(c, "flush_enabled", "%s", yes(settings.flush_enabled));
	stat_line(c, "dump_enabled", "%s", yes(settings.dump_enabled));
	stat_line(c, "hash_algorithm", "%s",
		  settings.hash_algorithm ? settings.hash_algorithm : "keyed");
	stat_line(c, "lru_maintainer_thread", "%s", yes(settings.lru_maintainer));
	stat_line(c, "lru_segmented", "%s", yes(settings.lru_segmented));
	stat_number(c, "hot_lru_pct", settings.hot_lru_pct);
	stat_number(c, "warm_lru_pct", settings.warm_lru_pct);
	stat_line(c, "hot_max_factor", "%.2f", settings.hot_max_factor);
	stat_line(c, "warm_max_factor", "%.2f", settings.warm_max_factor);
	stat_line(c, "temp_lru", "%s", yes(settings.temp_lru));
	stat_number(c, "temporary_ttl", (uint32_t)settings.temporary_ttl);
	stat_number(c, "idle_timeout", settings.idle_timeout);
	stat_number(c, "watcher_logbuf_size", settings.watcher_buffer);
	stat_number(c, "worker_logbuf_size", settings.worker_buffer);
	stat_number(c, "read_buf_mem_limit", settings.read_buffers_max);
	stat_line(c, "track_sizes", "%s", yes(settings.track_sizes));
	stat_line(c, "inline_ascii_response", "%s", "no");
}

/* External storage and what else is not here: as in a memcached that does not use it. */
static void settings_absent(struct conn *c)
{
	static const struct named storage[] = {
		{ "ext_item_size", "512" }, { "ext_item_age", "4294967295" },
		{ "ext_low_ttl", "0" }, { "ext_recache_rate", "2000" },
		{ "ext_wbuf_size", "4194304" }, { "ext_compact_under", "0" },
		{ "ext_drop_under", "0" }, { "ext_max_sleep", "1000000" },
		{ "ext_max_frag", "0.80" }, { NULL, NULL },
	};

	stat_texts(c, storage);
	stat_line(c, "slab_automove_freeratio", "%.3f", settings.slab_automove_freeratio);
	stat_line(c, "ext_drop_unread", "%s", "no");
}

void stats_show_settings(struct conn *c)
{
	settings_server(c);
	settings_memory(c);
	settings_cache(c);
	settings_absent(c);
	tls_show_settings(c);
	stat_line(c, "proxy_enabled", "%s", "no");
	stat_line(c, "proxy_uring_enabled", "%s", "no");
	stat_line(c, "num_napi_ids", "%s", "(null)");
	stat_line(c, "memory_file", "%s", settings.memory_file ? settings.memory_file : "(null)");
	stat_number(c, "client_flags_size", sizeof(uint32_t));
}
