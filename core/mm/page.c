/*
 * Physical frames: a binary buddy allocator (Knowlton 1965) over one or more regions of RAM.
 *
 * A region is a run of RAM with its own array of struct page. Frames enter the buddy system late:
 * boot only notes the region's bounds, and grow() hands over the next aligned chunk when the free
 * lists cannot serve. So boot writes a few kilobytes of metadata however much RAM there is, and RAM
 * nobody asked for is never touched.
 *
 * A free block's neighbours ("buddy") differs from it in one bit of the frame number. Frame numbers
 * are taken from the region's start; `bias` makes up for a start that is not itself aligned to the
 * largest block, so that blocks are aligned physically and may be mapped with large pages.
 *
 * Ranges reserved before page_add_ram() (firmware, image, device tree) stay out of the lists. They
 * come from the machine's description, so they may overlap, be empty, or be many: the table merges
 * what touches and, when full, the two closest ranges, which loses memory but never hands out a
 * reserved frame.
 *
 * Lock: page_lock, a leaf, taken with interrupts off. See docs/locks.md.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/string.h>
#include <core/sync.h>
#include "frames.h"

#define ORDERS       (PAGE_ORDER_MAX + 1)
#define REGIONS_MAX  8
#define RESERVED_MAX 32
#define GROW_ORDER   8 /* 1 MiB a step: 4 KiB of metadata written */
#define NO_FRAME     UINT32_MAX

struct region {
	uintptr_t virt;            /* [I] direct-map address of frame 0 */
	size_t bytes;              /* [I] */
	paddr_t start;             /* [I] */
	uint32_t frames, bias;     /* [I] */
	struct page *pages;        /* [I] */
	uint32_t meta, meta_end;   /* [I] the frames that hold `pages` */
	uint32_t next;             /* [page_lock] frames below have entered the buddy system */
	uint32_t nonempty;         /* [page_lock] bit per order */
	uint32_t free[ORDERS];     /* [page_lock] first free block of each order */
};

struct range {
	paddr_t start, end;
};

struct page_span page_first_span;
static struct spinlock page_lock = SPINLOCK_INIT;
static struct region regions[REGIONS_MAX];
static unsigned region_count;
static struct range reserved[RESERVED_MAX]; /* sorted, disjoint, not touching */
static unsigned reserved_count;
static size_t total_frames, free_frames;    /* [page_lock] */
static size_t frames_by_owner[PAGE_OWNERS]; /* [page_lock] */
static const struct page_keeper *keeper;    /* [I] once set */
static size_t low_frames;                   /* [I] 0: nobody wants to know */

#define GIVE_BACK    32 /* frames asked back by who finds none: the next ones will want some, too */
#define ASK_MAX      4  /* times: what comes back may not lie together */
#define ASK_ORDER    3  /* for larger blocks it is not even tried */

static struct region *region_of(const void *p)
{
	for (unsigned i = 0; i < region_count; i++) {
		if ((uintptr_t)p - regions[i].virt < regions[i].bytes)
			return &regions[i];
	}
	return NULL;
}

static uint32_t frame_of(const struct region *r, const void *p)
{
	return (uint32_t)(((uintptr_t)p - r->virt) >> PAGE_SHIFT);
}

static void *frame_address(const struct region *r, uint32_t frame)
{
	return (void *)(r->virt + ((uintptr_t)frame << PAGE_SHIFT));
}

struct page *page_of_any(const void *p)
{
	struct region *r = region_of(p);

	return r ? &r->pages[frame_of(r, p)] : NULL;
}

paddr_t page_paddr(const void *p)
{
	return arch_direct_unmap(p);
}

unsigned page_order_for(size_t bytes)
{
	if (bytes <= PAGE_SIZE)
		return 0;
	return 64 - (unsigned)__builtin_clzl((bytes - 1) >> PAGE_SHIFT);
}

/* --- free lists: page_lock held --- */

