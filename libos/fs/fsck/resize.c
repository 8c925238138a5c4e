/*
 * The inode that keeps room for descriptors (super.rst, s_reserved_gdt_blocks): its one doubly
 * indirect block leads to the reserved blocks behind the descriptors, each of which lists its
 * copies in the groups that have a superblock's copy. All but the doubly indirect block lie where
 * groups begin, and are claimed with those.
 */
#include "../ext4/group.h"
#include "fsck.h"

static const char *resize_backups_fault(struct fsck *f, uint32_t primary)
{
	struct ext4_super *s = f->s;
	struct buffer *b = fsck_read(f, primary);
	const uint32_t *place;
	bool right = true;
	uint32_t n = 0;

	if (!b)
		return "";
	place = (const uint32_t *)(const void *)b->data;
	for (uint32_t g = 1; g < s->groups && n < s->block_bytes / 4 && right; g++) {
		if (ext4_group_has_super(s, g))
			right = place[n++] == primary + (uint64_t)g * s->blocks_per_group;
	}
	while (n < s->block_bytes / 4 && right)
		right = !place[n++];
	buffer_put(b);
	return right ? NULL : "its reserved descriptor blocks are listed wrongly";
}

static const char *resize_map_fault(struct fsck *f, const struct ext4_disk_inode *raw)
{
	struct ext4_super *s = f->s;
	uint32_t per = s->block_bytes / 4, used = group_desc_blocks(s),
		 reserved = s->disk->reserved_gdt_blocks;
	const char *fault = claim(f, raw->block[13], 1);
	struct buffer *b = fault ? NULL : fsck_read(f, raw->block[13]);

	if (!b)
		return fault ? fault : "";
	for (uint32_t i = 0; i < per && !fault; i++) {
		uint32_t has = ((const uint32_t *)(const void *)b->data)[i];
		uint32_t at = i >= used % per ? i - used % per : i + per - used % per;

		if (at >= reserved)
			fault = has ? "it leads to blocks that are not reserved" : NULL;
		else if (has != s->first_data_block + 1 + used + at)
			fault = "its reserved descriptor blocks are listed wrongly";
		else
			fault = resize_backups_fault(f, has);
	}
	buffer_put(b);
	return fault;
}

/*
 * Behind the last of the copies, which are numbered as any file's blocks are: the reserved blocks
 * are the indirect ones.
 */
static bool size_is_enough(struct fsck *f, const struct ext4_disk_inode *raw, uint32_t backups)
{
	uint32_t per = f->s->block_bytes / 4, used = group_desc_blocks(f->s),
		 reserved = f->s->disk->reserved_gdt_blocks;
	/* they go round */
	uint32_t last = used % per + reserved > per ? per - 1 : used % per + reserved - 1;

	if (!reserved || !backups)
		return true;
	return inode_size(raw) >= (12 + per + (uint64_t)last * per + MIN(backups, per) - 1)
					  << f->s->block_shift;
}

static const char *resize_fault(struct fsck *f, const struct ext4_disk_inode *raw)
{
	uint32_t backups = 0, reserved = f->s->disk->reserved_gdt_blocks;
	bool map = raw->block[13];

	if ((raw->mode & S_IFMT) != S_IFREG || !raw->links_count || raw->flags & EXT4_FL_EXTENTS)
		return "it should keep room for descriptors, and is no such file";
	for (unsigned i = 0; i < 15; i++) {
		if (i != 13 && raw->block[i])
			return "it leads to blocks that are not reserved";
	}
	if (!map)
		return reserved ? "it does not lead to the blocks that are reserved" : NULL;
	for (uint32_t g = 1; g < f->s->groups; g++)
		backups += ext4_group_has_super(f->s, g);
	if (!block_count_is_right(f, raw, 1 + reserved + (uint64_t)reserved * backups))
		return "its count of blocks is wrong";
	if (!size_is_enough(f, raw, backups))
		return "it has blocks behind its end";
	return resize_map_fault(f, raw);
}

void check_resize(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw)
{
	const char *fault = resize_fault(f, raw);

	if (fault && !f->error)
		inode_fault(f, ino, fault);
}
