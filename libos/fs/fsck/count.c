/*
 * Pass 5: bitmaps, the descriptors' counts and the superblock's, beside what the earlier passes
 * have found. The superblock's are only remarked upon: a mount keeps them in memory, and a crash
 * leaves old ones.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>

#include "../ext4/bits.h"
#include "../ext4/group.h"
#include "fsck.h"

uint32_t found_blocks(const struct fsck *f, uint32_t group, uint8_t *map)
{
	const struct ext4_super *s = f->s;
	uint64_t first = ext4_group_first_block(s, group);
	uint32_t count = ext4_group_blocks(s, group);

	memset(map, 0, s->block_bytes);
	for (uint32_t i = 0; i < count; i++) {
		if (bit_is_set(f->blocks, (uint32_t)(first + i)))
			map[i / 8] |= (uint8_t)(1u << i % 8);
	}
	bits_set(map, count, s->block_bytes * 8 - count);
	return bits_count_clear(map, count);
}

uint32_t found_inodes(const struct fsck *f, uint32_t group, uint8_t *map, uint32_t *dirs)
{
	const struct ext4_super *s = f->s;
	const struct seen_inode *i = f->inodes + (size_t)group * s->inodes_per_group;
	uint32_t count = s->inodes_per_group;

	memset(map, 0, s->block_bytes);
	*dirs = 0;
	for (uint32_t n = 0; n < count; n++, i++) {
		if (i->used)
			map[n / 8] |= (uint8_t)(1u << n % 8);
		*dirs += i->used && i->type == EXT4_FT_DIR;
	}
	bits_set(map, count, s->block_bytes * 8 - count);
	return bits_count_clear(map, count);
}

/* ---- one bitmap ---- */

enum { BLOCKS, INODES };

static const char *const nouns[] = { "blocks", "inodes" };

static bool is_uninit(const struct fsck *f, uint32_t group, int kind)
{
	uint16_t flag = kind == BLOCKS ? EXT4_GROUP_BLOCK_UNINIT : EXT4_GROUP_INODE_UNINIT;

	return group_has_checksum(f->s) && f->s->group[group].desc->flags & flag;
}

/* The bitmap as the disk has it, or as an uninitialised one would be. NULL: it cannot be read. */
static struct buffer *said(struct fsck *f, uint32_t group, int kind, uint8_t *map)
{
	const struct ext4_group *g = &f->s->group[group];
	struct buffer *b = fsck_read(f, kind == BLOCKS ? g->block_bitmap : g->inode_bitmap);

	if (!b)
		return NULL;
	memcpy(map, b->data, f->s->block_bytes);
	if (is_uninit(f, group, kind) && kind == BLOCKS)
		group_make_block_bitmap(f->s, group, map);
	if (is_uninit(f, group, kind) && kind == INODES) {
		memset(map, 0, f->s->block_bytes);
		bits_set(map, f->s->inodes_per_group,
			 f->s->block_bytes * 8 - f->s->inodes_per_group);
	}
	return b;
}

static bool csum_is_right(const struct fsck *f, uint32_t group, int kind, const struct buffer *b)
{
	if (is_uninit(f, group, kind))
		return true;
	return kind == BLOCKS ? block_bitmap_csum_is_right(f->s, group, b)
			      : inode_bitmap_csum_is_right(f->s, group, b);
}

static void tell_difference(struct fsck *f, uint32_t group, int kind, const uint8_t *is,
			    const uint8_t *has)
{
	uint32_t lost = 0, free = 0;

	for (uint32_t i = 0; i < f->s->block_bytes * 8; i++) {
		lost += bit_is_set(has, i) && !bit_is_set(is, i);
		free += bit_is_set(is, i) && !bit_is_set(has, i);
	}
	wrong_count(f, "Group %u: its bitmap calls %u free %s used, and %u used ones free.", group,
		    lost, nouns[kind], free);
}

/* `is`: what was found. */
static void check_bitmap(struct fsck *f, uint32_t group, int kind, const uint8_t *is, uint8_t *has)
{
	struct buffer *b = said(f, group, kind, has);

	if (!b)
		return;
	if (memcmp(is, has, f->s->block_bytes) != 0)
		tell_difference(f, group, kind, is, has);
	else if (!csum_is_right(f, group, kind, b))
		wrong_count(f, "Group %u: the checksum of its bitmap of %s is wrong.", group,
			    nouns[kind]);
	buffer_put(b);
}

/* ---- counts ---- */

static void check_count(struct fsck *f, uint32_t group, const char *what, uint64_t has, uint64_t is)
{
	if (has != is)
		wrong_count(f, "Group %u says %llu %s, and there are %llu.", group,
			    (unsigned long long)has, what, (unsigned long long)is);
}

struct sums {
	uint64_t blocks;
	uint32_t inodes;
};

static void check_group(struct fsck *f, uint32_t group, uint8_t *is, uint8_t *has,
			struct sums *free)
{
	const struct ext4_group *g = &f->s->group[group];
	uint32_t blocks, inodes, dirs;

	blocks = found_blocks(f, group, is);
	check_bitmap(f, group, BLOCKS, is, has);
	inodes = found_inodes(f, group, is, &dirs);
	check_bitmap(f, group, INODES, is, has);
	check_count(f, group, "free blocks", g->free_blocks, blocks);
	check_count(f, group, "free inodes", g->free_inodes, inodes);
	check_count(f, group, "directories", g->dirs, dirs);
	free->blocks += blocks;
	free->inodes += inodes;
}

void check_counts(struct fsck *f)
{
	const struct ext4_disk_super *d = f->s->disk;
	uint8_t *is = page_alloc(0, PAGE_KERNEL), *has = page_alloc(0, PAGE_KERNEL);
	struct sums free = { 0 };
	uint64_t free_blocks = d->free_blocks_lo;

	if (ext4_has_incompat(f->s, EXT4_INCOMPAT_64BIT))
		free_blocks |= (uint64_t)d->free_blocks_hi << 32;
	if (!is || !has)
		has_failed(f, -ENOMEM);
	for (uint32_t g = 0; g < f->s->groups && !f->error; g++)
		check_group(f, g, is, has, &free);
	f->stale_sums = free_blocks != free.blocks || d->free_inodes != free.inodes;
	if (!f->error && f->stale_sums)
		say(f,
		    "Remark: the superblock says %llu free blocks and %u free inodes, and there are %llu and %u.",
		    (unsigned long long)free_blocks, d->free_inodes,
		    (unsigned long long)free.blocks, free.inodes);
	f->s->free_blocks = free.blocks;
	f->s->free_inodes = free.inodes;
	f->result->blocks_used = f->s->blocks - free.blocks;
	f->result->inodes_used = f->s->inodes - free.inodes;
	if (is)
		page_free(is, 0);
	if (has)
		page_free(has, 0);
}
