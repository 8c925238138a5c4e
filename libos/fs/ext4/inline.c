/*
 * Inline data (ifork.rst and inlinedata.rst): the first bytes of a small file or directory lie
 * where its block map would, and the rest is the value of the attribute system.data in the inode.
 * Only read: a disk with the feature is mounted read-only.
 *
 * A directory's first four bytes are its parent's number; entries follow, those of each piece
 * reaching to its end.
 */
#include <core/errno.h>
#include <core/string.h>

#include "dir.h"
#include "xattr.h"

static int no_entries(struct ext4_inode *dir)
{
	return ext4_damaged(ext4_super_of(&dir->inode), "directory", (uint32_t)dir->inode.ino, 0,
			    "its entries should lie in the inode, and do not");
}

int inline_dir(struct ext4_inode *dir, struct dir_bytes pieces[2], struct buffer **b)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	struct ext4_disk_inode *raw;
	uint8_t *value;
	size_t len;
	int error = ext4_inode_raw(s, (uint32_t)dir->inode.ino, b, &raw);

	if (error)
		return error;
	pieces[0] = (struct dir_bytes){ (uint8_t *)raw->block + 4, EXT4_INODE_BLOCK_BYTES - 4 };
	pieces[1] = (struct dir_bytes){ (uint8_t *)raw->block, 0 };
	error = xattr_inline_data(s, dir, raw, &value, &len);
	if (error == -ENODATA)
		error = no_entries(dir);
	if (!error && len) {
		pieces[1] = (struct dir_bytes){ value, (uint32_t)len };
		if (!IS_ALIGNED((uintptr_t)value, 4))
			error = no_entries(dir);
	}
	if (error)
		buffer_put(*b);
	return error;
}

/*
 * The part of [offset, offset + size) that lies in `piece`, whose first byte is the file's byte
 * `base`.
 */
static void copy_part(uint8_t *buf, size_t size, uint64_t offset, const uint8_t *piece, size_t len,
		      uint64_t base)
{
	uint64_t from = MAX(offset, base), to = MIN(offset + size, base + len);

	if (from < to)
		memcpy(buf + (from - offset), piece + (from - base), to - from);
}

kssize_t ext4_inline_read(struct ext4_inode *i, uint64_t offset, void *buf, size_t size)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	struct ext4_disk_inode *raw;
	struct buffer *b;
	uint8_t *value = NULL;
	size_t len = 0;
	int error;

	if (offset >= (uint64_t)i->inode.size)
		return 0;
	size = MIN(size, (uint64_t)i->inode.size - offset);
	error = ext4_inode_raw(s, (uint32_t)i->inode.ino, &b, &raw);
	if (error)
		return error;
	error = xattr_inline_data(s, i, raw, &value, &len);
	if (!error || error == -ENODATA) {
		memset(buf, 0, size);
		copy_part(buf, size, offset, (const uint8_t *)raw->block, EXT4_INODE_BLOCK_BYTES,
			  0);
		copy_part(buf, size, offset, value, len, EXT4_INODE_BLOCK_BYTES);
	}
	buffer_put(b);
	return error && error != -ENODATA ? error : (kssize_t)size;
}
