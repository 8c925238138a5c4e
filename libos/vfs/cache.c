/*
 * Cached bytes of files: pages, reading, cutting. See libos/cache.h.
 *
 * A read of cached bytes takes the cache's spinlock once for each page, to find it and to hold it,
 * and copies without it. What is not there goes through cache_fill.c when there is a backing, and
 * is zeroes when not.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>

#include "cache_parts.h"

uint64_t cache_counts[CACHE_COUNTS];

static struct waitq waits[16] = {
#define Q(i) WAITQ_INIT(waits[i])
	Q(0), Q(1), Q(2), Q(3), Q(4), Q(5), Q(6), Q(7), Q(8), Q(9), Q(10), Q(11), Q(12), Q(13),
	Q(14), Q(15),
#undef Q
};

struct waitq *cache_waits(const void *key)
{
	return &waits[((uintptr_t)key >> 6 ^ (uintptr_t)key >> 12) % ARRAY_SIZE(waits)];
}

void cache_init(struct cache *c, const int64_t *size, struct cache_budget *budget)
{
	*c = (struct cache){ .size = size, .budget = budget };
	spin_init(&c->lock);
	list_init(&c->dirty_link);
}

void cache_init_backed(struct cache *c, const int64_t *size, const struct cache_backing_ops *ops,
		       struct blkdev *dev, uint32_t block_bytes)
{
	assert(block_bytes >= 512 && block_bytes <= PAGE_SIZE &&
	       !(block_bytes & (block_bytes - 1)));
	cache_init(c, size, NULL);
	c->ops = ops;
	c->dev = dev;
	c->block_bytes = block_bytes;
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
	if (HAS_DISKS && c->ops)
		cache_list_add(p);
	*out = p;
	return 0;
}

static __attribute__((noinline)) void page_end(struct cache_page *p)
{
	page_free(p->bytes, 0);
	kfree(p);
}

/* True: it was the last reference. */
static inline bool page_release(struct cache_page *p)
{
	uint32_t before = __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL);

	assert(before > 0);
	return unlikely(before == 1);
}

void cache_page_put(struct cache_page *p)
{
	if (page_release(p))
		page_end(p);
}

void cache_page_drop_locked(struct cache *c, struct cache_page *p)
{
	cache_index_remove(c, p);
	if (HAS_DISKS && c->ops)
		cache_list_remove(p);
	cache_page_change_locked(p, CACHE_GONE, 0);
	c->count--;
	budget_give(c->budget);
	cache_page_put(p);
}

struct cache_page *cache_page_find(struct cache *c, uint64_t index)
{
	struct cache_page *p;

	spin_lock(&c->lock);
	p = cache_page_find_locked(c, index);
	spin_unlock(&c->lock);
	return p;
}

bool cache_has_page(struct cache *c, uint64_t index)
{
	bool has;

	spin_lock(&c->lock);
	has = cache_index_find(c, index) != NULL;
	spin_unlock(&c->lock);
	return has;
}

/* A valid page with a reference, and note that it was used; NULL: not there, or not yet. */
static inline struct cache_page *page_use(struct cache *c, uint64_t index)
{
	struct cache_page *p;

	spin_lock(&c->lock);
	p = cache_index_find(c, index);
	if (likely(p && p->state & CACHE_VALID)) {
		cache_page_hold(p);
		if (unlikely(!(p->state & CACHE_AGAIN)))
			cache_page_change_locked(
				p, p->state & CACHE_USED ? CACHE_AGAIN : CACHE_USED, 0);
	} else {
		p = NULL;
	}
	spin_unlock(&c->lock);
	return p;
}

