/* Groups, for the files that keep their descriptors, bitmaps and blocks. */
#ifndef EXT4_GROUP_H
#define EXT4_GROUP_H

#include "ext4.h"

/* Blocks at the beginning of a group that a superblock's copy and the descriptors take, or may take later. */
uint32_t group_base_blocks(const struct ext4_super *s, uint32_t group);
/* Descriptors have checksums, so bitmaps may be uninitialised. */
bool group_has_checksum(const struct ext4_super *s);

/* bitmap_csum.c; ext4.h has the rest. Right, too, if there are no checksums. */
bool block_bitmap_csum_is_right(const struct ext4_super *s, uint32_t group, const struct buffer *b);
bool inode_bitmap_csum_is_right(const struct ext4_super *s, uint32_t group, const struct buffer *b);
/* After `count` bits from `first` on have been set, or cleared, that were not, in a bitmap whose checksum was right. */
void block_bitmap_csum_flip(struct ext4_super *s, uint32_t group, struct buffer *bitmap, uint32_t first, uint32_t count);

#endif
