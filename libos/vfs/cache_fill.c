/*
 * Filling pages from the disk.
 *
 * Who misses a page adds it, and as many behind it as should come along, marked FILLING, asks the
 * backing where their bytes lie, and sends requests: one for each piece that is contiguous on the
 * disk, over as many pages as it has. Others who want such a page find it and wait. The last
 * transfer of a page to end makes it valid, or takes it out of its file as FAILED: who waited sees
 * the error, who comes later tries anew.
 *
 * What lies behind the file's end as it was when the fill began is zero in memory, whatever the
 * disk has there, since the file may grow over it. Holes are zeroes without a request.
 *
 * While a cut is under way (cuts > 0) nobody begins a fill, and the cut waits for those under way
 * (fills).
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <libos/blkdev.h>

#include "cache_parts.h"

/* One request: pieces of neighbouring pages that lie together on the disk. */
struct fill_io {
	struct blkreq request;
	int64_t size;                            /* where the file ended when the fill began */
	unsigned count;                          /* of pages and of pieces */
	struct cache_page *pages[CACHE_RUN_MAX]; /* one each */
	struct blk_vec vecs[CACHE_RUN_MAX];
};

/* ---- the end of a fill ---- */

/* Behind the old end nothing was read that anybody may see. */
static void zero_behind(struct cache_page *p, int64_t size)
{
	int64_t start = cache_page_start(p->index);

	if (size < cache_page_end(p->index))
		memset(p->bytes + MAX(size - start, 0), 0,
		       (size_t)(PAGE_SIZE - (uint64_t)MAX(size - start, 0)));
}

static void page_filled(struct cache_page *p, int64_t size)
{
	struct cache *c = p->cache;
	bool last;

	if (!p->error)
		zero_behind(p, size);
	spin_lock(&c->lock);
	if (p->error) {
		cache_page_change_locked(p, CACHE_FAILED, CACHE_FILLING);
		cache_page_drop_locked(c, p);
	} else {
		cache_page_change_locked(p, CACHE_VALID, CACHE_FILLING);
	}
	last = --c->fills == 0;
	spin_unlock(&c->lock);
	cache_wake(p);
	if (last)
		cache_wake(c);
	cache_page_put(p);
}

static void transfer_ended(struct cache_page *p, int error, int64_t size)
{
	if (error)
		__atomic_store_n(&p->error, (int16_t)error, __ATOMIC_RELAXED);
	if (__atomic_sub_fetch(&p->transfers, 1, __ATOMIC_ACQ_REL) == 0)
		page_filled(p, size);
}

static void io_done(struct blkreq *r, int error)
{
	struct fill_io *io = container_of(r, struct fill_io, request);

	for (unsigned i = 0; i < io->count; i++)
		transfer_ended(io->pages[i], error, io->size);
	kfree(io);
}

/* ---- sending ---- */

/*
 * The pages of a fill that is being sent; each has a transfer of the sender's own until all is
 * sent.
 */
struct run {
	struct cache *cache;
	struct cache_page **pages;
	unsigned count;
	int64_t start, end;   /* bytes */
	int64_t size;         /* where the file ended when the fill began */
};

static struct cache_page *run_page(const struct run *r, int64_t offset)
{
	return r->pages[(offset - r->start) >> PAGE_SHIFT];
}

static void run_zero(const struct run *r, int64_t from, int64_t to)
{
	for (int64_t n; from < to; from += n) {
		n = MIN(to - from, (int64_t)(PAGE_SIZE - cache_in_page(from)));
		memset(run_page(r, from)->bytes + cache_in_page(from), 0, (size_t)n);
	}
}

static void run_fail(const struct run *r, int64_t from, int64_t to, int error)
{
	for (from -= (int64_t)cache_in_page(from); from < to; from += (int64_t)PAGE_SIZE)
		run_page(r, from)->error = (int16_t)error;
}