int cache_page_get(struct cache *c, uint64_t index, struct file_view *view, struct cache_page **out)
{
	int error = 0;

	*out = page_use(c, index);
	if (HAS_DISKS && c->ops && !*out)
		error = cache_page_read(c, index, 1, view, out);
	else if (HAS_DISKS && c->ops && view && index == view->trigger)
		cache_window_next(c, view);
	if (view)
		view->next = index + 1;
	return error;
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

/* ---- reading ---- */

static inline kssize_t copy_page_out(struct uio *u, struct cache_page *p, size_t len)
{
	kssize_t n = uio_copy_out(u, p->bytes + cache_in_page(u->offset), len);

	if (page_release(p))
		page_end(p);
	return n;
}

/* What is not there: on the disk, or nowhere. Apart, so that the frame of who finds it is small. */
static __attribute__((noinline)) kssize_t read_missing(struct cache *c, struct uio *u,
						       struct file_view *view, size_t len)
{
	uint64_t index = (uint64_t)u->offset >> PAGE_SHIFT;
	unsigned wanted = (unsigned)((cache_in_page(u->offset) + u->left + PAGE_SIZE - 1) >>
				     PAGE_SHIFT);
	struct cache_page *p = NULL;
	int error = HAS_DISKS && c->ops ? cache_page_read(c, index, wanted, view, &p) : 0;

	if (error)
		return error;
	/* had it been cut off, it would not be there either */
	len = (size_t)CLAMP(cache_size(c) - u->offset, 0, (int64_t)len);
	return p ? copy_page_out(u, p, len) : uio_zero_out(u, len);
}

static inline kssize_t read_page(struct cache *c, struct uio *u, struct file_view *view, size_t len)
{
	uint64_t index = (uint64_t)u->offset >> PAGE_SHIFT;
	struct cache_page *p = page_use(c, index);

	if (unlikely(!p))
		return read_missing(c, u, view, len);
	if (HAS_DISKS && view && unlikely(index == view->trigger) && c->ops)
		cache_window_next(c, view);
	return copy_page_out(u, p, len);
}

/* What lies in one page. */
static inline kssize_t read_piece(struct cache *c, struct uio *u, struct file_view *view)
{
	int64_t left = cache_size(c) - u->offset;
	kssize_t n;

	if (left <= 0 || !u->left)
		return 0;
	n = read_page(c, u, view,
		      MIN(MIN(u->left, (size_t)left), PAGE_SIZE - cache_in_page(u->offset)));
	if (view)
		view->next = (uint64_t)u->offset >> PAGE_SHIFT;
	return n;
}

static __attribute__((noinline)) kssize_t read_pieces(struct cache *c, struct uio *u,
						      struct file_view *view)
{
	size_t done = 0;
	kssize_t n;

	while ((n = read_piece(c, u, view)) > 0)
		done += (size_t)n;
	return done ? (kssize_t)done : n;
}

kssize_t cache_read(struct cache *c, struct uio *u, struct file_view *view)
{
	return likely(cache_in_page(u->offset) + u->left <= PAGE_SIZE) ? read_piece(c, u, view)
								       : read_pieces(c, u, view);
}

/* ---- writing without a backing ---- */

static kssize_t write_memory(struct cache *c, struct uio *u)
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

kssize_t cache_write(struct cache *c, struct uio *u)
{
	return HAS_DISKS && c->ops ? cache_write_backed(c, u) : write_memory(c, u);
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

/* ---- cutting ---- */

/* Of a page that is cut in part: the blocks that go as a whole need not be written any more. */
static void undirty_locked(struct cache *c, struct cache_page *p, size_t from, size_t to)
{
	size_t first = ALIGN_UP(from, (size_t)c->block_bytes),
	       end = ALIGN_DOWN(to, (size_t)c->block_bytes);

	if (!(p->state & CACHE_DIRTY) || first >= end)
		return;
	p->dirty &= (uint8_t)~cache_sectors(first, end);
	if (!p->dirty)
		cache_page_clean_locked(c, p);
}

/* A page of which only a part is cut keeps the rest. */
static void cut_page_locked(struct cache *c, struct cache_page *p, int64_t from, int64_t to)
{
	int64_t start = cache_page_start(p->index), end = cache_page_end(p->index);

	if (from <= start && to >= end) {
		if (HAS_DISKS && p->state & CACHE_DIRTY)
			cache_page_clean_locked(c, p);
		cache_page_drop_locked(c, p);
		return;
	}
	from = MAX(from, start) - start;
	to = MIN(to, end) - start;
	memset(p->bytes + from, 0, (size_t)(to - from));
	if (HAS_DISKS && c->ops)
		undirty_locked(c, p, (size_t)from, (size_t)to);
}

static void wait_written(struct cache *c, struct cache_page *p)
{
	cache_page_hold(p);
	spin_unlock(&c->lock);
	cache_wait(p, !(cache_page_state(p) & CACHE_WRITING));
	cache_page_put(p);
	spin_lock(&c->lock);
}

/*
 * The lock is let go of where a page is under way to the disk, and the page looked for again.
 * Writers may be waiting for fewer dirty pages, of this file or others.
 */
void cache_cut_begin(struct cache *c, int64_t from, int64_t to)
{
	uint64_t index = (uint64_t)from >> PAGE_SHIFT, dirty;
	struct cache_page *p;

	spin_lock(&c->lock);
	c->cuts++;
	spin_unlock(&c->lock);
	cache_wait(c, !__atomic_load_n(&c->fills, __ATOMIC_ACQUIRE));
	spin_lock(&c->lock);
	dirty = c->dirty;
	while (from < to && (p = cache_index_next(c, index, CACHE_ANY)) &&
	       cache_page_start(p->index) < to) {
		index = p->index;
		if (HAS_DISKS && p->state & CACHE_WRITING) {
			wait_written(c, p);
			continue;
		}
		cut_page_locked(c, p, from, to);
		index++;
	}
	dirty -= c->dirty;
	spin_unlock(&c->lock);
	if (HAS_DISKS && dirty)
		cache_wake(cache_counts);
}

void cache_cut_end(struct cache *c)
{
	spin_lock(&c->lock);
	assert(c->cuts);
	c->cuts--;
	spin_unlock(&c->lock);
	cache_wake(c);
}

void cache_cut(struct cache *c, int64_t from, int64_t to)
{
	cache_cut_begin(c, from, to);
	cache_cut_end(c);
}

void cache_destroy(struct cache *c)
{
	cache_cut_begin(c, 0, INT64_MAX);
	if (HAS_DISKS && c->ops)
		cache_back_leave(c);
	assert(!c->root && !c->count);
}

int64_t cache_seek(struct cache *c, int64_t from, bool data)
{
	uint64_t index = (uint64_t)from >> PAGE_SHIFT;
	struct cache_page *p;
	int64_t found;

	spin_lock(&c->lock);
	if (data) {
		p = cache_index_next(c, index, CACHE_ANY);
		found = p ? MAX(from, cache_page_start(p->index)) : INT64_MAX;
	} else {
		while (cache_index_find(c, index))
			index++;
		found = MAX(from, cache_page_start(index));
	}
	spin_unlock(&c->lock);
	return found;
}
