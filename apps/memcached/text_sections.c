/*
 * The sections of stats: settings, slabs, items, sizes, conns.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "memory.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "text_stats.h"

enum { NAME_MAX_BYTES = 64 };

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
		[PROTOCOL_AUTO] = "auto-negotiate", [PROTOCOL_ASCII] = "ascii", [PROTOCOL_BINARY] = "binary",
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
	stat_line(c, "hash_algorithm", "%s", settings.hash_algorithm ? settings.hash_algorithm : "keyed");
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
		{ "ext_item_size", "512" }, { "ext_item_age", "4294967295" }, { "ext_low_ttl", "0" },
		{ "ext_recache_rate", "2000" }, { "ext_wbuf_size", "4194304" }, { "ext_compact_under", "0" },
		{ "ext_drop_under", "0" }, { "ext_max_sleep", "1000000" }, { "ext_max_frag", "0.80" },
		{ NULL, NULL },
	};

	stat_texts(c, storage);
	stat_line(c, "slab_automove_freeratio", "%.3f", settings.slab_automove_freeratio);
	stat_line(c, "ext_drop_unread", "%s", "no");
}

static void settings_tls(struct conn *c)
{
	static const struct named none[] = {
		{ "ssl_enabled", "no" }, { "ssl_chain_cert", "(null)" }, { "ssl_key", "(null)" },
		{ "ssl_verify_mode", "0" }, { "ssl_keyformat", "1" }, { "ssl_ciphers", "NULL" },
		{ "ssl_ca_cert", "NULL" }, { "ssl_wbuf_size", "16384" }, { "ssl_session_cache", "no" },
		{ "ssl_kernel_tls", "no" }, { "ssl_min_version", "tlsv1.2" }, { NULL, NULL },
	};

	stat_texts(c, none);
}

void stats_show_settings(struct conn *c)
{
	settings_server(c);
	settings_memory(c);
	settings_cache(c);
	settings_absent(c);
	settings_tls(c);
	stat_line(c, "proxy_enabled", "%s", "no");
	stat_line(c, "proxy_uring_enabled", "%s", "no");
	stat_line(c, "num_napi_ids", "%s", "(null)");
	stat_line(c, "memory_file", "%s", settings.memory_file ? settings.memory_file : "(null)");
	stat_number(c, "client_flags_size", sizeof(uint32_t));
}

/* "7:name" or "items:7:name". */
static void numbered(struct conn *c, const char *prefix, unsigned id, const char *name, uint64_t n)
{
	char full[NAME_MAX_BYTES];

	snprintf(full, sizeof(full), "%s%u:%s", prefix, id, name);
	stat_number(c, full, n);
}

void stats_show_slabs(struct conn *c)
{
	unsigned active = 0;

	for (unsigned id = 1; id <= slab_classes(); id++) {
		const struct class_stats *st = &class_stats[id];
		size_t chunks = (size_t)slab_pages_of(id) * slab_chunks_per_page(id);

		if (slab_pages_of(id) == 0)
			continue;
		active++;
		numbered(c, "", id, "chunk_size", slab_chunk_bytes(id));
		numbered(c, "", id, "chunks_per_page", slab_chunks_per_page(id));
		numbered(c, "", id, "total_pages", slab_pages_of(id));
		numbered(c, "", id, "total_chunks", chunks);
		numbered(c, "", id, "used_chunks", slab_chunks_used(id));
		numbered(c, "", id, "free_chunks", chunks - slab_chunks_used(id));
		numbered(c, "", id, "free_chunks_end", 0);
		numbered(c, "", id, "get_hits", st->get_hits);
		numbered(c, "", id, "cmd_set", st->cmd_set);
		numbered(c, "", id, "delete_hits", st->delete_hits);
		numbered(c, "", id, "incr_hits", st->incr_hits);
		numbered(c, "", id, "decr_hits", st->decr_hits);
		numbered(c, "", id, "cas_hits", st->cas_hits);
		numbered(c, "", id, "cas_badval", st->cas_badval);
		numbered(c, "", id, "touch_hits", st->touch_hits);
	}
	stat_number(c, "active_slabs", active);
	stat_number(c, "total_malloced", (uint64_t)memory_pages() * memory_page_bytes());
}

