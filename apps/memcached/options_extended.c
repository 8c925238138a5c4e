/*
 * The list behind -o: names, some with a value. One table says what each of them sets and within
 * which bounds; what tunes machinery that is not here is accepted and said to be without effect.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"
#include "tls.h"

enum { KIB = 1024, MIB = 1024 * 1024, MAX_U32 = 0xffffffff };

enum kind {
	ON, OFF,                   /* a bool, by the name alone */
	NUMBER,                    /* unsigned or uint32_t, after multiplication by the unit */
	SIZE,                      /* size_t, likewise */
	RATIO,                     /* double, more than `min` */
	TEXT,
	IGNORED,
	ABSENT,                    /* what would be missed: an error */
};

struct extended {
	const char *name;
	enum kind kind;
	void *to;
	double min, max;
	size_t unit;
};

static const struct extended TABLE[] = {
	{ "maxconns_fast", ON, &settings.refuse_fast, 0, 0, 0 },
	{ "no_maxconns_fast", OFF, &settings.refuse_fast, 0, 0, 0 },
	{ "hashpower", NUMBER, &settings.hash_power, 12, 32, 1 },
	{ "no_hashexpand", OFF, &settings.hash_grows, 0, 0, 0 },
	{ "slab_reassign", ON, &settings.slab_reassign, 0, 0, 0 },
	{ "no_slab_reassign", OFF, &settings.slab_reassign, 0, 0, 0 },
	{ "slab_automove", NUMBER, &settings.slab_automove, 0, 2, 1 },
	{ "slab_automove_ratio", RATIO, &settings.slab_automove_ratio, 0, 1, 0 },
	{ "slab_automove_window", NUMBER, &settings.slab_automove_window, 3, MAX_U32, 1 },
	{ "slab_automove_freeratio", RATIO, &settings.slab_automove_freeratio, 0, 1, 0 },
	{ "tail_repair_time", NUMBER, &settings.tail_repair_time, 10, MAX_U32, 1 },
	{ "lru_crawler", ON, &settings.lru_crawler, 0, 0, 0 },
	{ "no_lru_crawler", OFF, &settings.lru_crawler, 0, 0, 0 },
	{ "lru_crawler_sleep", NUMBER, &settings.lru_crawler_sleep, 0, 1000000, 1 },
	{ "lru_crawler_tocrawl", NUMBER, &settings.lru_crawler_tocrawl, 0, MAX_U32, 1 },
	{ "hot_lru_pct", NUMBER, &settings.hot_lru_pct, 1, 79, 1 },
	{ "warm_lru_pct", NUMBER, &settings.warm_lru_pct, 1, 79, 1 },
	{ "hot_max_factor", RATIO, &settings.hot_max_factor, 0, 1e9, 0 },
	{ "warm_max_factor", RATIO, &settings.warm_max_factor, 0, 1e9, 0 },
	{ "temporary_ttl", NUMBER, &settings.temporary_ttl, 0, 0x7fffffff, 1 },
	{ "idle_timeout", NUMBER, &settings.idle_timeout, 0, 1 << 30, 1 },
	{ "watcher_logbuf_size", NUMBER, &settings.watcher_buffer, 1, 1 << 20, KIB },
	{ "worker_logbuf_size", NUMBER, &settings.worker_buffer, 1, 1 << 20, KIB },
	{ "slab_sizes", TEXT, &settings.slab_sizes, 0, 0, 0 },
	{ "slab_chunk_max", SIZE, &settings.slab_chunk_max, 1, 1024, KIB },
	{ "track_sizes", ON, &settings.track_sizes, 0, 0, 0 },
	{ "read_buf_mem_limit", SIZE, &settings.read_buffers_max, 0, 1 << 20, MIB },
	{ "hash_algorithm", TEXT, &settings.hash_algorithm, 0, 0, 0 },
	{ "no_chunked_items", IGNORED, NULL, 0, 0, 0 },
	{ "no_inline_ascii_resp", IGNORED, NULL, 0, 0, 0 },
	{ "inline_ascii_resp", IGNORED, NULL, 0, 0, 0 },
	{ "modern", IGNORED, NULL, 0, 0, 0 },
	{ "no_drop_privileges", IGNORED, NULL, 0, 0, 0 },
	{ "drop_privileges", IGNORED, NULL, 0, 0, 0 },
	{ "relaxed_privileges", IGNORED, NULL, 0, 0, 0 },
	{ "resp_obj_mem_limit", IGNORED, NULL, 0, 0, 0 },
	{ "sock_cookie_id", IGNORED, NULL, 0, 0, 0 },
	{ "ext_path", ABSENT, NULL, 0, 0, 0 },
	{ "proxy_config", ABSENT, NULL, 0, 0, 0 },
	{ NULL, IGNORED, NULL, 0, 0, 0 },
};

