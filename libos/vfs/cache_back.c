/*
 * Write-back: dirty pages go to the disk.
 *
 * Pages next to each other that are dirty go together. They are marked WRITING and clean, so that a
 * change meanwhile makes them dirty again; the backing says where they belong, and one request goes
 * out for each piece that is contiguous on the disk. The last transfer of a page to end takes the
 * mark away. Only blocks that were changed are written.
 *
 * A piece that was unwritten is waited for here, since the backing has to note (perhaps in a
 * journal) that it is written now, which no completion may wait for.
 *
 * An error is counted in the cache, and each opener compares the count with what it saw last; one
 * that nobody has been told is told to who opens the file next, as on Linux: it may be who closed
 * it without asking. The page is clean: a disk that cannot be written must not fill memory with
 * what will never be written.
 *
 * Want of memory passes, so pages for which the backing had none stay dirty. Who waits tries again
 * for a second, and is told then; who comes later finds them where they were.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/time.h>
#include <libos/blkdev.h>

#include "cache_parts.h"

/* pages of all caches that background write-back sends before it waits */
#define UNDER_WAY_MAX 2048u
#define MEMORY_TRIES  10u
#define MEMORY_NS     (NSEC_PER_SEC / MEMORY_TRIES)

struct write_io {
	struct blkreq request;
	unsigned count;
	struct cache_page *pages[CACHE_RUN_MAX];
	struct blk_vec vecs[CACHE_RUN_MAX];
};

struct batch {
	struct cache *cache;
	struct cache_page *pages[CACHE_RUN_MAX];
	unsigned count;
	uint32_t flags;       /* BLK_BACKGROUND or 0 */
	int kept;             /* -ENOMEM: pages stayed dirty, and no more are taken */
};

/* ---- the end of a write ---- */

static void page_written(struct cache_page *p)
{
	struct cache *c = p->cache;
	int error = __atomic_load_n(&p->error, __ATOMIC_RELAXED);

	spin_lock(&c->lock);
	c->writing--;
	cache_count(CACHE_COUNT_WRITING, -1);
	cache_index_mark(c, p, CACHE_UNDER_WAY, false);
	cache_page_change_locked(p, 0, CACHE_WRITING);
	if (error) {
		__atomic_store_n(&c->error, error, __ATOMIC_RELAXED);
		store_release(&c->errors, c->errors + 1); /* who sees the count sees the errno */
	}
	spin_unlock(&c->lock);
	cache_wake(p);
	cache_wake(cache_counts);
	cache_page_put(p);
}

static void transfer_ended(struct cache_page *p, int error)
{
	if (error)
		__atomic_store_n(&p->error, (int16_t)error, __ATOMIC_RELAXED);
	if (__atomic_sub_fetch(&p->transfers, 1, __ATOMIC_ACQ_REL) == 0)
		page_written(p);
}

static void io_done(struct blkreq *r, int error)
{
	struct write_io *io = container_of(r, struct write_io, request);

	for (unsigned i = 0; i < io->count; i++)
		transfer_ended(io->pages[i], error);
	kfree(io);
}

/* ---- sending ---- */

static struct cache_page *batch_page(const struct batch *b, int64_t offset)
{
	return b->pages[((uint64_t)offset >> PAGE_SHIFT) - b->pages[0]->index];
}

static void io_fill(struct write_io *io, const struct batch *b, int64_t from,
		    const struct cache_extent *e)
{
	int64_t to = from + e->len;

	io->count = 0;
	io->request = (struct blkreq){ .op = BLK_WRITE,
				       .flags = b->flags,
				       .offset = e->disk,
				       .len = (uint64_t)e->len,
				       .vecs = io->vecs,
				       .done = io_done };
	for (int64_t n; from < to; from += n) {
		struct cache_page *p = batch_page(b, from);

		n = MIN(to - from, (int64_t)(PAGE_SIZE - cache_in_page(from)));
		io->pages[io->count] = p;
		io->vecs[io->count++] = (struct blk_vec){ p->bytes + cache_in_page(from),
							  (size_t)n };
	}
	io->request.vec_count = io->count;
}

static int write_and_wait(const struct batch *b, int64_t from, const struct cache_extent *e,
			  struct write_io *io)
{
	struct cache *c = b->cache;
	int error = blkdev_wait(c->dev, &io->request), noted = 0;

	if (e->kind == CACHE_UNWRITTEN && c->ops->written)
		noted = c->ops->written(c, from, e->len, error);
	return error ? error : noted;
}

/* Memory comes back by writing, so writing goes on without any: one piece at a time. */
static int write_without_memory(const struct batch *b, int64_t from, const struct cache_extent *e)
{
	static struct mutex lock = MUTEX_INIT(lock);
	static struct write_io io;
	int error;

	mutex_lock(&lock);
	io_fill(&io, b, from, e);
	error = write_and_wait(b, from, e, &io);
	mutex_unlock(&lock);
	return error;
}

