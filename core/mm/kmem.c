/*
 * The kernel heap: slab caches (Bonwick 1994) with magazines per hart (Bonwick and Adams 2001).
 *
 * A cache hands out objects of one size from slabs, blocks of 2^order frames cut into equal pieces.
 * Before the slabs stands one magazine per hart, a small stack of free objects that only its hart
 * touches, with interrupts off: most calls end there. An empty magazine is filled half from the
 * slabs, a full one is emptied half into them, both under the cache's lock.
 *
 * Free objects of a slab are linked through their first word. Small objects keep their struct slab
 * at the start of the block; from OFF_SLAB_BYTES on, where that would waste a place, it comes from
 * a cache of its own. Every frame of a slab points to it (struct page), so kfree() needs only the
 * address.
 *
 * kmalloc() picks a cache from a ladder of sizes; beyond the ladder it takes whole frames and notes
 * their number in the first frame's entry.
 *
 * Locks: cache->lock (interrupts off), then page_lock; the list of caches has a lock of its own. A
 * cache's lock is not held while a slab's frames or structure are taken or given back.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/hart.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/sync.h>
#include "frames.h"

#define MAGAZINE_MAX    16
#define MAGAZINE_BYTES  4096 /* a magazine of large objects holds fewer */
#define OFF_SLAB_BYTES  512
#define SLAB_ORDER_MAX  3
#define MIN_ALIGN       16
#define LADDER_MAX      8192
#define OBJECT_MAX      (PAGE_SIZE << SLAB_ORDER_MAX)

struct slab {
	struct list link;         /* [cache->lock] on partial, full or empty */
	struct kmem_cache *cache; /* [I] */
	char *base;               /* [I] first object */
	void *free;               /* [cache->lock] */
	uint32_t in_use;          /* [cache->lock] */
};

struct magazine {
	uint32_t count;
	void *object[MAGAZINE_MAX];
} CACHE_ALIGNED;

struct kmem_cache {
	struct magazine magazine[HARTS_MAX]; /* own hart, interrupts off */
	struct spinlock lock;
	struct list partial, full; /* [lock] */
	/* [lock] one empty slab kept, so that a boundary case does not thrash */
	struct slab *spare;
	size_t slabs;             /* [lock] */
	size_t taken;             /* [lock] objects out of the slabs: in use or in magazines */
	const char *name;         /* [I] */
	uint32_t size;            /* [I] */
	uint16_t per_slab;        /* [I] */
	uint8_t order;            /* [I] */
	bool off_slab;            /* [I] */
	uint16_t magazine_size;   /* [I] */
	uint16_t header;          /* [I] bytes before the first object */
	struct list link;         /* [caches_lock] */
};

static struct spinlock caches_lock = SPINLOCK_INIT;
static struct list caches = LIST_INIT(caches);

static const uint16_t ladder_size[] = { 16,  32,  48,	64,   96,   128,  192,	256,  384,
					512, 768, 1024, 1536, 2048, 3072, 4096, 8192 };
static const char *const ladder_name[] = {
	"kmalloc-16",  "kmalloc-32",  "kmalloc-48",   "kmalloc-64",   "kmalloc-96",   "kmalloc-128",
	"kmalloc-192", "kmalloc-256", "kmalloc-384", "kmalloc-512", "kmalloc-768", "kmalloc-1024",
	"kmalloc-1536", "kmalloc-2048", "kmalloc-3072", "kmalloc-4096", "kmalloc-8192",
};
static struct kmem_cache ladder[ARRAY_SIZE(ladder_size)];
static uint8_t ladder_index[1024 / MIN_ALIGN + 1]; /* by size in units of 16 bytes */
static struct kmem_cache slab_cache, cache_cache;

/* --- slabs --- */

static struct slab *slab_of(const void *object)
{
	struct page *p = page_of(object);

	assert(p && p->owner == PAGE_SLAB);
	return p->slab;
}

/* Every frame of the block leads to the slab, and counts as the slab's. */
static void tag_frames(const struct kmem_cache *c, char *block, struct slab *s)
{
	struct page *p = page_of(block);

	for (size_t i = 0; i < 1ul << c->order; i++) {
		p[i].slab = s;
		p[i].owner = s || i == 0 ? PAGE_SLAB : PAGE_FREE;
	}
}

