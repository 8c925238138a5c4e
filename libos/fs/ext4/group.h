/* Groups, for the files that keep their descriptors, bitmaps and blocks. */
#ifndef EXT4_GROUP_H
#define EXT4_GROUP_H

#include "ext4.h"

/* Blocks at the beginning of a group that a superblock's copy and the descriptors take, or may take later. */
uint32_t group_base_blocks(const struct ext4_super *s, uint32_t group);
/* Descriptors have checksums, so bitmaps may be uninitialised. */
bool group_has_checksum(const struct ext4_super *s);

#endif