/* Writes as much of [from, to) as lies together; *len: how much that is. */
static int write_piece(const struct batch *b, int64_t from, int64_t to, int64_t *len)
{
	struct cache *c = b->cache;
	struct cache_extent e;
	struct write_io *io;
	int error = c->ops->place(c, from, to - from, &e);

	if (error)
		return error;
	assert(e.len > 0 && e.kind != CACHE_HOLE);
	*len = e.len = MIN(e.len, to - from);
	io = kmalloc(sizeof(*io));
	if (!io)
		return write_without_memory(b, from, &e);
	io_fill(io, b, from, &e);
	if (e.kind == CACHE_UNWRITTEN) {
		error = write_and_wait(b, from, &e, io);
		kfree(io);
		return error;
	}
	for (unsigned i = 0; i < io->count; i++)
		__atomic_fetch_add(&io->pages[i]->transfers, 1, __ATOMIC_RELAXED);
	blkdev_submit(c->dev, &io->request);
	return 0;
}

static void batch_fail(const struct batch *b, int64_t from, int64_t to, int error)
{
	for (from -= (int64_t)cache_in_page(from); from < to; from += (int64_t)PAGE_SIZE)
		__atomic_store_n(&batch_page(b, from)->error, (int16_t)error, __ATOMIC_RELAXED);
}

/*
 * It stays dirty. Who finds a place for it and then looks for dirty pages has seen them clean until
 * now, and waits for this batch alone: so after this the place is asked for again.
 */
static void batch_keep(const struct batch *b, int64_t from, int64_t to)
{
	for (int64_t n; from < to; from += n) {
		size_t at = cache_in_page(from);

		n = MIN(to - from, (int64_t)(PAGE_SIZE - at));
		cache_page_dirty(batch_page(b, from), at, at + (size_t)n);
	}
}

static void write_stretch(struct batch *b, int64_t from, int64_t to)
{
	for (int64_t len; from < to; from += len) {
		int error = b->kept;

		len = to - from;
		if (!error)
			error = write_piece(b, from, to, &len);
		if (error == -EAGAIN || error == -ENOMEM)
			batch_keep(b, from, to);
		if (error == -EAGAIN)
			error = write_piece(b, from, to, &len);
		if (error == -ENOMEM)
			b->kept = error;
		else if (error && error != -EAGAIN)
			batch_fail(b, from, from + len, error);
	}
}

/*
 * Where the next stretch of changed sectors at or after `at` begins and ends; false: there is none.
 */
static bool next_stretch(const struct batch *b, int64_t at, int64_t end, int64_t *from, int64_t *to)
{
	const int64_t step = 512;

	while (at < end && !(batch_page(b, at)->writing_sectors >> (cache_in_page(at) / 512) & 1))
		at += step;
	*from = at;
	while (at < end && batch_page(b, at)->writing_sectors >> (cache_in_page(at) / 512) & 1)
		at += batch_page(b, at)->writing_sectors == 0xff
			      ? (int64_t)(PAGE_SIZE - cache_in_page(at))
			      : step;
	*to = at;
	return *from < end;
}

static void write_by_requests(struct batch *b)
{
	int64_t at = cache_page_start(b->pages[0]->index),
		end = at + ((int64_t)b->count << PAGE_SHIFT), from;

	while (next_stretch(b, at, end, &from, &at))
		write_stretch(b, from, at);
	blkdev_kick(b->cache->dev);
}

/* Where the last change in a page ends. */
static size_t changed_end(const struct cache_page *p)
{
	size_t end = PAGE_SIZE;

	while (end && !(p->writing_sectors >> (end / 512 - 1) & 1))
		end -= 512;
	return end;
}

/* Not only up to the file's end: a writer between prepare() and finish() has not moved it yet. */
static void write_by_backing(struct batch *b)
{
	struct cache *c = b->cache;

	for (unsigned i = 0; i < b->count; i++) {
		struct cache_page *p = b->pages[i];
		int error = b->kept ? b->kept
				    : c->ops->write_page(c, p->index, p->bytes, changed_end(p));

		if (error == -ENOMEM) {
			b->kept = error;
			cache_page_dirty(p, 0, changed_end(p));
		} else {
			__atomic_store_n(&p->error, (int16_t)error, __ATOMIC_RELAXED);
		}
	}
}

static void batch_write(struct batch *b)
{
	cache_count(CACHE_COUNT_WRITTEN, b->count);
	if (b->cache->ops->write_page)
		write_by_backing(b);
	else
		write_by_requests(b);
	for (unsigned i = 0; i < b->count; i++)
		transfer_ended(b->pages[i], 0);
}

/* ---- collecting ---- */

static void take_locked(struct batch *b, struct cache_page *p)
{
	struct cache *c = b->cache;

	p->writing_sectors = p->dirty;
	p->transfers = 1;
	p->error = 0;
	cache_page_clean_locked(c, p);
	c->writing++;
	cache_count(CACHE_COUNT_WRITING, 1);
	cache_index_mark(c, p, CACHE_UNDER_WAY, true);
	cache_page_change_locked(p, CACHE_WRITING, 0);
	cache_page_hold(p);
	b->pages[b->count++] = p;
}

