/*
 * Physical memory in frames of PAGE_SIZE: a buddy allocator over the RAM the device tree names.
 *
 * Blocks are 2^order frames, aligned to their size. Memory comes as a pointer into the direct map;
 * page_paddr() gives its physical address. Any context (interrupts included); never sleeps. Where
 * no block is free a keeper of frames is asked for some, so what it could do without counts as
 * free. The array of struct page describes every frame; page_of() finds a frame's entry.
 */
#ifndef CORE_PAGE_H
#define CORE_PAGE_H

#include <core/types.h>

#define PAGE_ORDER_MAX 18 /* 1 GiB blocks */

enum page_owner { /* what memory is used for, for the accounting that /metrics and `stats` show */
	PAGE_FREE, PAGE_RESERVED, PAGE_SLAB, PAGE_STACK, PAGE_TABLE, PAGE_ANON, PAGE_NET,
	PAGE_CACHE, PAGE_KERNEL, PAGE_OWNERS
};

extern const char *const page_owner_names[PAGE_OWNERS];

/* not cleared; NULL when none is left */
void *page_alloc(unsigned order, enum page_owner owner);
void *page_alloc_zero(unsigned order, enum page_owner owner);
void page_free(void *block, unsigned order);
/* Any number of frames (whole pages of `bytes`), the unused tail of the block given back. */
void *page_alloc_exact(size_t bytes, enum page_owner owner);
void page_free_exact(void *p, size_t bytes);

paddr_t page_paddr(const void *p);
unsigned page_order_for(size_t bytes);

struct page_stats {
	size_t total_pages, free_pages;
	size_t by_owner[PAGE_OWNERS];
	size_t largest_free_order;
};
void page_stats(struct page_stats *out);

size_t page_free_count(void); /* any context; as of just now */

/*
 * A keeper of frames that it could do without (a cache); one for the image. low() is called in any
 * context, also under locks, after an allocation that leaves fewer than low_pages free: it only
 * wakes somebody. give_back() is called where no block is free, also in any context and under
 * locks: it waits for no lock that its caller may hold, allocates nothing, and says how many frames
 * it freed.
 */
struct page_keeper {
	size_t low_pages;
	void (*low)(void);
	size_t (*give_back)(size_t pages);
};
void page_keeper_set(const struct page_keeper *k);

/*
 * Boot only. page_add_ram() hands [start, end) of RAM to the allocator, less the ranges reserved
 * before; the direct map must cover it already. Parts of pages are reserved as a whole, and left
 * out of RAM. Ranges may overlap and be empty; RAM that overlaps RAM added before is ignored.
 * Neither touches the RAM, apart from the metadata of frames handed out (16 bytes each, 4 KiB at a
 * time).
 */
void page_reserve(paddr_t start, paddr_t end);
void page_add_ram(paddr_t start, paddr_t end);

#endif
