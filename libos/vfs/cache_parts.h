/* The parts of the page cache among themselves. See libos/cache.h. */
#ifndef VFS_CACHE_PARTS_H
#define VFS_CACHE_PARTS_H

#include <libos/cache.h>

/* With a disk below? Images without block devices keep only what tmpfs needs. */
#define HAS_DISKS IS_ENABLED(CONFIG_BLOCK)

static inline size_t cache_in_page(int64_t offset)
{
	return (size_t)offset & (PAGE_SIZE - 1);
}

static inline int64_t cache_page_start(uint64_t index)
{
	return (int64_t)(index << PAGE_SHIFT);
}

static inline int64_t cache_size(const struct cache *c)
{
	return __atomic_load_n(c->size, __ATOMIC_RELAXED);
}

static inline uint32_t cache_page_state(const struct cache_page *p)
{
	return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
}

/* ---- cache_index.c: pages by index, under the cache's lock ---- */

struct cache_page *cache_index_find(const struct cache *c, uint64_t index);
struct cache_page *cache_index_next(const struct cache *c, uint64_t index, bool dirty); /* at or after */
int cache_index_insert(struct cache *c, struct cache_page *p);  /* 0, -ENOMEM */
void cache_index_remove(struct cache *c, struct cache_page *p);
void cache_index_mark(struct cache *c, struct cache_page *p, bool dirty);

/* ---- cache.c ---- */

/* With the cache's lock. A page that is found or added has a reference more. */
struct cache_page *cache_page_find_locked(struct cache *c, uint64_t index);
int cache_page_add_locked(struct cache *c, uint64_t index, uint32_t state, struct cache_page **out);
void cache_page_drop_locked(struct cache *c, struct cache_page *p);
static inline void cache_page_hold(struct cache_page *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
}

#endif
