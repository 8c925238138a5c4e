/*
 * The crawler.
 *
 * A crawl goes through some lists, each with a cursor of its own that lru.c keeps in place, from
 * the old end on; some items of each list in turn, so that short lists are not kept waiting by long
 * ones. What a crawl finds out about lifetimes is what the next crawl of its list is timed by, as
 * in memcached: each list has a wait, from five seconds to an hour. When few of the items that
 * expire at all will have done so soon, it waits a minute longer the next time, else a minute less.
 *
 * A dump uses the same cursors one list after the other, or a walk through the hash table.
 */
#include "crawler.h"

#include <stdlib.h>

#include "cache.h"
#include "lru.h"
#include "maintainer.h"
#include "number.h"
#include "reclaim.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "table.h"
#include "watch.h"

enum {
	MINUTES = 60,              /* of lifetimes that are told apart */
	WAIT_MIN = 5, WAIT_MAX = 3600,
	AFTER_BUSY = 60,           /* no crawl of our own for so long after a client was refused */
	LISTS = (SLAB_CLASSES_MAX + 1) * LRU_SEGMENTS,
	IN_TURN = 16,              /* items of one list before the next one's turn */
	DUMP_STEP = 16,            /* items or buckets */
};

enum list_state { LIST_IDLE, LIST_CRAWLED };

struct crawled_list {
	struct lru_cursor cursor;
	enum list_state state;
	uint64_t left;             /* items still to be looked at; UINT64_MAX: to the end */
	uint64_t seen, expiring, reclaimed; /* of the crawl that runs, or ran last */
	reltime_t started;
	uint32_t ends_in[MINUTES]; /* how many of the expiring have so many minutes to live */
	reltime_t next;            /* when it is crawled again, by itself */
	reltime_t wait;
};

static struct crawled_list *lists[LISTS];  /* made when the list is first crawled */
static unsigned running;                   /* lists being crawled */
static bool by_itself;                     /* nobody asked for this crawl */
static reltime_t quiet_until;

static struct {
	bool running, by_hash;
	uint8_t wanted[LISTS];
	unsigned list;             /* being walked: LISTS is the end */
	bool open;
	uint64_t left;
	struct lru_cursor cursor;
	struct table_walk table;
} dump;

static unsigned class_of(unsigned list)
{
	return list / LRU_SEGMENTS;
}

static enum lru_segment segment_of(unsigned list)
{
	return (enum lru_segment)(list % LRU_SEGMENTS);
}

bool crawler_is_running(void)
{
	return running > 0;
}

bool crawler_enable(void)
{
	if (settings.lru_crawler)
		return false;
	settings.lru_crawler = true;
	maintainer_wake();
	return true;
}

static struct crawled_list *list_at(unsigned list)
{
	if (!lists[list])
		lists[list] = calloc(1, sizeof(*lists[list]));
	return lists[list];
}

static void list_start(unsigned list, uint64_t limit)
{
	struct crawled_list *l;

	if (lru_segment_length(class_of(list), segment_of(list)) == 0)
		return;
	l = list_at(list);
	if (!l || l->state == LIST_CRAWLED)
		return;
	l->state = LIST_CRAWLED;
	l->left = limit ? limit : UINT64_MAX;
	l->seen = l->expiring = l->reclaimed = 0;
	l->started = clock_now;
	memset(l->ends_in, 0, sizeof(l->ends_in));
	lru_cursor_open(&l->cursor, class_of(list), segment_of(list));
	running++;
}

static void list_tell(const struct crawled_list *l, unsigned list, uint64_t enough, uint64_t soon)
{
	watch_crawled(&(struct watch_crawl){
		.class = class_of(list), .segment = segment_of(list), .enough = enough,
		.soon = soon, .next = l->next - clock_now, .took = clock_now - l->started,
		.seen = l->seen, .reclaimed = l->reclaimed,
	});
}