static void list_block(struct region *r, uint32_t frame, unsigned order)
{
	uint32_t next = r->free[order];

	r->pages[frame] = (struct page){
		.next = next, .prev = NO_FRAME, .order = (uint8_t)order, .owner = PAGE_FREE,
		.head = true
	};
	if (next != NO_FRAME)
		r->pages[next].prev = frame;
	r->free[order] = frame;
	r->nonempty |= 1u << order;
}

static void unlist_block(struct region *r, uint32_t frame)
{
	struct page *p = &r->pages[frame];

	assert(p->head && p->owner == PAGE_FREE);
	if (p->prev != NO_FRAME)
		r->pages[p->prev].next = p->next;
	else
		r->free[p->order] = p->next;
	if (p->next != NO_FRAME)
		r->pages[p->next].prev = p->prev;
	if (r->free[p->order] == NO_FRAME)
		r->nonempty &= ~(1u << p->order);
	p->head = false;
}

/* The buddy of a block if it is free as a whole, else NO_FRAME. */
static uint32_t free_buddy(const struct region *r, uint32_t frame, unsigned order)
{
	uint32_t buddy = ((frame + r->bias) ^ (1u << order)) - r->bias;

	/* A buddy before the region's start wraps to a huge number. */
	if (buddy >= r->next)
		return NO_FRAME;
	if (!r->pages[buddy].head || r->pages[buddy].owner != PAGE_FREE ||
	    r->pages[buddy].order != order)
		return NO_FRAME;
	return buddy;
}

static void insert_block(struct region *r, uint32_t frame, unsigned order)
{
	uint32_t buddy;

	while (order < PAGE_ORDER_MAX && (buddy = free_buddy(r, frame, order)) != NO_FRAME) {
		unlist_block(r, buddy);
		frame = MIN(frame, buddy);
		order++;
	}
	list_block(r, frame, order);
}

/* The first reserved range that ends after `frame`, in frames; false when there is none. */
static bool table_after(const struct region *r, uint32_t frame, uint32_t *start, uint32_t *end)
{
	paddr_t at = r->start + ((paddr_t)frame << PAGE_SHIFT);

	for (unsigned i = 0; i < reserved_count; i++) {
		paddr_t s = MAX(reserved[i].start, r->start);
		paddr_t e = MIN(reserved[i].end, r->start + r->bytes);

		if (s < e && e > at && !planted(PAGE_RESERVED)) {
			*start = (uint32_t)((s - r->start) >> PAGE_SHIFT);
			*end = (uint32_t)((e - r->start) >> PAGE_SHIFT);
			return true;
		}
	}
	return false;
}

/*
 * As above, the region's metadata included. It is not in the table: a table that is full joins
 * ranges, and RAM that has been counted must not vanish.
 */
static bool reserved_after(const struct region *r, uint32_t frame, uint32_t *start, uint32_t *end)
{
	bool found = table_after(r, frame, start, end);

	if (r->meta_end <= frame || (found && *start < r->meta))
		return found;
	*start = r->meta;
	*end = r->meta_end;
	return true;
}

/* The order of the largest aligned block at `frame` that ends by `limit`, at most `max`. */
static unsigned order_at(const struct region *r, uint32_t frame, uint32_t limit, unsigned max)
{
	unsigned order = 0;

	while (order < max && !((frame + r->bias) & (1u << order)) && limit - frame >= 2u << order)
		order++;
	return order;
}

/* Hands the next chunk of untouched frames to the free lists; false when there is none left. */
static bool grow(struct region *r, unsigned wanted_order)
{
	uint32_t frame = r->next, limit = r->frames, start, end;
	unsigned order;

	while (reserved_after(r, frame, &start, &end)) {
		if (start > frame) {
			limit = start;
			break;
		}
		frame = end;
	}
	if (frame == r->frames)
		return false;
	order = order_at(r, frame, limit, MAX(wanted_order, (unsigned)GROW_ORDER));
	memset(&r->pages[r->next], 0, (frame + (1u << order) - r->next) * sizeof(struct page));
	r->next = frame + (1u << order);
	insert_block(r, frame, order);
	return true;
}

