/*
 * Slab classes: chunks of a few sizes, cut out of pages.
 *
 * Class 0 means "no class"; a chunk on a free list, or never used, has its class byte 0. Sizes grow
 * by the factor (-f) from a small item (-n) to half a page; larger things are made of several
 * chunks.
 */
#ifndef MEMCACHED_SLAB_H
#define MEMCACHED_SLAB_H

#include <stddef.h>

#include "item.h"

enum { SLAB_CLASSES_MAX = 63 }; /* 1 .. 62; six bits name one */

/*
 * After memory_start(). `sizes` is the list of -o slab_sizes, or NULL: then sizes grow by the
 * factor from a small item on. No chunk is larger than chunk_max, nor than half a page. 0; -EINVAL
 * for a list that is not one (sizes must grow, by 8 bytes or more); -ENOMEM.
 */
int slab_start(double factor, unsigned chunk_size, size_t chunk_max, const char *sizes);
unsigned slab_classes(void);                 /* the largest class */
/* The smallest class whose chunks hold `bytes`; 0: too large. */
unsigned slab_class_for(size_t bytes);
size_t slab_chunk_bytes(unsigned class);
unsigned slab_pages_of(unsigned class);
unsigned slab_chunks_per_page(unsigned class);
size_t slab_chunks_used(unsigned class);
size_t slab_chunk_max(void);

/* A free chunk with its class byte set, everything else undefined; NULL when a page is needed. */
void *slab_chunk_take(unsigned class);
void slab_chunk_free(void *chunk, unsigned class);
/* Gives the class a page of its own, from the pool or never used. False when there is none. */
bool slab_page_add(unsigned class);
/*
 * Taking a page away from its class. slab_page_leave(): its free chunks are not given out any more,
 * those in use are for the caller to free. Then either slab_page_remove(), when all are free: the
 * page goes to the pool, from which slab_page_add() takes first. Or slab_page_stay(). At most
 * SLAB_LEAVING_MAX pages are on their way at a time; slab_page_leave() returns false for one more.
 */
enum { SLAB_LEAVING_MAX = 2 };
bool slab_page_leave(unsigned page);
void slab_page_stay(unsigned page);
void slab_page_remove(unsigned page);
bool slab_page_is_leaving(unsigned page);
/* Some page of the class that is not leaving, the one longest in use; -1: none. */
int slab_page_first(unsigned class);
unsigned slab_page_class(unsigned page);
/* The chunk number n of the page, or NULL behind the last one that was ever used. */
struct item *slab_page_chunk(unsigned page, unsigned n);

unsigned slab_pages_pooled(void);
/* Gives a page of the pool to that class (which has not to need one), or back to the system. */
bool slab_pool_give(unsigned class);
bool slab_pool_release(void);

#endif
