/*
 * Between namei.c and rename.c: names that go, and the links of directories. The locks of both ends
 * are held.
 */
#ifndef EXT4_NAMEI_H
#define EXT4_NAMEI_H

#include "dir.h"

/*
 * Finds a name that the VFS says leads to `inode`, and touches its block: 0 and *spot, to be put;
 * else spot->b is NULL.
 */
int name_hold(struct ext4_handle *h, struct ext4_inode *dir, const struct vfs_name *n,
	      const struct ext4_inode *inode, struct dir_spot *spot);
/*
 * The inode loses a name, or nothing happens; a directory, both of its own. EXT4_CREDITS_ORPHAN +
 * EXT4_CREDITS_INODE.
 */
int name_lose_link(struct ext4_handle *h, struct ext4_inode *i);

/* May a directory get one more below it? */
bool links_have_room(const struct ext4_inode *dir);
void links_gain_subdir(struct ext4_inode *dir);
void links_lose_subdir(struct ext4_inode *dir);

int ext4_rename(struct inode *from, const struct vfs_name *n, struct inode *inode, struct inode *to,
		const struct vfs_name *m, struct inode *replaced, bool exchange);

#endif
