/*
 * Commands about where items lie and how long they stay: slabs, lru, lru_crawler, cache_memlimit.
 */
#include <stdlib.h>

#include "crawler.h"
#include "dump.h"
#include "mover.h"
#include "number.h"
#include "settings.h"
#include "storage.h"
#include "text.h"

enum {
	MIB = 1024 * 1024,
	MEMLIMIT_MIN = 8, MEMLIMIT_MAX = 1000000000,   /* MiB */
	SHARES_MAX = 80,                               /* percent, of HOT and WARM together */
	SLEEP_MAX = 1000000,                           /* microseconds */
	DECIMAL_MAX = 32,                              /* digits of a number with a point */
};

static const char OK_LINE[] = "OK\r\n", ERROR_LINE[] = "ERROR\r\n";
static const char BAD_FORMAT[] = "CLIENT_ERROR bad command line format\r\n";

static bool parse_u32(struct word w, uint32_t *out)
{
	return number_parse_u32(w.text, w.len, out);
}

/* A number with a point. */
static bool parse_decimal(struct word w, double *out)
{
	char text[DECIMAL_MAX], *end;

	if (w.len == 0 || w.len >= sizeof(text))
		return false;
	memcpy(text, w.text, w.len);
	text[w.len] = '\0';
	*out = strtod(text, &end);
	return *end == '\0' && *out == *out;
}

/* ---- slabs ---- */

static const char *reassign(const struct words *w)
{
	static const char *const answers[] = {
		[REASSIGN_OK] = OK_LINE,
		[REASSIGN_RUNNING] = "BUSY currently processing reassign request\r\n",
		[REASSIGN_BAD_CLASS] = "BADCLASS invalid src or dst class id\r\n",
		[REASSIGN_NO_SPARE] = "NOSPARE source class has no spare pages\r\n",
		[REASSIGN_SAME] = "SAME src and dst class are identical\r\n",
	};
	int32_t from, to;

	if (!settings.slab_reassign)
		return "CLIENT_ERROR slab reassignment disabled\r\n";
	if (!number_parse_i32(w->word[2].text, w->word[2].len, &from) ||
	    !number_parse_i32(w->word[3].text, w->word[3].len, &to))
		return BAD_FORMAT;
	return answers[mover_reassign(from, to)];
}

static const char *automove_ratio(const struct words *w, double *setting)
{
	return w->count > 3 && parse_decimal(w->word[3], setting) ? OK_LINE : ERROR_LINE;
}

static const char *automove(const struct words *w)
{
	struct word what = w->word[2];
	uint32_t level;

	if (word_is(what, "ratio"))
		return automove_ratio(w, &settings.slab_automove_ratio);
	if (word_is(what, "freeratio"))
		return automove_ratio(w, &settings.slab_automove_freeratio);
	if (word_is(what, "window"))
		return w->count > 3 && parse_u32(w->word[3], &settings.slab_automove_window)
			       ? OK_LINE
			       : BAD_FORMAT;
	if (!parse_u32(what, &level))
		return BAD_FORMAT;
	if (level > 2)
		return ERROR_LINE;
	settings.slab_automove = level;
	return OK_LINE;
}

void text_slabs(struct conn *c, struct words *w)
{
	if (w->count == 4 && word_is(w->word[1], "reassign")) {
		conn_reply(c, reassign(w));
	} else if (w->count >= 3 && word_is(w->word[1], "automove")) {
		text_take_noreply(c, w);
		conn_reply(c, automove(w));
	} else {
		conn_reply(c, ERROR_LINE);
	}
}

/* ---- lru ---- */

static const char *tune(const struct words *w)
{
	uint32_t hot, warm;
	double hot_factor, warm_factor;

	if (!parse_u32(w->word[2], &hot) || !parse_u32(w->word[3], &warm) ||
	    !parse_decimal(w->word[4], &hot_factor) || !parse_decimal(w->word[5], &warm_factor))
		return ERROR_LINE;
	if ((uint64_t)hot + warm > SHARES_MAX)
		return "ERROR hot and warm pcts must not exceed 80\r\n";
	if (hot_factor <= 0 || warm_factor <= 0)
		return "ERROR hot/warm age factors must be greater than 0\r\n";
	settings.hot_lru_pct = hot;
	settings.warm_lru_pct = warm;
	settings.hot_max_factor = hot_factor;
	settings.warm_max_factor = warm_factor;
	return OK_LINE;
}

static const char *mode(struct word which)
{
	if (!word_is(which, "flat") && !word_is(which, "segmented"))
		return ERROR_LINE;
	settings.lru_segmented = word_is(which, "segmented");
	return OK_LINE;
}

