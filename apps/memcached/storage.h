/*
 * Storage as a whole: starting it, running its upkeep, stopping it. main.c's door to all that lies
 * under cache.h.
 */
#ifndef MEMCACHED_STORAGE_H
#define MEMCACHED_STORAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <libos/stream.h>

/*
 * Memory, hash table and slab classes as the settings say; then what the memory file (-e) holds.
 * After options_parse() and clock_start(). 0 or negative errno.
 */
int storage_start(void);
/* Starts the upkeep (maintainer.h) on the loop that serves. */
void storage_run(struct stream_loop *loop);
/* A clean stop, after stream_run() has returned: writes the memory file, if there is one. */
void storage_stop(void);

/*
 * cache_memlimit: from now on `bytes` for items and their index. Less than is in use: pages are
 * given up in steps, the oldest items first. False: this machine does not have as much.
 */
bool storage_limit_set(size_t bytes);

#endif
