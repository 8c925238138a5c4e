/*
 * Connections. A connection that waits for a command holds nothing but this structure, so that ten
 * thousand idle clients fit into a small machine.
 *
 * Input is worked off as far as it goes, unless answers pile up: then the rest waits in the stream
 * until the client has read (a client that asks for much and reads nothing stops only itself).
 * After so many requests in a row (-R) the others have their turn first.
 */
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "auth.h"
#include "binary.h"
#include "dump.h"
#include "listen.h"
#include "stats.h"
#include "text.h"
#include "watch.h"

enum { ANSWERS_MAX = 256 * 1024 }; /* bytes waiting in one stream before its input has to wait */

static struct conn *conns;
static struct conn *yielded;       /* their input waits for the loop's next round */
static struct stream_loop *serving;

void conn_start(struct stream_loop *loop)
{
	serving = loop;
}

struct stream_loop *conn_loop(void)
{
	return serving;
}

struct conn *conn_first(void)
{
	return conns;
}

void conn_reply(struct conn *c, const char *line)
{
	if (!c->noreply && conn_write(c, line, strlen(line)) < 0)
		conn_fail(c);
}

int conn_write(struct conn *c, const void *data, size_t len)
{
	void *to;

	if (c->stream)
		return stream_write(c->stream, data, len);
	to = udp_reserve(len);
	if (!to)
		return -ENOMEM;
	memcpy(to, data, len);
	udp_commit(len);
	return 0;
}

bool conn_is_backed_up(const struct conn *c)
{
	return c->stream && stream_backlog(c->stream) > ANSWERS_MAX;
}

void conn_swallow(struct conn *c, uint32_t len)
{
	c->left = len;
	if (len > 0)
		c->state = CONN_SWALLOW;
}

void conn_quit(struct conn *c)
{
	c->state = CONN_CLOSING;
	if (c->stream)
		stream_close(c->stream);
}

void conn_fail(struct conn *c)
{
	c->state = CONN_CLOSING;
	if (c->stream)
		stream_abort(c->stream);
}

/*
 * Clients that say nothing (-o idle_timeout). One timer for all, armed only while there are some,
 * for the moment at which the one that has been quiet longest will have been so too long.
 */
static struct stream_timer idle_timer;

static void idle_check(struct stream_timer *t);

static void idle_arm(reltime_t seconds)
{
	stream_timer_arm(serving, &idle_timer, stream_now_ns() + seconds * 1000000000ull,
			 idle_check);
}

static void idle_check(struct stream_timer *t)
{
	reltime_t longest = 0;

	(void)t;
	clock_update();
	for (struct conn *c = conns; c; c = c->next) {
		reltime_t quiet = clock_now - c->last_command;

		if (c->state == CONN_COMMAND && quiet > settings.idle_timeout) {
			stats.idle_kicks++;
			c->idle = true;
			conn_quit(c);
		} else if (c->state == CONN_COMMAND && quiet > longest) {
			longest = quiet;
		}
	}
	if (conns)
		idle_arm(settings.idle_timeout - longest + 1);
}

static void peer_remember(struct conn *c)
{
	struct sockaddr_storage addr;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&addr;
	const struct sockaddr_in *four = (const struct sockaddr_in *)&addr;
	socklen_t len;

	if (stream_peer_address(c->stream, &addr, &len) < 0)
		return;
	c->peer_is_six = addr.ss_family == AF_INET6;
	c->peer_port = ntohs(c->peer_is_six ? six->sin6_port : four->sin_port);
	if (c->peer_is_six)
		memcpy(c->peer_ip, &six->sin6_addr, sizeof(c->peer_ip));
	else
		memcpy(c->peer_ip, &four->sin_addr, sizeof(four->sin_addr));
}

/* Over the limit: one line, and goodbye. */
static int conn_refuse(struct stream *s)
{
	static const char sorry[] = "ERROR Too many open connections\r\n";

	stats.rejected_connections++;
	stream_set_user(s, NULL);
	stream_write(s, sorry, sizeof(sorry) - 1);
	stream_close(s);
	return 0;
}

/* -o no_maxconns_fast: who comes when there is no room waits until somebody has gone. */
static void listen_while_there_is_room(void)
{
	bool full = !settings.refuse_fast && stats.curr_connections >= settings.connections;

	if (full == stats.listen_is_paused)
		return;
	stats.listen_is_paused = full;
	stats.listen_disabled_num += full;
	listen_pause(full);
}

static int conn_opened(struct stream *s)
{
	struct conn *c;

	if (stats.curr_connections >= settings.connections)
		return conn_refuse(s);
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	clock_update();
	c->stream = s;
	peer_remember(c);
	c->protocol = (uint8_t)settings.protocol;
	c->authenticated = !settings.auth_file;
	c->last_command = clock_now;
	c->link = &conns;
	c->next = conns;
	if (conns)
		conns->link = &c->next;
	conns = c;
	stats.curr_connections++;
	stats.total_connections++;
	listen_while_there_is_room();
	if (stats.curr_connections > stats.connections_max)
		stats.connections_max = stats.curr_connections;
	stream_set_user(s, c);
	if (watched(WATCH_CONNECTIONS))
		watch_opened(c);
	if (settings.idle_timeout && !idle_timer.armed)
		idle_arm(settings.idle_timeout + 1);
	return 0;
}

