/*
 * Writing bitmaps and counts anew, when all that they follow from is right.
 *
 * The superblock first says, durably, that the disk is not clean; then come bitmaps and
 * descriptors; once they are durable the superblock gets its sums and is clean again. Nothing but
 * what can be found out again is ever written, so a cut at any moment leaves a disk that the next
 * check repairs, and no file is touched.
 */
#include <core/crc.h>
#include <core/errno.h>
#include <core/string.h>

#include "../ext4/group.h"
#include "fsck.h"

static int write_super(struct fsck *f, bool clean)
{
	struct ext4_disk_super *d = f->s->disk;

	d->state = clean ? EXT4_STATE_CLEAN : d->state & (uint16_t)~EXT4_STATE_CLEAN;
	if (clean) {
		d->free_blocks_lo = (uint32_t)f->s->free_blocks;
		d->free_inodes = (uint32_t)f->s->free_inodes;
		if (ext4_has_incompat(f->s, EXT4_INCOMPAT_64BIT))
			d->free_blocks_hi = (uint32_t)(f->s->free_blocks >> 32);
		d->error_count = 0;
	}
	ext4_super_csum_set(f->s);
	buffer_mark_dirty(f->s->super_buffer);
	return buffer_write(f->s->super_buffer, BLK_FUA);
}

static int repair_group(struct fsck *f, uint32_t group)
{
	struct ext4_super *s = f->s;
	struct ext4_group *g = &s->group[group];
	struct buffer *blocks = fsck_read(f, g->block_bitmap),
		      *inodes = fsck_read(f, g->inode_bitmap);

	if (blocks && inodes) {
		mutex_lock(&g->lock);
		g->free_blocks = found_blocks(f, group, blocks->data);
		g->free_inodes = found_inodes(f, group, inodes->data, &g->dirs);
		if (g->free_blocks < ext4_group_blocks(s, group))
			g->desc->flags &= (uint16_t)~EXT4_GROUP_BLOCK_UNINIT;
		ext4_block_bitmap_csum_set(s, group, blocks);
		ext4_inode_bitmap_csum_set(s, group, inodes);
		ext4_group_write(s, group);
		mutex_unlock(&g->lock);
		buffer_mark_dirty(blocks);
		buffer_mark_dirty(inodes);
		buffer_mark_dirty(g->buffer);
	}
	buffer_put(blocks);
	buffer_put(inodes);
	return f->error;
}

int repair_counts(struct fsck *f)
{
	bool stale = f->stale_sums || f->s->disk->state != EXT4_STATE_CLEAN;
	int error = 0;

	if (!f->result->counts && !stale)
		return 0;
	error = write_super(f, false);
	for (uint32_t g = 0; f->result->counts && g < f->s->groups && !error; g++)
		error = repair_group(f, g);
	if (!error)
		error = buffers_write(&f->s->buffers);
	if (!error)
		error = blkdev_flush(f->s->dev);
	if (!error)
		error = write_super(f, true);
	if (error)
		return error;
	f->result->repaired = true;
	say(f, "%s",
	    f->result->counts ? "Bitmaps and counts were written anew."
			      : "The superblock was put in order.");
	return 0;
}
