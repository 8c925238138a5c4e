/*
 * stats, the command: which section, and what else begins with this word.
 */
#include <stdio.h>

#include "lru.h"
#include "number.h"
#include "prefix.h"
#include "report.h"
#include "slab.h"
#include "stats.h"

enum { DUMP_MAX = 2 << 20 };       /* bytes of a cachedump */

static void reset(struct conn *c)
{
	stats_reset();
	prefix_clear();
	conn_reply(c, "RESET\r\n");
}

static void detail(struct conn *c, const struct words *w)
{
	struct word what = w->count > 2 ? w->word[2] : (struct word){ "", 0 };

	if (!settings.dump_enabled) {
		conn_reply(c, "CLIENT_ERROR stats detail not allowed\r\n");
	} else if (word_is(what, "on") || word_is(what, "off")) {
		settings.detail_enabled = what.len == 2;
		conn_reply(c, "OK\r\n");
	} else if (word_is(what, "dump")) {
		prefix_each(conn_reply, c);
		conn_reply(c, "END\r\n");
	} else {
		conn_reply(c, "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
	}
}

/* One line of a cachedump. Returns its length. */
static size_t dump_item(struct conn *c, const struct item *it)
{
	char line[KEY_MAX + 80];
	int n = snprintf(line, sizeof(line), "ITEM %.*s [%u b; %llu s]\r\n", it->key_len,
			 item_key(it), it->value_len - 2,
			 it->expires ? (unsigned long long)(clock_origin() + it->expires) : 0);

	conn_reply(c, line);
	return (size_t)n;
}

static void dump_class(struct conn *c, unsigned class, uint32_t limit)
{
	size_t bytes = 0;
	uint32_t shown = 0;

	for (unsigned segment = 0; segment < LRU_SEGMENTS; segment++) {
		const struct item *it = lru_oldest(class, (enum lru_segment)segment);

		for (; it && bytes < DUMP_MAX && (limit == 0 || shown < limit); it = it->newer) {
			if (cache_is_dead(it) || it->flags & ITEM_KEY_BINARY)
				continue;
			bytes += dump_item(c, it);
			shown++;
		}
	}
}

static void cachedump(struct conn *c, const struct words *w)
{
	uint32_t class, limit;

	if (!settings.dump_enabled) {
		conn_reply(c, "CLIENT_ERROR stats cachedump not allowed\r\n");
	} else if (w->count < 4) {
		conn_reply(c, "CLIENT_ERROR bad command line\r\n");
	} else if (!number_parse_u32(w->word[2].text, w->word[2].len, &class) ||
		   !number_parse_u32(w->word[3].text, w->word[3].len, &limit)) {
		conn_reply(c, "CLIENT_ERROR bad command line format\r\n");
	} else if (class > SLAB_CLASSES_MAX) {
		conn_reply(c, "CLIENT_ERROR Illegal slab id\r\n");
	} else {
		if (class >= 1 && class <= slab_classes())
			dump_class(c, class, limit);
		conn_reply(c, "END\r\n");
	}
}

void text_stats(struct conn *c, struct words *w)
{
	struct word name = w->word[1];

	if (w->count == 1) {
		stats_show_general(c);
		stat_end(c);
	} else if (word_is(name, "reset")) {
		reset(c);
	} else if (word_is(name, "detail")) {
		detail(c, w);
	} else if (word_is(name, "cachedump")) {
		cachedump(c, w);
	} else if (stats_show(c, name.text, name.len)) {
		stat_end(c);
	} else {
		conn_reply(c, "ERROR\r\n");
	}
}
