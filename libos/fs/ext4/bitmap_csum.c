/*
 * Checksums of bitmaps: CRC-32C of the bits that mean something, split between the halves of the
 * group's descriptor (Linux, Documentation/filesystems/ext4/checksums.rst).
 *
 * A bitmap has 4 KiB, and an allocation changes a few bits of it: the sum of the change is added to
 * the sum (core/crc.h), which takes a fiftieth of the time of a new one.
 */
#include <core/crc.h>

#include "group.h"

static bool has_high_half(const struct ext4_super *s)
{
	return s->desc_bytes >= sizeof(struct ext4_disk_group);
}

static uint32_t block_csum(const struct ext4_super *s, const struct ext4_disk_group *d)
{
	return d->block_bitmap_csum_lo |
	       (has_high_half(s) ? (uint32_t)d->block_bitmap_csum_hi << 16 : 0);
}

static void set_block_csum(const struct ext4_super *s, struct ext4_disk_group *d, uint32_t c)
{
	d->block_bitmap_csum_lo = (uint16_t)c;
	if (has_high_half(s))
		d->block_bitmap_csum_hi = (uint16_t)(c >> 16);
}

static uint32_t inode_csum(const struct ext4_super *s, const struct ext4_disk_group *d)
{
	return d->inode_bitmap_csum_lo |
	       (has_high_half(s) ? (uint32_t)d->inode_bitmap_csum_hi << 16 : 0);
}

static void set_inode_csum(const struct ext4_super *s, struct ext4_disk_group *d, uint32_t c)
{
	d->inode_bitmap_csum_lo = (uint16_t)c;
	if (has_high_half(s))
		d->inode_bitmap_csum_hi = (uint16_t)(c >> 16);
}

/* As much of the sum as the descriptor has room for. */
static uint32_t sum(const struct ext4_super *s, const struct buffer *b, uint32_t bits)
{
	uint32_t c = crc32c(s->csum_seed, b->data, bits / 8);

	return has_high_half(s) ? c : c & UINT16_MAX;
}

bool block_bitmap_csum_is_right(const struct ext4_super *s, uint32_t group, const struct buffer *b)
{
	return !s->has_csum ||
	       block_csum(s, s->group[group].desc) == sum(s, b, s->blocks_per_group);
}

bool inode_bitmap_csum_is_right(const struct ext4_super *s, uint32_t group, const struct buffer *b)
{
	return !s->has_csum ||
	       inode_csum(s, s->group[group].desc) == sum(s, b, s->inodes_per_group);
}

void ext4_block_bitmap_csum_set(struct ext4_super *s, uint32_t group, struct buffer *bitmap)
{
	if (s->has_csum)
		set_block_csum(s, s->group[group].desc, sum(s, bitmap, s->blocks_per_group));
}

void ext4_inode_bitmap_csum_set(struct ext4_super *s, uint32_t group, struct buffer *bitmap)
{
	if (s->has_csum)
		set_inode_csum(s, s->group[group].desc, sum(s, bitmap, s->inodes_per_group));
}

/* ---- changes ---- */

/* The bits [from, to) of the word `n` of a bitmap, of those that are in [first, end). */
static uint64_t changed_bits(uint32_t n, uint32_t first, uint32_t end)
{
	uint32_t from = MAX(first, n * 64) - n * 64, to = MIN(end, (n + 1) * 64) - n * 64;

	return ~0ull << from & ~0ull >> (64 - to);
}

#define WORDS_AT_MOST 16u /* more are summed up anew */

/* Can the change of `count` bits from `first` on be added to the sum of a bitmap of `bits`? */
static bool is_small(const struct ext4_super *s, uint32_t bits, uint32_t first, uint32_t count)
{
	return bits % 64 == 0 && has_high_half(s) &&
	       (first + count - 1) / 64 - first / 64 < WORDS_AT_MOST;
}

/* What the sum changes by. */
static uint32_t sum_of_change(uint32_t bits, uint32_t first, uint32_t count)
{
	uint32_t words = bits / 64, c = 0;

	for (uint32_t n = first / 64; n <= (first + count - 1) / 64; n++) {
		uint64_t change = changed_bits(n, first, first + count);

		c ^= crc32c_shift(crc32c(0, &change, sizeof(change)),
				  (words - 1 - n) * sizeof(change));
	}
	return c;
}

void block_bitmap_csum_flip(struct ext4_super *s, uint32_t group, struct buffer *bitmap,
			    uint32_t first, uint32_t count)
{
	struct ext4_disk_group *d = s->group[group].desc;

	if (!is_small(s, s->blocks_per_group, first, count))
		ext4_block_bitmap_csum_set(s, group, bitmap);
	else if (s->has_csum)
		set_block_csum(s, d,
			       block_csum(s, d) ^ sum_of_change(s->blocks_per_group, first, count));
}

void inode_bitmap_csum_flip(struct ext4_super *s, uint32_t group, struct buffer *bitmap,
			    uint32_t index)
{
	struct ext4_disk_group *d = s->group[group].desc;

	if (!is_small(s, s->inodes_per_group, index, 1))
		ext4_inode_bitmap_csum_set(s, group, bitmap);
	else if (s->has_csum)
		set_inode_csum(s, d,
			       inode_csum(s, d) ^ sum_of_change(s->inodes_per_group, index, 1));
}
