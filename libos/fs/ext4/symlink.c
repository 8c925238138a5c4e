/*
 * Symbolic links (inodes.rst, "The Contents of inode.i_block"): a target of up to 59 bytes lies in
 * the inode itself, a longer one in a block of its own. What tells them apart is whether the inode
 * has blocks, other than one of attributes.
 */
#include <core/errno.h>
#include <core/string.h>

#include "ext4.h"

bool ext4_link_is_fast(const struct ext4_inode *i)
{
	uint64_t of_attributes = i->xattr_block ? ext4_super_of(&i->inode)->block_bytes / 512 : 0;

	return i->inode.blocks <= of_attributes &&
	       i->inode.size < (int64_t)EXT4_INODE_BLOCK_BYTES && !(i->flags & EXT4_FL_INLINE_DATA);
}

static kssize_t copy(char *buf, size_t size, const void *from, size_t len)
{
	size_t n = MIN(size, len);

	memcpy(buf, from, n);
	return (kssize_t)n;
}

static kssize_t read_slow(struct ext4_inode *i, char *buf, size_t size)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	struct ext4_mapping m;
	struct buffer *b;
	int error = i->inode.size < s->block_bytes ? ext4_map(i, 0, 1, &m) : -EUCLEAN;
	kssize_t n;

	if (error || m.kind != EXT4_MAPPED)
		return ext4_damaged(s, "link", (uint32_t)i->inode.ino, 0,
				    "its target has no place on the disk");
	error = buffer_read(&s->buffers, m.block, &b);
	if (error)
		return error;
	n = copy(buf, size, b->data, (size_t)i->inode.size);
	buffer_put(b);
	return n;
}

kssize_t ext4_read_link(struct inode *inode, char *buf, size_t size)
{
	struct ext4_inode *i = ext4_of(inode);

	if (i->flags & EXT4_FL_INLINE_DATA)
		return ext4_inline_read(i, 0, buf, MIN(size, (size_t)inode->size));
	return ext4_link_is_fast(i) ? copy(buf, size, i->block, (size_t)inode->size)
				    : read_slow(i, buf, size);
}

unsigned ext4_link_credits(size_t len)
{
	return len < EXT4_INODE_BLOCK_BYTES ? 0 : 8 + EXT4_CREDITS_BALLOC;
}

int ext4_link_write(struct ext4_handle *h, struct ext4_inode *i, const char *target)
{
	size_t len = str_length(target);
	struct ext4_super *s = h->super;
	struct ext4_mapping m;
	struct buffer *b;
	int error;

	if (len >= s->block_bytes)
		return -ENAMETOOLONG;
	i->inode.size = i->disk_size = (int64_t)len;
	if (len < EXT4_INODE_BLOCK_BYTES) {
		memset(i->block, 0, sizeof(i->block));
		memcpy(i->block, target, len);
		return 0;
	}
	ext4_map_init(i);
	error = ext4_map_make(h, i, 0, 1, 0, &m);
	if (!error)
		error = ext4_buffer_make(h, m.block, &b);
	if (error)
		return error;
	memset(b->data, 0, s->block_bytes);
	memcpy(b->data, target, len);
	buffer_put(b);
	return 0;
}