static const struct extended *find(const char *name)
{
	const struct extended *e = TABLE;

	while (e->name && strcmp(e->name, name) != 0)
		e++;
	return e->name ? e : NULL;
}

static int bad_value(const struct extended *e, const char *value)
{
	fprintf(stderr, "memcached: -o %s needs a number from %.10g to %.10g, not \"%s\"\n",
		e->name, e->min, e->max, value);
	return OPTIONS_USAGE;
}

static int apply_number(const struct extended *e, const char *value)
{
	double n;

	if (!option_number(value, e->min, e->max, &n) || (e->kind == RATIO && n <= e->min))
		return bad_value(e, value);
	if (e->kind == RATIO)
		*(double *)e->to = n;
	else if (e->kind == SIZE)
		*(size_t *)e->to = (size_t)n * e->unit;
	else
		*(uint32_t *)e->to = (uint32_t)n * (uint32_t)e->unit;
	return OPTIONS_GO_ON;
}

static int apply(const struct extended *e, const char *value)
{
	switch (e->kind) {
	case ON:
	case OFF:
		*(bool *)e->to = e->kind == ON;
		return OPTIONS_GO_ON;
	case IGNORED:
		option_has_no_effect(e->name);
		return OPTIONS_GO_ON;
	case ABSENT:
		return option_refuse("this build has no support for -o", e->name);
	default:
		break;
	}
	if (!value)
		return option_refuse("missing value of -o", e->name);
	if (e->kind != TEXT)
		return apply_number(e, value);
	*(const char **)e->to = value;
	return OPTIONS_GO_ON;
}

/* The names that set more than one thing, or may do without a value. False: not one of them. */
static bool apply_special(const char *name, const char *value)
{
	if (strcmp(name, "lru_maintainer") == 0 || strcmp(name, "no_lru_maintainer") == 0) {
		settings.lru_maintainer = settings.lru_segmented = name[0] == 'l';
	} else if (strcmp(name, "no_slab_automove") == 0) {
		settings.slab_automove = 0;
	} else if (strcmp(name, "slab_automove") == 0 && !value) {
		settings.slab_automove = 1;
	} else if (strcmp(name, "no_modern") == 0) {
		settings.slab_reassign = settings.refuse_fast = settings.lru_segmented = false;
		settings.lru_crawler = settings.lru_maintainer = false;
		settings.slab_automove = 0;
	} else {
		return false;
	}
	return true;
}

static bool is_extstore(const char *name)
{
	return strncmp(name, "ext_", 4) == 0 && strcmp(name, "ext_path") != 0;
}

static int check_text(void)
{
	static const char *const known[] = { "keyed", "murmur3", "jenkins", "xxh3" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!settings.hash_algorithm || strcmp(settings.hash_algorithm, known[i]) == 0)
			return OPTIONS_GO_ON;
	}
	return option_refuse("-o hash_algorithm must be keyed, jenkins, murmur3 or xxh3, not",
			     settings.hash_algorithm);
}

static int apply_item(char *item)
{
	char *value = strchr(item, '=');
	const struct extended *e;
	int result;

	if (value)
		*value++ = '\0';
	if (apply_special(item, value))
		return OPTIONS_GO_ON;
	if (is_extstore(item)) {
		option_has_no_effect(item);
		return OPTIONS_GO_ON;
	}
	if (tls_option(item, value, &result))
		return result;
	e = find(item);
	if (!e)
		return option_refuse("unknown option -o", item);
	if (strcmp(item, "temporary_ttl") == 0)
		settings.temp_lru = true;
	return apply(e, value);
}

int options_extended(char *list)
{
	char *rest;
	int result = OPTIONS_GO_ON;

	for (char *item = strtok_r(list, ",", &rest); item && result == OPTIONS_GO_ON;
	     item = strtok_r(NULL, ",", &rest))
		result = apply_item(item);
	return result == OPTIONS_GO_ON ? check_text() : result;
}
