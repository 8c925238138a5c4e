/* Cached bytes of files. See libos/cache.h. */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <libos/cache.h>

void cache_init(struct cache *c, struct cache_budget *budget)
{
	mutex_init(&c->lock);
	tree_init(&c->pages);
	c->count = 0;
	c->budget = budget;
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

static int page_compare(const void *key, const struct tree_node *node)
{
	uint64_t index = *(const uint64_t *)key, at = tree_entry(node, struct cache_page, node)->index;

	return index < at ? -1 : index > at;
}

static bool page_less(const struct tree_node *a, const struct tree_node *b)
{
	return tree_entry(a, struct cache_page, node)->index < tree_entry(b, struct cache_page, node)->index;
}

static struct cache_page *page_find_locked(struct cache *c, uint64_t index)
{
	struct tree_node *n = tree_find(&c->pages, &index, page_compare);

	return n ? tree_entry(n, struct cache_page, node) : NULL;
}

static struct cache_page *page_next_locked(struct cache *c, uint64_t index)
{
	struct tree_node *n = tree_find_at_or_after(&c->pages, &index, page_compare);

	return n ? tree_entry(n, struct cache_page, node) : NULL;
}

/* A new page of zeroes in the cache: 0, -ENOSPC, -ENOMEM. */
static int page_add_locked(struct cache *c, uint64_t index, struct cache_page **out)
{
	struct cache_page *p;

	if (!budget_take(c->budget))
		return -ENOSPC;
	p = kmalloc(sizeof(*p));
	if (p)
		p->bytes = page_alloc_zero(0, PAGE_CACHE);
	if (!p || !p->bytes) {
		kfree(p);
		budget_give(c->budget);
		return -ENOMEM;
	}
	p->index = index;
	p->refs = 1;
	tree_node_init(&p->node);
	tree_insert(&c->pages, &p->node, page_less);
	c->count++;
	*out = p;
	return 0;
}

static void page_take(struct cache_page *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
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

static void page_drop_locked(struct cache *c, struct cache_page *p)
{
	tree_remove(&c->pages, &p->node);
	c->count--;
	budget_give(c->budget);
	cache_page_put(p);
}

struct cache_page *cache_page_get(struct cache *c, uint64_t index)
{
	struct cache_page *p;

	mutex_lock(&c->lock);
	p = page_find_locked(c, index);
	if (p)
		page_take(p);
	mutex_unlock(&c->lock);
	return p;
}

static int page_get_or_add(struct cache *c, uint64_t index, struct cache_page **out)
{
	int error = 0;

	mutex_lock(&c->lock);
	*out = page_find_locked(c, index);
	if (!*out)
		error = page_add_locked(c, index, out);
	if (!error)
		page_take(*out);
	mutex_unlock(&c->lock);
	return error;
}

void cache_destroy(struct cache *c)
{
	cache_cut(c, 0, INT64_MAX);
	assert(tree_is_empty(&c->pages));
}

/* ---- bytes ---- */

static size_t in_page(int64_t offset)
{
	return (size_t)offset & (PAGE_SIZE - 1);
}

static kssize_t read_page(struct cache *c, struct uio *u, size_t len)
{
	struct cache_page *p = cache_page_get(c, (uint64_t)u->offset >> PAGE_SHIFT);
	kssize_t n;

	if (!p)
		return uio_zero_out(u, len);
	n = uio_copy_out(u, p->bytes + in_page(u->offset), len);
	cache_page_put(p);
	return n;
}

kssize_t cache_read(struct cache *c, struct uio *u, int64_t size)
{
	size_t done = 0;

	while (u->left && u->offset < size) {
		size_t len = MIN(u->left, PAGE_SIZE - in_page(u->offset));
		kssize_t n;

		len = (size_t)MIN((int64_t)len, size - u->offset);
		n = read_page(c, u, len);
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
		size_t len = MIN(u->left, PAGE_SIZE - in_page(u->offset));
		struct cache_page *p;
		kssize_t n = page_get_or_add(c, (uint64_t)u->offset >> PAGE_SHIFT, &p);

		if (n == 0) {
			n = uio_copy_in(u, p->bytes + in_page(u->offset), len);
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
	for (uint64_t i = (uint64_t)from >> PAGE_SHIFT; (int64_t)(i << PAGE_SHIFT) < to; i++) {
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
	int64_t start = (int64_t)(p->index << PAGE_SHIFT), end = start + (int64_t)PAGE_SIZE;

	if (from <= start && to >= end) {
		page_drop_locked(c, p);
		return;
	}
	from = MAX(from, start);
	memset(p->bytes + (from - start), 0, (size_t)(MIN(to, end) - from));
}

void cache_cut(struct cache *c, int64_t from, int64_t to)
{
	uint64_t index = (uint64_t)from >> PAGE_SHIFT;
	struct cache_page *p;

	mutex_lock(&c->lock);
	while (from < to && (p = page_next_locked(c, index)) && (int64_t)(p->index << PAGE_SHIFT) < to) {
		index = p->index + 1;
		cut_page_locked(c, p, from, to);
	}
	mutex_unlock(&c->lock);
}

int64_t cache_seek(struct cache *c, int64_t from, bool data)
{
	uint64_t index = (uint64_t)from >> PAGE_SHIFT;
	struct cache_page *p;
	int64_t found;

	mutex_lock(&c->lock);
	p = page_next_locked(c, index);
	if (data) {
		found = p ? MAX(from, (int64_t)(p->index << PAGE_SHIFT)) : INT64_MAX;
	} else {
		for (; p && p->index == index; index++) {
			struct tree_node *n = tree_next(&p->node);

			p = n ? tree_entry(n, struct cache_page, node) : NULL;
		}
		found = MAX(from, (int64_t)(index << PAGE_SHIFT));
	}
	mutex_unlock(&c->lock);
	return found;
}
