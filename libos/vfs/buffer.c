/*
 * Metadata buffers: which there are, who keeps them, and when they go.
 *
 * A buffer is found by its block in a tree. Its references are: one for each holder, one while it
 * is dirty, one while a journal has it, one for a transfer that nobody waits for. Without any it is
 * on the unused list, oldest first, until somebody wants it again or memory is short; without valid
 * contents it goes at once.
 *
 * BUFFER_BUSY is the right to transfer: who sets it reads or writes, and others wait. So two
 * threads that ask for one block cause one read, and a block is never on two ways to the disk. A
 * change while the block is being written makes it dirty again, so that it is written once more.
 *
 * Memory is allocated before the cache's lock is taken: reclaiming may come from the allocator.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>

#include "buffer_parts.h"

#define READ_AHEAD_MAX 64u /* blocks at a time */
#define RECLAIM_AT_ONCE 32u

static int compare_block(const void *key, const struct tree_node *n)
{
	uint64_t wanted = *(const uint64_t *)key, block = tree_entry(n, struct buffer, node)->block;

	return wanted < block ? -1 : wanted > block;
}

static bool block_is_less(const struct tree_node *a, const struct tree_node *b)
{
	return tree_entry(a, struct buffer, node)->block <
	       tree_entry(b, struct buffer, node)->block;
}

/* ---- the cache ---- */

static size_t give_back(struct cache_shrinker *shrinker, size_t pages)
{
	struct buffer_cache *c = container_of(shrinker, struct buffer_cache, shrinker);
	size_t freed = buffers_reclaim(c, pages * (PAGE_SIZE / c->block_bytes));

	return c->memory ? kmem_cache_reclaim(c->memory) : freed;
}

int buffers_init(struct buffer_cache *c, struct blkdev *d, uint32_t block_bytes, uint64_t blocks)
{
	if (block_bytes < 1024 || block_bytes > PAGE_SIZE || block_bytes & (block_bytes - 1) ||
	    block_bytes < d->block_bytes)
		return -EINVAL;
	*c = (struct buffer_cache){ .dev = d, .block_bytes = block_bytes, .blocks = blocks };
	if (block_bytes < PAGE_SIZE) {
		c->memory = kmem_cache_create("buffer", block_bytes, block_bytes);
		if (!c->memory)
			return -ENOMEM;
	}
	spin_init(&c->lock);
	tree_init(&c->buffers);
	list_init(&c->unused);
	list_init(&c->dirty);
	waitq_init(&c->ended);
	c->shrinker.shrink = give_back;
	cache_shrinker_add(&c->shrinker);
	return 0;
}

static uint8_t *contents_new(struct buffer_cache *c)
{
	return c->memory ? kmem_cache_alloc(c->memory) : page_alloc(0, PAGE_CACHE);
}

static void buffer_free(struct buffer *b)
{
	if (b->cache->memory)
		kmem_cache_free(b->cache->memory, b->data);
	else if (b->data)
		page_free(b->data, 0);
	kfree(b);
}

static struct buffer *buffer_new(struct buffer_cache *c, uint64_t block)
{
	struct buffer *b = kzalloc(sizeof(*b));

	if (!b)
		return NULL;
	b->data = contents_new(c);
	if (!b->data) {
		kfree(b);
		return NULL;
	}
	b->cache = c;
	b->block = block;
	b->refs = 1;
	list_init(&b->link);
	return b;
}

/* [c] */
static void unlink(struct buffer *b)
{
	struct buffer_cache *c = b->cache;

	assert(!b->refs && !b->journal && !(b->flags & (BUFFER_DIRTY | BUFFER_BUSY)));
	tree_remove(&c->buffers, &b->node);
	c->count--;
	if (list_is_linked(&b->link)) {
		list_remove(&b->link);
		c->unused_count--;
	}
}

/* [c] */
static size_t reclaim_locked(struct buffer_cache *c, size_t count)
{
	size_t freed = 0;

	for (; freed < count && !list_is_empty(&c->unused); freed++) {
		struct buffer *b = list_first(&c->unused, struct buffer, link);

		unlink(b);
		buffer_free(b);
	}
	return freed;
}

