/*
 * Slab classes.
 *
 * A class cuts its newest page only as far as it needs chunks ("fresh"), so that pages are not
 * touched before they are used. Free chunks form a list with links both ways, so that all the free
 * chunks of one page can be taken out when the page leaves for another class. A chunk of a leaving
 * page is on no list once it is free; its class byte 0 says so.
 */
#include "slab.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "memory.h"

struct class {
	uint32_t chunk_bytes;
	uint32_t chunks_per_page;
	unsigned pages;
	size_t used;               /* chunks taken */
	struct item *free;         /* linked by newer / older */
	uint8_t *fresh;            /* next chunk of the newest page never used */
	uint32_t fresh_left;
};

enum { CHUNK_ALIGN = 8, PAGE_POOLED = 0, PAGE_RELEASED = 255 };

/* A page on its way, and how many of its chunks have ever been used. */
struct leaving {
	uint8_t *page;
	unsigned index, chunks;
};

static struct class classes[SLAB_CLASSES_MAX + 1];
static unsigned largest;
static uint8_t *class_by_size;     /* indexed by size / CHUNK_ALIGN, rounded up */
static uint8_t *class_by_page;     /* or PAGE_POOLED, PAGE_RELEASED */
static unsigned pooled, released;
static struct leaving leaving[SLAB_LEAVING_MAX];
static unsigned leaving_count;