static void link_objects(const struct kmem_cache *c, struct slab *s)
{
	char *object = s->base + (size_t)c->size * c->per_slab;

	s->free = NULL;
	for (unsigned i = 0; i < c->per_slab; i++) {
		object -= c->size;
		*(void **)object = s->free;
		s->free = object;
	}
}

static struct slab *slab_new(struct kmem_cache *c)
{
	char *block = page_alloc(c->order, PAGE_SLAB);
	struct slab *s = (struct slab *)block;

	if (!block)
		return NULL;
	if (c->off_slab)
		s = kmem_cache_alloc(&slab_cache);
	if (!s) {
		page_free(block, c->order);
		return NULL;
	}
	*s = (struct slab){ .cache = c, .base = block + c->header };
	list_init(&s->link);
	link_objects(c, s);
	tag_frames(c, block, s);
	return s;
}

static void slab_delete(struct kmem_cache *c, struct slab *s)
{
	char *block = s->base - c->header;

	assert(s->in_use == 0 && !list_is_linked(&s->link));
	tag_frames(c, block, NULL);
	if (c->off_slab)
		kmem_cache_free(&slab_cache, s);
	page_free(block, c->order);
}

/* A slab with room, made current on the partial list; NULL: one has to be made. Lock held. */
static struct slab *slab_with_room(struct kmem_cache *c)
{
	struct slab *s = c->spare;

	if (!list_is_empty(&c->partial))
		return list_first(&c->partial, struct slab, link);
	if (s) {
		c->spare = NULL;
		list_push_front(&c->partial, &s->link);
	}
	return s;
}

static void *slab_take(struct kmem_cache *c, struct slab *s)
{
	void *object = s->free;

	assert(object && spin_is_held(&c->lock));
	s->free = *(void **)object;
	s->in_use++;
	c->taken++;
	if (!s->free) {
		list_remove(&s->link);
		list_push_front(&c->full, &s->link);
	}
	return object;
}

/*
 * Returns a slab that became empty and is one too many, for the caller to delete without the lock.
 */
static struct slab *slab_put(struct kmem_cache *c, void *object)
{
	struct slab *s = slab_of(object);

	assert(s->cache == c && s->in_use > 0);
	assert(((size_t)((char *)object - s->base)) % c->size == 0);
	if (!s->free) {
		list_remove(&s->link);
		list_push_front(&c->partial, &s->link);
	}
	*(void **)object = s->free;
	s->free = object;
	c->taken--;
	if (--s->in_use > 0)
		return NULL;
	list_remove(&s->link);
	if (!c->spare) {
		c->spare = s;
		return NULL;
	}
	c->slabs--;
	return s;
}

/* --- magazines: interrupts off --- */

static struct magazine *magazine_here(struct kmem_cache *c)
{
	return &c->magazine[HARTS_MAX > 1 ? hart_id() : 0];
}

/*
 * Moves up to half a magazine of objects in. False: no memory. Some may have come back while a slab
 * was looked for.
 */
static bool magazine_fill(struct kmem_cache *c, struct magazine *m)
{
	uint32_t wanted = (c->magazine_size + 1u) / 2;
	struct slab *s;

	spin_acquire(&c->lock);
	if (!slab_with_room(c)) {
		spin_release(&c->lock);
		s = slab_new(c);
		if (!s)
			return m->count > 0;
		spin_acquire(&c->lock);
		c->slabs++;
		list_push_front(&c->partial, &s->link);
	}
	while (m->count < wanted && (s = slab_with_room(c)))
		m->object[m->count++] = slab_take(c, s);
	spin_release(&c->lock);
	return true;
}

static void magazine_empty(struct kmem_cache *c, struct magazine *m, uint32_t keep)
{
	struct list surplus = LIST_INIT(surplus);
	struct list *link;

	spin_acquire(&c->lock);
	while (m->count > keep) {
		struct slab *s = slab_put(c, m->object[--m->count]);

		if (s)
			list_push_back(&surplus, &s->link);
	}
	spin_release(&c->lock);
	while ((link = list_pop_front(&surplus)))
		slab_delete(c, list_entry(link, struct slab, link));
}

