/*
 * The binary commands about the server rather than about items.
 */
#include "binary.h"
#include "prefix.h"
#include "report.h"
#include "settings.h"
#include "stats.h"

void binary_flush(struct conn *c, const struct binary_request *r)
{
	uint32_t delay = r->extras_len ? binary_u32(r->extras) : 0;

	if (!settings.flush_enabled) {
		binary_refuse(c, BINARY_AUTH_ERROR, NULL);
		return;
	}
	cache_flush(delay > INT32_MAX ? INT32_MAX : (int32_t)delay);
	stats.cmd_flush++;
	binary_done(c, 0);
}

void binary_version(struct conn *c, const struct binary_request *r)
{
	(void)r;
	binary_send(c, BINARY_OK,
		    &(struct binary_answer){ .extras = "",
					     .key = "",
					     .value = MEMCACHED_VERSION,
					     .value_len = sizeof(MEMCACHED_VERSION) - 1 });
}

void binary_noop(struct conn *c, const struct binary_request *r)
{
	(void)r;
	binary_done(c, 0);
}

void binary_quit(struct conn *c, const struct binary_request *r)
{
	(void)r;
	binary_done(c, 0);
	conn_quit(c);
}

/* There is no SASL here, as in a memcached without -S: the commands are unknown. */
void binary_no_sasl(struct conn *c, const struct binary_request *r)
{
	binary_refuse(c, BINARY_UNKNOWN, NULL);
	conn_swallow(c, r->value_len);
}

void binary_stat(struct conn *c, const char *name, const char *value, size_t len)
{
	binary_send(c, BINARY_OK,
		    &(struct binary_answer){ .extras = "",
					     .key = name,
					     .key_len = (uint16_t)strlen(name),
					     .value = value,
					     .value_len = (uint32_t)len });
}

static bool begins_with(const struct binary_request *r, const char *word)
{
	size_t len = strlen(word);

	return r->key_len >= len && memcmp(r->key, word, len) == 0;
}

/* Each prefix in a packet of its own; memcached puts all of them into one. */
static void detail_line(struct conn *c, const char *line)
{
	binary_stat(c, "detailed", line, strlen(line));
}

static void detail_dump(struct conn *c)
{
	prefix_each(detail_line, c);
}

void binary_show_stats(struct conn *c, const struct binary_request *r)
{
	if (r->key_len == 0) {
		stats_show_general(c);
	} else if (begins_with(r, "reset")) {
		stats_reset();
		prefix_clear();
	} else if (begins_with(r, "settings")) {
		stats_show_settings(c);
	} else if (begins_with(r, "detail dump")) {
		detail_dump(c);
	} else if (begins_with(r, "detail on") || begins_with(r, "detail off")) {
		settings.detail_enabled = r->key[8] == 'n';
	} else if (!stats_show(c, r->key, r->key_len)) {
		binary_refuse(c, BINARY_NOT_FOUND, NULL);
		return;
	}
	stat_end(c);
}