static int send(const struct run *r, int64_t from, const struct cache_extent *e)
{
	struct fill_io *io = kmalloc(sizeof(*io));
	int64_t to = from + e->len;

	if (!io)
		return -ENOMEM;
	io->count = 0;
	io->size = r->size;
	io->request = (struct blkreq){ .op = BLK_READ, .offset = e->disk, .len = (uint64_t)e->len,
				       .vecs = io->vecs, .done = io_done };
	for (int64_t n; from < to; from += n) {
		struct cache_page *p = run_page(r, from);

		n = MIN(to - from, (int64_t)(PAGE_SIZE - cache_in_page(from)));
		__atomic_fetch_add(&p->transfers, 1, __ATOMIC_RELAXED);
		io->pages[io->count] = p;
		io->vecs[io->count++] = (struct blk_vec){ p->bytes + cache_in_page(from),
							  (size_t)n };
	}
	io->request.vec_count = io->count;
	blkdev_submit(r->cache->dev, &io->request);
	return 0;
}

static int fill_piece(const struct run *r, int64_t from, int64_t to, int64_t *len)
{
	struct cache *c = r->cache;
	struct cache_extent e;
	int error = c->ops->map(c, from, to - from, &e);

	if (error)
		return error;
	assert(e.len > 0);
	*len = e.len = MIN(e.len, to - from);
	if (e.kind == CACHE_MAPPED)
		return send(r, from, &e);
	run_zero(r, from, from + e.len);
	return 0;
}

/* Up to the file's end, in the backing's blocks. A damaged size may be too large to be rounded. */
static void fill_by_requests(const struct run *r)
{
	int64_t end = r->size < r->end ? ALIGN_UP(r->size, (int64_t)r->cache->block_bytes) : r->end,
		len;

	for (int64_t at = r->start; at < end; at += len) {
		int error = fill_piece(r, at, end, &len);

		if (error) {
			run_fail(r, at, end, error);
			break;
		}
	}
	blkdev_kick(r->cache->dev);
}

static void fill_by_backing(const struct run *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		struct cache_page *p = r->pages[i];

		p->error = (int16_t)r->cache->ops->read_page(r->cache, p->index, p->bytes);
	}
}

static void run_fill(const struct run *r)
{
	if (r->cache->ops->read_page)
		fill_by_backing(r);
	else
		fill_by_requests(r);
	for (unsigned i = 0; i < r->count; i++)
		transfer_ended(r->pages[i], 0, r->size);
}

/* ---- beginning ---- */

/*
 * Adds pages from `index` on, up to one that is there already. How many, or -ENOMEM when it is not
 * even one.
 */
static int add_missing_locked(struct cache *c, uint64_t index, unsigned count,
			      struct cache_page **pages)
{
	unsigned n = 0;

	for (; n < count && !cache_index_find(c, index + n); n++) {
		if (cache_page_add_locked(c, index + n, CACHE_FILLING, &pages[n]))
			return n ? (int)n : -ENOMEM;
		pages[n]->transfers = 1;
		c->fills++;
	}
	return (int)n;
}

static bool may_fill(struct cache *c)
{
	return !__atomic_load_n(&c->cuts, __ATOMIC_RELAXED);
}

int cache_fill(struct cache *c, uint64_t index, unsigned count, struct cache_page **first)
{
	struct cache_page *pages[CACHE_RUN_MAX];
	struct run r = { .cache = c, .pages = pages, .start = cache_page_start(index) };
	int n = -EAGAIN;

	cache_make_room(count);
	while (n == -EAGAIN) {
		cache_wait(c, may_fill(c));
		spin_lock(&c->lock);
		r.size = cache_size(c);
		if (!c->cuts)
			n = add_missing_locked(c, index, MIN(count, CACHE_RUN_MAX), pages);
		spin_unlock(&c->lock);
	}
	if (n <= 0)
		return n;
	if (first)
		cache_page_hold(*first = pages[0]);
	cache_count(CACHE_COUNT_FILLED, (unsigned)n);
	r.count = (unsigned)n;
	r.end = cache_page_end(index + (unsigned)n - 1);
	run_fill(&r);
	return n;
}

/* ---- waiting ---- */

int cache_page_wait(struct cache_page *p)
{
	cache_wait(p, !(cache_page_state(p) & CACHE_FILLING));
	if (cache_page_state(p) & CACHE_VALID)
		return 0;
	return cache_page_state(p) & CACHE_FAILED ? p->error : -EAGAIN;
}
