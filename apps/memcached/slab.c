/*
 * Slab classes.
 *
 * A class cuts its newest page only as far as it needs chunks ("fresh"), so that pages are not
 * touched before they are used. Free chunks form a list with links both ways, so that all the free
 * chunks of one page can be taken out when the page moves to another class.
 */
#include "slab.h"

#include <assert.h>
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

enum { CHUNK_ALIGN = 8 };

static struct class classes[SLAB_CLASSES_MAX + 1];
static unsigned largest;
static uint8_t *class_by_size;     /* indexed by size / CHUNK_ALIGN, rounded up */
static uint8_t *class_by_page;
static unsigned pooled;            /* pages without a class, class_by_page[] == 0 */

static size_t align_up(size_t n)
{
	return (n + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
}

static void class_init(unsigned id, size_t chunk_bytes)
{
	classes[id].chunk_bytes = (uint32_t)chunk_bytes;
	classes[id].chunks_per_page = (uint32_t)(memory_page_bytes() / chunk_bytes);
}

void slab_start(double factor, unsigned chunk_size)
{
	size_t max = memory_page_bytes() / 2, size = align_up(sizeof(struct item) + 8 + chunk_size);
	size_t from = 0;

	while (largest < SLAB_CLASSES_MAX - 1 && (double)size <= (double)max / factor) {
		class_init(++largest, size);
		size = align_up((size_t)((double)size * factor) + 1);
	}
	class_init(++largest, max);
	class_by_size = malloc(max / CHUNK_ALIGN + 1);
	if (!class_by_size)
		abort();
	for (unsigned id = 1; id <= largest; id++) {
		for (; from <= classes[id].chunk_bytes / CHUNK_ALIGN; from++)
			class_by_size[from] = (uint8_t)id;
	}
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
	chunk->class = (uint8_t)class;
	c->used++;
	return chunk;
}

void slab_chunk_free(void *p, unsigned class)
{
	struct class *c = &classes[class];
	struct item *chunk = p;

	c->used--;
	chunk->class = 0;
	chunk->newer = NULL;
	chunk->older = c->free;
	if (c->free)
		c->free->newer = chunk;
	c->free = chunk;
	memory_poison(chunk->data, c->chunk_bytes - sizeof(*chunk));
}

/* A page that lost its class, or one never used. */
static void *page_take(void)
{
	void *page;

	if (pooled > 0) {
		for (unsigned i = 0; i < memory_pages(); i++) {
			if (class_by_page[i] == 0) {
				pooled--;
				return memory_page_at(i);
			}
		}
		assert(!"a pooled page exists");
	}
	page = memory_page_new();
	if (!page)
		return NULL;
	if (memory_pages() % 256 == 1) {
		uint8_t *p = realloc(class_by_page, memory_pages() + 255);

		if (!p)
			abort(); /* 256 bytes: the machine is lost */
		class_by_page = p;
	}
	return page;
}

bool slab_page_add(unsigned class)
{
	struct class *c = &classes[class];
	void *page = page_take();

	if (!page)
		return false;
	assert(c->fresh_left == 0);
	class_by_page[memory_page_index(page)] = (uint8_t)class;
	c->pages++;
	c->fresh = page;
	c->fresh_left = c->chunks_per_page;
	return true;
}

unsigned slab_page_class(unsigned page)
{
	return class_by_page[page];
}

struct item *slab_page_chunk(unsigned page, unsigned n)
{
	const struct class *c = &classes[class_by_page[page]];
	uint8_t *chunk = (uint8_t *)memory_page_at(page) + (size_t)n * c->chunk_bytes;

	if (n >= c->chunks_per_page || (c->fresh_left > 0 && chunk == c->fresh))
		return NULL;
	return (struct item *)chunk;
}

void slab_page_remove(unsigned page)
{
	unsigned class = class_by_page[page], n = 0;
	struct class *c = &classes[class];
	struct item *chunk;

	for (; (chunk = slab_page_chunk(page, n)); n++) {
		assert(chunk->class == 0);
		free_list_remove(c, chunk);
		memory_unpoison(chunk, c->chunk_bytes);
	}
	if (c->fresh_left > 0 && memory_page_index(c->fresh) == page)
		c->fresh_left = 0;
	c->pages--;
	class_by_page[page] = 0;
	pooled++;
}
