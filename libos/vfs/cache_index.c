/*
 * The pages of a file by their index: a radix tree, 64 ways wide.
 *
 * A node knows by bits which of its slots are taken, and below which there are pages that are dirty
 * or under way to the disk, so the next page of a kind is found without looking at others. The tree
 * is as high as the largest index asks for; a file of one page has no node at all (height 0: the
 * root is the page).
 *
 * Everything happens under the cache's lock.
 */
#include <core/assert.h>
#include <core/atomic.h>
#include <core/errno.h>
#include <core/kmem.h>

#include "cache_parts.h"

#define WAYS_SHIFT 6u
#define WAYS       (1u << WAYS_SHIFT)
#define HEIGHT_MAX 9u /* 9 * 6 bits hold every index of a file below 2^63 bytes */

struct cache_node {
	uint64_t marks[CACHE_MARKS]; /* bit per slot; CACHE_ANY: what is not set has no pages */
	void *slot[WAYS];            /* nodes, or pages on the lowest level */
};

static unsigned lowest(uint64_t word)
{
	return (uint32_t)word ? bit_lowest((uint32_t)word)
			      : 32 + bit_lowest((uint32_t)(word >> 32));
}

static unsigned highest(uint64_t word)
{
	return 63 - (unsigned)__builtin_clzl(word);
}

static unsigned slot_of(uint64_t index, unsigned level)
{
	return (unsigned)(index >> (level * WAYS_SHIFT)) & (WAYS - 1);
}

static bool fits(const struct cache *c, uint64_t index)
{
	return !(index >> (c->height * WAYS_SHIFT));
}

struct cache_page *cache_index_find(const struct cache *c, uint64_t index)
{
	unsigned bits = c->height * WAYS_SHIFT;
	void *at = c->root;

	if (unlikely(!fits(c, index)))
		return NULL;
	while (at && bits) {
		bits -= WAYS_SHIFT;
		at = ((struct cache_node *)at)->slot[index >> bits & (WAYS - 1)];
	}
	return at;
}

/* ---- the next one ---- */

/*
 * The first wanted page at or after `index` below a node of `level`; *index: where it lies within
 * the node.
 */
static struct cache_page *next_below(const struct cache_node *n, unsigned level, uint64_t index,
				     enum cache_mark mark)
{
	uint64_t inside = level * WAYS_SHIFT < 64 ? index & ((1ull << (level * WAYS_SHIFT)) - 1)
						  : index;
	uint64_t slots = n->marks[mark] & ~0ull << slot_of(index, level);

	while (slots) {
		unsigned slot = lowest(slots);
		struct cache_page *p;

		if (slot != slot_of(index, level))
			inside = 0;
		if (!level)
			return n->slot[slot];
		p = next_below(n->slot[slot], level - 1, inside, mark);
		if (p)
			return p;
		slots &= slots - 1;
	}
	return NULL;
}

/* Of a page without a node above it. */
static bool page_has_mark(const struct cache_page *p, enum cache_mark mark)
{
	return mark == CACHE_ANY ||
	       p->state & (mark == CACHE_TO_WRITE ? CACHE_DIRTY : CACHE_WRITING);
}

struct cache_page *cache_index_next(const struct cache *c, uint64_t index, enum cache_mark mark)
{
	struct cache_page *only = (struct cache_page *)c->root;

	if (!c->root || !fits(c, index))
		return NULL;
	if (!c->height)
		return page_has_mark(only, mark) ? only : NULL;
	return next_below(c->root, c->height - 1, index, mark);
}

uint64_t cache_index_behind(const struct cache *c, enum cache_mark mark)
{
	void *at = c->root;

	if (!at || (!c->height && !page_has_mark(at, mark)))
		return 0;
	for (unsigned level = c->height; level--;) {
		const struct cache_node *n = at;

		if (!n->marks[mark])
			return 0;
		at = n->slot[highest(n->marks[mark])];
	}
	return ((struct cache_page *)at)->index + 1;
}

/* ---- insertion ---- */