size_t buffers_reclaim(struct buffer_cache *c, size_t count)
{
	size_t freed;

	if (!spin_try_lock(&c->lock))
		return 0;
	freed = reclaim_locked(c, count);
	spin_unlock(&c->lock);
	return freed;
}

/* What was read ahead may still be under way: the last transfer leaves through the lock. */
static bool is_unused(struct buffer_cache *c)
{
	bool yes;

	spin_lock(&c->lock);
	yes = c->unused_count == c->count;
	spin_unlock(&c->lock);
	return yes;
}

void buffers_destroy(struct buffer_cache *c)
{
	assert(!c->dirty_count);
	cache_shrinker_remove(&c->shrinker);
	if (!is_unused(c))
		waitq_wait(&c->ended, is_unused(c), DEADLINE_NEVER, false);
	spin_lock(&c->lock);
	reclaim_locked(c, SIZE_MAX);
	spin_unlock(&c->lock);
	assert(!c->count);
	if (c->memory)
		kmem_cache_destroy(c->memory);
}

/* ---- references ---- */

/* [c] */
void buffer_hold_locked(struct buffer *b)
{
	if (__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED) == 0 && list_is_linked(&b->link)) {
		list_remove(&b->link);
		b->cache->unused_count--;
	}
}

/* [c] With a reference; NULL: none. */
static struct buffer *lookup_locked(struct buffer_cache *c, uint64_t block)
{
	struct tree_node *n = tree_find(&c->buffers, &block, compare_block);
	struct buffer *b = n ? tree_entry(n, struct buffer, node) : NULL;

	if (b)
		buffer_hold_locked(b);
	return b;
}

static struct buffer *lookup(struct buffer_cache *c, uint64_t block)
{
	struct buffer *b;

	spin_lock(&c->lock);
	b = lookup_locked(c, block);
	spin_unlock(&c->lock);
	return b;
}

/* Somebody may have been faster: there is one buffer for a block. */
static struct buffer *insert(struct buffer_cache *c, struct buffer *made)
{
	struct buffer *b;

	spin_lock(&c->lock);
	b = lookup_locked(c, made->block);
	if (!b) {
		tree_insert(&c->buffers, &made->node, block_is_less);
		c->count++;
	}
	spin_unlock(&c->lock);
	if (!b)
		return made;
	buffer_free(made);
	return b;
}

/* The block's buffer with a reference, valid or not: 0, -EIO, -ENOMEM. */
static int get(struct buffer_cache *c, uint64_t block, struct buffer **out)
{
	struct buffer *b;

	if (block >= c->blocks)
		return -EIO;
	b = lookup(c, block);
	if (!b) {
		b = buffer_new(c, block);
		if (!b && buffers_reclaim(c, RECLAIM_AT_ONCE) + cache_reclaim(RECLAIM_AT_ONCE))
			b = buffer_new(c, block);
		if (!b)
			return -ENOMEM;
		b = insert(c, b);
	}
	*out = b;
	return 0;
}

struct buffer *buffer_find(struct buffer_cache *c, uint64_t block)
{
	struct buffer *b = lookup(c, block);

	if (b && !(buffer_flags(b) & BUFFER_VALID)) {
		buffer_put(b);
		return NULL;
	}
	return b;
}

struct buffer *buffer_hold(struct buffer *b)
{
	uint32_t before = __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);

	assert(before > 0);
	return b;
}

/*
 * The last reference goes, unless somebody found the buffer in the meantime. All of it under the
 * lock, which who destroys the cache goes through.
 */
static void put_last(struct buffer *b)
{
	struct buffer_cache *c = b->cache;

	spin_lock(&c->lock);
	if (__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		if (b->flags & BUFFER_VALID) {
			list_push_back(&c->unused, &b->link);
			c->unused_count++;
		} else {
			unlink(b);
			buffer_free(b);
		}
		waitq_wake_all(&c->ended);
	}
	spin_unlock(&c->lock);
}