/* --- caches --- */

/*
 * The ways through the slabs are apart, so that the common ones need no frame. Interrupts off; they
 * restore.
 */
static __attribute__((noinline)) void *alloc_filling(struct kmem_cache *c, irqflags_t flags)
{
	struct magazine *m = magazine_here(c);
	void *object = magazine_fill(c, m) ? m->object[--m->count] : NULL;

	arch_irq_restore(flags);
	return object;
}

static __attribute__((noinline)) void free_emptying(struct kmem_cache *c, void *object,
						    irqflags_t flags)
{
	struct magazine *m = magazine_here(c);

	magazine_empty(c, m, c->magazine_size / 2);
	m->object[m->count++] = object;
	arch_irq_restore(flags);
}

void *kmem_cache_alloc(struct kmem_cache *c)
{
	irqflags_t flags = arch_irq_save();
	struct magazine *m = magazine_here(c);
	void *object;

	if (unlikely(m->count == 0))
		return alloc_filling(c, flags);
	object = m->object[--m->count];
	arch_irq_restore(flags);
	return object;
}

void *kmem_cache_alloc_zero(struct kmem_cache *c)
{
	void *object = kmem_cache_alloc(c);

	if (object)
		memset(object, 0, c->size);
	return object;
}

void kmem_cache_free(struct kmem_cache *c, void *object)
{
	irqflags_t flags = arch_irq_save();
	struct magazine *m = magazine_here(c);

	assert(object);
	if (unlikely(m->count == c->magazine_size)) {
		free_emptying(c, object, flags);
		return;
	}
	m->object[m->count++] = object;
	arch_irq_restore(flags);
}

/* The smallest block that holds eight objects, or wastes at most an eighth. */
static void choose_layout(struct kmem_cache *c, size_t align)
{
	c->off_slab = c->size >= OFF_SLAB_BYTES;
	c->header = c->off_slab ? 0 : (uint16_t)ALIGN_UP(sizeof(struct slab), align);
	for (c->order = 0;; c->order++) {
		size_t room = (PAGE_SIZE << c->order) - c->header;
		size_t count = room / c->size;

		if (c->order == SLAB_ORDER_MAX || count >= 8 ||
		    (count > 0 && room % c->size <= room / 8)) {
			c->per_slab = (uint16_t)count;
			return;
		}
	}
}

static void cache_init(struct kmem_cache *c, const char *name, size_t size, size_t align)
{
	irqflags_t flags;

	align = MAX(align, (size_t)MIN_ALIGN);
	assert(IS_ALIGNED(align, align & -align) && align <= PAGE_SIZE);
	assert(size > 0 && size <= OBJECT_MAX);
	*c = (struct kmem_cache){ .name = name, .size = (uint32_t)ALIGN_UP(size, align) };
	spin_init(&c->lock);
	list_init(&c->partial);
	list_init(&c->full);
	c->magazine_size = (uint16_t)CLAMP(MAGAZINE_BYTES / c->size, 2u, (unsigned)MAGAZINE_MAX);
	choose_layout(c, align);
	assert(c->per_slab > 0);
	flags = spin_lock_irq(&caches_lock);
	list_push_back(&caches, &c->link);
	spin_unlock_irq(&caches_lock, flags);
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align)
{
	struct kmem_cache *c = kmem_cache_alloc(&cache_cache);

	if (c)
		cache_init(c, name, size, align);
	return c;
}

/* This hart's magazine; another hart's objects stay until that hart frees or allocates. */
size_t kmem_cache_reclaim(struct kmem_cache *c)
{
	irqflags_t flags = arch_irq_save();
	struct slab *spare;
	size_t before, after;

	spin_acquire(&c->lock);
	before = c->slabs;
	spin_release(&c->lock);
	magazine_empty(c, magazine_here(c), 0);
	spin_acquire(&c->lock);
	spare = c->spare;
	c->spare = NULL;
	c->slabs -= spare != NULL;
	after = c->slabs;
	spin_release(&c->lock);
	if (spare)
		slab_delete(c, spare);
	arch_irq_restore(flags);
	return (before - after) << c->order;
}