static bool region_can_serve(struct region *r, unsigned order)
{
	while (!(r->nonempty >> order)) {
		if (!grow(r, order))
			return false;
	}
	return true;
}

/*
 * Takes a block of exactly `order`, splitting a larger one; its upper halves go back to the lists.
 */
static uint32_t take_block(struct region *r, unsigned order)
{
	unsigned from = order + bit_lowest(r->nonempty >> order);
	uint32_t frame = r->free[from];

	unlist_block(r, frame);
	while (from > order) {
		from--;
		list_block(r, frame + (1u << from), from);
	}
	return frame;
}

static void mark_allocated(struct region *r, uint32_t frame, unsigned order, enum page_owner owner)
{
	r->pages[frame] = (struct page){
		.order = (uint8_t)order, .owner = (uint8_t)owner, .head = true, .references = 1
	};
}

static void account(enum page_owner owner, size_t frames)
{
	frames_by_owner[owner] += frames;
	free_frames -= frames;
}

/* --- the interface --- */

static void *alloc_free(unsigned order, enum page_owner owner)
{
	irqflags_t flags = spin_lock_irq(&page_lock);
	void *block = NULL;

	for (unsigned i = 0; i < region_count; i++) {
		struct region *r = &regions[i];
		uint32_t frame;

		if (!region_can_serve(r, order))
			continue;
		frame = take_block(r, order);
		mark_allocated(r, frame, order, owner);
		account(owner, 1ul << order);
		block = frame_address(r, frame);
		break;
	}
	spin_unlock_irq(&page_lock, flags);
	return block;
}

/* None is free. */
static __attribute__((noinline)) void *alloc_given_back(unsigned order, enum page_owner owner)
{
	void *block = NULL;

	if (!low_frames || order > ASK_ORDER)
		return NULL;
	for (unsigned i = 0; !block && i < ASK_MAX && keeper->give_back((size_t)GIVE_BACK << order);
	     i++)
		block = alloc_free(order, owner);
	return block;
}

void *page_alloc(unsigned order, enum page_owner owner)
{
	void *block;

	assert(owner > PAGE_RESERVED && owner < PAGE_OWNERS);
	if (order > PAGE_ORDER_MAX)
		return NULL;
	block = alloc_free(order, owner);
	if (unlikely(!block))
		block = alloc_given_back(order, owner);
	if (unlikely(page_free_count() < low_frames))
		keeper->low();
	return block;
}

size_t page_free_count(void)
{
	return __atomic_load_n(&free_frames, __ATOMIC_RELAXED);
}

void page_keeper_set(const struct page_keeper *k)
{
	keeper = k;
	__atomic_store_n(&low_frames, k->low_pages, __ATOMIC_RELEASE);
}

void *page_alloc_zero(unsigned order, enum page_owner owner)
{
	void *block = page_alloc(order, owner);

	if (block)
		memset(block, 0, PAGE_SIZE << order);
	return block;
}

static void free_locked(struct region *r, uint32_t frame, unsigned order)
{
	struct page *p = &r->pages[frame];

	assert(spin_is_held(&page_lock));
	assert(p->head && p->owner > PAGE_RESERVED && p->order == order);
	account(p->owner, -(1ul << order));
	p->head = false;
	p->owner = PAGE_FREE;
	insert_block(r, frame, order);
}

void page_free(void *block, unsigned order)
{
	struct region *r = region_of(block);
	irqflags_t flags;

	assert(r && IS_ALIGNED((uintptr_t)block, PAGE_SIZE));
	flags = spin_lock_irq(&page_lock);
	free_locked(r, frame_of(r, block), order);
	spin_unlock_irq(&page_lock, flags);
}

