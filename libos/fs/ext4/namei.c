/*
 * What the VFS asks of inodes, by their type. Changes of names are in this file's second half.
 */
#include <core/errno.h>

#include "dir.h"

const struct inode_ops ext4_dir_inode_ops = {
	.lookup = ext4_lookup, .iterate = ext4_iterate, .is_empty = ext4_dir_is_empty,
	.xattr_get = ext4_xattr_get, .xattr_list = ext4_xattr_list,
	.sync = ext4_sync_inode, .forget = ext4_inode_forget,
};

const struct inode_ops ext4_file_inode_ops = {
	.xattr_get = ext4_xattr_get, .xattr_list = ext4_xattr_list,
	.allocate = ext4_allocate, .sync = ext4_sync_inode, .forget = ext4_inode_forget,
};

const struct inode_ops ext4_link_inode_ops = {
	.read_link = ext4_read_link,
	.xattr_get = ext4_xattr_get, .xattr_list = ext4_xattr_list, .forget = ext4_inode_forget,
};

const struct inode_ops ext4_special_inode_ops = {
	.xattr_get = ext4_xattr_get, .xattr_list = ext4_xattr_list, .forget = ext4_inode_forget,
};
