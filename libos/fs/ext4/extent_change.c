/*
 * Extent trees: changing.
 *
 * All changes are one: blocks of the file that lie in one extent, or in one hole, become something
 * else. The extent found gives way to what is left of it on both sides and the new one between;
 * neighbours in the same leaf that go on into one another become one. When the leaf has no room for
 * the result, a node is split (or the tree grows) and everything starts anew from the root, so
 * nothing has changed yet when the disk is full.
 *
 * A node splits in the middle; when what comes belongs behind its last entry, only that one moves,
 * so files that grow at their end fill their nodes. No node but the root is ever empty: it goes
 * with its last entry. A node's key in its parent is the first key in it, always (e2fsck insists).
 *
 * map_lock is held throughout. The root is in the inode: the caller writes that afterwards.
 */
#include "extent_change.h"

#include <core/assert.h>
#include <core/errno.h>
#include <core/string.h>

#include "map.h"

static bool is_full(const struct ext4_disk_extent_header *h)
{
	return h->entries >= h->max;
}

static int touch(struct ext4_handle *h, struct extent_level *l)
{
	if (l->buffer)
		return ext4_touch(h, l->buffer);
	h->half = true; /* the root: it goes with the inode */
	return 0;
}

static void checksum(struct ext4_inode *i, struct extent_level *l)
{
	if (l->buffer)
		extent_checksum_set(i, l->buffer);
}

/* ---- making room ---- */

static uint64_t node_goal(struct ext4_inode *i, const struct extent_path *p, unsigned d)
{
	for (d = d + 1; d-- > 0;) {
		if (p->level[d].buffer)
			return p->level[d].buffer->block + 1;
	}
	return ext4_inode_goal(i);
}

/* A block for a node, without entries yet: 0 and *out, to be put. */
static int node_new(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, unsigned depth,
		    struct buffer **out)
{
	struct ext4_super *s = extent_super(i);
	struct ext4_disk_extent_header *head;
	int error = ext4_block_make(h, NULL, goal, out);

	if (error)
		return error;
	memset((*out)->data, 0, s->block_bytes);
	head = (struct ext4_disk_extent_header *)(*out)->data;
	*head = (struct ext4_disk_extent_header){
		.magic = EXT4_EXTENT_MAGIC, .max = (uint16_t)extent_block_slots(s),
		.depth = (uint16_t)depth,
	};
	__atomic_or_fetch(&(*out)->flags, BUFFER_VERIFIED, __ATOMIC_RELEASE);
	map_count_blocks(i, 1);
	return 0;
}

/* The root's entries move into a block, and the root names that: one level more. */
static int grow(struct ext4_handle *h, struct ext4_inode *i, const struct extent_path *p)
{
	struct ext4_disk_extent_header *root = extent_root(i), *head;
	struct buffer *b;
	int error;

	if (root->depth >= EXT4_EXTENT_DEPTH_MAX)
		return -EFBIG;
	error = node_new(h, i, node_goal(i, p, 0), root->depth, &b);
	if (error)
		return error;
	head = (struct ext4_disk_extent_header *)b->data;
	memcpy(extent_slot(head, 0), extent_slot(root, 0), root->entries * EXTENT_SLOT_BYTES);
	head->entries = root->entries;
	extent_checksum_set(i, b);
	root->depth++;
	root->entries = 1;
	*extent_index_slot(root, 0) = extent_index_pack(extent_slot(head, 0)->block, b->block);
	buffer_put(b);
	return 0;
}

/*
 * The upper entries of the node at level d move into a new one; the level above has room for its
 * name.
 */
static int split(struct ext4_handle *h, struct ext4_inode *i, struct extent_path *p, unsigned d)
{
	struct extent_level *l = &p->level[d], *above = l - 1;
	int n = l->head->entries, cut = l->at == n - 1 ? n - 1 : n / 2;
	struct ext4_disk_extent_header *head;
	struct buffer *b;
	int error = touch(h, l);

	if (!error)
		error = touch(h, above);
	if (!error)
		error = node_new(h, i, node_goal(i, p, d), l->head->depth, &b);
	if (error)
		return error;
	head = (struct ext4_disk_extent_header *)b->data;
	head->entries = (uint16_t)(n - cut);
	memcpy(extent_slot(head, 0), extent_slot(l->head, cut), head->entries * EXTENT_SLOT_BYTES);
	l->head->entries = (uint16_t)cut;
	extent_checksum_set(i, b);
	checksum(i, l);
	memmove(extent_slot(above->head, above->at + 2), extent_slot(above->head, above->at + 1),
		(size_t)(above->head->entries - above->at - 1) * EXTENT_SLOT_BYTES);
	*extent_index_slot(above->head, above->at + 1) = extent_index_pack(
		extent_slot(head, 0)->block, b->block);
	above->head->entries++;
	checksum(i, above);
	buffer_put(b);
	return 0;
}