/*
 * Cuts an allocated block down to its first `frames`: the binary digits of `frames`, from the
 * highest, are the blocks that stay, each with a head of its own, and what lies behind them is
 * freed.
 */
static void trim_block(struct region *r, uint32_t frame, unsigned order, size_t frames)
{
	enum page_owner owner = r->pages[frame].owner;

	while (frames < 1ul << order) {
		order--;
		if (frames > 1ul << order) {
			mark_allocated(r, frame, order, owner);
			frame += 1u << order;
			frames -= 1ul << order;
			mark_allocated(r, frame, order, owner);
		} else {
			mark_allocated(r, frame, order, owner);
			mark_allocated(r, frame + (1u << order), order, owner);
			free_locked(r, frame + (1u << order), order);
		}
	}
}

void *page_alloc_exact(size_t bytes, enum page_owner owner)
{
	size_t frames = DIV_ROUND_UP(bytes, PAGE_SIZE);
	unsigned order = page_order_for(bytes);
	void *block;

	if (bytes == 0 || bytes > PAGE_SIZE << PAGE_ORDER_MAX)
		return NULL;
	block = page_alloc(order, owner);
	if (block && frames < 1ul << order) {
		irqflags_t flags = spin_lock_irq(&page_lock);
		struct region *r = region_of(block);

		trim_block(r, frame_of(r, block), order, frames);
		spin_unlock_irq(&page_lock, flags);
	}
	return block;
}

void page_free_exact(void *p, size_t bytes)
{
	size_t frames = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct region *r = region_of(p);
	uint32_t frame;
	irqflags_t flags;

	assert(r && IS_ALIGNED((uintptr_t)p, PAGE_SIZE));
	frame = frame_of(r, p);
	flags = spin_lock_irq(&page_lock);
	while (frames) {
		unsigned order = 63 - (unsigned)__builtin_clzl(frames);

		free_locked(r, frame, order);
		frame += 1u << order;
		frames -= 1ul << order;
	}
	spin_unlock_irq(&page_lock, flags);
}

static unsigned largest_free_order(void)
{
	unsigned largest = 0;

	for (unsigned i = 0; i < region_count; i++) {
		uint32_t untouched = regions[i].frames - regions[i].next;

		if (regions[i].nonempty)
			largest = MAX(largest, 31u - (unsigned)__builtin_clz(regions[i].nonempty));
		if (untouched)
			largest = MAX(largest, 31u - (unsigned)__builtin_clz(untouched));
	}
	return MIN(largest, (unsigned)PAGE_ORDER_MAX);
}

const char *const page_owner_names[PAGE_OWNERS] = {
	[PAGE_FREE] = "free", [PAGE_RESERVED] = "reserved", [PAGE_SLAB] = "slab",
	[PAGE_STACK] = "stack", [PAGE_TABLE] = "table", [PAGE_ANON] = "anon", [PAGE_NET] = "net",
	[PAGE_CACHE] = "cache", [PAGE_KERNEL] = "kernel",
};

void page_stats(struct page_stats *out)
{
	irqflags_t flags = spin_lock_irq(&page_lock);

	out->total_pages = total_frames;
	out->free_pages = free_frames;
	memcpy(out->by_owner, frames_by_owner, sizeof(out->by_owner));
	out->by_owner[PAGE_FREE] = free_frames;
	out->largest_free_order = largest_free_order();
	spin_unlock_irq(&page_lock, flags);
}

/* --- boot --- */

static void remove_reserved(unsigned i)
{
	memmove(&reserved[i], &reserved[i + 1], (--reserved_count - i) * sizeof(reserved[0]));
}

/* Makes one range of reserved[i] and its successor. */
static void join_with_next(unsigned i)
{
	reserved[i].end = MAX(reserved[i].end, reserved[i + 1].end);
	remove_reserved(i + 1);
}

