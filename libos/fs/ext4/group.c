/*
 * Group descriptors: where each group's bitmaps and inode table lie, and how much of it is free.
 *
 * All descriptors are read and checked when the file system is mounted, and their blocks are held
 * until it goes. Counts live twice: in struct ext4_group, where they are used, and in the
 * descriptor, into which ext4_group_write() copies them with the checksum right after each change.
 *
 * The format: Linux, Documentation/filesystems/ext4/group_descr.rst, bitmaps.rst, blockgroup.rst.
 */
#include "group.h"

#include <core/assert.h>
#include <core/crc.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>

#include "balloc.h"

/* ---- where things lie ---- */

static bool is_power_of(uint32_t n, uint32_t base)
{
	while (n > base && n % base == 0)
		n /= base;
	return n == base;
}

bool ext4_group_has_super(const struct ext4_super *s, uint32_t group)
{
	if (group == 0)
		return true;
	if (ext4_has_compat(s, EXT4_COMPAT_SPARSE_SUPER2))
		return group == s->disk->backup_bgs[0] || group == s->disk->backup_bgs[1];
	if (group == 1 || !ext4_has_ro(s, EXT4_RO_SPARSE_SUPER))
		return true;
	return is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

uint32_t ext4_group_blocks(const struct ext4_super *s, uint32_t group)
{
	return (uint32_t)MIN(s->blocks - ext4_group_first_block(s, group), s->blocks_per_group);
}

static uint32_t descs_per_block(const struct ext4_super *s)
{
	return s->block_bytes / s->desc_bytes;
}

uint32_t group_desc_blocks(const struct ext4_super *s)
{
	return DIV_ROUND_UP(s->groups, descs_per_block(s));
}

/*
 * With meta_bg, descriptors from this block on lie in the first group of those that the block
 * describes.
 */
static uint32_t first_meta_bg(const struct ext4_super *s)
{
	return ext4_has_incompat(s, EXT4_INCOMPAT_META_BG) ? s->disk->first_meta_bg : UINT32_MAX;
}

uint64_t group_desc_block_at(const struct ext4_super *s, uint32_t n)
{
	uint32_t group = n * descs_per_block(s);

	if (n < first_meta_bg(s)) /* all together, behind the superblock */
		return s->block_bytes == EXT4_SUPER_OFFSET ? 2 + n : 1 + n;
	return ext4_group_first_block(s, group) + ext4_group_has_super(s, group);
}

uint32_t group_base_blocks(const struct ext4_super *s, uint32_t group)
{
	uint32_t per = descs_per_block(s), n = group / per,
		 has_super = ext4_group_has_super(s, group);
	uint32_t in_meta = group - n * per, base;

	if (n >= first_meta_bg(s))
		return has_super + (in_meta == 0 || in_meta == 1 || in_meta == per - 1);
	if (!has_super)
		return 0;
	base = MIN(first_meta_bg(s), group_desc_blocks(s));
	return (group == 0 && s->block_bytes == 1024 && !s->first_data_block) + 1 + base +
	       s->disk->reserved_gdt_blocks;
}

/* ---- descriptors ---- */

static bool is_wide(const struct ext4_super *s)
{
	return s->desc_bytes >= sizeof(struct ext4_disk_group);
}

/*
 * The lower half of CRC-32C with metadata_csum; CRC-16 with the older gdt_csum (group_descr.rst).
 */
static uint16_t checksum_of(const struct ext4_super *s, uint32_t group,
			    const struct ext4_disk_group *d)
{
	size_t before = offsetof(struct ext4_disk_group, checksum),
	       after = before + sizeof(d->checksum);
	const uint8_t *bytes = (const uint8_t *)d;
	uint16_t zero = 0, c;

	if (s->has_csum) {
		uint32_t seed = crc32c(s->csum_seed, &group, sizeof(group));

		seed = crc32c(crc32c(seed, bytes, before), &zero, sizeof(zero));
		return (uint16_t)crc32c(seed, bytes + after, s->desc_bytes - after);
	}
	c = crc16(UINT16_MAX, s->disk->uuid, sizeof(s->disk->uuid));
	c = crc16(crc16(c, &group, sizeof(group)), bytes, before);
	return is_wide(s) ? crc16(c, bytes + after, s->desc_bytes - after) : c;
}

bool group_has_checksum(const struct ext4_super *s)
{
	return s->has_csum || ext4_has_ro(s, EXT4_RO_GDT_CSUM);
}

static void read_desc(const struct ext4_super *s, struct ext4_group *g)
{
	const struct ext4_disk_group *d = g->desc;

	g->block_bitmap = d->block_bitmap_lo;
	g->inode_bitmap = d->inode_bitmap_lo;
	g->inode_table = d->inode_table_lo;
	g->free_blocks = d->free_blocks_lo;
	g->free_inodes = d->free_inodes_lo;
	g->dirs = d->used_dirs_lo;
	g->itable_unused = d->itable_unused_lo;
	if (!is_wide(s))
		return;
	g->block_bitmap |= (uint64_t)d->block_bitmap_hi << 32;
	g->inode_bitmap |= (uint64_t)d->inode_bitmap_hi << 32;
	g->inode_table |= (uint64_t)d->inode_table_hi << 32;
	g->free_blocks |= (uint32_t)d->free_blocks_hi << 16;
	g->free_inodes |= (uint32_t)d->free_inodes_hi << 16;
	g->dirs |= (uint32_t)d->used_dirs_hi << 16;
	g->itable_unused |= (uint32_t)d->itable_unused_hi << 16;
}

void ext4_group_write(struct ext4_super *s, uint32_t group)
{
	struct ext4_group *g = &s->group[group];
	struct ext4_disk_group *d = g->desc;

	assert(mutex_is_held(&g->lock));
	d->free_blocks_lo = (uint16_t)g->free_blocks;
	d->free_inodes_lo = (uint16_t)g->free_inodes;
	d->used_dirs_lo = (uint16_t)g->dirs;
	d->itable_unused_lo = (uint16_t)g->itable_unused;
	if (is_wide(s)) {
		d->free_blocks_hi = (uint16_t)(g->free_blocks >> 16);
		d->free_inodes_hi = (uint16_t)(g->free_inodes >> 16);
		d->used_dirs_hi = (uint16_t)(g->dirs >> 16);
		d->itable_unused_hi = (uint16_t)(g->itable_unused >> 16);
	}
	if (group_has_checksum(s))
		d->checksum = checksum_of(s, group, d);
}

/*
 * Is it a place for `count` blocks of metadata: on the disk and, without flex_bg, in the group
 * itself?
 */
static bool place_is_sane(const struct ext4_super *s, uint32_t group, uint64_t block,
			  uint64_t count)
{
	uint64_t first = ext4_group_first_block(s, group);

	if (!ext4_blocks_are_valid(s, block, count))
		return false;
	if (ext4_has_incompat(s, EXT4_INCOMPAT_FLEX_BG))
		return true;
	return block >= first && block + count <= first + ext4_group_blocks(s, group);
}

bool group_places_are_sane(const struct ext4_super *s, uint32_t group)
{
	const struct ext4_group *g = &s->group[group];
	uint32_t table = DIV_ROUND_UP(s->inodes_per_group, s->inodes_per_block);

	return place_is_sane(s, group, g->block_bitmap, 1) &&
	       place_is_sane(s, group, g->inode_bitmap, 1) &&
	       place_is_sane(s, group, g->inode_table, table);
}

/* NULL, or what is wrong. */
static const char *fault_of(const struct ext4_super *s, uint32_t group, const struct ext4_group *g)
{
	if (group_has_checksum(s) && g->desc->checksum != checksum_of(s, group, g->desc))
		return "checksum";
	if (!group_places_are_sane(s, group))
		return "place of a bitmap or of the inode table";
	if (g->free_blocks > ext4_group_blocks(s, group) || g->free_inodes > s->inodes_per_group ||
	    g->dirs > s->inodes_per_group || g->itable_unused > s->inodes_per_group)
		return "counts";
	return NULL;
}

const char *group_load(struct ext4_super *s, uint32_t group, struct buffer *b)
{
	struct ext4_group *g = &s->group[group];

	mutex_init(&g->lock);
	g->desc = (struct ext4_disk_group *)(b->data +
					     (size_t)(group % descs_per_block(s)) * s->desc_bytes);
	g->buffer = buffer_hold(b);
	read_desc(s, g);
	return fault_of(s, group, g);
}

static int open_group(struct ext4_super *s, uint32_t group, struct buffer *b)
{
	struct ext4_group *g = &s->group[group];
	const char *fault = group_load(s, group, b);

	if (fault) {
		log_error(
			"ext4 %s: the descriptor of group %u is damaged: %s; e2fsck may repair it",
			s->dev->name, group, fault);
		return -EUCLEAN;
	}
	s->free_blocks += g->free_blocks;
	s->free_inodes += g->free_inodes;
	s->dirs += g->dirs;
	return 0;
}

/* The groups that block `n` of the descriptors describes. */
static int open_groups_of(struct ext4_super *s, uint32_t n)
{
	uint32_t group = n * descs_per_block(s), end = MIN(s->groups, group + descs_per_block(s));
	struct buffer *b;
	int error = buffer_read(&s->buffers, group_desc_block_at(s, n), &b);

	if (error)
		return error;
	for (; !error && group < end; group++)
		error = open_group(s, group, b);
	buffer_put(b);
	return error;
}

int ext4_groups_open(struct ext4_super *s)
{
	int error = 0;

	s->group = kzalloc((size_t)s->groups * sizeof(*s->group));
	if (!s->group)
		return -ENOMEM;
	balloc_open(s);
	buffers_read_ahead(&s->buffers, group_desc_block_at(s, 0),
			   MIN(group_desc_blocks(s), first_meta_bg(s)));
	for (uint32_t n = 0; !error && n < group_desc_blocks(s); n++)
		error = open_groups_of(s, n);
	if (!error)
		error = zones_open(s);
	if (error)
		ext4_groups_close(s);
	return error;
}

void ext4_groups_close(struct ext4_super *s)
{
	balloc_close(s);
	zones_close(s);
	for (uint32_t n = 0; s->group && n < s->groups; n++)
		buffer_put(s->group[n].buffer);
	kfree(s->group);
	s->group = NULL;
}
