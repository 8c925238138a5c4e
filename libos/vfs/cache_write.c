/*
 * Writing to files with a disk behind them: bytes into pages, pages dirty.
 *
 * A write goes in pieces of a few pages. For each the pages are brought into memory first, those
 * that are overwritten only in part with their bytes; then the backing prepares room, perhaps under
 * a journal's handle; then bytes are copied and pages marked dirty, and the backing finishes. So no
 * disk is waited for while the handle is open, and a commit in between finds either nothing of this
 * piece or all of it.
 *
 * A page that is written as a whole is not read: it is FILLING until its bytes are there, and
 * readers wait. Should the copy fault in the middle, such a page leaves its file again and counts
 * as not written.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>

#include "cache_parts.h"

#define PIECE_PAGES 16u

struct piece {
	struct cache *cache;
	int64_t from, to;
	unsigned count;
	uint32_t fresh;   /* bit per page: not valid yet */
	struct cache_page *pages[PIECE_PAGES];
};

/* ---- dirty pages ---- */

void cache_page_dirty(struct cache_page *p, size_t from, size_t to)
{
	struct cache *c = p->cache;
	size_t block = c->block_bytes;
	bool first = false;

	spin_lock(&c->lock);
	p->dirty |= cache_sectors(ALIGN_DOWN(from, block), ALIGN_UP(to, block));
	if (!(p->state & CACHE_DIRTY)) {
		first = c->dirty++ == 0;
		cache_count(CACHE_COUNT_DIRTY, 1);
		cache_index_mark(c, p, CACHE_TO_WRITE, true);
	}
	cache_page_change_locked(p, CACHE_VALID | CACHE_DIRTY, CACHE_FILLING);
	spin_unlock(&c->lock);
	if (first)
		cache_back_join(c);
}

void cache_page_clean_locked(struct cache *c, struct cache_page *p)
{
	assert(p->state & CACHE_DIRTY && c->dirty);
	p->dirty = 0;
	c->dirty--;
	cache_count(CACHE_COUNT_DIRTY, -1);
	cache_index_mark(c, p, CACHE_TO_WRITE, false);
	cache_page_change_locked(p, 0, CACHE_DIRTY);
}

/* ---- pages for a piece ---- */

/* The bytes of page `index` that the piece covers. */
static void bounds(const struct piece *w, uint64_t index, size_t *from, size_t *to)
{
	int64_t start = cache_page_start(index);

	*from = (size_t)(MAX(w->from, start) - start);
	*to = (size_t)(MIN(w->to, cache_page_end(index)) - start);
}

/* Nothing of the page's old bytes will be seen: it is covered up to its end or the file's. */
static bool is_covered(const struct piece *w, uint64_t index)
{
	int64_t size = cache_size(w->cache), start = cache_page_start(index);
	size_t from, to;

	bounds(w, index, &from, &to);
	return start >= size || (!from && (to == PAGE_SIZE || start + (int64_t)to >= size));
}

/* Finds the page or adds one without contents: 0, -ENOMEM; *fresh: it is ours to fill. */
static int find_or_add(struct cache *c, uint64_t index, struct cache_page **out, bool *fresh)
{
	int error = 0;

	spin_lock(&c->lock);
	*out = cache_page_find_locked(c, index);
	*fresh = !*out;
	if (!*out)
		error = cache_page_add_locked(c, index, CACHE_FILLING, out);
	spin_unlock(&c->lock);
	return error;
}

static int page_for_write(struct piece *w, uint64_t index)
{
	struct cache_page *p;
	bool fresh;
	int error;

	if (!is_covered(w, index)) {
		error = cache_page_read(w->cache, index, 1, NULL, &w->pages[w->count]);
		w->count += !error;
		return error;
	}
	do {
		error = find_or_add(w->cache, index, &p, &fresh);
		if (error)
			return error;
		error = fresh ? 0 : cache_page_wait(p);
		if (error)
			cache_page_put(p); /* it could not be read, but it need not be */
	} while (error);
	w->fresh |= (uint32_t)fresh << w->count;
	w->pages[w->count++] = p;
	return 0;
}

