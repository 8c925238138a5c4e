/*
 * The pages of block devices. A device has them while it is open as a file; the last to close it
 * writes what is dirty. Whole disk and partitions have pages of their own, as on Linux: who writes
 * through one and reads through the other syncs in between.
 *
 * Locks: opening, then a device's pages->lock, which writers hold (and with it that cache's).
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/sync.h>
#include <libos/blkdev.h>
#include <libos/cache.h>

#include "block.h"

/*  Locks:  I set once   o opening   w lock */
struct block_pages {
	struct cache cache;
	struct mutex lock;
	int64_t size;        /* [I] */
	unsigned openers;    /* [o] */
	uint32_t claims;     /* [w] the device's, when the pages were last known to be its bytes */
};

static struct mutex opening = MUTEX_INIT(opening);

static int map(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	(void)c;
	*e = (struct cache_extent){ CACHE_MAPPED, (uint64_t)offset, len };
	return 0;
}

static int prepare(struct cache *c, int64_t offset, int64_t len, void **token)
{
	(void)c, (void)offset, (void)len;
	*token = NULL;
	return 0;
}

static void finish(struct cache *c, int64_t offset, int64_t done, void *token)
{
	(void)c, (void)offset, (void)done, (void)token;
}

static const struct cache_backing_ops block_backing = {
	.map = map, .prepare = prepare, .finish = finish, .place = map,
};

static struct block_pages *pages_of(struct file *f)
{
	return ((struct blkdev *)f->object)->pages;
}

/* After a file system has had the disk, pages from before it are of no use. */
static void refresh(struct block_pages *b)
{
	uint32_t claims = __atomic_load_n(&b->cache.dev->claims, __ATOMIC_RELAXED);

	if (likely(b->claims == claims))
		return;
	mutex_lock(&b->lock);
	cache_cut(&b->cache, 0, INT64_MAX);
	b->claims = claims;
	mutex_unlock(&b->lock);
}

struct cache *block_pages_cache(struct file *f)
{
	refresh(pages_of(f));
	return &pages_of(f)->cache;
}

static struct block_pages *pages_new(struct blkdev *d)
{
	struct block_pages *b = kzalloc(sizeof(*b));

	if (!b)
		return NULL;
	mutex_init(&b->lock);
	b->size = (int64_t)d->bytes;
	b->claims = d->claims;
	cache_init_backed(&b->cache, &b->size, &block_backing, d, d->block_bytes);
	return b;
}

int block_pages_open(struct blkdev *d, struct file *f)
{
	bool opened;

	mutex_lock(&opening);
	if (!d->pages)
		d->pages = pages_new(d);
	opened = d->pages;
	if (opened) {
		d->pages->openers++;
		cache_error_open(&d->pages->cache, &f->view);
	}
	mutex_unlock(&opening);
	return opened ? 0 : -ENOMEM;
}

void block_pages_close(struct blkdev *d)
{
	struct block_pages *b = d->pages;

	mutex_lock(&opening);
	if (!--b->openers) {
		cache_sync(&b->cache, 0, INT64_MAX, true);
		cache_destroy(&b->cache);
		kfree(b);
		d->pages = NULL;
	}
	mutex_unlock(&opening);
}

kssize_t block_pages_read(struct file *f, struct uio *u)
{
	refresh(pages_of(f));
	return cache_read(&pages_of(f)->cache, u, &f->view);
}

kssize_t block_pages_write(struct file *f, struct uio *u)
{
	struct block_pages *b = pages_of(f);
	size_t left = u->left;
	kssize_t n;

	if (u->offset >= b->size)
		return left ? -ENOSPC : 0;
	refresh(b);
	mutex_lock(&b->lock);
	u->left = (size_t)MIN((int64_t)left, b->size - u->offset);
	left -= u->left;
	n = cache_write(&b->cache, u);
	u->left += left;
	mutex_unlock(&b->lock);
	return n;
}

int block_pages_sync(struct file *f)
{
	struct cache *c = &pages_of(f)->cache;
	int written = cache_sync(c, 0, INT64_MAX, true), flushed = blkdev_flush(c->dev);
	int before = cache_error_check(c, &f->view);

	return before ? before : written ? written : flushed;
}

/* ---- past the pages ---- */

void block_pages_change_begin(struct file *f, uint64_t from, uint64_t to)
{
	struct block_pages *b = pages_of(f);

	from = ALIGN_DOWN(MIN(from, (uint64_t)b->size), PAGE_SIZE);
	to = ALIGN_UP(MIN(to, (uint64_t)b->size), PAGE_SIZE);
	mutex_lock(&b->lock);
	cache_sync(&b->cache, (int64_t)from, (int64_t)to, true);
	cache_cut_begin(&b->cache, (int64_t)from, (int64_t)to);
}

void block_pages_change_end(struct file *f)
{
	cache_cut_end(&pages_of(f)->cache);
	mutex_unlock(&pages_of(f)->lock);
}

kssize_t block_pages_read_past(struct file *f, struct uio *u)
{
	struct block_pages *b = pages_of(f);
	int64_t to = (int64_t)MIN((uint64_t)u->offset + u->left, (uint64_t)b->size);
	int error = cache_sync(&b->cache, u->offset, to, true);

	return error ? error : block_direct(f->object, u, 0, true);
}

/*
 * The caller's memory must not be in pages of this very range, which nobody can fill now: in an
 * appliance it cannot.
 */
kssize_t block_pages_write_past(struct file *f, struct uio *u, uint32_t blk_flags)
{
	kssize_t n;

	block_pages_change_begin(f, (uint64_t)u->offset, (uint64_t)u->offset + u->left);
	n = block_direct(f->object, u, blk_flags, false);
	block_pages_change_end(f);
	return n;
}

int block_pages_forget(struct file *f)
{
	int error = block_pages_sync(f);

	cache_drop(&pages_of(f)->cache, 0, INT64_MAX);
	return error;
}
