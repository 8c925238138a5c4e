/*
 * Extent trees: finding.
 *
 * A tree's root is in the inode, with four slots; the other nodes are blocks. Leaves hold extents,
 * inner nodes hold the first block and the place of each node below. Both are sorted, and nothing
 * overlaps.
 *
 * The disk is hostile. A node's header is checked at each visit, so whatever the block holds, no
 * slot outside it is looked at, and depths fall by one each step, so a walk ends. Checksum and
 * order of a node's entries are checked once after it was read. The extent that is found is checked
 * against the file system's size and its own blocks at each visit, too: a block that another owner
 * has verified may be named as a node.
 */
#include "extent.h"

#include <core/crc.h>
#include <core/errno.h>
#include <core/string.h>

/* ---- entries ---- */

struct extent_run extent_unpack(const struct ext4_disk_extent *e)
{
	struct extent_run r = { .first = e->block, .len = e->len };

	r.block = (uint64_t)e->start_hi << 32 | e->start_lo;
	if (r.len > EXT4_EXTENT_LEN_MAX) {
		r.len -= EXT4_EXTENT_LEN_MAX;
		r.unwritten = true;
	}
	return r;
}

struct ext4_disk_extent extent_pack(const struct extent_run *r)
{
	return (struct ext4_disk_extent){
		.block = r->first,
		.len = (uint16_t)(r->len + (r->unwritten ? EXT4_EXTENT_LEN_MAX : 0)),
		.start_hi = (uint16_t)(r->block >> 32), .start_lo = (uint32_t)r->block,
	};
}

uint64_t extent_index_block(const struct ext4_disk_extent_index *e)
{
	return (uint64_t)e->leaf_hi << 32 | e->leaf_lo;
}

struct ext4_disk_extent_index extent_index_pack(uint32_t first, uint64_t block)
{
	return (struct ext4_disk_extent_index){
		.block = first, .leaf_lo = (uint32_t)block, .leaf_hi = (uint16_t)(block >> 32),
	};
}

/* ---- checking ---- */

static int damaged(struct ext4_inode *i, uint64_t block, const char *what)
{
	return ext4_damaged(extent_super(i), "extent tree", (uint32_t)i->inode.ino, block, "%s",
			    what);
}

static bool extent_is_sane(const struct ext4_inode *i, const struct extent_run *r)
{
	return r->len && r->first + (uint64_t)r->len <= EXTENT_LBLK_END &&
	       ext4_blocks_may_be_files(i, r->block, r->len);
}

/* Entries in order, within [low, high), naming blocks that exist. NULL, or what is wrong. */
static const char *leaf_fault(const struct ext4_inode *i, struct ext4_disk_extent_header *h,
			      uint64_t low, uint64_t high)
{
	for (int k = 0; k < h->entries; k++) {
		struct extent_run r = extent_unpack(extent_slot(h, k));

		if (!extent_is_sane(i, &r))
			return "extent outside the file system, or in its own blocks";
		if (r.first < low || r.first + (uint64_t)r.len > high)
			return "extents out of order";
		low = r.first + (uint64_t)r.len;
	}
	return NULL;
}

static const char *index_fault(const struct ext4_inode *i, struct ext4_disk_extent_header *h,
			       uint64_t low, uint64_t high)
{
	for (int k = 0; k < h->entries; k++) {
		const struct ext4_disk_extent_index *e = extent_index_slot(h, k);

		if (!ext4_blocks_may_be_files(i, extent_index_block(e), 1))
			return "extent node outside the file system, or in its own blocks";
		if (e->block < low || e->block >= high)
			return "extent nodes out of order";
		low = e->block + 1ull;
	}
	return NULL;
}

/* What keeps every access within the node, whatever it holds. */
static bool header_is_sane(const struct ext4_disk_extent_header *h, unsigned slots)
{
	return h->magic == EXT4_EXTENT_MAGIC && h->max >= EXTENT_ROOT_SLOTS && h->max <= slots &&
	       h->entries <= h->max;
}

static uint32_t *checksum_at(struct ext4_disk_extent_header *h)
{
	return (uint32_t *)extent_slot(h, h->max);
}

static uint32_t checksum_of(struct ext4_inode *i, struct ext4_disk_extent_header *h)
{
	return crc32c(i->csum_seed, h, (size_t)((uint8_t *)checksum_at(h) - (uint8_t *)h));
}

void extent_checksum_set(struct ext4_inode *i, struct buffer *b)
{
	struct ext4_disk_extent_header *h = (struct ext4_disk_extent_header *)b->data;

	if (extent_super(i)->has_csum)
		*checksum_at(h) = checksum_of(i, h);
}

static const char *node_fault(struct ext4_inode *i, struct ext4_disk_extent_header *h, uint64_t low,
			      uint64_t high)
{
	if (h->depth)
		return h->entries ? index_fault(i, h, low, high) : "empty extent node";
	return leaf_fault(i, h, low, high);
}

static int check_root(struct ext4_inode *i, struct ext4_disk_extent_header *h)
{
	const char *fault;

	if (!header_is_sane(h, EXTENT_ROOT_SLOTS) || h->depth > EXT4_EXTENT_DEPTH_MAX)
		return damaged(i, 0, "header of the extent tree");
	if (i->map_is_checked)
		return 0;
	fault = node_fault(i, h, 0, EXTENT_LBLK_END);
	if (fault)
		return damaged(i, 0, fault);
	i->map_is_checked = true;
	return 0;
}

