/* Old block maps: see indirect.c. */
#ifndef EXT4_INDIRECT_H
#define EXT4_INDIRECT_H

#include "ext4.h"

/* As ext4_map(), of an inode without extents; map_lock is held. What such a map cannot have is a hole. */
int indirect_map(struct ext4_inode *i, uint32_t at, uint32_t max, struct ext4_mapping *m);

#endif
