/* Groups, for the files that keep their descriptors, bitmaps and blocks. */
#ifndef EXT4_GROUP_H
#define EXT4_GROUP_H

#include "ext4.h"

/*
 * Blocks at the beginning of a group that a superblock's copy and the descriptors take, or may take
 * later.
 */
uint32_t group_base_blocks(const struct ext4_super *s, uint32_t group);
/* Descriptors have checksums, so bitmaps may be uninitialised. */
bool group_has_checksum(const struct ext4_super *s);
/* How many blocks the descriptors have, and where the n-th lies. */
uint32_t group_desc_blocks(const struct ext4_super *s);
uint64_t group_desc_block_at(const struct ext4_super *s, uint32_t n);
/*
 * s->group[group] from its descriptor in `b`, which is held from then on: NULL, or what is wrong.
 */
const char *group_load(struct ext4_super *s, uint32_t group, struct buffer *b);
/* Do bitmaps and inode table lie where they can? */
bool group_places_are_sane(const struct ext4_super *s, uint32_t group);
/* bitmap.c: the block bitmap that an uninitialised group has. */
void group_make_block_bitmap(const struct ext4_super *s, uint32_t group, uint8_t *map);

/*
 * zone.c: when all groups are there, 0 or an errno; before they go. Are the file system's own
 * blocks in use, by the bitmap of a group?
 */
int zones_open(struct ext4_super *s);
void zones_close(struct ext4_super *s);
bool zones_are_used(const struct ext4_super *s, uint32_t group, const uint8_t *bitmap);

/* bitmap_csum.c; ext4.h has the rest. Right, too, if there are no checksums. */
bool block_bitmap_csum_is_right(const struct ext4_super *s, uint32_t group, const struct buffer *b);
bool inode_bitmap_csum_is_right(const struct ext4_super *s, uint32_t group, const struct buffer *b);
/*
 * After `count` bits from `first` on have been set, or cleared, that were not, in a bitmap whose
 * checksum was right.
 */
void block_bitmap_csum_flip(struct ext4_super *s, uint32_t group, struct buffer *bitmap,
			    uint32_t first, uint32_t count);
void inode_bitmap_csum_flip(struct ext4_super *s, uint32_t group, struct buffer *bitmap,
			    uint32_t index);

#endif
