/*
 * The sections of stats: slabs, items, sizes, conns.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>

#include "listen.h"
#include "memory.h"
#include "report.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"

enum { NAME_MAX_BYTES = 64, SEGMENT_NAME_BYTES = 24 };

/* "7:name" or "items:7:name". */
static void numbered(struct conn *c, const char *prefix, unsigned id, const char *name, uint64_t n)
{
	char full[NAME_MAX_BYTES];

	snprintf(full, sizeof(full), "%s%u:%s", prefix, id, name);
	stat_number(c, full, n);
}

/* A counter of struct class_stats and its name in `stats`. */
struct counter {
	const char *name;
	size_t offset;
};
#define CLASS_COUNTER(name) { #name, offsetof(struct class_stats, name) }

static void class_counters(struct conn *c, const char *prefix, unsigned id,
			   const struct counter *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		numbered(c, prefix, id, list[i].name,
			 *(const uint64_t *)((const char *)&class_stats[id] + list[i].offset));
}

static void slabs_of_class(struct conn *c, unsigned id)
{
	static const struct counter list[] = {
		CLASS_COUNTER(cmd_set), CLASS_COUNTER(delete_hits), CLASS_COUNTER(incr_hits),
		CLASS_COUNTER(decr_hits), CLASS_COUNTER(cas_hits), CLASS_COUNTER(cas_badval),
		CLASS_COUNTER(touch_hits),
	};
	size_t chunks = (size_t)slab_pages_of(id) * slab_chunks_per_page(id);

	numbered(c, "", id, "chunk_size", slab_chunk_bytes(id));
	numbered(c, "", id, "chunks_per_page", slab_chunks_per_page(id));
	numbered(c, "", id, "total_pages", slab_pages_of(id));
	numbered(c, "", id, "total_chunks", chunks);
	numbered(c, "", id, "used_chunks", slab_chunks_used(id));
	numbered(c, "", id, "free_chunks", chunks - slab_chunks_used(id));
	numbered(c, "", id, "free_chunks_end", 0);
	numbered(c, "", id, "get_hits", stats_class_hits(id));
	class_counters(c, "", id, list, sizeof(list) / sizeof(list[0]));
}

static void show_slabs(struct conn *c)
{
	unsigned active = 0;

	for (unsigned id = 1; id <= slab_classes(); id++) {
		if (slab_pages_of(id) == 0)
			continue;
		active++;
		slabs_of_class(c, id);
	}
	stat_number(c, "active_slabs", active);
	stat_number(c, "total_malloced", (uint64_t)memory_pages() * memory_page_bytes());
}

/* One number of each list of the class that there is: "number_hot" and so on. */
static void per_segment(struct conn *c, unsigned id, const char *name, unsigned segments,
			uint64_t (*read)(unsigned id, enum lru_segment segment))
{
	static const struct {
		enum lru_segment segment;
		const char *name;
	} list[] = {
		{ LRU_HOT, "hot" }, { LRU_WARM, "warm" }, { LRU_COLD, "cold" }, { LRU_TEMP, "temp" }
	};
	char full[SEGMENT_NAME_BYTES];

	for (unsigned i = 0; i < segments; i++) {
		snprintf(full, sizeof(full), "%s_%s", name, list[i].name);
		numbered(c, "items:", id, full, read(id, list[i].segment));
	}
}

static uint64_t segment_length(unsigned id, enum lru_segment segment)
{
	return lru_segment_length(id, segment);
}

static uint64_t segment_age(unsigned id, enum lru_segment segment)
{
	return lru_segment_age(id, segment);
}