/* There is one list, which stands where memcached's cold one does. */
static void items_of_class(struct conn *c, unsigned id)
{
	const struct class_stats *st = &class_stats[id];

	numbered(c, "items:", id, "number", lru_length(id));
	numbered(c, "items:", id, "number_hot", 0);
	numbered(c, "items:", id, "number_warm", 0);
	numbered(c, "items:", id, "number_cold", lru_length(id));
	numbered(c, "items:", id, "age_hot", 0);
	numbered(c, "items:", id, "age_warm", 0);
	numbered(c, "items:", id, "age", clock_now - lru_oldest(id)->last_used);
	numbered(c, "items:", id, "mem_requested", lru_bytes(id));
	numbered(c, "items:", id, "evicted", st->evictions);
	numbered(c, "items:", id, "evicted_nonzero", st->evicted_nonzero);
	numbered(c, "items:", id, "evicted_time", st->evicted_time);
	numbered(c, "items:", id, "outofmemory", st->outofmemory);
	numbered(c, "items:", id, "tailrepairs", 0);
	numbered(c, "items:", id, "reclaimed", st->reclaimed);
	numbered(c, "items:", id, "expired_unfetched", st->expired_unfetched);
	numbered(c, "items:", id, "evicted_unfetched", st->evicted_unfetched);
	numbered(c, "items:", id, "evicted_active", st->evicted_active);
	numbered(c, "items:", id, "crawler_reclaimed", 0);
	numbered(c, "items:", id, "crawler_items_checked", 0);
	numbered(c, "items:", id, "lrutail_reflocked", st->lrutail_reflocked);
	numbered(c, "items:", id, "moves_to_cold", 0);
	numbered(c, "items:", id, "moves_to_warm", 0);
	numbered(c, "items:", id, "moves_within_lru", 0);
	numbered(c, "items:", id, "direct_reclaims", 0);
	numbered(c, "items:", id, "hits_to_hot", 0);
	numbered(c, "items:", id, "hits_to_warm", 0);
	numbered(c, "items:", id, "hits_to_cold", st->get_hits);
	numbered(c, "items:", id, "hits_to_temp", 0);
}

void stats_show_items(struct conn *c)
{
	for (unsigned id = 1; id <= slab_classes(); id++) {
		if (lru_length(id) > 0)
			items_of_class(c, id);
	}
}

void stats_show_sizes(struct conn *c)
{
	stat_line(c, "sizes_status", "%s", "disabled");
}

/* "tcp:127.0.0.1:11211" or "tcp6:[::1]:11211". */
static void stat_address(struct conn *c, const char *name, const struct sockaddr_storage *addr)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *four = (const struct sockaddr_in *)addr;
	char text[INET6_ADDRSTRLEN] = "";

	if (addr->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
		stat_line(c, name, "tcp6:[%s]:%u", text, ntohs(six->sin6_port));
	} else {
		inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text));
		stat_line(c, name, "tcp:%s:%u", text, ntohs(four->sin_port));
	}
}

static const char *state_name(const struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_COMMAND:
		return "conn_read";
	case CONN_KEYS:
		return "conn_parse_cmd";
	case CONN_VALUE:
		return "conn_nread";
	case CONN_SWALLOW:
	case CONN_SWALLOW_LINE:
		return "conn_swallow";
	case CONN_CLOSING:
		break;
	}
	return "conn_closing";
}

void stats_show_conns(struct conn *c)
{
	for (const struct conn *it = conn_first(); it && c->state != CONN_CLOSING; it = it->next) {
		struct sockaddr_storage addr;
		socklen_t len;
		char name[NAME_MAX_BYTES];
		int id = stream_id(it->stream);

		snprintf(name, sizeof(name), "%d:addr", id);
		if (stream_peer_address(it->stream, &addr, &len) == 0)
			stat_address(c, name, &addr);
		snprintf(name, sizeof(name), "%d:listen_addr", id);
		if (stream_local_address(it->stream, &addr, &len) == 0)
			stat_address(c, name, &addr);
		snprintf(name, sizeof(name), "%d:state", id);
		stat_line(c, name, "%s", it == c ? "conn_parse_cmd" : state_name(it));
		snprintf(name, sizeof(name), "%d:secs_since_last_cmd", id);
		stat_number(c, name, clock_now - it->last_command);
	}
}
