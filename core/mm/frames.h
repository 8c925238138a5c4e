/*
 * The array of struct page, for core/mm alone: what each frame is used for, in 16 bytes.
 *
 * Only the first frame of a block (free or allocated) has `head` set; the entries behind it are
 * zero, except in slabs, where every frame points to its slab so that kfree() finds it from any
 * object.
 */
#ifndef MM_FRAMES_H
#define MM_FRAMES_H

#include <core/page.h>

struct page {
	union {
		struct {
			/* frames of the region, NO_FRAME ends; [page lock] while free */
			uint32_t next, prev;
		};
		void *slab;                  /* owner's while allocated */
		size_t frames;               /* a large kmalloc() */
	};
	uint8_t order, owner;                /* [page lock], of a head */
	bool head;
	uint8_t spare;
	uint32_t references;                 /* owner's while allocated */
};

_Static_assert(sizeof(struct page) == 16, "metadata of a 6 MiB machine must stay small");

/* Where the frames of the first region (most often the only one) lie in the direct map. */
struct page_span {
	uintptr_t virt;
	size_t bytes;
	struct page *pages;
};
extern struct page_span page_first_span; /* [I] after boot */

struct page *page_of_any(const void *p);

/*
 * The entry of the frame that `p` (anything from page_alloc()) lies in, NULL when it is not ours.
 */
static inline struct page *page_of(const void *p)
{
	uintptr_t off = (uintptr_t)p - page_first_span.virt;

	return likely(off < page_first_span.bytes) ? &page_first_span.pages[off >> PAGE_SHIFT]
						   : page_of_any(p);
}

#endif