unsigned extent_block_slots(const struct ext4_super *s)
{
	return (unsigned)((s->block_bytes - sizeof(struct ext4_disk_extent_header) -
			   sizeof(uint32_t)) /
			  EXTENT_SLOT_BYTES);
}

static int check_block(struct ext4_inode *i, struct buffer *b, unsigned depth, uint64_t low,
		       uint64_t high)
{
	struct ext4_super *s = extent_super(i);
	struct ext4_disk_extent_header *h = (struct ext4_disk_extent_header *)b->data;
	const char *fault = NULL;

	if (!header_is_sane(h, extent_block_slots(s)) || h->depth != depth)
		return damaged(i, b->block, "header");
	if (b->flags & BUFFER_VERIFIED)
		return 0;
	if (s->has_csum && *checksum_at(h) != checksum_of(i, h))
		fault = "checksum";
	else
		fault = node_fault(i, h, low, high);
	if (fault)
		return damaged(i, b->block, fault);
	__atomic_or_fetch(&b->flags, BUFFER_VERIFIED, __ATOMIC_RELEASE);
	return 0;
}

/* ---- finding ---- */

/*
 * The last entry at or before `first`; -1: all are behind it. Both kinds of entry begin with their
 * block.
 */
static int search(struct ext4_disk_extent_header *h, uint32_t first)
{
	int low = 0, high = h->entries;

	while (low < high) {
		int middle = (low + high) / 2;

		if (extent_slot(h, middle)->block <= first)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

void extent_path_put(struct extent_path *p)
{
	for (unsigned d = 1; d <= p->depth; d++)
		buffer_put(p->level[d].buffer);
	p->depth = 0;
}

/* One level down: reads and checks the node that level d's entry names. */
static int descend(struct ext4_inode *i, struct extent_path *p, unsigned d, unsigned depth,
		   uint64_t *low, uint64_t *high)
{
	struct extent_level *l = &p->level[d], *below = l + 1;
	const struct ext4_disk_extent_index *e = extent_index_slot(l->head, l->at);
	struct buffer *b;
	int error;

	*low = e->block;
	if (l->at + 1 < l->head->entries)
		*high = (e + 1)->block;
	if (!ext4_blocks_may_be_files(i, extent_index_block(e), 1))
		return damaged(i, 0, "extent node outside the file system, or in its own blocks");
	error = buffer_read(&extent_super(i)->buffers, extent_index_block(e), &b);
	if (error)
		return error;
	error = check_block(i, b, depth, *low, *high);
	if (error) {
		buffer_put(b);
		return error;
	}
	*below = (struct extent_level){
		.buffer = b, .head = (struct ext4_disk_extent_header *)b->data
	};
	p->depth = d + 1;
	return 0;
}

int extent_find(struct ext4_inode *i, uint32_t at, struct extent_path *p)
{
	struct ext4_disk_extent_header *h = extent_root(i);
	uint64_t low = 0, high = EXTENT_LBLK_END;
	int error = check_root(i, h);
	unsigned depth = h->depth;

	p->depth = 0;
	p->level[0] = (struct extent_level){ .head = h };
	for (unsigned d = 0; !error && d < depth; d++) {
		p->level[d].at = MAX(search(p->level[d].head, at), 0);
		if (!p->level[d].head->entries)
			error = damaged(i, 0, "empty extent node");
		else
			error = descend(i, p, d, depth - d - 1, &low, &high);
	}
	if (error) {
		extent_path_put(p);
		return error;
	}
	extent_leaf(p)->at = search(extent_leaf(p)->head, at);
	return 0;
}

uint64_t extent_next_first(struct extent_path *p)
{
	for (unsigned d = p->depth + 1; d-- > 0;) {
		struct extent_level *l = &p->level[d];

		if (l->at + 1 < l->head->entries)
			return extent_slot(l->head, l->at + 1)->block;
	}
	return EXTENT_LBLK_END;
}

int extent_mapping(struct ext4_inode *i, struct extent_path *p, uint32_t at, uint32_t max,
		   struct ext4_mapping *m)
{
	struct extent_level *leaf = extent_leaf(p);
	struct extent_run r;
	uint64_t end;

	if (leaf->at >= 0) {
		r = extent_unpack(extent_slot(leaf->head, leaf->at));
		if (!extent_is_sane(i, &r))
			return damaged(i, 0,
				       "extent outside the file system, or in its own blocks");
		if (at - r.first < r.len) {
			*m = (struct ext4_mapping){
				.kind = r.unwritten ? EXT4_UNWRITTEN : EXT4_MAPPED,
				.block = r.block + (at - r.first),
				.len = MIN(max, r.len - (at - r.first)),
			};
			return 0;
		}
	}
	end = extent_next_first(p);
	if (end <= at)
		return damaged(i, 0, "extents out of order");
	*m = (struct ext4_mapping){ .kind = EXT4_HOLE, .len = (uint32_t)MIN(max, end - at) };
	return 0;
}

int extent_map(struct ext4_inode *i, uint32_t at, uint32_t max, struct ext4_mapping *m)
{
	struct extent_path p;
	int error = extent_find(i, at, &p);

	if (error)
		return error;
	error = extent_mapping(i, &p, at, max, m);
	extent_path_put(&p);
	return error;
}
