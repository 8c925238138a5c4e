/*
 * Cached bytes of files: pages, reading, cutting. See libos/cache.h.
 *
 * A read of cached bytes takes the cache's spinlock once for each page, to find it and to hold it, and copies
 * without it. What is not there goes through cache_fill.c when there is a backing, and is zeroes when not.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>

#include "cache_parts.h"

void cache_init(struct cache *c, const int64_t *size, struct cache_budget *budget)
{
	*c = (struct cache){ .size = size, .budget = budget };
	spin_init(&c->lock);
	list_init(&c->dirty_link);
}

/* ---- pages ---- */

static bool budget_take(struct cache_budget *b)
{
	if (!b)
		return true;
	if (__atomic_add_fetch(&b->used, 1, __ATOMIC_RELAXED) <= b->max || !b->max)
		return true;
	__atomic_fetch_sub(&b->used, 1, __ATOMIC_RELAXED);
	return false;
}

static void budget_give(struct cache_budget *b)
{
	if (b)
		__atomic_fetch_sub(&b->used, 1, __ATOMIC_RELAXED);
}

struct cache_page *cache_page_find_locked(struct cache *c, uint64_t index)
{
	struct cache_page *p = cache_index_find(c, index);

	if (p)
		cache_page_hold(p);
	return p;
}

static struct cache_page *page_new(struct cache *c, uint64_t index, uint32_t state)
{
	struct cache_page *p = kmalloc(sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct cache_page){ .index = index, .refs = 2, .state = state, .cache = c };
	list_init(&p->link);
	p->bytes = state & CACHE_VALID ? page_alloc_zero(0, PAGE_CACHE) : page_alloc(0, PAGE_CACHE);
	if (p->bytes)
		return p;
	kfree(p);
	return NULL;
}

/* A new page, which reads as zeroes if `state` says that it is valid: 0, -ENOSPC, -ENOMEM. */
int cache_page_add_locked(struct cache *c, uint64_t index, uint32_t state, struct cache_page **out)
{
	struct cache_page *p;

	if (!budget_take(c->budget))
		return -ENOSPC;
	p = page_new(c, index, state);
	if (!p || cache_index_insert(c, p)) {
		if (p)
			page_free(p->bytes, 0);
		kfree(p);
		budget_give(c->budget);
		return -ENOMEM;
	}
	c->count++;
	*out = p;
	return 0;
}

void cache_page_put(struct cache_page *p)
{
	uint32_t before = __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL);

	assert(before > 0);
	if (before > 1)
		return;
	page_free(p->bytes, 0);
	kfree(p);
}

void cache_page_drop_locked(struct cache *c, struct cache_page *p)
{
	cache_index_remove(c, p);
	p->state |= CACHE_GONE;
	c->count--;
	budget_give(c->budget);
	cache_page_put(p);
}

static struct cache_page *page_find(struct cache *c, uint64_t index)
{
	struct cache_page *p;

	spin_lock(&c->lock);
	p = cache_page_find_locked(c, index);
	spin_unlock(&c->lock);
	return p;
}

int cache_page_get(struct cache *c, uint64_t index, struct file_view *view, struct cache_page **out)
{
	(void)view;
	*out = page_find(c, index);
	return 0;
}

static int page_get_or_add(struct cache *c, uint64_t index, struct cache_page **out)
{
	int error = 0;

	spin_lock(&c->lock);
	*out = cache_page_find_locked(c, index);
	if (!*out)
		error = cache_page_add_locked(c, index, CACHE_VALID, out);
	spin_unlock(&c->lock);
	return error;
}

void cache_destroy(struct cache *c)
{
	cache_cut(c, 0, INT64_MAX);
	assert(!c->root && !c->count);
}

/* ---- bytes ---- */

static kssize_t read_page(struct cache *c, struct uio *u, struct file_view *view, size_t len)
{
	struct cache_page *p;
	kssize_t n = cache_page_get(c, (uint64_t)u->offset >> PAGE_SHIFT, view, &p);

	if (n < 0)
		return n;
	if (!p)
		return uio_zero_out(u, len);
	n = uio_copy_out(u, p->bytes + cache_in_page(u->offset), len);
	cache_page_put(p);
	return n;
}

kssize_t cache_read(struct cache *c, struct uio *u, struct file_view *view)
{
	size_t done = 0;
	int64_t size;

	while (u->left && u->offset < (size = cache_size(c))) {
		size_t len = MIN(u->left, PAGE_SIZE - cache_in_page(u->offset));
		kssize_t n;

		len = (size_t)MIN((int64_t)len, size - u->offset);
		n = read_page(c, u, view, len);
		if (n <= 0)
			return done ? (kssize_t)done : n;
		done += (size_t)n;
		if ((size_t)n < len)
			break;
	}
	return (kssize_t)done;
}

kssize_t cache_write(struct cache *c, struct uio *u)
{
	size_t done = 0;

	while (u->left) {
		size_t len = MIN(u->left, PAGE_SIZE - cache_in_page(u->offset));
		struct cache_page *p;
		kssize_t n = page_get_or_add(c, (uint64_t)u->offset >> PAGE_SHIFT, &p);

		if (n == 0) {
			n = uio_copy_in(u, p->bytes + cache_in_page(u->offset), len);
			cache_page_put(p);
		}
		if (n <= 0)
			return done ? (kssize_t)done : n;
		done += (size_t)n;
		if ((size_t)n < len)
			break;
	}
	return (kssize_t)done;
}

int cache_reserve(struct cache *c, int64_t from, int64_t to)
{
	for (uint64_t i = (uint64_t)from >> PAGE_SHIFT; cache_page_start(i) < to; i++) {
		struct cache_page *p;
		int error = page_get_or_add(c, i, &p);

		if (error)
			return error;
		cache_page_put(p);
	}
	return 0;
}

/* A page of which only a part is cut keeps the rest. */
static void cut_page_locked(struct cache *c, struct cache_page *p, int64_t from, int64_t to)
{
	int64_t start = cache_page_start(p->index), end = start + (int64_t)PAGE_SIZE;

	if (from <= start && to >= end) {
		cache_page_drop_locked(c, p);
		return;
	}
	from = MAX(from, start);
	memset(p->bytes + (from - start), 0, (size_t)(MIN(to, end) - from));
}

void cache_cut(struct cache *c, int64_t from, int64_t to)
{
	uint64_t index = (uint64_t)from >> PAGE_SHIFT;
	struct cache_page *p;

	spin_lock(&c->lock);
	while (from < to && (p = cache_index_next(c, index, false)) && cache_page_start(p->index) < to) {
		index = p->index + 1;
		cut_page_locked(c, p, from, to);
	}
	spin_unlock(&c->lock);
}

int64_t cache_seek(struct cache *c, int64_t from, bool data)
{
	uint64_t index = (uint64_t)from >> PAGE_SHIFT;
	struct cache_page *p;
	int64_t found;

	spin_lock(&c->lock);
	if (data) {
		p = cache_index_next(c, index, false);
		found = p ? MAX(from, cache_page_start(p->index)) : INT64_MAX;
	} else {
		while (cache_index_find(c, index))
			index++;
		found = MAX(from, cache_page_start(index));
	}
	spin_unlock(&c->lock);
	return found;
}
