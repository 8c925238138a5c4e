/*
 * lru_crawler metadump and mgdump: all keys, as fast as the client reads them.
 */
#ifndef MEMCACHED_DUMP_H
#define MEMCACHED_DUMP_H

#include "conn.h"
#include "crawler.h"

/* Starts one; the connection is then in CONN_DUMP until all has been said. */
enum crawl_result dump_start(struct conn *c, const char *classes, size_t len, bool as_commands);
/* The client has gone, perhaps in the middle of one. */
void dump_forget(struct conn *c);

#endif
