/* Old block maps: see indirect.c. */
#ifndef EXT4_INDIRECT_H
#define EXT4_INDIRECT_H

#include "ext4.h"

/*
 * As ext4_map(), of an inode without extents; map_lock is held. What such a map cannot have is a
 * hole.
 */
int indirect_map(struct ext4_inode *i, uint32_t at, uint32_t max, struct ext4_mapping *m);

/*
 * indirect_truncate.c. Frees something at or behind block `from` of the file, from its end; *more:
 * there may be something left. The inode is the caller's to write. map_lock is held;
 * map_remove_credits().
 */
int indirect_free_step(struct ext4_handle *h, struct ext4_inode *i, uint32_t from, bool *more);

#endif