static void items_of_class(struct conn *c, unsigned id)
{
	static const struct counter evictions[] = {
		{ "evicted", offsetof(struct class_stats, evictions) },
		CLASS_COUNTER(evicted_nonzero), CLASS_COUNTER(evicted_time),
		CLASS_COUNTER(outofmemory), CLASS_COUNTER(tailrepairs), CLASS_COUNTER(reclaimed),
		CLASS_COUNTER(expired_unfetched), CLASS_COUNTER(evicted_unfetched),
	}, active[] = { CLASS_COUNTER(evicted_active) }, crawls[] = {
		CLASS_COUNTER(crawler_reclaimed), CLASS_COUNTER(crawler_items_checked),
		CLASS_COUNTER(lrutail_reflocked),
	}, moves[] = {
		CLASS_COUNTER(moves_to_cold), CLASS_COUNTER(moves_to_warm),
		CLASS_COUNTER(moves_within_lru), CLASS_COUNTER(direct_reclaims),
	};
	bool segmented = settings.lru_maintainer;

	numbered(c, "items:", id, "number", lru_length(id));
	if (segmented) {
		per_segment(c, id, "number", settings.temp_lru ? 4 : 3, segment_length);
		per_segment(c, id, "age", 2, segment_age);
	}
	numbered(c, "items:", id, "age", lru_segment_age(id, LRU_COLD));
	numbered(c, "items:", id, "mem_requested", lru_bytes(id));
	class_counters(c, "items:", id, evictions, sizeof(evictions) / sizeof(evictions[0]));
	class_counters(c, "items:", id, active, segmented);
	class_counters(c, "items:", id, crawls, sizeof(crawls) / sizeof(crawls[0]));
	class_counters(c, "items:", id, moves, segmented ? sizeof(moves) / sizeof(moves[0]) : 0);
	if (segmented)
		per_segment(c, id, "hits_to", 4, stats_hits_to);
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
static void stat_address(struct conn *c, const char *name, const char *kind,
			 const struct sockaddr_storage *addr)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *four = (const struct sockaddr_in *)addr;
	char text[INET6_ADDRSTRLEN] = "";

	if (addr->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
		stat_line(c, name, "%s6:[%s]:%u", kind, text, ntohs(six->sin6_port));
	} else {
		inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text));
		stat_line(c, name, "%s:%s:%u", kind, text, ntohs(four->sin_port));
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

static void show_listener(struct conn *c, const struct listen_place *at)
{
	char name[NAME_MAX_BYTES];

	snprintf(name, sizeof(name), "%d:UDP", at->id);
	if (at->is_udp)
		stat_line(c, name, "%s", "UDP");
	snprintf(name, sizeof(name), "%d:addr", at->id);
	stat_address(c, name, at->is_udp ? "udp" : "tcp", &at->address);
	snprintf(name, sizeof(name), "%d:state", at->id);
	stat_line(c, name, "%s", at->is_udp ? "conn_read" : "conn_listening");
	snprintf(name, sizeof(name), "%d:secs_since_last_cmd", at->id);
	stat_number(c, name, clock_now - CLOCK_LEAD);
}

static void show_conns(struct conn *c)
{
	struct listen_place at;

	for (unsigned n = 0; listen_place(n, &at); n++)
		show_listener(c, &at);
	for (const struct conn *it = conn_first(); it && c->state != CONN_CLOSING; it = it->next) {
		struct sockaddr_storage addr;
		socklen_t len;
		char name[NAME_MAX_BYTES];
		int id = stream_id(it->stream);

		snprintf(name, sizeof(name), "%d:addr", id);
		if (stream_peer_address(it->stream, &addr, &len) == 0)
			stat_address(c, name, "tcp", &addr);
		snprintf(name, sizeof(name), "%d:listen_addr", id);
		if (stream_local_address(it->stream, &addr, &len) == 0)
			stat_address(c, name, "tcp", &addr);
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
		{ "settings", stats_show_settings }, { "slabs", show_slabs },
		{ "items", show_items }, { "sizes", show_sizes }, { "conns", show_conns },
		{ "kiln", stats_show_kiln },
	};

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (word_is((struct word){ section, len }, sections[i].name)) {
			sections[i].show(c);
			return true;
		}
	}
	return false;
}
