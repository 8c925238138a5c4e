/*
 * The bitmaps of a group: which blocks and which inodes are in use. A bitmap is one block; what
 * lies behind the group's end is marked as used.
 *
 * A bitmap that the descriptor calls uninitialised is computed: no inode is used, and of the blocks
 * only those that hold the group's own metadata. It becomes a real one with the first change, when
 * its user clears the flag in the descriptor.
 *
 * The format: Linux, Documentation/filesystems/ext4/bitmaps.rst, checksums.rst.
 */
#include "group.h"

#include <core/assert.h>
#include <core/errno.h>
#include <core/string.h>

#include "bits.h"

/* ---- bitmaps that are not there ---- */

/* The part of [block, block + count) that lies in the group is used. */
static void mark(const struct ext4_super *s, uint32_t group, uint8_t *map, uint64_t block,
		 uint64_t count)
{
	uint64_t first = ext4_group_first_block(s, group),
		 end = first + ext4_group_blocks(s, group);
	uint64_t from = MAX(block, first), to = MIN(block + count, end);

	if (from < to)
		bits_set(map, (uint32_t)(from - first), (uint32_t)(to - from));
}

void group_make_block_bitmap(const struct ext4_super *s, uint32_t group, uint8_t *map)
{
	const struct ext4_group *g = &s->group[group];
	uint32_t blocks = ext4_group_blocks(s, group);

	memset(map, 0, s->block_bytes);
	bits_set(map, 0, MIN(group_base_blocks(s, group), blocks));
	mark(s, group, map, g->block_bitmap, 1);
	mark(s, group, map, g->inode_bitmap, 1);
	mark(s, group, map, g->inode_table, DIV_ROUND_UP(s->inodes_per_group, s->inodes_per_block));
	bits_set(map, blocks, s->block_bytes * 8 - blocks);
}

static void make_inode_bitmap(struct ext4_super *s, uint8_t *map)
{
	memset(map, 0, s->block_bytes);
	bits_set(map, s->inodes_per_group, s->block_bytes * 8 - s->inodes_per_group);
}

/* ---- reading ---- */

static void set_verified(struct buffer *b)
{
	__atomic_or_fetch(&b->flags, BUFFER_VERIFIED, __ATOMIC_RELEASE);
}

static const char *block_bitmap_fault(const struct ext4_super *s, uint32_t group,
				      const struct buffer *b)
{
	uint32_t blocks = ext4_group_blocks(s, group);

	if (!block_bitmap_csum_is_right(s, group, b))
		return "checksum of the block bitmap";
	if (bits_count_clear(b->data, blocks) != s->group[group].free_blocks)
		return "count of free blocks";
	if (!zones_are_used(s, group, b->data))
		return "the file system's own blocks are free in the block bitmap";
	return NULL;
}

int ext4_block_bitmap(struct ext4_super *s, uint32_t group, struct buffer **out)
{
	struct ext4_group *g = &s->group[group];
	bool uninit = group_has_checksum(s) && g->desc->flags & EXT4_GROUP_BLOCK_UNINIT;
	const char *fault;
	struct buffer *b;
	int error;

	assert(mutex_is_held(&g->lock));
	error = uninit ? buffer_make(&s->buffers, g->block_bitmap, &b) :
			 buffer_read(&s->buffers, g->block_bitmap, &b);
	if (error)
		return error;
	if (!(b->flags & BUFFER_VERIFIED)) {
		if (uninit)
			group_make_block_bitmap(s, group, b->data);
		fault = uninit ? NULL : block_bitmap_fault(s, group, b);
		if (fault) {
			buffer_put(b);
			return ext4_damaged(s, "group", 0, g->block_bitmap, "group %u: %s", group,
					    fault);
		}
		set_verified(b);
	}
	*out = b;
	return 0;
}

int ext4_inode_bitmap(struct ext4_super *s, uint32_t group, struct buffer **out)
{
	struct ext4_group *g = &s->group[group];
	bool uninit = group_has_checksum(s) && g->desc->flags & EXT4_GROUP_INODE_UNINIT;
	struct buffer *b;
	int error;

	assert(mutex_is_held(&g->lock));
	error = uninit ? buffer_make(&s->buffers, g->inode_bitmap, &b) :
			 buffer_read(&s->buffers, g->inode_bitmap, &b);
	if (error)
		return error;
	if (!(b->flags & BUFFER_VERIFIED)) {
		if (uninit)
			make_inode_bitmap(s, b->data);
		if (!uninit && !inode_bitmap_csum_is_right(s, group, b)) {
			buffer_put(b);
			return ext4_damaged(s, "group", 0, g->inode_bitmap,
					    "group %u: checksum of the inode bitmap", group);
		}
		set_verified(b);
	}
	*out = b;
	return 0;
}
