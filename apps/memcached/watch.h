/*
 * watch: clients that are told what happens, a line for each event, in memcached's formats.
 *
 * Nobody watching costs one look at `watching` for each event. A watcher that reads too slowly (-o
 * watcher_logbuf_size bytes behind) misses lines, and is told how many when there is room again.
 */
#ifndef MEMCACHED_WATCH_H
#define MEMCACHED_WATCH_H

#include "cache.h"
#include "lru.h"

struct conn;
struct words;

enum watch_kind {
	WATCH_FETCHERS = 1, WATCH_MUTATIONS = 2, WATCH_EVICTIONS = 4, WATCH_CONNECTIONS = 8,
	WATCH_DELETIONS = 16, WATCH_SYSTEM = 32,
	/* Asked for, and silent: raw commands, which memcached never tells, and the proxy's. */
	WATCH_NOTHING = 0x8000,
};

extern unsigned watching;          /* what somebody watches */

static inline bool watched(enum watch_kind kind)
{
	return __builtin_expect(watching & kind, 0);
}

enum watch_found { WATCH_NOT_FOUND, WATCH_FOUND, WATCH_FLUSHED, WATCH_EXPIRED };

/*
 * Writes a key with everything unusual in it as %XX, and a NUL; 3 bytes for each of it and one
 * more.
 */
const char *watch_encode(char *to, const char *key, size_t len);

/* Call these only if watched(). */
void watch_fetch(const char *key, size_t len, const struct item *it, enum watch_found found);
void watch_store(const struct item *it, enum store_verb verb, enum store_result result);
void watch_eviction(const struct item *it);
void watch_deletion(const struct item *it, const char *command);
void watch_opened(const struct conn *c);
void watch_closed(const struct conn *c, const char *reason);

/* TLS has lost a connection. */
void watch_tls_error(int id, const char *why);
/*
 * automove has decided on a page of class `from` (0: the pool) for class `to`; `begun`: and it
 * could be done.
 */
void watch_slab_move(int from, int to, bool begun);

/* What a crawl through a list has found out. */
struct watch_crawl {
	unsigned class;
	enum lru_segment segment;
	/* items that would be worth a crawl; that will have expired in the next hour */
	uint64_t enough, soon;
	reltime_t next, took;      /* seconds */
	uint64_t seen, reclaimed;
};
void watch_crawled(const struct watch_crawl *w);

/* The client whose command is being worked off, named in lines. */
extern const struct conn *watch_client;

/* watch, the command. */
void text_watch(struct conn *c, struct words *w);
/* The watcher is gone. */
void watch_forget(struct conn *c);

#endif
