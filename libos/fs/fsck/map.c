/*
 * Where a file's blocks lie: extent trees (ifork.rst) and the older maps of direct and indirect
 * blocks.
 *
 * The walk holds one buffer for each level. In pass 1 every block is claimed when it is met, and
 * the walk ends at the first that has an owner already: so a tree that contains itself, or shares a
 * branch, ends there, and all walks together visit no block twice.
 */
#include <core/crc.h>
#include <core/string.h>

#include "fsck.h"

#define ROOT_SLOTS 4u
#define LAST_BLOCK (1ull << 32)

static const char *take(struct walk *w, uint64_t block, uint64_t count)
{
	w->blocks += count;
	if (!w->claims)
		return ext4_blocks_are_valid(w->f->s, block, count)
			       ? NULL
			       : "a block that is not on the disk";
	return claim(w->f, block, count);
}

static const char *run(struct walk *w, uint64_t first, uint64_t block, uint32_t len, bool unwritten)
{
	const char *fault = take(w, block, len);

	if (fault)
		return fault;
	w->end = MAX(w->end, first + len);
	if (!unwritten)
		w->written_end = MAX(w->written_end, first + len);
	w->unwritten = w->unwritten || unwritten;
	return !w->visit || w->visit(w, first, block, len, unwritten) ? NULL : "";
}

/* ---- extents ---- */

static const char *node_fault(const struct ext4_disk_extent_header *h, unsigned slots, int depth)
{
	if (h->magic != EXT4_EXTENT_MAGIC)
		return "an extent node without its magic number";
	if (h->entries > h->max || h->max > slots || h->max + 2u < slots)
		return "an extent node with an impossible number of entries";
	if (depth >= 0 ? h->depth != depth : h->depth > EXT4_EXTENT_DEPTH_MAX)
		return "an extent node of the wrong depth";
	if (!h->entries && h->depth)
		return "an extent index without entries";
	return NULL;
}

static const char *leaf(struct walk *w, const struct ext4_disk_extent *e, unsigned count,
			uint64_t low, uint64_t high)
{
	const char *fault = NULL;

	for (; count-- && !fault; e++) {
		bool unwritten = e->len > EXT4_EXTENT_LEN_MAX;
		uint32_t len = unwritten ? e->len - EXT4_EXTENT_LEN_MAX : e->len;

		if (!len)
			return "an extent of no length";
		if (e->block < low || (uint64_t)e->block + len > high)
			return "extents that overlap, or are out of order";
		fault = run(w, e->block, e->start_lo | (uint64_t)e->start_hi << 32, len, unwritten);
		low = (uint64_t)e->block + len;
	}
	return fault;
}

static const char *node(struct walk *w, const struct ext4_disk_extent_header *h, uint64_t low,
			uint64_t high);

static const char *csum_fault(const struct walk *w, const struct ext4_disk_extent_header *h)
{
	size_t bytes = sizeof(*h) * (1u + h->max);

	if (!w->f->s->has_csum || *(const uint32_t *)(const void *)((const uint8_t *)h + bytes) ==
					  crc32c(w->seed, h, bytes))
		return NULL;
	return "an extent node with a wrong checksum";
}

static const char *child(struct walk *w, const struct ext4_disk_extent_index *e, int depth,
			 uint64_t high)
{
	const struct ext4_disk_extent_header *h;
	uint64_t block = e->leaf_lo | (uint64_t)e->leaf_hi << 32;
	const char *fault = take(w, block, 1);
	struct buffer *b;

	if (fault)
		return fault;
	b = fsck_read(w->f, block);
	if (!b)
		return "";
	h = (const struct ext4_disk_extent_header *)(const void *)b->data;
	fault = node_fault(h, (w->f->s->block_bytes - (unsigned)sizeof(*h)) / (unsigned)sizeof(*e),
			   depth);
	fault = fault ? fault : csum_fault(w, h);
	if (!fault && h->entries && *(const uint32_t *)(const void *)(h + 1) != e->block)
		fault = "an extent index that promises another first block than there is";
	fault = fault ? fault : node(w, h, e->block, high);
	buffer_put(b);
	return fault;
}

static const char *node(struct walk *w, const struct ext4_disk_extent_header *h, uint64_t low,
			uint64_t high)
{
	const struct ext4_disk_extent_index
		*e = (const struct ext4_disk_extent_index *)(const void *)(h + 1);
	const char *fault = NULL;

	if (!h->depth)
		return leaf(w, (const struct ext4_disk_extent *)(const void *)e, h->entries, low,
			    high);
	for (unsigned i = 0; i < h->entries && !fault; i++) {
		uint64_t end = i + 1u < h->entries ? e[i + 1].block : high;

		if (e[i].block < low || e[i].block >= end || end > high)
			return "extent indexes out of order";
		fault = child(w, &e[i], h->depth - 1, end);
		low = end;
	}
	return fault;
}

/* ---- block maps ---- */

/* What `block` maps at `level` (0: it is the file's own), from block `first` of the file on. */
static const char *branch(struct walk *w, uint32_t block, unsigned level, uint64_t first)
{
	unsigned shift = w->f->s->block_shift - 2;
	const char *fault = NULL;
	struct buffer *b;

	if (!block)
		return NULL;
	if (!level)
		return first < LAST_BLOCK ? run(w, first, block, 1, false)
					  : "a block that no file can have";
	fault = take(w, block, 1);
	if (fault)
		return fault;
	b = fsck_read(w->f, block);
	if (!b)
		return "";
	for (uint32_t i = 0; i < 1u << shift && !fault; i++)
		fault = branch(w, ((const uint32_t *)(const void *)b->data)[i], level - 1,
			       first + ((uint64_t)i << (shift * (level - 1))));
	buffer_put(b);
	return fault;
}

static const char *block_map(struct walk *w)
{
	unsigned shift = w->f->s->block_shift - 2;
	const char *fault = NULL;
	uint64_t first = 12;

	for (unsigned i = 0; i < 12 && !fault; i++)
		fault = branch(w, w->raw->block[i], 0, i);
	for (unsigned level = 1; level <= 3 && !fault; level++) {
		fault = branch(w, w->raw->block[11 + level], level, first);
		first += 1ull << (shift * level);
	}
	return fault;
}

const char *walk_blocks(struct walk *w)
{
	const struct ext4_disk_extent_header
		*h = (const struct ext4_disk_extent_header *)(const void *)w->raw->block;
	const char *fault;

	if (!(w->raw->flags & EXT4_FL_EXTENTS))
		return block_map(w);
	fault = node_fault(h, ROOT_SLOTS, -1);
	return fault ? fault : node(w, h, 0, LAST_BLOCK);
}
