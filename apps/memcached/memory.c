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

static size_t limit_bytes, used_bytes, page_bytes, range_bytes;
static uint8_t *range;
static unsigned pages;

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

int memory_start(size_t *limit)
{
	size_t fits = machine_bytes();

	if (fits > 0 && fits < *limit) {
		fprintf(stderr, "memcached: -m %zu does not fit into this machine, using %zu KiB\n",
			*limit / MIB, fits / 1024);
		*limit = fits;
	}
	page_bytes = *limit < SMALL_CACHE ? PAGE_SMALL : PAGE_LARGE;
	limit_bytes = *limit;
	range_bytes = limit_bytes / page_bytes * page_bytes;
	if (range_bytes == 0)
		return -ENOMEM;
	range = mmap(NULL, range_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return range == MAP_FAILED ? -errno : 0;
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
	if (bytes > limit_bytes - used_bytes)
		return false;
	used_bytes += bytes;
	return true;
}

void *memory_page_new(void)
{
	if ((pages + 1) * page_bytes > range_bytes || !memory_take(page_bytes))
		return NULL;
	return memory_page_at(pages++);
}

unsigned memory_pages(void)
{
	return pages;
}

unsigned memory_page_index(const void *inside)
{
	size_t offset = (size_t)((const uint8_t *)inside - range);

	assert(offset < pages * page_bytes);
	return (unsigned)(offset / page_bytes);
}

void *memory_page_at(unsigned index)
{
	return range + index * page_bytes;
}

void memory_poison(void *p, size_t bytes)
{
	ASAN_POISON_MEMORY_REGION(p, bytes);
}

void memory_unpoison(void *p, size_t bytes)
{
	ASAN_UNPOISON_MEMORY_REGION(p, bytes);
}
