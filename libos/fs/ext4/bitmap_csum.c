/*
 * Checksums of bitmaps: CRC-32C of the bits that mean something, split between the halves of the group's descriptor
 * (Linux, Documentation/filesystems/ext4/checksums.rst).
 *
 * A bitmap has 4 KiB, and an allocation changes a few bits of it: the sum of the change is added to the sum
 * (core/crc.h), which takes a fiftieth of the time of a new one.
 */
#include <core/crc.h>

#include "group.h"

#define WORDS_MAX 512u /* of 64 bits, in 4 KiB */

/* What as many words of zeroes make of a sum; computed by the first who needs them, who all write the same. */
static uint32_t power_of_words[WORDS_MAX];

static bool has_high_half(const struct ext4_super *s)
{
	return s->desc_bytes >= sizeof(struct ext4_disk_group);
}

static uint32_t block_csum(const struct ext4_super *s, const struct ext4_disk_group *d)
{
	return d->block_bitmap_csum_lo | (has_high_half(s) ? (uint32_t)d->block_bitmap_csum_hi << 16 : 0);
}

static void set_block_csum(const struct ext4_super *s, struct ext4_disk_group *d, uint32_t c)
{
	d->block_bitmap_csum_lo = (uint16_t)c;
	if (has_high_half(s))
		d->block_bitmap_csum_hi = (uint16_t)(c >> 16);
}

static uint32_t inode_csum(const struct ext4_super *s, const struct ext4_disk_group *d)
{
	return d->inode_bitmap_csum_lo | (has_high_half(s) ? (uint32_t)d->inode_bitmap_csum_hi << 16 : 0);
}

/* As much of the sum as the descriptor has room for. */
static uint32_t sum(const struct ext4_super *s, const struct buffer *b, uint32_t bits)
{
	uint32_t c = crc32c(s->csum_seed, b->data, bits / 8);

	return has_high_half(s) ? c : c & UINT16_MAX;
}

bool block_bitmap_csum_is_right(const struct ext4_super *s, uint32_t group, const struct buffer *b)
{
	return !s->has_csum || block_csum(s, s->group[group].desc) == sum(s, b, s->blocks_per_group);
}

bool inode_bitmap_csum_is_right(const struct ext4_super *s, uint32_t group, const struct buffer *b)
{
	return !s->has_csum || inode_csum(s, s->group[group].desc) == sum(s, b, s->inodes_per_group);
}

void ext4_block_bitmap_csum_set(struct ext4_super *s, uint32_t group, struct buffer *bitmap)
{
	if (s->has_csum)
		set_block_csum(s, s->group[group].desc, sum(s, bitmap, s->blocks_per_group));
}

void ext4_inode_bitmap_csum_set(struct ext4_super *s, uint32_t group, struct buffer *bitmap)
{
	struct ext4_disk_group *d = s->group[group].desc;
	uint32_t c;

	if (!s->has_csum)
		return;
	c = sum(s, bitmap, s->inodes_per_group);
	d->inode_bitmap_csum_lo = (uint16_t)c;
	if (has_high_half(s))
		d->inode_bitmap_csum_hi = (uint16_t)(c >> 16);
}

static uint32_t power_of(uint32_t words)
{
	if (!power_of_words[words])
		power_of_words[words] = crc32c_power((size_t)words * 8);
	return power_of_words[words];
}

/* The bits [from, to) of the word `n` of a bitmap, of those that are in [first, end). */
static uint64_t changed_bits(uint32_t n, uint32_t first, uint32_t end)
{
	uint32_t from = MAX(first, n * 64) - n * 64, to = MIN(end, (n + 1) * 64) - n * 64;

	return ~0ull << from & ~0ull >> (64 - to);
}

#define WORDS_AT_MOST 16u /* more are summed up anew */

void block_bitmap_csum_flip(struct ext4_super *s, uint32_t group, struct buffer *bitmap, uint32_t first, uint32_t count)
{
	uint32_t words = s->blocks_per_group / 64, from = first / 64, to = (first + count - 1) / 64, c = 0;
	struct ext4_disk_group *d = s->group[group].desc;

	if (!s->has_csum)
		return;
	if (s->blocks_per_group % 64 || !has_high_half(s) || to - from >= WORDS_AT_MOST) {
		ext4_block_bitmap_csum_set(s, group, bitmap);
		return;
	}
	for (uint32_t n = from; n <= to; n++) {
		uint64_t change = changed_bits(n, first, first + count);

		c ^= crc32c_multiply(crc32c(0, &change, sizeof(change)), power_of(words - 1 - n));
	}
	set_block_csum(s, d, block_csum(s, d) ^ c);
}
