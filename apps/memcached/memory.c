/*
 * The memory of the cache.
 *
 * The range is reserved as a whole and touched page by page, so that an empty cache costs nothing.
 * On a small machine the pages are small, too, because every size of item needs at least one.
 *
 * A machine may have less memory than -m asks for. A system that fills pages on first touch would
 * notice only when it is too late, so the limit is set at the start: five eighths of what is free
 * (or three eighths of all there is, where the rest is only borrowed by file caches); what remains
 * is for connections and the network.
 */
#include "memory.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum {
	MIB = 1024 * 1024,
	PAGE_LARGE = 64 * 1024,
	PAGE_SMALL = 16 * 1024,      /* with less than SMALL_CACHE */
	SMALL_CACHE = 8 * MIB,
};

enum { RANGES_MAX = 16 };

/*
 * Addresses reserved in one piece; a second one only when the limit is raised over its first value.
 */
struct range {
	uint8_t *base;
	unsigned first, pages;
};

static size_t limit_bytes, used_bytes, wanted_bytes, page_bytes;
static struct range ranges[RANGES_MAX];
static unsigned range_count;
static unsigned pages, reserved;

/* What the cache may take of this machine, or 0 when the system does not tell. */
static size_t machine_bytes(void)
{
	long page = sysconf(_SC_PAGESIZE);
	long all = sysconf(_SC_PHYS_PAGES), free_pages = sysconf(_SC_AVPHYS_PAGES);
	size_t of_free, of_all;

	if (page <= 0 || all <= 0 || free_pages <= 0)
		return 0;
	of_free = (size_t)free_pages / 8 * 5;
	of_all = (size_t)all / 8 * 3;
	return (of_free > of_all ? of_free : of_all) * (size_t)page;
}

static int range_add(unsigned count)
{
	struct range *r = &ranges[range_count];

	if (range_count == RANGES_MAX || count == 0)
		return -ENOMEM;
	r->base = mmap(NULL, count * page_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->base == MAP_FAILED)
		return -errno;
	r->first = reserved;
	r->pages = count;
	reserved += count;
	range_count++;
	return 0;
}

int memory_start(size_t *limit, size_t chunk_max)
{
	size_t fits = machine_bytes();

	if (fits > 0 && fits < *limit) {
		fprintf(stderr, "memcached: -m %zu does not fit into this machine, using %zu KiB\n",
			*limit / MIB, fits / 1024);
		*limit = fits;
	}
	page_bytes = *limit < SMALL_CACHE ? PAGE_SMALL : PAGE_LARGE;
	while (page_bytes < 2 * chunk_max)
		page_bytes *= 2;
	limit_bytes = *limit;
	return range_add((unsigned)(limit_bytes / page_bytes));
}

bool memory_limit_set(size_t limit)
{
	size_t fits = machine_bytes() + used_bytes, wanted = limit / page_bytes;

	if (limit > limit_bytes && fits > used_bytes && limit > fits)
		return false;
	if (wanted > reserved && range_add((unsigned)(wanted - reserved)) < 0)
		return false;
	limit_bytes = limit;
	return true;
}

bool memory_is_over_limit(void)
{
	return used_bytes + wanted_bytes > limit_bytes;
}

void memory_want(size_t bytes)
{
	wanted_bytes = bytes;
}

size_t memory_page_bytes(void)
{
	return page_bytes;
}

size_t memory_used(void)
{
	return used_bytes;
}

bool memory_take(size_t bytes)
{
	if (used_bytes > limit_bytes || bytes > limit_bytes - used_bytes)
		return false;
	used_bytes += bytes;
	return true;
}

void memory_give(size_t bytes)
{
	assert(bytes <= used_bytes);
	used_bytes -= bytes;
}

static bool page_take(void)
{
	return used_bytes + wanted_bytes + page_bytes <= limit_bytes && memory_take(page_bytes);
}

void *memory_page_new(void)
{
	if (pages == reserved || !page_take())
		return NULL;
	return memory_page_at(pages++);
}

unsigned memory_pages(void)
{
	return pages;
}

unsigned memory_page_index(const void *inside)
{
	const uint8_t *p = inside;

	for (const struct range *r = ranges; r < ranges + range_count; r++) {
		if (p >= r->base && p < r->base + r->pages * page_bytes)
			return r->first + (unsigned)((size_t)(p - r->base) / page_bytes);
	}
	assert(!"inside one of the ranges");
	return 0;
}

void *memory_page_at(unsigned index)
{
	const struct range *r = ranges;

	while (index - r->first >= r->pages)
		r++;
	return r->base + (index - r->first) * page_bytes;
}

void memory_page_release(unsigned index)
{
	madvise(memory_page_at(index), page_bytes, MADV_DONTNEED);
	memory_give(page_bytes);
}

bool memory_page_again(unsigned index)
{
	(void)index;
	return page_take();
}

void memory_poison(void *p, size_t bytes)
{
	ASAN_POISON_MEMORY_REGION(p, bytes);
}

void memory_unpoison(void *p, size_t bytes)
{
	ASAN_UNPOISON_MEMORY_REGION(p, bytes);
}
