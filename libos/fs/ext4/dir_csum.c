/*
 * Checksums of directories' blocks (directory.rst, struct ext4_dir_entry_tail): CRC-32C of the
 * inode's seed and of all before the tail.
 *
 * A new name changes some thirty bytes of up to 4 KiB. The sum is linear (core/crc.h), so such an
 * edit adds the sum of what it has changed, which takes a twentieth of the time of a new one.
 * Damage that has come over the block in memory meanwhile is not covered up by that: the sum
 * remains wrong. An edit is right only in a block whose sum was; so blocks are verified when they
 * are read, and made with a sum of their own.
 *
 * A node of the index sums up what it uses (htree.c), and is summed up anew.
 */
#include <core/assert.h>
#include <core/crc.h>

#include "dir.h"

static struct ext4_disk_dir_tail *tail_of(const struct ext4_super *s, const struct buffer *b)
{
	return (struct ext4_disk_dir_tail *)(void *)(b->data + s->block_bytes -
						     sizeof(struct ext4_disk_dir_tail));
}

/* Bytes before the tail. */
static uint32_t summed_bytes(const struct ext4_super *s)
{
	return s->block_bytes - (uint32_t)sizeof(struct ext4_disk_dir_tail);
}

static uint32_t leaf_csum(const struct ext4_super *s, const struct ext4_inode *dir,
			  const struct buffer *b)
{
	return crc32c(dir->csum_seed, b->data, summed_bytes(s));
}

void dir_leaf_csum_set(struct ext4_inode *dir, struct buffer *b)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);

	if (s->has_csum)
		tail_of(s, b)->checksum = leaf_csum(s, dir, b);
}

void dir_block_csum_set(struct ext4_inode *dir, uint32_t at, struct buffer *b)
{
	uint32_t entries = dx_entries_offset(dir, at, b);

	if (entries)
		dx_csum_set(dir, b, entries);
	else
		dir_leaf_csum_set(dir, b);
}

bool dir_block_is_right(struct ext4_inode *dir, uint32_t at, struct buffer *b)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	const struct ext4_disk_dir_tail *tail = tail_of(s, b);
	uint32_t entries = dx_entries_offset(dir, at, b);

	if (!s->has_csum)
		return true;
	if (entries)
		return dx_csum_is_right(dir, b, entries);
	return !tail->zero1 && !tail->zero2 && tail->rec_len == sizeof(*tail) &&
	       tail->file_type == EXT4_FT_TAIL && tail->checksum == leaf_csum(s, dir, b);
}

/* ---- edits ---- */

struct dir_edit dir_edit_begin(struct ext4_inode *dir, uint32_t at, struct buffer *b,
			       const void *bytes, uint32_t len)
{
	struct dir_edit e = { .dir = dir, .b = b, .at = at, .bytes = bytes, .len = len };

	e.is_leaf = !dx_entries_offset(dir, at, b);
	if (e.is_leaf && ext4_super_of(&dir->inode)->has_csum)
		e.before = crc32c(0, bytes, len);
	return e;
}

void dir_edit_end(const struct dir_edit *e)
{
	const struct ext4_super *s = ext4_super_of(&e->dir->inode);
	uint32_t change, end = (uint32_t)(e->bytes + e->len - e->b->data);

	if (!s->has_csum)
		return;
	if (!e->is_leaf) {
		dir_block_csum_set(e->dir, e->at, e->b);
		return;
	}
	assert(end <= summed_bytes(s));
	change = e->before ^ crc32c(0, e->bytes, e->len);
	tail_of(s, e->b)->checksum ^= crc32c_shift(change, summed_bytes(s) - end);
}