static void join_closest(void)
{
	unsigned best = 0;

	for (unsigned i = 1; i + 1 < reserved_count; i++) {
		if (reserved[i + 1].start - reserved[i].end <
		    reserved[best + 1].start - reserved[best].end)
			best = i;
	}
	join_with_next(best);
}

void page_reserve(paddr_t start, paddr_t end)
{
	unsigned i = 0;

	start = ALIGN_DOWN(start, PAGE_SIZE);
	end = end > UINT64_MAX - PAGE_SIZE ? ALIGN_DOWN(UINT64_MAX, PAGE_SIZE)
					   : ALIGN_UP(end, PAGE_SIZE);
	if (start >= end)
		return;
	if (reserved_count == RESERVED_MAX) {
		if (planted(PAGE_RESERVED_MANY))
			return;
		join_closest();
	}
	while (i < reserved_count && reserved[i].start < start)
		i++;
	memmove(&reserved[i + 1], &reserved[i], (reserved_count - i) * sizeof(reserved[0]));
	reserved[i] = (struct range){ start, end };
	reserved_count++;
	while (i + 1 < reserved_count && reserved[i + 1].start <= reserved[i].end)
		join_with_next(i);
	if (i > 0 && reserved[i].start <= reserved[i - 1].end)
		join_with_next(i - 1);
}

static size_t count_reserved(const struct region *r)
{
	uint32_t frame = 0, start, end;
	size_t count = 0;

	for (; reserved_after(r, frame, &start, &end); frame = end)
		count += end - start;
	return count;
}

/*
 * The highest run of `frames` free of reserved ranges: metadata goes to the end, away from large
 * blocks.
 */
static bool find_room(const struct region *r, size_t frames, uint32_t *at)
{
	uint32_t frame = 0, start = r->frames, end = r->frames;
	bool found = false, more;

	do {
		more = reserved_after(r, frame, &start, &end);
		if (!more)
			start = end = r->frames;
		if (start > frame && start - frame >= frames) {
			*at = start - (uint32_t)frames;
			found = true;
		}
		frame = end;
	} while (more);
	return found;
}

static bool overlaps_known(paddr_t start, paddr_t end)
{
	for (unsigned i = 0; i < region_count; i++) {
		if (start < regions[i].start + regions[i].bytes && end > regions[i].start)
			return true;
	}
	return false;
}

void page_add_ram(paddr_t start, paddr_t end)
{
	struct region *r = &regions[region_count];
	size_t metadata, taken;
	uint32_t at;

	start = ALIGN_UP(MIN(start, UINT64_MAX - PAGE_SIZE), PAGE_SIZE);
	end = ALIGN_DOWN(end, PAGE_SIZE);
	if (start >= end || region_count == REGIONS_MAX)
		return;
	if (overlaps_known(start, end) && !planted(PAGE_RAM_TWICE))
		return;
	end = MIN(end, start + ((paddr_t)INT32_MAX << PAGE_SHIFT));
	*r = (struct region){
		.virt = (uintptr_t)arch_direct_map(start),
		.bytes = end - start,
		.start = start,
		.frames = (uint32_t)((end - start) >> PAGE_SHIFT),
		.bias = (uint32_t)(start >> PAGE_SHIFT) & ((1u << PAGE_ORDER_MAX) - 1),
	};
	memset(r->free, 0xff, sizeof(r->free));
	metadata = DIV_ROUND_UP(r->frames * sizeof(struct page), PAGE_SIZE);
	if (!find_room(r, metadata, &at))
		return;
	r->pages = frame_address(r, at);
	r->meta = at;
	r->meta_end = at + (uint32_t)metadata;
	taken = count_reserved(r);
	total_frames += r->frames - taken;
	free_frames += r->frames - taken;
	frames_by_owner[PAGE_RESERVED] += taken;
	if (region_count++ == 0)
		page_first_span = (struct page_span){ r->virt, r->bytes, r->pages };
}
