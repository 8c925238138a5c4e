/* Changing extent trees: see extent_change.c. */
#ifndef EXT4_EXTENT_CHANGE_H
#define EXT4_EXTENT_CHANGE_H

#include "extent.h"

/*
 * Blocks [first, first + len) of the file, which lie in one extent or in one hole, become `with`
 * (NULL: a hole). The blocks of the disk are the caller's affair, and so is the inode, which it
 * writes even after an error: the tree may have more nodes then. map_lock is held. 0; -ENOSPC,
 * -EFBIG, -EIO, -EUCLEAN; or nothing, unless -ENOMEM comes when the last extent of a node goes.
 */
int extent_replace(struct ext4_handle *h, struct ext4_inode *i, uint32_t first, uint32_t len,
		   const struct extent_run *with);
/*
 * Where `at` lies in an unwritten extent: its leaf has room for what remains of that when `at`
 * becomes a written block, and `spare` extents besides. So that this cannot fail for lack of space
 * later. As extent_replace() otherwise.
 */
int extent_make_room(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, unsigned spare);
/* Buffers that one extent_replace() changes at most, and the inode. */
unsigned extent_credits(const struct ext4_inode *i);

#endif
