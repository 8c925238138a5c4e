/*
 * The sections of stats: slabs, items, sizes, conns.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "memory.h"
#include "report.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"

enum { NAME_MAX_BYTES = 64 };

/* "7:name" or "items:7:name". */
static void numbered(struct conn *c, const char *prefix, unsigned id, const char *name, uint64_t n)
{
	char full[NAME_MAX_BYTES];

	snprintf(full, sizeof(full), "%s%u:%s", prefix, id, name);
	stat_number(c, full, n);
}

static void show_slabs(struct conn *c)
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
		numbered(c, "", id, "get_hits", stats_class_hits(id));
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

static void segments_of_class(struct conn *c, unsigned id)
{
	numbered(c, "items:", id, "number_hot", lru_segment_length(id, LRU_HOT));
	numbered(c, "items:", id, "number_warm", lru_segment_length(id, LRU_WARM));
	numbered(c, "items:", id, "number_cold", lru_segment_length(id, LRU_COLD));
	if (settings.temp_lru)
		numbered(c, "items:", id, "number_temp", lru_segment_length(id, LRU_TEMP));
	numbered(c, "items:", id, "age_hot", lru_segment_age(id, LRU_HOT));
	numbered(c, "items:", id, "age_warm", lru_segment_age(id, LRU_WARM));
}

static void moves_of_class(struct conn *c, unsigned id, const struct class_stats *st)
{
	numbered(c, "items:", id, "moves_to_cold", st->moves_to_cold);
	numbered(c, "items:", id, "moves_to_warm", st->moves_to_warm);
	numbered(c, "items:", id, "moves_within_lru", st->moves_within_lru);
	numbered(c, "items:", id, "direct_reclaims", st->direct_reclaims);
	numbered(c, "items:", id, "hits_to_hot", stats_hits_to(id, LRU_HOT));
	numbered(c, "items:", id, "hits_to_warm", stats_hits_to(id, LRU_WARM));
	numbered(c, "items:", id, "hits_to_cold", stats_hits_to(id, LRU_COLD));
	numbered(c, "items:", id, "hits_to_temp", stats_hits_to(id, LRU_TEMP));
}

static void items_of_class(struct conn *c, unsigned id)
{
	const struct class_stats *st = &class_stats[id];

	numbered(c, "items:", id, "number", lru_length(id));
	if (settings.lru_maintainer)
		segments_of_class(c, id);
	numbered(c, "items:", id, "age", lru_segment_age(id, LRU_COLD));
	numbered(c, "items:", id, "mem_requested", lru_bytes(id));
	numbered(c, "items:", id, "evicted", st->evictions);
	numbered(c, "items:", id, "evicted_nonzero", st->evicted_nonzero);
	numbered(c, "items:", id, "evicted_time", st->evicted_time);
	numbered(c, "items:", id, "outofmemory", st->outofmemory);
	numbered(c, "items:", id, "tailrepairs", st->tailrepairs);
	numbered(c, "items:", id, "reclaimed", st->reclaimed);
	numbered(c, "items:", id, "expired_unfetched", st->expired_unfetched);
	numbered(c, "items:", id, "evicted_unfetched", st->evicted_unfetched);
	if (settings.lru_maintainer)
		numbered(c, "items:", id, "evicted_active", st->evicted_active);
	numbered(c, "items:", id, "crawler_reclaimed", st->crawler_reclaimed);
	numbered(c, "items:", id, "crawler_items_checked", st->crawler_items_checked);
	numbered(c, "items:", id, "lrutail_reflocked", st->lrutail_reflocked);
	if (settings.lru_maintainer)
		moves_of_class(c, id, st);
}

static void show_items(struct conn *c)
{
	for (unsigned id = 1; id <= slab_classes(); id++) {
		if (lru_length(id) > 0)
			items_of_class(c, id);
	}
}

static void show_size(struct conn *c, size_t bytes, uint32_t count)
{
	char name[NAME_MAX_BYTES];

	snprintf(name, sizeof(name), "%zu", bytes);
	stat_number(c, name, count);
}

static void show_sizes(struct conn *c)
{
	if (!lru_sizes_are_tracked())
		stat_line(c, "sizes_status", "%s", "disabled");
	for (size_t n = 0; n < lru_sizes_count(); n++) {
		if (lru_sizes_at(n) > 0)
			show_size(c, n * SIZES_STEP, lru_sizes_at(n));
	}
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
	case CONN_WATCH:
	case CONN_DUMP:
		return "conn_watch";
	case CONN_CLOSING:
		break;
	}
	return "conn_closing";
}

static void show_conns(struct conn *c)
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

bool stats_show(struct conn *c, const char *section, size_t len)
{
	static const struct {
		const char *name;
		void (*show)(struct conn *c);
	} sections[] = {
		{ "settings", stats_show_settings }, { "slabs", show_slabs }, { "items", show_items },
		{ "sizes", show_sizes }, { "conns", show_conns }, { "kiln", stats_show_kiln },
	};

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (word_is((struct word){ section, len }, sections[i].name)) {
			sections[i].show(c);
			return true;
		}
	}
	return false;
}
