/*
 * stats detail: what happens to keys by their prefix, which ends before the delimiter (-D).
 */
#ifndef MEMCACHED_PREFIX_H
#define MEMCACHED_PREFIX_H

#include <stdbool.h>
#include <stddef.h>

#include "settings.h"

struct conn;

enum prefix_event { PREFIX_GET, PREFIX_HIT, PREFIX_SET, PREFIX_DELETE, PREFIX_EVENTS };

void prefix_count(const char *key, size_t len, enum prefix_event event);

/* Counts the event while details are asked for. */
static inline void prefix_note(const char *key, size_t len, enum prefix_event event)
{
	if (__builtin_expect(settings.detail_enabled, 0))
		prefix_count(key, len, event);
}

/* Calls each() with a line "PREFIX name get n hit n set n del n" with CR LF for each prefix. */
void prefix_each(void (*each)(struct conn *c, const char *line), struct conn *c);
void prefix_clear(void);

#endif