/* A page that got no contents leaves the file; who waits for it looks again. */
static void abandon(struct cache *c, struct cache_page *p)
{
	spin_lock(&c->lock);
	cache_page_change_locked(p, 0, CACHE_FILLING);
	cache_page_drop_locked(c, p);
	spin_unlock(&c->lock);
	cache_wake(p);
}

static void piece_end(struct piece *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (w->fresh & 1u << i)
			abandon(w->cache, w->pages[i]);
		cache_page_put(w->pages[i]);
	}
}

static int piece_begin(struct piece *w)
{
	uint64_t end = cache_index_end(w->to);
	int error = 0;

	cache_make_room(PIECE_PAGES);
	for (uint64_t i = (uint64_t)w->from >> PAGE_SHIFT; i < end && !error; i++)
		error = page_for_write(w, i);
	if (error && w->count) { /* what there is may be written */
		w->to = cache_page_start(w->pages[w->count - 1]->index + 1);
		error = 0;
	}
	return error;
}

/* ---- copying ---- */

static kssize_t copy_page(struct piece *w, unsigned i, struct uio *u)
{
	struct cache_page *p = w->pages[i];
	bool fresh = w->fresh & 1u << i;
	struct uio before = *u;
	size_t from, to;
	kssize_t n;

	bounds(w, p->index, &from, &to);
	n = uio_copy_in(u, p->bytes + from, to - from);
	if (n <= 0)
		return n;
	if (fresh && (size_t)n < to - from) {
		*u = before;
		return -EFAULT;
	}
	if (fresh) {
		memset(p->bytes, 0, from);
		memset(p->bytes + to, 0, PAGE_SIZE - to);
		w->fresh &= ~(1u << i);
	}
	cache_page_dirty(p, from, from + (size_t)n);
	if (fresh)
		cache_wake(p);
	return n;
}

static kssize_t copy_piece(struct piece *w, struct uio *u)
{
	kssize_t done = 0, n = 0;

	for (unsigned i = 0; i < w->count; i++) {
		size_t from, to;

		bounds(w, w->pages[i]->index, &from, &to);
		n = copy_page(w, i, u);
		if (n > 0)
			done += n;
		if (n < (kssize_t)(to - from))
			break;
	}
	return done ? done : n;
}

/* One piece: bytes, or an errno. */
static kssize_t write_piece(struct cache *c, struct uio *u)
{
	struct piece w = { .cache = c, .from = u->offset };
	void *token = NULL;
	kssize_t n;

	w.to = w.from + (int64_t)MIN(u->left, PIECE_PAGES * PAGE_SIZE - cache_in_page(w.from));
	n = piece_begin(&w);
	if (!n)
		n = c->ops->prepare(c, w.from, w.to - w.from, &token);
	if (!n) {
		n = copy_piece(&w, u);
		c->ops->finish(c, w.from, MAX(n, 0), token);
	}
	piece_end(&w);
	return n;
}

kssize_t cache_write_backed(struct cache *c, struct uio *u)
{
	size_t done = 0;
	kssize_t n = 0;

	while (u->left) {
		cache_throttle();
		n = write_piece(c, u);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done ? (kssize_t)done : n;
}

int cache_zero(struct cache *c, int64_t from, int64_t to)
{
	static const uint8_t zeroes[256];
	struct uio_vec vecs[PAGE_SIZE / sizeof(zeroes)];
	struct uio u = { .vecs = vecs,
			 .vec_count = ARRAY_SIZE(vecs),
			 .left = (size_t)(to - from),
			 .offset = from,
			 .from_kernel = true };
	kssize_t n;

	assert(from < to && cache_in_page(from) + u.left <= PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(vecs); i++)
		vecs[i] = (struct uio_vec){ (void *)zeroes, sizeof(zeroes) };
	n = cache_write(c, &u);
	return n < 0 ? (int)n : 0;
}