static void node_take(struct cache_node *n, unsigned slot, void *what)
{
	n->slot[slot] = what;
	n->marks[CACHE_ANY] |= 1ull << slot;
}

static void node_give(struct cache_node *n, unsigned slot)
{
	n->slot[slot] = NULL;
	for (unsigned mark = 0; mark < CACHE_MARKS; mark++)
		n->marks[mark] &= ~(1ull << slot);
}

/* One level more: what there is becomes the new root's first slot. */
static int grow(struct cache *c)
{
	struct cache_node *n;

	if (c->height && !c->root->marks[CACHE_ANY]) { /* an empty node serves on any level */
		c->height++;
		return 0;
	}
	n = kzalloc(sizeof(*n));
	if (!n)
		return -ENOMEM;
	for (unsigned mark = 0; c->root && mark < CACHE_MARKS; mark++) {
		if (c->height ? c->root->marks[mark]
			      : page_has_mark((struct cache_page *)c->root, mark))
			n->marks[mark] |= 1;
	}
	n->slot[0] = c->root;
	c->root = n;
	c->height++;
	return 0;
}

/* Frees the nodes on the way to `index` that hold nothing: is this one empty now? */
static bool prune(struct cache_node *n, unsigned level, uint64_t index)
{
	unsigned slot = slot_of(index, level);

	if (level && n->slot[slot] && prune(n->slot[slot], level - 1, index))
		node_give(n, slot);
	if (n->marks[CACHE_ANY])
		return false;
	kfree(n);
	return true;
}

static void prune_from_root(struct cache *c, uint64_t index)
{
	if (c->height && prune(c->root, c->height - 1, index)) {
		c->root = NULL;
		c->height = 0;
	}
}

/* The lowest node on the way to `index`, made if need be. */
static struct cache_node *leaf_make(struct cache *c, uint64_t index)
{
	struct cache_node *n = c->root;

	for (unsigned level = c->height - 1; level; level--) {
		unsigned slot = slot_of(index, level);

		if (!n->slot[slot]) {
			struct cache_node *below = kzalloc(sizeof(*below));

			if (!below)
				return NULL;
			node_take(n, slot, below);
		}
		n = n->slot[slot];
	}
	return n;
}

int cache_index_insert(struct cache *c, struct cache_page *p)
{
	struct cache_node *leaf = NULL;

	assert(!cache_index_find(c, p->index));
	while (!fits(c, p->index)) {
		if (grow(c))
			break;
	}
	assert(c->height <= HEIGHT_MAX + 1);
	if (!c->height && !p->index) {
		c->root = (struct cache_node *)p;
		return 0;
	}
	if (fits(c, p->index))
		leaf = leaf_make(c, p->index);
	if (!leaf) {
		prune_from_root(c, p->index);
		return -ENOMEM;
	}
	node_take(leaf, slot_of(p->index, 0), p);
	return 0;
}

/* ---- marks and removal ---- */

static bool mark_below(struct cache_node *n, unsigned level, uint64_t index, enum cache_mark mark,
		       bool set)
{
	unsigned slot = slot_of(index, level);

	if (level ? mark_below(n->slot[slot], level - 1, index, mark, set) : set)
		n->marks[mark] |= 1ull << slot;
	else
		n->marks[mark] &= ~(1ull << slot);
	return n->marks[mark];
}

void cache_index_mark(struct cache *c, struct cache_page *p, enum cache_mark mark, bool set)
{
	if (c->height)
		mark_below(c->root, c->height - 1, p->index, mark, set);
}

void cache_index_remove(struct cache *c, struct cache_page *p)
{
	struct cache_node *n = c->root;

	assert(cache_index_find(c, p->index) == p);
	if (!c->height) {
		c->root = NULL;
		return;
	}
	cache_index_mark(c, p, CACHE_TO_WRITE, false);
	cache_index_mark(c, p, CACHE_UNDER_WAY, false);
	for (unsigned level = c->height - 1; level; level--)
		n = n->slot[slot_of(p->index, level)];
	node_give(n, slot_of(p->index, 0));
	prune_from_root(c, p->index);
}
