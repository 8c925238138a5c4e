/* The parts of the page cache among themselves. See libos/cache.h. */
#ifndef VFS_CACHE_PARTS_H
#define VFS_CACHE_PARTS_H

#include <core/atomic.h>
#include <libos/cache.h>

/* With disks below? Images without block devices keep only what tmpfs needs. */
#define HAS_DISKS IS_ENABLED(CONFIG_BLOCK)

#define CACHE_RUN_MAX 32u /* pages that go to or come from the disk together: 128 KiB */

static inline size_t cache_in_page(int64_t offset)
{
	return (size_t)offset & (PAGE_SIZE - 1);
}

static inline int64_t cache_page_start(uint64_t index)
{
	return (int64_t)(index << PAGE_SHIFT);
}

/* Where the page's bytes end; there are none behind INT64_MAX. */
static inline int64_t cache_page_end(uint64_t index)
{
	return (int64_t)MIN((index + 1) << PAGE_SHIFT, (uint64_t)INT64_MAX);
}

/* The first page that begins at `to` or later. */
static inline uint64_t cache_index_end(int64_t to)
{
	return ((uint64_t)to + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Bits of whole sectors that [from, to) of a page touches. */
static inline uint8_t cache_sectors(size_t from, size_t to)
{
	return (uint8_t)((1u << ((to + 511) / 512)) - (1u << (from / 512)));
}

static inline int64_t cache_size(const struct cache *c)
{
	return __atomic_load_n(c->size, __ATOMIC_RELAXED);
}

/* ---- cache_index.c: pages by index, under the cache's lock ---- */

enum cache_mark { CACHE_ANY, CACHE_TO_WRITE, CACHE_UNDER_WAY, CACHE_MARKS };

struct cache_page *cache_index_find(const struct cache *c, uint64_t index);
/* at or after */
struct cache_page *cache_index_next(const struct cache *c, uint64_t index, enum cache_mark mark);
/* the last one: its index + 1; 0: there is none */
uint64_t cache_index_behind(const struct cache *c, enum cache_mark mark);
int cache_index_insert(struct cache *c, struct cache_page *p);  /* 0, -ENOMEM */
void cache_index_remove(struct cache *c, struct cache_page *p);
void cache_index_mark(struct cache *c, struct cache_page *p, enum cache_mark mark, bool set);

/* ---- pages (cache.c) ---- */

static inline uint32_t cache_page_state(const struct cache_page *p)
{
	return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
}

/* With the cache's lock. */
static inline void cache_page_change_locked(struct cache_page *p, uint32_t set, uint32_t clear)
{
	store_release(&p->state, (p->state & ~clear) | set);
}

/*
 * With the cache's lock: it has contents that are on the disk, and `refs` references, so nobody
 * else looks at it.
 */
static inline bool cache_page_is_idle(const struct cache_page *p, uint32_t refs)
{
	return (p->state & (CACHE_VALID | CACHE_DIRTY | CACHE_WRITING | CACHE_FILLING)) ==
		       CACHE_VALID &&
	       __atomic_load_n(&p->refs, __ATOMIC_RELAXED) == refs;
}

/* A page that is found or added has a reference more. */
struct cache_page *cache_page_find(struct cache *c, uint64_t index);
struct cache_page *cache_page_find_locked(struct cache *c, uint64_t index);
/* Reads as zeroes if `state` says that it is valid: 0, -ENOSPC (budget), -ENOMEM. */
int cache_page_add_locked(struct cache *c, uint64_t index, uint32_t state, struct cache_page **out);
void cache_page_drop_locked(struct cache *c, struct cache_page *p);

/* ---- waiting: for a page or for a cache, by its address ---- */

struct waitq *cache_waits(const void *key);
#define cache_wait(key, cond) waitq_wait(cache_waits(key), cond, DEADLINE_NEVER, false)
static inline void cache_wake(const void *key)
{
	waitq_wake_all(cache_waits(key));
}

/* ---- cache_fill.c ---- */

/*
 * Begins filling pages from `index` up to the first that is there already: how many, 0 if that is
 * the very first, or -ENOMEM. *first, if wanted: the first of them, with a reference.
 */
int cache_fill(struct cache *c, uint64_t index, unsigned count, struct cache_page **first);
/*
 * Until the page is filled: 0 when it is valid, the error of reading, or -EAGAIN when it is in its
 * file no more.
 */
int cache_page_wait(struct cache_page *p);

/* ---- cache_ahead.c ---- */

/*
 * A valid page, of a cache with a backing: `wanted` pages from there will be read. 0, -EIO,
 * -ENOMEM, map()'s error.
 */
int cache_page_read(struct cache *c, uint64_t index, unsigned wanted, struct file_view *v,
		    struct cache_page **out);
/* the reader has come to the trigger */
void cache_window_next(struct cache *c, struct file_view *v);

/* ---- cache_write.c, cache_back.c ---- */

kssize_t cache_write_backed(struct cache *c, struct uio *u);
/* With the cache's lock: pages of a cut, dirty or not, that are about to leave. */
void cache_page_clean_locked(struct cache *c, struct cache_page *p);
/* Bytes [from, to) of a valid page have changed. */
void cache_page_dirty(struct cache_page *p, size_t from, size_t to);
void cache_throttle(void);
void cache_back_wake(void);             /* there is something to write */
/*
 * How often the thread looks for old dirty pages, and from what age on they are written. Tests have
 * less patience.
 */
extern uint64_t cache_look_period_ns, cache_dirty_age_ns;
void cache_back_join(struct cache *c);  /* the cache has dirty pages */
void cache_back_leave(struct cache *c); /* it goes; waits for whoever is at it */

/* ---- cache_reclaim.c ---- */

/* As page_keeper.give_back(): clean pages of caches that are not locked; how many. */
size_t cache_give_back(size_t pages);

void cache_list_add(struct cache_page *p);      /* a new page, with the cache's lock */
void cache_list_remove(struct cache_page *p);   /* the same */
void cache_make_room(unsigned count);           /* before pages are allocated; no locks */
/* what pages may be made of: free ones, and those of the cache */
uint64_t cache_memory_pages(void);

/* ---- counts ---- */

enum cache_counted {
	CACHE_COUNT_FILLED, CACHE_COUNT_AHEAD, CACHE_COUNT_WRITTEN, CACHE_COUNT_RECLAIMED,
	CACHE_COUNT_THROTTLED, CACHE_COUNT_PAGES, CACHE_COUNT_DIRTY, CACHE_COUNT_WRITING,
	CACHE_COUNTS
};
extern uint64_t cache_counts[CACHE_COUNTS]; /* atomic */

static inline void cache_count(enum cache_counted which, int64_t n)
{
	__atomic_fetch_add(&cache_counts[which], (uint64_t)n, __ATOMIC_RELAXED);
}

static inline uint64_t cache_counted(enum cache_counted which)
{
	return __atomic_load_n(&cache_counts[which], __ATOMIC_RELAXED);
}

#endif