/* One step towards room in the path's leaf, after which the path has to be found again. */
static int make_room(struct ext4_handle *h, struct ext4_inode *i, struct extent_path *p)
{
	unsigned d = p->depth;

	while (d > 0 && is_full(p->level[d - 1].head))
		d--;
	return d ? split(h, i, p, d) : grow(h, i, p);
}

/* ---- what follows a change of a leaf ---- */

/* The first key of level d's node has changed: so do the keys above it, which were touched. */
static void fix_keys(struct ext4_inode *i, struct extent_path *p, unsigned d)
{
	for (; d > 0; d--) {
		struct extent_level *above = &p->level[d - 1];

		extent_index_slot(above->head, above->at)->block = extent_slot(p->level[d].head, 0)
									   ->block;
		checksum(i, above);
		if (above->at > 0)
			break;
	}
}

static void remove_slots(struct extent_level *l, int at, int count)
{
	memmove(extent_slot(l->head, at), extent_slot(l->head, at + count),
		(size_t)(l->head->entries - at - count) * EXTENT_SLOT_BYTES);
	l->head->entries = (uint16_t)(l->head->entries - count);
}

/* The leaf has lost its last entry: it goes, and so do nodes above that had nothing else. */
static int remove_empty(struct ext4_handle *h, struct ext4_inode *i, struct extent_path *p)
{
	unsigned d = p->depth;

	for (; d > 0 && !p->level[d].head->entries; d--) {
		struct extent_level *above = &p->level[d - 1];
		int error = ext4_bfree(h, i, p->level[d].buffer->block, 1, true);

		if (error)
			return error;
		map_count_blocks(i, -1);
		remove_slots(above, above->at, 1);
		checksum(i, above);
	}
	if (!d && !p->level[0].head->entries)
		p->level[0].head->depth = 0;
	else if (p->level[d].at == 0)
		fix_keys(i, p, d);
	return 0;
}

/* ---- the change ---- */

/* What the leaf's slots [at, at + old) become. */
struct splice {
	int at, old, parts;
	struct extent_run part[3];
};

static bool goes_on(const struct extent_run *a, const struct extent_run *b)
{
	uint32_t max = a->unwritten ? EXTENT_UNWRITTEN_MAX : EXT4_EXTENT_LEN_MAX;

	return a->unwritten == b->unwritten && a->first + (uint64_t)a->len == b->first &&
	       a->block + a->len == b->block && a->len + b->len <= max;
}

static void merge_left(struct splice *sp, struct extent_level *leaf)
{
	struct extent_run left;

	if (!sp->parts || sp->at == 0)
		return;
	left = extent_unpack(extent_slot(leaf->head, sp->at - 1));
	if (!goes_on(&left, &sp->part[0]))
		return;
	left.len += sp->part[0].len;
	sp->part[0] = left;
	sp->at--;
	sp->old++;
}

static void merge_right(struct splice *sp, struct extent_level *leaf)
{
	struct extent_run right;

	if (!sp->parts || sp->at + sp->old >= leaf->head->entries)
		return;
	right = extent_unpack(extent_slot(leaf->head, sp->at + sp->old));
	if (!goes_on(&sp->part[sp->parts - 1], &right))
		return;
	sp->part[sp->parts - 1].len += right.len;
	sp->old++;
}

/*
 * [first, first + len) lies in one extent or one hole, as the caller has seen under the same lock.
 */
static void plan(struct splice *sp, struct extent_level *leaf, uint32_t first, uint32_t len,
		 const struct extent_run *with)
{
	uint64_t end = first + (uint64_t)len;
	struct extent_run r = { 0 };

	*sp = (struct splice){ .at = leaf->at + 1 };
	if (leaf->at >= 0)
		r = extent_unpack(extent_slot(leaf->head, leaf->at));
	if (r.len && first - r.first < r.len) {
		sp->at = leaf->at;
		sp->old = 1;
	} else {
		r.len = 0;
	}
	if (r.len && first > r.first)
		sp->part[sp->parts++] = (struct extent_run){ r.first, first - r.first, r.block,
							     r.unwritten };
	if (with)
		sp->part[sp->parts++] = *with;
	if (r.len && end < r.first + (uint64_t)r.len)
		sp->part[sp->parts++] = (struct extent_run){
			(uint32_t)end, (uint32_t)(r.first + r.len - end), r.block + (end - r.first),
			r.unwritten,
		};
	merge_left(sp, leaf);
	merge_right(sp, leaf);
}