void conn_clear(struct conn *c)
{
	if (c->state == CONN_WATCH)
		watch_forget(c);
	dump_forget(c);
	if (c->item)
		item_release(c->item);
	c->item = NULL;
	free(c->meta);
	c->meta = NULL;
}

/* The loop has served what else had arrived. */
static void turns_begin(void *unused)
{
	struct conn *c;

	(void)unused;
	while ((c = yielded)) {
		yielded = c->next_yielded;
		c->has_yielded = false;
		stream_pause(c->stream, false);
	}
}

/* Its input waits while others are served. False: there is no memory for that, go on. */
static bool conn_yield(struct conn *c)
{
	if (!yielded && stream_post(serving, turns_begin, NULL) < 0)
		return false;
	stats.conn_yields++;
	c->has_yielded = true;
	c->next_yielded = yielded;
	yielded = c;
	stream_pause(c->stream, true);
	return true;
}

static void turn_forget(struct conn *c)
{
	struct conn **at = &yielded;

	while (c->has_yielded && *at != c)
		at = &(*at)->next_yielded;
	if (c->has_yielded)
		*at = c->next_yielded;
}

static void conn_closed(struct stream *s, int error)
{
	struct conn *c = stream_user(s);

	if (!c)
		return;
	if (watched(WATCH_CONNECTIONS) && c->state != CONN_WATCH)
		watch_closed(c, c->idle ? "idle_timeout" : error < 0 ? "error" : "normal");
	conn_clear(c);
	turn_forget(c);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	stats.curr_connections--;
	listen_while_there_is_room();
	free(c);
}

static void value_complete(struct conn *c)
{
	c->state = CONN_COMMAND;
	if (c->protocol == PROTOCOL_BINARY)
		binary_value_complete(c);
	else
		text_value_complete(c);
}

void conn_expect_value(struct conn *c, enum store_verb verb, uint32_t len)
{
	c->state = CONN_VALUE;
	c->verb = (uint8_t)verb;
	c->left = len;
	if (len == 0)
		value_complete(c);
}

/*
 * The CR LF behind a value is part of what a text client sends, and not of what a binary one does.
 */
static size_t value_received(struct conn *c, const char *data, size_t len)
{
	uint32_t n = len < c->left ? (uint32_t)len : c->left;

	uint32_t total = c->item->value_len - (c->protocol == PROTOCOL_BINARY ? 2 : 0);

	item_write(c->item, total - c->left, data, n);
	c->left -= n;
	if (c->left == 0)
		value_complete(c);
	return n;
}

static size_t swallow(struct conn *c, size_t len)
{
	uint32_t n = len < c->left ? (uint32_t)len : c->left;

	c->left -= n;
	if (c->left == 0)
		c->state = CONN_COMMAND;
	return n;
}

static size_t swallow_line(struct conn *c, const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);

	if (!end)
		return len;
	c->state = CONN_COMMAND;
	return (size_t)(end + 1 - data);
}

/* The first byte of all says which protocol it is. */
static size_t command(struct conn *c, const char *data, size_t len)
{
	if (c->protocol == PROTOCOL_AUTO)
		c->protocol = (uint8_t)data[0] == BINARY_REQUEST ? PROTOCOL_BINARY : PROTOCOL_ASCII;
	if (c->protocol == PROTOCOL_BINARY)
		return binary_command(c, data, len);
	if (!c->authenticated)
		return auth_command(c, data, len);
	return text_command(c, data, len);
}

/* Whatever is not the next command of a client that is known to speak text. */
static __attribute__((noinline)) size_t other_step(struct conn *c, const char *data, size_t len)
{
	switch ((enum conn_state)c->state) {
	case CONN_COMMAND:
		return command(c, data, len);
	case CONN_VALUE:
		return value_received(c, data, len);
	case CONN_SWALLOW:
		return swallow(c, len);
	case CONN_KEYS:
		return text_keys(c, data, len);
	case CONN_SWALLOW_LINE:
		return swallow_line(c, data, len);
	case CONN_DUMP:
		return 0;
	case CONN_WATCH:
	case CONN_CLOSING:
		break;
	}
	return len;
}

size_t conn_step(struct conn *c, const char *data, size_t len)
{
	if (__builtin_expect(c->state == CONN_COMMAND && c->protocol == PROTOCOL_ASCII &&
				     c->authenticated,
			     1))
		return text_command(c, data, len);
	return other_step(c, data, len);
}

static size_t conn_received(struct stream *s, const uint8_t *data, size_t len)
{
	struct conn *c = stream_user(s);
	unsigned turn = settings.requests_per_event;
	size_t done = 0, n;

	if (!c)
		return len;
	watch_client = c;
	clock_update_to(stream_round_ns(serving));
	/* The stream has looked at what waits in it before it called. */
	do {
		if (c->state == CONN_COMMAND && turn-- == 0 && conn_yield(c))
			break;
		n = conn_step(c, (const char *)data + done, len - done);
		done += n;
	} while (done < len && n > 0 && !conn_is_backed_up(c));
	return done;
}

const struct stream_ops conn_ops = {
	.opened = conn_opened,
	.received = conn_received,
	.closed = conn_closed,
};
