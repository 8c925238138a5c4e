/*
 * Values on their way to clients.
 *
 * A value of up to VALUE_COPY_MAX bytes is copied once, behind its header, into the batch that the
 * stream is building. A larger one leaves from where it lies: the stream holds the item until the
 * peer has the bytes.
 */
#ifndef MEMCACHED_VALUE_H
#define MEMCACHED_VALUE_H

#include "conn.h"
#include "stats.h"

enum { VALUE_COPY_MAX = 1024 };

static inline bool value_is_small(const struct item *it)
{
	return it->value_len <= VALUE_COPY_MAX && !(it->flags & ITEM_CHUNKED);
}

/* Copies bytes of a value into an answer, and counts them: the only place where that happens. */
static inline char *value_copy(char *to, const char *from, size_t len)
{
	stats.value_bytes_copied += len;
	memcpy(to, from, len);
	return to + len;
}

/*
 * Appends the first `len` bytes of the value to the answers, by copy or by reference. 0 or
 * negative.
 */
int value_send(struct conn *c, struct item *it, size_t len);

#endif
