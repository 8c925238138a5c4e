/* Changing where a file's bytes lie, for file.c, fallocate.c, truncate.c. See map.c; ext4.h has the rest. */
#ifndef EXT4_MAP_H
#define EXT4_MAP_H

#include "extent.h"

/*
 * What begins at `at`, at most `max` blocks: *len of them are looked at, and if they are blocks of the other kind
 * they become written (or unwritten). ext4_map_credits().
 */
int map_set_written(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max, bool written,
		    uint32_t *len);
/* The same: what is mapped becomes a hole, and its blocks are freed. map_remove_credits(). */
int map_remove(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max, uint32_t *len);
unsigned map_remove_credits(const struct ext4_inode *i);
/* The file's last extent, if it reaches behind `from`; else its length is 0. */
int map_last(struct ext4_inode *i, uint32_t from, struct extent_run *last);
/* More, or fewer, blocks in stat(). */
void map_count_blocks(struct ext4_inode *i, int64_t blocks);

#endif
