/*
 * The maintainer: all upkeep that no request waits for, in short steps on the loop that serves.
 *
 * It keeps the LRU segments at their sizes, takes out what has expired, moves pages between slab
 * classes, and gives memory up when the limit was lowered. memcached has a thread for each of
 * these.
 */
#ifndef MEMCACHED_MAINTAINER_H
#define MEMCACHED_MAINTAINER_H

#include <stdbool.h>

#include <libos/stream.h>

/* Upkeep begins. Without this nothing is ever moved or crawled; the cache works all the same. */
void maintainer_start(struct stream_loop *loop);

extern bool maintainer_rests;
void maintainer_wake(void);

/* Something was stored: a maintainer that had nothing to do looks again soon. */
static inline void maintainer_notice(void)
{
	if (maintainer_rests)
		maintainer_wake();
}

#endif
