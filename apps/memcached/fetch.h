/*
 * Looking a key up for a client: finds the item, remembers that it was used, and counts.
 */
#ifndef MEMCACHED_FETCH_H
#define MEMCACHED_FETCH_H

#include "conn.h"

/* The item, valid until something is stored or deleted, or NULL. */
struct item *fetch_get(struct conn *c, const char *key, size_t len);
/* The same, with a new expiry time; counts as a touch. */
struct item *fetch_touch(struct conn *c, const char *key, size_t len, reltime_t expires);

#endif
