/*
 * The orphan file: numbers of inodes that a crash has left half done, for disks whose other systems
 * keep them there and not on the list (orphan.c). It is emptied when the disk is mounted, if the
 * superblock says that there is something in it.
 *
 * A number is taken out after its inode was seen to. A crash in between finds the inode deleted, or
 * whole, the next time, and takes the number out.
 *
 * The format: Linux, Documentation/filesystems/ext4/orphan.rst.
 */
#include <core/crc.h>
#include <core/errno.h>

#include "extent.h"
#include "orphan.h"

uint32_t orphan_block_entries(const struct ext4_super *s)
{
	return (s->block_bytes - (uint32_t)sizeof(struct ext4_disk_orphan_tail)) / sizeof(uint32_t);
}

static struct ext4_disk_orphan_tail *tail_of(const struct ext4_super *s, const struct buffer *b)
{
	return (struct ext4_disk_orphan_tail *)((uint32_t *)b->data + orphan_block_entries(s));
}

static uint32_t checksum_of(const struct ext4_super *s, uint32_t seed, const struct buffer *b)
{
	return crc32c(crc32c(seed, &b->block, sizeof(b->block)), b->data,
		      orphan_block_entries(s) * sizeof(uint32_t));
}

bool orphan_block_is_right(const struct ext4_super *s, uint32_t seed, const struct buffer *b)
{
	const struct ext4_disk_orphan_tail *tail = tail_of(s, b);

	return tail->magic == EXT4_ORPHAN_MAGIC &&
	       (!s->has_csum || tail->checksum == checksum_of(s, seed, b));
}

static int read_block(struct ext4_super *s, struct ext4_inode *file, uint32_t at,
		      struct buffer **out)
{
	struct ext4_mapping m;
	int error = ext4_map(file, at, 1, &m);

	if (!error && m.kind != EXT4_MAPPED)
		return ext4_damaged(s, "orphan file", (uint32_t)file->inode.ino, 0,
				    "a block of it is missing");
	if (!error)
		error = buffer_read(&s->buffers, m.block, out);
	if (error)
		return error;
	if (orphan_block_is_right(s, file->csum_seed, *out))
		return 0;
	buffer_put(*out);
	return ext4_damaged(s, "orphan file", (uint32_t)file->inode.ino, m.block,
			    "magic or checksum");
}

static int take_out(struct ext4_super *s, struct ext4_inode *file, struct buffer *b, uint32_t entry)
{
	struct ext4_handle h;
	int error = ext4_start(s, 1, &h);

	if (error)
		return error;
	error = ext4_touch(&h, b);
	if (!error) {
		((uint32_t *)b->data)[entry] = 0;
		if (s->has_csum)
			tail_of(s, b)->checksum = checksum_of(s, file->csum_seed, b);
	}
	return ext4_stop_with(&h, error);
}

static int settle(struct ext4_super *s, uint32_t ino)
{
	struct ext4_inode *i;
	int error = ext4_iget(s, ino, EXT4_IGET_ORPHAN, &i);

	if (error == -ESTALE)
		return 0;
	return error ? error : orphan_settle(i);
}

static int settle_block(struct ext4_super *s, struct ext4_inode *file, uint32_t at, uint32_t *count)
{
	struct buffer *b;
	int error = read_block(s, file, at, &b);

	if (error)
		return error;
	for (uint32_t n = 0; !error && n < orphan_block_entries(s); n++) {
		uint32_t ino = ((uint32_t *)b->data)[n];

		if (!ino)
			continue;
		++*count;
		error = settle(s, ino);
		if (!error)
			error = take_out(s, file, b, n);
	}
	buffer_put(b);
	return error;
}

static void clear_present(struct ext4_super *s)
{
	s->disk->feature_ro_compat &= ~EXT4_RO_ORPHAN_PRESENT;
}

int orphan_file_settle(struct ext4_super *s, uint32_t *count)
{
	struct ext4_inode *file;
	uint64_t blocks;
	int error;

	if (!ext4_has_compat(s, EXT4_COMPAT_ORPHAN_FILE) ||
	    !(s->disk->feature_ro_compat & EXT4_RO_ORPHAN_PRESENT))
		return 0;
	error = ext4_iget(s, s->disk->orphan_file_inum, EXT4_IGET_SPECIAL, &file);
	if (error)
		return error;
	blocks = (uint64_t)file->inode.size >> s->block_shift;
	for (uint32_t at = 0; !error && at < MIN(blocks, s->blocks); at++)
		error = settle_block(s, file, at, count);
	inode_put(&file->inode);
	return error ? error : ext4_super_change(s, clear_present);
}
