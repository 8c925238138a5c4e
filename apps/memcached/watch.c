/*
 * Watchers, and the lines that they get. A line goes to each watcher of its kind at once, into the
 * batch of answers of its stream; so there is no thread that writes them, and none to lag behind.
 */
#include "watch.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "text.h"

enum {
	WATCHERS_MAX = 20,
	KEY_ENCODED = 3 * KEY_MAX + 1,
	LINE_BYTES = 256 + KEY_ENCODED,
};

struct watcher {
	struct conn *conn;         /* NULL: free */
	unsigned kinds;
	uint64_t skipped;          /* lines since the last that was sent */
};

static struct watcher watchers[WATCHERS_MAX];
static uint64_t last_id;

unsigned watching;
const struct conn *watch_client;

static void watching_update(void)
{
	watching = 0;
	stats.log_watchers = 0;
	for (int i = 0; i < WATCHERS_MAX; i++) {
		if (!watchers[i].conn)
			continue;
		watching |= watchers[i].kinds;
		stats.log_watchers++;
	}
}

const char *watch_encode(char *to, const char *key, size_t len)
{
	char *p = to;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)key[i];
		bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
			     (byte >= 'A' && byte <= 'Z') || (byte && strchr("-._~", byte));

		if (plain)
			*p++ = (char)byte;
		else
			p += sprintf(p, "%%%02X", byte);
	}
	*p = '\0';
	return to;
}

/* False: the watcher is behind; the line is counted instead. */
static bool has_room(struct watcher *w)
{
	char line[40];

	if (stream_backlog(w->conn->stream) > settings.watcher_buffer) {
		w->skipped++;
		stats.log_watcher_skipped++;
		return false;
	}
	if (w->skipped > 0) {
		int n = snprintf(line, sizeof(line), "skipped=%llu\n",
				 (unsigned long long)w->skipped);

		w->skipped = 0;
		stream_write(w->conn->stream, line, (size_t)n);
	}
	return true;
}

/* Sends a line to all who watch such things. */
__attribute__((format(printf, 2, 3)))
static void tell(enum watch_kind kind, const char *format, ...)
{
	char line[LINE_BYTES];
	struct timeval now;
	va_list args;
	int n;

	gettimeofday(&now, NULL);
	n = snprintf(line, sizeof(line), "ts=%lld.%d gid=%llu ", (long long)now.tv_sec,
		     (int)now.tv_usec, (unsigned long long)++last_id);
	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
	va_end(args);
	stats.log_worker_written++;
	for (int i = 0; i < WATCHERS_MAX; i++) {
		struct watcher *w = &watchers[i];

		if (!w->conn || !(w->kinds & kind) || !has_room(w))
			continue;
		if (stream_write(w->conn->stream, line, (size_t)n) == 0)
			stats.log_watcher_sent++;
	}
}

static int client_id(void)
{
	return watch_client ? conn_id(watch_client) : 0;
}

static unsigned size_of(const struct item *it)
{
	return it->value_len > 0 ? it->value_len - 2 : 0;
}

void watch_fetch(const char *key, size_t len, const struct item *it, enum watch_found found)
{
	static const char *const names[] = { "not_found", "found", "flushed", "expired" };
	char text[KEY_ENCODED];

	tell(WATCH_FETCHERS, "type=item_get key=%s status=%s clsid=%u cfd=%d size=%u\n",
	     watch_encode(text, key, len), names[found], it ? lru_class_of(it) : 0, client_id(),
	     it ? size_of(it) : 0);
}

void watch_store(const struct item *it, enum store_verb verb, enum store_result result)
{
	static const char *const verbs[] = {
		[STORE_SET] = "set", [STORE_ADD] = "add", [STORE_REPLACE] = "replace",
		[STORE_APPEND] = "append", [STORE_PREPEND] = "prepend", [STORE_CAS] = "cas",
		[STORE_APPEND_OR_NEW] = "append", [STORE_PREPEND_OR_NEW] = "prepend",
	};
	static const char *const results[] = {
		[STORE_DONE] = "stored", [STORE_NOT_STORED] = "not_stored",
		[STORE_EXISTS] = "exists", [STORE_NOT_FOUND] = "not_found",
	};
	char text[KEY_ENCODED];

	tell(WATCH_MUTATIONS,
	     "type=item_store key=%s status=%s cmd=%s ttl=%u clsid=%u cfd=%d size=%u\n",
	     watch_encode(text, item_key(it), it->key_len), results[result], verbs[verb],
	     it->expires ? it->expires - clock_now : 0, lru_class_of(it), client_id(), size_of(it));
}

