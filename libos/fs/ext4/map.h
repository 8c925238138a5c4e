/*
 * Changing where a file's bytes lie, for bytes.c, fallocate.c, truncate.c. See map.c; ext4.h has
 * the rest.
 *
 * The root of the map is in the inode, which these functions leave to the caller to write, even
 * after an error: before its handle ends, and before it is restarted. So changes go in steps
 * between map_start() and map_write_inode(), each after a map_renew(); a step is done as a whole or
 * not at all, and what was done before it stays.
 */
#ifndef EXT4_MAP_H
#define EXT4_MAP_H

#include "extent.h"

/* Blocks that [offset, offset + len) touches, as far as a file can have them. */
struct map_blocks {
	uint32_t first, count;
};

static inline struct map_blocks map_blocks_of(const struct ext4_inode *i, int64_t offset,
					      int64_t len)
{
	unsigned shift = extent_super(i)->block_shift;
	uint64_t first = (uint64_t)offset >> shift,
		 last = ((uint64_t)offset + (uint64_t)len - 1) >> shift;

	return (struct map_blocks){ (uint32_t)first,
				    (uint32_t)(MIN(last, UINT32_MAX - 1) - first + 1) };
}

/* As ext4_map_make(), without writing the inode. */
int map_make(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max, unsigned flags,
	     struct ext4_mapping *m);
int map_make_locked(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		    unsigned flags, struct ext4_mapping *m); /* map_lock is held */
/*
 * What begins at `at`, at most `max` blocks: *len of them are looked at, and if they are blocks of
 * the other kind they become written (or unwritten). extent_credits().
 */
int map_set_written(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		    bool written, uint32_t *len);
/*
 * Before bytes for the unwritten block at `at` are taken: see extent_make_room(). map_lock is free.
 */
int map_make_room(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, unsigned spare);
/*
 * As map_set_written(): what is mapped becomes a hole, and its blocks are freed.
 * map_remove_credits().
 */
int map_remove(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
	       uint32_t *len);
unsigned map_remove_credits(const struct ext4_inode *i);
/* More is never removed at once. */
uint32_t map_free_max(const struct ext4_inode *i);
/* The file's last extent, if it reaches behind `from`; else its length is 0. */
int map_last(struct ext4_inode *i, uint32_t from, struct extent_run *last);
/* Starts a handle for steps: with these credits, and the inode announced. */
int map_start(struct ext4_inode *i, unsigned credits, struct ext4_handle *h);
/*
 * Credits for the next step, one of the functions above and the inode: in this transaction, or in
 * the next one.
 */
int map_renew(struct ext4_handle *h, struct ext4_inode *i, unsigned credits);
/* Writes the inode after steps, of which the last may have ended with `error`: that, or 0. */
int map_write_inode(struct ext4_handle *h, struct ext4_inode *i, int error);
/*
 * Takes back a block that ext4_map_make() has just made at the end, whose buffer was not touched.
 * The inode is written.
 */
int map_unmake(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint64_t block);
/* More, or fewer, blocks in stat(). */
void map_count_blocks(struct ext4_inode *i, int64_t blocks);
/* The largest size that a file with such a map can have. */
int64_t map_max_size(const struct ext4_inode *i);
/*
 * Before a file gets this size, without a handle: the superblock says that there are large ones. 0,
 * -EROFS, -EIO.
 */
int map_allow_size(struct ext4_inode *i, int64_t size);

#endif