/*
 * Collects dirty neighbours from the first dirty page at or after *index. When that one is under
 * way already it is held in *busy instead. False: there is nothing more before `end`.
 */
static bool collect_locked(struct batch *b, uint64_t *index, uint64_t end, struct cache_page **busy)
{
	struct cache_page *p = cache_index_next(b->cache, *index, CACHE_TO_WRITE);

	*busy = NULL;
	b->count = 0;
	if (!p || p->index >= end)
		return false;
	*index = p->index;
	if (p->state & CACHE_WRITING) {
		cache_page_hold(*busy = p);
		return true;
	}
	while (p && *index < end && p->state & CACHE_DIRTY && !(p->state & CACHE_WRITING) &&
	       b->count < CACHE_RUN_MAX) {
		take_locked(b, p);
		p = cache_index_find(b->cache, ++*index);
	}
	return true;
}

/* A page that is under way and dirty again: waited for, or left for next time. */
static void busy_pass(struct cache_page *busy, uint64_t *index, bool wait)
{
	if (wait)
		cache_wait(busy, !(cache_page_state(busy) & CACHE_WRITING));
	else
		++*index;
	cache_page_put(busy);
}

/* 0, or -ENOMEM: some pages are dirty as before. */
static int write_range(struct cache *c, uint64_t index, uint64_t end, bool wait)
{
	struct batch b = { .cache = c, .flags = wait ? 0 : BLK_BACKGROUND };
	struct cache_page *busy;
	bool more = true;

	while (more && !b.kept) {
		spin_lock(&c->lock);
		more = collect_locked(&b, &index, end, &busy);
		spin_unlock(&c->lock);
		if (busy)
			busy_pass(busy, &index, wait);
		else if (more)
			batch_write(&b);
		if (!wait)
			cache_wait(cache_counts,
				   cache_counted(CACHE_COUNT_WRITING) < UNDER_WAY_MAX);
	}
	return b.kept;
}

static void wait_range(struct cache *c, uint64_t index, uint64_t end)
{
	struct cache_page *p;

	for (;;) {
		spin_lock(&c->lock);
		p = cache_index_next(c, index, CACHE_UNDER_WAY);
		if (p && p->index < end)
			cache_page_hold(p);
		else
			p = NULL;
		spin_unlock(&c->lock);
		if (!p)
			return;
		index = p->index + 1;
		cache_wait(p, !(cache_page_state(p) & CACHE_WRITING));
		cache_page_put(p);
	}
}

/*
 * Behind the last page that is to be written now: who appends to the file meanwhile must not be run
 * after, or neither a commit nor write-back would come to its end.
 */
static uint64_t end_now(struct cache *c)
{
	uint64_t dirty, writing;

	spin_lock(&c->lock);
	dirty = cache_index_behind(c, CACHE_TO_WRITE);
	writing = cache_index_behind(c, CACHE_UNDER_WAY);
	spin_unlock(&c->lock);
	return MAX(dirty, writing);
}

static int write_and_wait_range(struct cache *c, uint64_t index, uint64_t end)
{
	int kept;

	for (unsigned tries = 0;; tries++) {
		kept = write_range(c, index, end, true);
		wait_range(c, index, end);
		if (!kept || tries == MEMORY_TRIES)
			return kept;
		thread_sleep_until(clock_ns() + MEMORY_NS);
	}
}

int cache_sync(struct cache *c, int64_t from, int64_t to, bool wait)
{
	uint32_t errors = __atomic_load_n(&c->errors, __ATOMIC_RELAXED);
	uint64_t index = (uint64_t)from >> PAGE_SHIFT, end;
	int unsettled, kept;

	if (!c->ops || from >= to)
		return 0;
	unsettled = c->ops->settle ? c->ops->settle(c, wait) : 0;
	end = MIN(cache_index_end(to), end_now(c));
	kept = wait ? write_and_wait_range(c, index, end) : write_range(c, index, end, false);
	if (__atomic_load_n(&c->errors, __ATOMIC_ACQUIRE) != errors)
		return __atomic_load_n(&c->error, __ATOMIC_RELAXED);
	return unsettled ? unsettled : kept;
}

bool cache_is_dirty(struct cache *c)
{
	bool dirty;

	spin_lock(&c->lock);
	dirty = c->dirty || c->writing;
	spin_unlock(&c->lock);
	return dirty;
}

/* ---- errors ---- */

void cache_error_open(struct cache *c, struct file_view *view)
{
	uint32_t errors = __atomic_load_n(&c->errors, __ATOMIC_RELAXED);

	view->errors_seen = errors == __atomic_load_n(&c->errors_told, __ATOMIC_RELAXED)
				    ? errors
				    : errors - 1;
}

int cache_error_check(struct cache *c, struct file_view *view)
{
	uint32_t errors = __atomic_load_n(&c->errors, __ATOMIC_ACQUIRE);

	if (__atomic_exchange_n(&view->errors_seen, errors, __ATOMIC_RELAXED) == errors)
		return 0;
	__atomic_store_n(&c->errors_told, errors, __ATOMIC_RELAXED);
	return __atomic_load_n(&c->error, __ATOMIC_RELAXED);
}