void watch_eviction(const struct item *it)
{
	char text[KEY_ENCODED];

	tell(WATCH_EVICTIONS, "type=eviction key=%s fetch=%s ttl=%lld la=%u clsid=%u size=%u\n",
	     watch_encode(text, item_key(it), it->key_len), it->flags & ITEM_FETCHED ? "yes" : "no",
	     it->expires ? (long long)it->expires - clock_now : -1ll, item_idle(it),
	     lru_class_of(it), size_of(it));
}

void watch_deletion(const struct item *it, const char *command)
{
	char text[KEY_ENCODED];

	tell(WATCH_DELETIONS, "type=deleted key=%s cmd=%s clsid=%u size=%u\n",
	     watch_encode(text, item_key(it), it->key_len), command, lru_class_of(it), size_of(it));
}

/* "rip=127.0.0.1 rport=4711". */
static const char *peer(const struct conn *c, char *to, size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(c->peer_is_six ? AF_INET6 : AF_INET, c->peer_ip, ip, sizeof(ip));
	snprintf(to, size, "rip=%s rport=%u", ip, c->peer_port);
	return to;
}

void watch_opened(const struct conn *c)
{
	char from[80];

	tell(WATCH_CONNECTIONS, "type=conn_new %s transport=tcp cfd=%d\n",
	     peer(c, from, sizeof(from)), conn_id(c));
}

void watch_closed(const struct conn *c, const char *reason)
{
	char from[80];

	tell(WATCH_CONNECTIONS, "type=conn_close %s transport=tcp reason=%s cfd=%d\n",
	     peer(c, from, sizeof(from)), reason, conn_id(c));
}

void watch_tls_error(int id, const char *why)
{
	tell(WATCH_CONNECTIONS, "type=conntlserr fd=%d msg=%s\n", id, why);
}

void watch_slab_move(int from, int to, bool begun)
{
	tell(WATCH_SYSTEM, "type=slab_move src=%d dst=%d state=%s\n", from, to,
	     begun ? "ok" : "fail");
}

void watch_crawled(const struct watch_crawl *w)
{
	static const char *const names[] = {
		[LRU_HOT] = "hot", [LRU_WARM] = "warm", [LRU_COLD] = "cold", [LRU_TEMP] = "temp"
	};

	tell(WATCH_SYSTEM,
	     "type=lru_crawler crawler=%u lru=%s low_mark=%llu next_reclaims=%llu since_run=0 next_run=%u "
	     "elapsed=%u examined=%llu reclaimed=%llu\n",
	     w->class, names[w->segment], (unsigned long long)w->enough,
	     (unsigned long long)w->soon, w->next, w->took, (unsigned long long)w->seen,
	     (unsigned long long)w->reclaimed);
}

/* The kinds that the words name; 0: a word means nothing. */
static unsigned kinds_of(const struct words *w)
{
	static const struct {
		const char *name;
		unsigned kind;
	} names[] = {
		{ "fetchers", WATCH_FETCHERS }, { "mutations", WATCH_MUTATIONS },
		{ "evictions", WATCH_EVICTIONS }, { "connevents", WATCH_CONNECTIONS },
		{ "deletions", WATCH_DELETIONS }, { "rawcmds", WATCH_NOTHING },
		{ "sysevents", WATCH_SYSTEM }, { "proxyreqs", WATCH_NOTHING },
		{ "proxyevents", WATCH_NOTHING }, { "proxyuser", WATCH_NOTHING },
	};
	unsigned kinds = 0, count = sizeof(names) / sizeof(names[0]), n;

	for (unsigned i = 1; i < w->count; i++) {
		for (n = 0; n < count && !word_is(w->word[i], names[n].name); n++)
			;
		if (n == count)
			return 0;
		kinds |= names[n].kind;
	}
	return w->count == 1 ? WATCH_FETCHERS : kinds;
}

void text_watch(struct conn *c, struct words *w)
{
	unsigned kinds = kinds_of(w);
	struct watcher *free_one = watchers;

	if (!settings.watch_enabled) {
		conn_reply(c, "CLIENT_ERROR watch commands not allowed\r\n");
		return;
	}
	if (kinds == 0 || !c->stream) {
		conn_reply(c, "ERROR\r\n");
		return;
	}
	while (free_one < watchers + WATCHERS_MAX && free_one->conn)
		free_one++;
	if (free_one == watchers + WATCHERS_MAX) {
		conn_reply(c, "WATCHER_TOO_MANY log watcher limit reached\r\n");
		return;
	}
	conn_reply(c, "OK\r\n");
	*free_one = (struct watcher){ .conn = c, .kinds = kinds };
	c->state = CONN_WATCH;
	watching_update();
}

void watch_forget(struct conn *c)
{
	for (int i = 0; i < WATCHERS_MAX; i++) {
		if (watchers[i].conn == c)
			watchers[i].conn = NULL;
	}
	watching_update();
}
