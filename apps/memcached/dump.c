/*
 * A dump goes on while its client's answers have room, and looks again after a moment when they
 * have none; other clients are served meanwhile. There is one at a time (crawler.h). What its
 * client says next waits until the dump has ended.
 */
#include "dump.h"

#include <stdio.h>

#include "base64.h"
#include "lru.h"
#include "text.h"
#include "watch.h"

static const uint64_t LOOK_AGAIN_NS = 2000000;

static struct stream_timer again;
static struct conn *client;
static bool as_commands;           /* mgdump: "mg key" lines instead of facts */

static void put_facts(struct conn *c, const struct item *it)
{
	char line[3 * KEY_MAX + 256], key[3 * KEY_MAX + 1];
	int n = snprintf(line, sizeof(line),
			 "key=%s exp=%lld la=%lld cas=%llu fetch=%s cls=%u size=%zu flags=%u\n",
			 watch_encode(key, item_key(it), it->key_len),
			 it->expires ? (long long)clock_origin() + it->expires : -1ll,
			 (long long)clock_date() - item_idle(it), (unsigned long long)item_cas(it),
			 it->flags & ITEM_FETCHED ? "yes" : "no", lru_class_of(it), item_bytes(it),
			 item_client_flags(it));

	if (conn_write(c, line, (size_t)n) < 0)
		conn_fail(c);
}

static void put_command(struct conn *c, const struct item *it)
{
	char line[BASE64_ENCODED(KEY_MAX) + 16] = "mg ", *p = line + 3;

	if (it->flags & ITEM_KEY_BINARY) {
		p = base64_encode(p, item_key(it), it->key_len);
		memcpy(p, " b", 2);
		p += 2;
	} else {
		memcpy(p, item_key(it), it->key_len);
		p += it->key_len;
	}
	memcpy(p, "\r\n", 2);
	if (conn_write(c, line, (size_t)(p + 2 - line)) < 0)
		conn_fail(c);
}

static void each(const struct item *it, void *arg)
{
	struct conn *c = arg;

	if (c->state != CONN_DUMP)
		return;
	if (as_commands)
		put_command(c, it);
	else
		put_facts(c, it);
}

/* Everything has been said. */
static void finish(struct conn *c)
{
	dump_forget(c);
	c->state = CONN_COMMAND;
	conn_reply(c, as_commands ? "EN\r\n" : "END\r\n");
	stream_pause(c->stream, false);
}

static void proceed(struct stream_timer *t)
{
	struct conn *c = client;

	while (c->state == CONN_DUMP && !conn_is_backed_up(c)) {
		if (!walk_step(each, c)) {
			finish(c);
			return;
		}
	}
	if (c->state == CONN_DUMP)
		stream_timer_arm(conn_loop(), t, stream_now_ns() + LOOK_AGAIN_NS, proceed);
	else
		dump_forget(c);
}

enum crawl_result dump_start(struct conn *c, const char *classes, size_t len, bool commands)
{
	enum crawl_result result = walk_start(classes, len);

	if (result != CRAWL_OK)
		return result;
	as_commands = commands;
	client = c;
	c->state = CONN_DUMP;
	stream_pause(c->stream, true);
	proceed(&again);
	return CRAWL_OK;
}

void dump_forget(struct conn *c)
{
	if (client != c)
		return;
	client = NULL;
	stream_timer_cancel(conn_loop(), &again);
	walk_end();
}