/* Will the leaf's first key be another, or the leaf go? */
static bool changes_key(const struct extent_level *leaf, const struct splice *sp)
{
	if (sp->at || !leaf->head->entries)
		return false;
	return !sp->parts || sp->part[0].first != extent_slot(leaf->head, 0)->block;
}

/* All that apply() changes, but for the places of nodes that go. */
static int touch_path(struct ext4_handle *h, struct extent_path *p, const struct splice *sp)
{
	int error = touch(h, extent_leaf(p));

	for (unsigned d = changes_key(extent_leaf(p), sp) ? p->depth : 0; !error && d > 0; d--)
		error = touch(h, &p->level[d - 1]);
	return error;
}

static int apply(struct ext4_handle *h, struct ext4_inode *i, struct extent_path *p,
		 const struct splice *sp)
{
	struct extent_level *leaf = extent_leaf(p);
	bool new_key = changes_key(leaf, sp);
	int tail = sp->at + sp->old;

	memmove(extent_slot(leaf->head, sp->at + sp->parts), extent_slot(leaf->head, tail),
		(size_t)(leaf->head->entries - tail) * EXTENT_SLOT_BYTES);
	leaf->head->entries = (uint16_t)(leaf->head->entries + sp->parts - sp->old);
	for (int k = 0; k < sp->parts; k++)
		*extent_slot(leaf->head, sp->at + k) = extent_pack(&sp->part[k]);
	checksum(i, leaf);
	if (!leaf->head->entries)
		return remove_empty(h, i, p);
	if (new_key)
		fix_keys(i, p, p->depth);
	return 0;
}

int extent_replace(struct ext4_handle *h, struct ext4_inode *i, uint32_t first, uint32_t len,
		   const struct extent_run *with)
{
	bool half = h->half;
	struct extent_path p;
	struct splice sp;
	int error;

	assert(mutex_is_held(&i->map_lock));
	for (;;) {
		bool has_room;

		error = extent_find(i, first, &p);
		if (error)
			break;
		plan(&sp, extent_leaf(&p), first, len, with);
		has_room = extent_leaf(&p)->head->entries + sp.parts - sp.old <=
			   extent_leaf(&p)->head->max;
		error = has_room ? touch_path(h, &p, &sp) : make_room(h, i, &p);
		if (!error && has_room) {
			error = apply(h, i, &p, &sp);
			extent_path_put(&p);
			return error;
		}
		extent_path_put(&p);
		if (error)
			break;
	}
	h->half = half; /* the tree may have more nodes, no more */
	return error;
}

/* How many entries the path's leaf gets more when one block of its unwritten extent is written. */
static int entries_for_written(struct extent_path *p, uint32_t at)
{
	struct extent_level *leaf = extent_leaf(p);
	struct extent_run r = { 0 }, one = { .first = at, .len = 1 };
	struct splice sp;

	if (leaf->at >= 0)
		r = extent_unpack(extent_slot(leaf->head, leaf->at));
	if (!r.unwritten || at - r.first >= r.len)
		return 0;
	one.block = r.block + (at - r.first);
	plan(&sp, leaf, at, 1, &one);
	return sp.parts - sp.old;
}

int extent_make_room(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, unsigned spare)
{
	bool half = h->half;
	struct extent_path p;
	int error;

	assert(mutex_is_held(&i->map_lock));
	for (;;) {
		bool has_room;

		error = extent_find(i, at, &p);
		if (error)
			break;
		has_room = extent_leaf(&p)->head->entries + entries_for_written(&p, at) +
				   (int)spare <=
			   extent_leaf(&p)->head->max;
		error = has_room ? 0 : make_room(h, i, &p);
		extent_path_put(&p);
		if (error || has_room)
			break;
	}
	h->half = half;
	return error;
}

unsigned extent_credits(const struct ext4_inode *i)
{
	const struct ext4_disk_extent_header *root = (const struct ext4_disk_extent_header *)
							     i->block;
	unsigned nodes = MIN(root->depth, EXT4_EXTENT_DEPTH_MAX) + 1;

	/* Each level's node and a new one beside it, which needs a bitmap and a descriptor. */
	return nodes * (1 + 3) + EXT4_CREDITS_INODE;
}
