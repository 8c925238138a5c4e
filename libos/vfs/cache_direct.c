/*
 * O_DIRECT for files of file systems: what is written is on the device when the call returns, and
 * neither reading nor writing leaves anything in memory.
 *
 * The bytes still go through pages, which are written at once and forgotten. So direct and ordinary
 * users of a file see one another's bytes at any moment, blocks are made and journaled as by any
 * other write, and the caller's memory need not be what a device can reach; the price is a copy.
 * Pages that were there before stay, as others use them.
 */
#include <core/errno.h>

#include "cache_parts.h"

/* Pages of [from, to), whole or in part. */
static void forget(struct cache *c, int64_t from, int64_t to)
{
	cache_drop(c, ALIGN_DOWN(from, (int64_t)PAGE_SIZE), ALIGN_UP(to, (int64_t)PAGE_SIZE));
}

static bool is_in_memory(struct cache *c, int64_t from, int64_t to)
{
	struct cache_page *p;
	bool is;

	spin_lock(&c->lock);
	p = cache_index_next(c, (uint64_t)from >> PAGE_SHIFT, CACHE_ANY);
	is = p && p->index < cache_index_end(to);
	spin_unlock(&c->lock);
	return is;
}

kssize_t cache_read_past(struct cache *c, struct uio *u)
{
	int64_t from = u->offset, to = MIN(from + (int64_t)u->left, cache_size(c));
	bool was_there = is_in_memory(c, from, to);
	kssize_t n = cache_read(c, u, NULL);

	if (n > 0 && !was_there)
		forget(c, from, from + n);
	return n;
}

kssize_t cache_write_past(struct cache *c, struct uio *u)
{
	int64_t from = u->offset;
	kssize_t n = cache_write(c, u);
	int error;

	if (n <= 0)
		return n;
	error = cache_sync(c, from, from + n, true);
	forget(c, from, from + n);
	return error ? error : n;
}
