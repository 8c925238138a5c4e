/*
 * Extent trees: see extent.c. The format: Linux, Documentation/filesystems/ext4/ifork.rst, "Extent
 * Tree".
 */
#ifndef EXT4_EXTENT_H
#define EXT4_EXTENT_H

#include "ext4.h"

#define EXTENT_UNWRITTEN_MAX (EXT4_EXTENT_LEN_MAX - 1)
#define EXTENT_LBLK_END      (1ull << 32) /* behind the last block that a file can have */
/* both kinds of entry, which begin with their block of the file */
#define EXTENT_SLOT_BYTES    12u

/* An extent in the processor's form. */
struct extent_run {
	uint32_t first, len;
	uint64_t block;
	bool unwritten;
};

struct extent_level {
	struct buffer *buffer;       /* NULL: the root, in the inode */
	struct ext4_disk_extent_header *head;
	/* the last entry at or before what was looked for; -1: there is none */
	int at;
};

/* From the root, level[0], to the leaf, level[depth]. Holds references until extent_path_put(). */
struct extent_path {
	unsigned depth;
	struct extent_level level[EXT4_EXTENT_DEPTH_MAX + 1];
};

static inline struct ext4_super *extent_super(const struct ext4_inode *i)
{
	return ext4_super_of(&i->inode);
}

static inline struct ext4_disk_extent *extent_slot(struct ext4_disk_extent_header *h, int at)
{
	return (struct ext4_disk_extent *)(h + 1) + at;
}

static inline struct ext4_disk_extent_index *extent_index_slot(struct ext4_disk_extent_header *h,
							       int at)
{
	return (struct ext4_disk_extent_index *)(h + 1) + at;
}

static inline struct ext4_disk_extent_header *extent_root(struct ext4_inode *i)
{
	return (struct ext4_disk_extent_header *)i->block;
}

static inline struct extent_level *extent_leaf(struct extent_path *p)
{
	return &p->level[p->depth];
}

struct extent_run extent_unpack(const struct ext4_disk_extent *e);
struct ext4_disk_extent extent_pack(const struct extent_run *r);
uint64_t extent_index_block(const struct ext4_disk_extent_index *e);
struct ext4_disk_extent_index extent_index_pack(uint32_t first, uint64_t block);

/* The entries that a block has room for, and the root. */
unsigned extent_block_slots(const struct ext4_super *s);
#define EXTENT_ROOT_SLOTS 4u
/* Of a node that is a block: after each change. */
void extent_checksum_set(struct ext4_inode *i, struct buffer *b);

/* The path to `at`; map_lock is held. 0, -EIO, -EUCLEAN, -ENOMEM; then nothing is held. */
int extent_find(struct ext4_inode *i, uint32_t at, struct extent_path *p);
void extent_path_put(struct extent_path *p);
/* The first block of the file that has an extent behind the leaf's entry; EXTENT_LBLK_END: none. */
uint64_t extent_next_first(struct extent_path *p);
/* What the path found for `at`, as far as `max`. 0, -EUCLEAN. */
int extent_mapping(struct ext4_inode *i, struct extent_path *p, uint32_t at, uint32_t max,
		   struct ext4_mapping *m);

/* As ext4_map(), of an inode with extents; map_lock is held. */
int extent_map(struct ext4_inode *i, uint32_t at, uint32_t max, struct ext4_mapping *m);

#endif
