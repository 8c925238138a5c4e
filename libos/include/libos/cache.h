/*
 * Cached bytes: the pages of one file, found by their place in it.
 *
 * A cache holds pages of a file sparsely: what has no page reads as zeroes. Whoever looks at a page
 * holds a reference, so that truncation takes a page out of its file at once while a reader, or the
 * network, still finishes with its bytes; the last reference frees it. Copies from and to callers
 * happen without the cache's lock, since they may fault.
 *
 * Today the pages are the file (tmpfs). The budget bounds how many there are.
 *
 * Threads. Locks: the cache's lock, a mutex; under it only the allocator.
 */
#ifndef LIBOS_CACHE_H
#define LIBOS_CACHE_H

#include <core/sync.h>
#include <core/tree.h>
#include <core/types.h>
#include <libos/uio.h>

/* What several caches may have together, in pages. */
struct cache_budget {
	uint64_t used, max;  /* used is atomic; max 0: no bound */
};

/*  Locks:  I set once   c the cache's lock   a atomic */
struct cache_page {
	struct tree_node node;   /* [c] by index */
	uint64_t index;          /* [I] */
	uint8_t *bytes;          /* [I] PAGE_SIZE of them */
	uint32_t refs;           /* [a] one of them the cache's, while it has the page */
};

struct cache {
	struct mutex lock;
	struct tree pages;             /* [c] */
	uint64_t count;                /* [c] */
	struct cache_budget *budget;   /* [I] or NULL */
};

void cache_init(struct cache *c, struct cache_budget *budget);
void cache_destroy(struct cache *c);   /* lets go of every page */

/* Copies at u->offset, at most to `size`, the file's end: bytes, 0 at or behind it, -EFAULT. */
kssize_t cache_read(struct cache *c, struct uio *u, int64_t size);
/* Copies to u->offset: bytes, -EFAULT, -ENOSPC (budget), -ENOMEM. Who writes tells the file's new end. */
kssize_t cache_write(struct cache *c, struct uio *u);
/* Makes pages for [from, to) that read as zeroes: 0, -ENOSPC, -ENOMEM. */
int cache_reserve(struct cache *c, int64_t from, int64_t to);
/* [from, to) reads as zeroes from now on; whole pages are given back. `to` may be INT64_MAX. */
void cache_cut(struct cache *c, int64_t from, int64_t to);
/* The first byte at or after `from` that has a page (or has none); INT64_MAX: there is none such. */
int64_t cache_seek(struct cache *c, int64_t from, bool data);

/*
 * A page for somebody who lends its bytes on, or NULL where there is none. cache_page_put() may come from any
 * thread, and after the cache has ended.
 */
struct cache_page *cache_page_get(struct cache *c, uint64_t index);
void cache_page_put(struct cache_page *p);

#endif