/* The owner has stopped using the cache everywhere, so the other harts' magazines are at rest. */
void kmem_cache_destroy(struct kmem_cache *c)
{
	irqflags_t flags = arch_irq_save();

	for (hart_t h = 0; h < HARTS_MAX; h++)
		magazine_empty(c, &c->magazine[h], 0);
	kmem_cache_reclaim(c);
	assert(c->taken == 0 && c->slabs == 0);
	spin_acquire(&caches_lock);
	list_remove(&c->link);
	spin_release(&caches_lock);
	arch_irq_restore(flags);
	kmem_cache_free(&cache_cache, c);
}

static struct kmem_stats cache_stats(struct kmem_cache *c)
{
	size_t resting = 0;
	struct kmem_stats s;

	for (hart_t h = 0; h < HARTS_MAX; h++)
		resting += __atomic_load_n(&c->magazine[h].count, __ATOMIC_RELAXED);
	spin_acquire(&c->lock);
	s = (struct kmem_stats){
		.name = c->name,
		.object_bytes = c->size,
		.in_use = c->taken > resting ? c->taken - resting : 0,
		.slabs_bytes = c->slabs * (PAGE_SIZE << c->order),
	};
	spin_release(&c->lock);
	return s;
}

void kmem_for_each(void (*visit)(const struct kmem_stats *s, void *arg), void *arg)
{
	irqflags_t flags = spin_lock_irq(&caches_lock);

	for (struct list *l = caches.next; l != &caches; l = l->next) {
		struct kmem_stats s = cache_stats(list_entry(l, struct kmem_cache, link));

		visit(&s, arg);
	}
	spin_unlock_irq(&caches_lock, flags);
}

/* --- kmalloc --- */

static struct kmem_cache *ladder_for(size_t bytes)
{
	unsigned i;

	if (likely(bytes <= 1024))
		return &ladder[ladder_index[(bytes + MIN_ALIGN - 1) / MIN_ALIGN]];
	for (i = ladder_index[1024 / MIN_ALIGN]; ladder_size[i] < bytes; i++)
		;
	return &ladder[i];
}

static void *alloc_frames(size_t bytes)
{
	void *p = page_alloc_exact(bytes, PAGE_KERNEL);

	if (p)
		page_of(p)->frames = DIV_ROUND_UP(bytes, PAGE_SIZE);
	return p;
}

void *kmalloc(size_t bytes)
{
	return likely(bytes <= LADDER_MAX) ? kmem_cache_alloc(ladder_for(bytes))
					   : alloc_frames(bytes);
}

void *kzalloc(size_t bytes)
{
	void *p = kmalloc(bytes);

	if (p)
		memset(p, 0, bytes);
	return p;
}

void kfree(void *p)
{
	struct page *frame;

	if (!p)
		return;
	frame = page_of(p);
	assert(frame && (frame->owner == PAGE_SLAB || frame->owner == PAGE_KERNEL));
	if (likely(frame->owner == PAGE_SLAB))
		kmem_cache_free(((struct slab *)frame->slab)->cache, p);
	else
		page_free_exact(p, frame->frames << PAGE_SHIFT);
}

size_t kmalloc_usable(const void *p)
{
	struct page *frame = page_of(p);

	assert(frame);
	if (frame->owner == PAGE_SLAB)
		return ((struct slab *)frame->slab)->cache->size;
	return frame->frames << PAGE_SHIFT;
}

void kmem_init(void)
{
	unsigned rung = 0;

	cache_init(&slab_cache, "slab", sizeof(struct slab), MIN_ALIGN);
	cache_init(&cache_cache, "kmem_cache", sizeof(struct kmem_cache), CACHE_LINE);
	for (unsigned i = 0; i < ARRAY_SIZE(ladder); i++)
		cache_init(&ladder[i], ladder_name[i], ladder_size[i], MIN_ALIGN);
	for (unsigned i = 0; i < ARRAY_SIZE(ladder_index); i++) {
		while (ladder_size[rung] < i * MIN_ALIGN)
			rung++;
		ladder_index[i] = (uint8_t)rung;
	}
}