/* When to look again, from what this crawl has seen. */
static void list_schedule(struct crawled_list *l, unsigned list)
{
	uint64_t enough = l->expiring / 100 + 1, soon = 0;

	for (unsigned m = 0; m < MINUTES && soon <= enough; m++) {
		soon += l->ends_in[m];
		if (soon <= enough)
			continue;
		if (l->wait < m * 60)
			l->wait += 60;
		else if (l->wait >= 60)
			l->wait -= 60;
	}
	if (soon == 0)
		l->wait += 60;
	if (l->wait > WAIT_MAX)
		l->wait = WAIT_MAX;
	l->next = clock_now + l->wait + WAIT_MIN;
	if (watched(WATCH_SYSTEM))
		list_tell(l, list, enough, soon);
}

static void list_done(unsigned list)
{
	struct crawled_list *l = lists[list];

	lru_cursor_close(&l->cursor);
	l->state = LIST_IDLE;
	running--;
	list_schedule(l, list);
}

bool crawler_disable(void)
{
	if (!settings.lru_crawler)
		return false;
	settings.lru_crawler = false;
	for (unsigned i = 0; i < LISTS; i++) {
		if (lists[i] && lists[i]->state == LIST_CRAWLED)
			list_done(i);
	}
	return true;
}

/* Which lists "all" or "1,2,3" means. */
static bool classes_parse(const char *text, size_t len, uint8_t *wanted)
{
	const char *end = text + len, *comma;

	memset(wanted, 0, LISTS);
	if (len == 3 && memcmp(text, "all", 3) == 0) {
		memset(wanted + LRU_SEGMENTS, 1, LISTS - LRU_SEGMENTS);
		return true;
	}
	for (; text < end; text = comma + 1) {
		uint32_t class;

		comma = memchr(text, ',', (size_t)(end - text));
		if (!comma)
			comma = end;
		if (comma == text)
			continue;
		if (!number_parse_u32(text, (size_t)(comma - text), &class) || class < 1 ||
		    class > SLAB_CLASSES_MAX)
			return false;
		memset(wanted + class * LRU_SEGMENTS, 1, LRU_SEGMENTS);
	}
	return true;
}

static bool is_hash(const char *classes, size_t len)
{
	return len == 4 && memcmp(classes, "hash", 4) == 0;
}

/* As in memcached, a wish for lists that are empty is a crawl, too. */
static bool any(const uint8_t *wanted)
{
	return memchr(wanted, 1, LISTS) != NULL;
}

/* Something else is going on, and a client was told so: it will want to come next. */
static enum crawl_result busy(void)
{
	quiet_until = clock_now + AFTER_BUSY;
	return CRAWL_RUNNING;
}

enum crawl_result crawler_crawl(const char *classes, size_t len)
{
	uint8_t wanted[LISTS];

	if (is_hash(classes, len))
		return CRAWL_ERROR;
	if (!classes_parse(classes, len, wanted))
		return CRAWL_BAD_CLASS;
	if (running > 0 || dump.running)
		return busy();
	if (!any(wanted))
		return CRAWL_NOT_STARTED;
	by_itself = false;
	for (unsigned i = 0; i < LISTS; i++) {
		if (wanted[i])
			list_start(i, settings.lru_crawler_tocrawl);
	}
	stats.lru_crawler_starts++;
	maintainer_wake();
	return CRAWL_OK;
}

static void item_crawl(struct crawled_list *l, struct item *it)
{
	struct class_stats *st = stats_of(it);
	uint32_t minute;

	st->crawler_items_checked++;
	if (cache_is_dead(it)) {
		st->crawler_reclaimed++;
		l->reclaimed++;
		st->expired_unfetched += !(it->flags & ITEM_FETCHED);
		cache_unlink(it);
		return;
	}
	l->seen++;
	if (it->expires == 0)
		return;
	l->expiring++;
	minute = (it->expires - clock_now) / 60;
	if (minute < MINUTES)
		l->ends_in[minute]++;
}