static size_t align_up(size_t n)
{
	return (n + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
}

static void class_init(unsigned id, size_t chunk_bytes)
{
	classes[id].chunk_bytes = (uint32_t)chunk_bytes;
	classes[id].chunks_per_page = (uint32_t)(memory_page_bytes() / chunk_bytes);
}

/* Classes by a factor. */
static void classes_grow(double factor, size_t size, size_t max)
{
	while (largest < SLAB_CLASSES_MAX - 1 && (double)size <= (double)max / factor) {
		class_init(++largest, size);
		size = align_up((size_t)((double)size * factor) + 1);
	}
}

/* Classes by a list of numbers with '-' between them. */
static int classes_listed(const char *list, size_t least, size_t max)
{
	size_t last = least - 1;

	while (*list && largest < SLAB_CLASSES_MAX - 1) {
		char *end;
		unsigned long n = strtoul(list, &end, 10);

		if (end == list || (*end && *end != '-') || n > max)
			return -EINVAL;
		n = align_up(n);
		if (n <= last)
			return -EINVAL;
		if (n < max)
			class_init(++largest, n);
		last = n;
		list = *end ? end + 1 : end;
	}
	return *list ? -EINVAL : 0;
}

int slab_start(double factor, unsigned chunk_size, size_t chunk_max, const char *sizes)
{
	size_t max = memory_page_bytes() / 2, size = align_up(sizeof(struct item) + 8 + chunk_size);
	size_t from = 0;
	int err = 0;

	if (chunk_max < max && chunk_max > size)
		max = chunk_max / CHUNK_ALIGN * CHUNK_ALIGN;
	if (sizes)
		err = classes_listed(sizes, sizeof(struct item) + 8 + 1, max);
	else
		classes_grow(factor, size, max);
	if (err < 0)
		return err;
	class_init(++largest, max);
	class_by_size = malloc(max / CHUNK_ALIGN + 1);
	if (!class_by_size)
		return -ENOMEM;
	for (unsigned id = 1; id <= largest; id++) {
		for (; from <= classes[id].chunk_bytes / CHUNK_ALIGN; from++)
			class_by_size[from] = (uint8_t)id;
	}
	return 0;
}

unsigned slab_classes(void)
{
	return largest;
}

size_t slab_chunk_max(void)
{
	return classes[largest].chunk_bytes;
}

unsigned slab_class_for(size_t bytes)
{
	if (bytes > slab_chunk_max())
		return 0;
	return class_by_size[(bytes + CHUNK_ALIGN - 1) / CHUNK_ALIGN];
}

size_t slab_chunk_bytes(unsigned class)
{
	return classes[class].chunk_bytes;
}

unsigned slab_pages_of(unsigned class)
{
	return classes[class].pages;
}

unsigned slab_chunks_per_page(unsigned class)
{
	return classes[class].chunks_per_page;
}

size_t slab_chunks_used(unsigned class)
{
	return classes[class].used;
}

unsigned slab_pages_pooled(void)
{
	return pooled;
}

static void free_list_remove(struct class *c, struct item *chunk)
{
	if (chunk->newer)
		chunk->newer->older = chunk->older;
	else
		c->free = chunk->older;
	if (chunk->older)
		chunk->older->newer = chunk->newer;
}

void *slab_chunk_take(unsigned class)
{
	struct class *c = &classes[class];
	struct item *chunk = c->free;

	if (chunk) {
		free_list_remove(c, chunk);
	} else if (c->fresh_left > 0) {
		chunk = (struct item *)c->fresh;
		c->fresh += c->chunk_bytes;
		c->fresh_left--;
	} else {
		return NULL;
	}
	memory_unpoison(chunk, c->chunk_bytes);
	chunk->class_segment = (uint8_t)class;
	c->used++;
	return chunk;
}

static void free_list_add(struct class *c, struct item *chunk)
{
	chunk->newer = NULL;
	chunk->older = c->free;
	if (c->free)
		c->free->newer = chunk;
	c->free = chunk;
	memory_poison(chunk->data, c->chunk_bytes - sizeof(*chunk));
}

static struct leaving *leaving_find(unsigned page)
{
	for (unsigned i = 0; i < SLAB_LEAVING_MAX; i++) {
		if (leaving[i].page && leaving[i].index == page)
			return &leaving[i];
	}
	return NULL;
}

void slab_chunk_free(void *p, unsigned class)
{
	struct class *c = &classes[class];
	struct item *chunk = p;

	c->used--;
	chunk->class_segment = 0;
	if (leaving_count > 0 && leaving_find(memory_page_index(p)))
		return;
	free_list_add(c, chunk);
}

/* A page whose class_by_page[] is `state`. */
static int page_find(uint8_t state)
{
	for (unsigned i = 0; i < memory_pages(); i++) {
		if (class_by_page[i] == state)
			return (int)i;
	}
	return -1;
}

static int page_from_pool(void)
{
	if (pooled == 0)
		return -1;
	pooled--;
	return page_find(PAGE_POOLED);
}

static int page_released(void)
{
	int page = released > 0 ? page_find(PAGE_RELEASED) : -1;

	if (page < 0 || !memory_page_again((unsigned)page))
		return -1;
	released--;
	return page;
}

static int page_fresh(void)
{
	if (memory_pages() % 256 == 0) {
		uint8_t *p = realloc(class_by_page, memory_pages() + 256);

		if (!p)
			return -1;
		class_by_page = p;
	}
	return memory_page_new() ? (int)memory_pages() - 1 : -1;
}

/* A page that lost its class, or one given back to the system, or one never used. */
static int page_take(void)
{
	int page = memory_is_over_limit() ? -1 : page_from_pool();

	if (page < 0)
		page = page_released();
	return page < 0 ? page_fresh() : page;
}

/* The rest of the page that was being cut becomes free chunks, so that another can be cut. */
static void fresh_finish(struct class *c)
{
	for (; c->fresh_left > 0; c->fresh_left--, c->fresh += c->chunk_bytes) {
		struct item *chunk = (struct item *)c->fresh;

		chunk->class_segment = 0;
		free_list_add(c, chunk);
	}
}

static void page_assign(struct class *c, unsigned page)
{
	fresh_finish(c);
	class_by_page[page] = (uint8_t)(c - classes);
	c->pages++;
	c->fresh = memory_page_at(page);
	c->fresh_left = c->chunks_per_page;
}

bool slab_page_add(unsigned class)
{
	int page = page_take();

	if (page < 0)
		return false;
	page_assign(&classes[class], (unsigned)page);
	return true;
}

bool slab_pool_give(unsigned class)
{
	int page = page_from_pool();

	if (page < 0)
		return false;
	page_assign(&classes[class], (unsigned)page);
	return true;
}

bool slab_pool_release(void)
{
	int page = page_from_pool();

	if (page < 0)
		return false;
	class_by_page[page] = PAGE_RELEASED;
	released++;
	memory_page_release((unsigned)page);
	return true;
}

unsigned slab_page_class(unsigned page)
{
	return class_by_page[page] == PAGE_RELEASED ? 0 : class_by_page[page];
}

int slab_page_first(unsigned class)
{
	for (unsigned i = 0; i < memory_pages(); i++) {
		if (class_by_page[i] == class && !slab_page_is_leaving(i))
			return (int)i;
	}
	return -1;
}

struct item *slab_page_chunk(unsigned page, unsigned n)
{
	const struct class *c = &classes[class_by_page[page]];
	const struct leaving *l = leaving_count > 0 ? leaving_find(page) : NULL;
	uint8_t *chunk = (uint8_t *)memory_page_at(page) + (size_t)n * c->chunk_bytes;

	if (n >= (l ? l->chunks : c->chunks_per_page) || (c->fresh_left > 0 && chunk == c->fresh))
		return NULL;
	return (struct item *)chunk;
}

bool slab_page_is_leaving(unsigned page)
{
	return leaving_count > 0 && leaving_find(page);
}

bool slab_page_leave(unsigned page)
{
	struct class *c = &classes[class_by_page[page]];
	struct leaving *l = leaving;
	struct item *chunk;
	unsigned n = 0;

	assert(!slab_page_is_leaving(page));
	while (l < leaving + SLAB_LEAVING_MAX && l->page)
		l++;
	if (l == leaving + SLAB_LEAVING_MAX)
		return false;
	for (; (chunk = slab_page_chunk(page, n)); n++) {
		if (chunk->class_segment == 0)
			free_list_remove(c, chunk);
	}
	if (c->fresh_left > 0 && memory_page_index(c->fresh) == page)
		c->fresh_left = 0;
	*l = (struct leaving){ .page = memory_page_at(page), .index = page, .chunks = n };
	leaving_count++;
	return true;
}

/* Ends the page's leaving. */
static void leaving_end(struct leaving *l)
{
	l->page = NULL;
	leaving_count--;
}

void slab_page_stay(unsigned page)
{
	struct class *c = &classes[class_by_page[page]];
	struct leaving *l = leaving_find(page);
	unsigned used = l->chunks;

	leaving_end(l);
	for (unsigned n = 0; n < c->chunks_per_page; n++) {
		struct item *chunk = (struct item *)((uint8_t *)memory_page_at(page) +
						     (size_t)n * c->chunk_bytes);

		if (n >= used)
			chunk->class_segment = 0;
		if (chunk->class_segment == 0)
			free_list_add(c, chunk);
	}
}

void slab_page_remove(unsigned page)
{
	struct class *c = &classes[class_by_page[page]];
	struct leaving *l = leaving_find(page);
	struct item *chunk;

	for (unsigned n = 0; (chunk = slab_page_chunk(page, n)); n++)
		assert(chunk->class_segment == 0);
	leaving_end(l);
	memory_unpoison(memory_page_at(page), memory_page_bytes());
	c->pages--;
	class_by_page[page] = PAGE_POOLED;
	pooled++;
}