void buffer_put(struct buffer *b)
{
	uint32_t refs;

	if (!b)
		return;
	refs = __atomic_load_n(&b->refs, __ATOMIC_RELAXED);
	while (refs > 1) {
		if (__atomic_compare_exchange_n(&b->refs, &refs, refs - 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return;
	}
	assert(refs == 1);
	put_last(b);
}

/* ---- reading ---- */

bool buffer_try_busy(struct buffer *b)
{
	return !(__atomic_fetch_or(&b->flags, BUFFER_BUSY, __ATOMIC_SEQ_CST) & BUFFER_BUSY);
}

void buffer_make_busy(struct buffer *b)
{
	if (!buffer_try_busy(b))
		waitq_wait(&b->cache->ended, buffer_try_busy(b), DEADLINE_NEVER, false);
}

/* Under the cache's lock, which whoever destroys the cache goes through. */
void buffer_end_busy(struct buffer *b, uint32_t add)
{
	struct buffer_cache *c = b->cache;

	spin_lock(&c->lock);
	buffer_flags_set(b, add);
	buffer_flags_clear(b, BUFFER_BUSY);
	waitq_wake_all(&c->ended);
	spin_unlock(&c->lock);
}

/* Contents that are not there yet: from the disk, or zeroes. 0, -EIO. */
static int fill(struct buffer *b, bool from_disk)
{
	struct buffer_cache *c = b->cache;
	int error = 0;

	buffer_make_busy(b);
	if (!(buffer_flags(b) & BUFFER_VALID)) {
		if (from_disk)
			error = blkdev_read(c->dev, buffer_place(b), b->data, c->block_bytes);
		else
			memset(b->data, 0, c->block_bytes);
	}
	buffer_end_busy(b, error ? 0 : BUFFER_VALID);
	return error;
}

static int get_filled(struct buffer_cache *c, uint64_t block, struct buffer **out, bool from_disk)
{
	struct buffer *b;
	int error = get(c, block, &b);

	if (error)
		return error;
	if (!(buffer_flags(b) & BUFFER_VALID))
		error = fill(b, from_disk);
	if (error) {
		buffer_put(b);
		return error;
	}
	*out = b;
	return 0;
}

int buffer_read(struct buffer_cache *c, uint64_t block, struct buffer **out)
{
	return get_filled(c, block, out, true);
}

int buffer_make(struct buffer_cache *c, uint64_t block, struct buffer **out)
{
	return get_filled(c, block, out, false);
}

struct ahead {
	struct blkreq request;
	struct blk_vec vec;
};

static void ahead_done(struct blkreq *r, int error)
{
	struct buffer *b = r->user;

	kfree(container_of(r, struct ahead, request));
	buffer_end_busy(b, error ? 0 : BUFFER_VALID);
	buffer_put(b);
}

/* Takes over the reference. */
static void read_one_ahead(struct buffer *b)
{
	struct ahead *a = NULL;

	if (!(buffer_flags(b) & (BUFFER_VALID | BUFFER_BUSY)))
		a = kmalloc(sizeof(*a));
	if (!a || !buffer_try_busy(b)) {
		kfree(a);
		buffer_put(b);
		return;
	}
	if (buffer_flags(b) & BUFFER_VALID) { /* read in the meantime */
		kfree(a);
		buffer_end_busy(b, 0);
		buffer_put(b);
		return;
	}
	a->vec = (struct blk_vec){ b->data, b->cache->block_bytes };
	a->request = (struct blkreq){ .op = BLK_READ,
				      .offset = buffer_place(b),
				      .len = a->vec.len,
				      .vecs = &a->vec,
				      .vec_count = 1,
				      .done = ahead_done,
				      .user = b };
	blkdev_submit(b->cache->dev, &a->request);
}

void buffers_read_ahead(struct buffer_cache *c, uint64_t block, unsigned count)
{
	struct buffer *b;

	count = MIN(count, READ_AHEAD_MAX);
	for (uint64_t end = block + count; block < end && get(c, block, &b) == 0; block++)
		read_one_ahead(b);
	blkdev_kick(c->dev);
}