static const char *temp_ttl(struct word seconds)
{
	int32_t ttl;

	if (!number_parse_i32(seconds.text, seconds.len, &ttl))
		return ERROR_LINE;
	settings.temp_lru = ttl >= 0;
	if (ttl >= 0)
		settings.temporary_ttl = ttl;
	return OK_LINE;
}

void text_lru(struct conn *c, struct words *w)
{
	const char *answer = ERROR_LINE;

	text_take_noreply(c, w);
	if (word_is(w->word[1], "tune") && w->count >= 6)
		answer = tune(w);
	else if (word_is(w->word[1], "mode") && w->count >= 3 && settings.lru_maintainer)
		answer = mode(w->word[2]);
	else if (word_is(w->word[1], "temp_ttl") && w->count >= 3 && settings.lru_maintainer)
		answer = temp_ttl(w->word[2]);
	conn_reply(c, answer);
}

/* ---- lru_crawler ---- */

static const char *crawl_answer(enum crawl_result result)
{
	static const char *const answers[] = {
		[CRAWL_OK] = OK_LINE,
		[CRAWL_RUNNING] = "BUSY currently processing crawler request\r\n",
		[CRAWL_BAD_CLASS] = "BADCLASS invalid class id\r\n",
		[CRAWL_NOT_STARTED] = "NOTSTARTED no items to crawl\r\n",
		[CRAWL_ERROR] = "ERROR an unknown error happened\r\n",
	};

	return answers[result];
}

static const char *crawl(struct word classes)
{
	if (!settings.lru_crawler)
		return "CLIENT_ERROR lru crawler disabled\r\n";
	return crawl_answer(crawler_crawl(classes.text, classes.len));
}

static const char *crawler_sleep(struct word microseconds)
{
	uint32_t n;

	if (!parse_u32(microseconds, &n))
		return BAD_FORMAT;
	if (n > SLEEP_MAX)
		return "CLIENT_ERROR sleep must be one second or less\r\n";
	settings.lru_crawler_sleep = n;
	return OK_LINE;
}

/* enable, disable. */
static const char *crawler_switch(struct word how)
{
	if (word_is(how, "enable"))
		return crawler_enable() ? OK_LINE : "ERROR failed to start lru crawler thread\r\n";
	if (!word_is(how, "disable"))
		return ERROR_LINE;
	crawler_disable();
	return OK_LINE;
}

/* metadump, mgdump. */
static void dump(struct conn *c, const struct words *w)
{
	bool as_commands = word_is(w->word[1], "mgdump");
	enum crawl_result result;

	if (!settings.lru_crawler) {
		conn_reply(c, "CLIENT_ERROR lru crawler disabled\r\n");
		return;
	}
	if (!settings.dump_enabled || !c->stream) {
		conn_reply(c, as_commands ? "ERROR key dump not allowed\r\n"
					  : "ERROR metadump not allowed\r\n");
		return;
	}
	result = dump_start(c, w->word[2].text, w->word[2].len, as_commands);
	if (result != CRAWL_OK)
		conn_reply(c, crawl_answer(result));
}

void text_lru_crawler(struct conn *c, struct words *w)
{
	const char *answer = ERROR_LINE;

	if (w->count == 3 && (word_is(w->word[1], "metadump") || word_is(w->word[1], "mgdump"))) {
		dump(c, w);
		return;
	}
	text_take_noreply(c, w);
	if (w->count == 2)
		answer = crawler_switch(w->word[1]);
	else if (w->count == 3 && word_is(w->word[1], "crawl"))
		answer = crawl(w->word[2]);
	else if (w->count == 3 && word_is(w->word[1], "tocrawl"))
		answer = parse_u32(w->word[2], &settings.lru_crawler_tocrawl) ? OK_LINE
									      : BAD_FORMAT;
	else if (w->count == 3 && word_is(w->word[1], "sleep"))
		answer = crawler_sleep(w->word[2]);
	conn_reply(c, answer);
}

/* ---- cache_memlimit, debugtime ---- */

void text_cache_memlimit(struct conn *c, struct words *w)
{
	uint32_t mib;

	text_take_noreply(c, w);
	if (!parse_u32(w->word[1], &mib))
		conn_reply(c, ERROR_LINE);
	else if (mib < MEMLIMIT_MIN)
		conn_reply(c, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
	else if (mib > MEMLIMIT_MAX)
		conn_reply(c, "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n");
	else if (!storage_limit_set((size_t)mib * MIB))
		conn_reply(c, "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n");
	else
		conn_reply(c, OK_LINE);
}

/* What answers in a build without text_debug.c. */
__attribute__((weak)) void text_debugtime(struct conn *c, struct words *w)
{
	(void)w;
	conn_reply(c, ERROR_LINE);
}
