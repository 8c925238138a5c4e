/*
 * Slab classes: chunks of a few sizes, cut out of pages.
 *
 * Class 0 means "no class"; a chunk on a free list, or never used, has its class byte 0. Sizes grow
 * by the factor (-f) from a small item (-n) to half a page; larger things are made of several chunks.
 */
#ifndef MEMCACHED_SLAB_H
#define MEMCACHED_SLAB_H

#include <stddef.h>

#include "item.h"

enum { SLAB_CLASSES_MAX = 63 }; /* 1 .. 62; six bits name one */

/* After memory_start(). */
void slab_start(double factor, unsigned chunk_size);
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
 * Takes a page away from its class; each chunk in it must be free. It goes to the pool, from which
 * slab_page_add() takes first.
 */
void slab_page_remove(unsigned page);
unsigned slab_page_class(unsigned page);
/* The chunk number n of the page, or NULL behind the last one that was ever used. */
struct item *slab_page_chunk(unsigned page, unsigned n);
unsigned slab_pages_pooled(void);

#endif