/* One item of the list. */
static void list_step(unsigned list)
{
	struct crawled_list *l = lists[list];
	struct item *it = l->left > 0 ? lru_cursor_next(&l->cursor) : NULL;

	if (!it) {
		list_done(list);
		return;
	}
	l->left--;
	if (it->holds == 0)
		item_crawl(l, it);
}

bool crawler_step(unsigned items)
{
	while (running > 0 && items > 0) {
		for (unsigned i = LRU_SEGMENTS; i < LISTS && items > 0; i++) {
			if (!lists[i] || lists[i]->state != LIST_CRAWLED)
				continue;
			for (int n = 0; n < IN_TURN && items > 0 && lists[i]->state == LIST_CRAWLED;
			     n++, items--)
				list_step(i);
		}
	}
	return running > 0;
}

void crawler_second(void)
{
	bool started = false;

	if (!settings.lru_crawler || !settings.lru_maintainer || clock_now < quiet_until)
		return;
	if (dump.running || (running > 0 && !by_itself))
		return;
	for (unsigned i = LRU_SEGMENTS; i < LISTS; i++) {
		if (lru_segment_length(class_of(i), segment_of(i)) == 0 ||
		    (lists[i] && clock_now <= lists[i]->next))
			continue;
		list_start(i, settings.lru_crawler_tocrawl);
		started = true;
	}
	if (!started)
		return;
	by_itself = true;
	stats.lru_crawler_starts++;
}

/* ---- dumps ---- */

enum crawl_result walk_start(const char *classes, size_t len)
{
	uint8_t wanted[LISTS];

	if (!is_hash(classes, len) && !classes_parse(classes, len, wanted))
		return CRAWL_BAD_CLASS;
	if (dump.running || running > 0)
		return busy();
	dump.by_hash = is_hash(classes, len);
	if (!dump.by_hash && !any(wanted))
		return CRAWL_NOT_STARTED;
	memcpy(dump.wanted, wanted, sizeof(dump.wanted));
	stats.lru_crawler_starts++;
	dump.running = true;
	dump.open = false;
	dump.list = 0;
	table_walk_start(&dump.table);
	return CRAWL_OK;
}

/* The cursor on the next list that is wanted and not empty. */
static bool dump_next_list(void)
{
	for (; dump.list < LISTS; dump.list++) {
		dump.left = lru_segment_length(class_of(dump.list), segment_of(dump.list));
		if (dump.wanted[dump.list] && dump.left > 0) {
			lru_cursor_open(&dump.cursor, class_of(dump.list), segment_of(dump.list));
			dump.open = true;
			return true;
		}
	}
	return false;
}

static void dump_close_list(void)
{
	lru_cursor_close(&dump.cursor);
	dump.open = false;
	dump.list++;
}

/* What the caller wants to be called for, without the dead. */
struct live {
	void (*each)(const struct item *it, void *arg);
	void *arg;
};

static void each_live(const struct item *it, void *arg)
{
	const struct live *l = arg;

	if (!cache_is_dead(it))
		l->each(it, l->arg);
}

bool walk_step(void (*each)(const struct item *it, void *arg), void *arg)
{
	struct live live = { each, arg };

	for (int i = 0; i < DUMP_STEP; i++) {
		struct item *it;

		if (dump.by_hash) {
			if (!table_walk_step(&dump.table, each_live, &live))
				return false;
			continue;
		}
		if (!dump.open && !dump_next_list())
			return false;
		it = dump.left > 0 ? lru_cursor_next(&dump.cursor) : NULL;
		if (!it) {
			dump_close_list();
			continue;
		}
		dump.left--;
		each_live(it, &live);
	}
	return true;
}

void walk_end(void)
{
	if (dump.open)
		dump_close_list();
	dump.running = false;
}
