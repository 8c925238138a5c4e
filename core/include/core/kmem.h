/*
 * Kernel heap: slab caches of equal objects, with per-hart magazines, and kmalloc() over a ladder
 * of caches. Larger requests go to the page allocator. Any context; never sleeps; NULL when memory
 * is short. Objects are aligned to 16 bytes, or to `align`.
 */
#ifndef CORE_KMEM_H
#define CORE_KMEM_H

#include <core/types.h>

struct kmem_cache;

void kmem_init(void); /* boot, after page_add_ram(): before it nothing below may be called */

/*
 * `name` is kept by reference. The cache lives until kmem_cache_destroy(), which asserts it is
 * empty.
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align);
void kmem_cache_destroy(struct kmem_cache *c);
void *kmem_cache_alloc(struct kmem_cache *c);
void *kmem_cache_alloc_zero(struct kmem_cache *c);
void kmem_cache_free(struct kmem_cache *c, void *object);
/* empties magazines and free slabs; pages given back */
size_t kmem_cache_reclaim(struct kmem_cache *c);

void *kmalloc(size_t bytes);
void *kzalloc(size_t bytes);
void kfree(void *p);               /* NULL is harmless */
size_t kmalloc_usable(const void *p);

struct kmem_stats { const char *name; size_t object_bytes, in_use, slabs_bytes; };
/* Calls visit for every cache; must not allocate. */
void kmem_for_each(void (*visit)(const struct kmem_stats *s, void *arg), void *arg);

#endif
