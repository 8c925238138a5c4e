/*
 * The crawler: walks through LRU lists from their old ends and takes out what has expired. And
 * walks for dumps, which a client reads as fast as it likes.
 *
 * One at a time, whatever its kind, as in memcached: a second request is told CRAWL_RUNNING.
 */
#ifndef MEMCACHED_CRAWLER_H
#define MEMCACHED_CRAWLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct item;

enum crawl_result {
	CRAWL_OK,
	CRAWL_RUNNING,             /* BUSY: another crawl or dump */
	CRAWL_BAD_CLASS,
	CRAWL_NOT_STARTED,         /* nothing to crawl */
	CRAWL_ERROR,
};

/* lru_crawler enable, disable: false if that is how it was. Settings.lru_crawler is the state. */
bool crawler_enable(void);
bool crawler_disable(void);

/*
 * lru_crawler crawl: `classes` is "all" or numbers with commas. The crawl goes on in steps of the
 * maintainer; settings.lru_crawler_sleep and _tocrawl hold for it.
 */
enum crawl_result crawler_crawl(const char *classes, size_t len);
bool crawler_is_running(void);                 /* a crawl, not a dump */

/* For the maintainer: looks at so many items. True: there is more to crawl. */
bool crawler_step(unsigned items);
/* Once a second: starts crawls of the lists whose time has come. */
void crawler_second(void);

/*
 * A dump. `classes` as above, or "hash": in the order of the table. Whoever has started one ends
 * it, also when the client has gone before.
 *
 * walk_step() calls each() for some live items (none, now and then) and returns false behind the
 * last. Between steps anything may happen to the cache: an item that is there all the time and is
 * not moved in its list is seen once.
 */
enum crawl_result walk_start(const char *classes, size_t len);
bool walk_step(void (*each)(const struct item *it, void *arg), void *arg);
void walk_end(void);

#endif
