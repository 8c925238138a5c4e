/*
 * Between the files that take blocks and give them back: balloc.c, bfree.c, reserve.c. See space.c.
 */
#ifndef EXT4_SPACE_H
#define EXT4_SPACE_H

#include "balloc.h"

static inline uint32_t space_group_of(const struct ext4_super *s, uint64_t block)
{
	return (uint32_t)((block - s->first_data_block) / s->blocks_per_group);
}

/* ---- space.c; the group's lock is held but for space_give() ---- */

/* Both bitmaps are there: 0, -EIO, -EUCLEAN, -ENOMEM. */
int space_load(struct ext4_super *s, uint32_t group);
/* Others may take them. */
void space_give_locked(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count);
/* a range that lies in one group */
void space_give(struct ext4_super *s, uint64_t block, uint32_t count);
/* They are in use on the disk: 0, -EUCLEAN, or an error of the journal, and nothing. */
int space_use(struct ext4_handle *h, uint32_t group, uint32_t from, uint32_t count);
/* Before the disk's bitmap and counts are changed: loads them, and touches both, or nothing. */
int space_touch(struct ext4_handle *h, uint32_t group);
/* `count` bits from `from` on have changed: `freed` blocks more are free, or fewer. */
void space_write_counts(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count,
			int64_t freed);

/* ---- bfree.c; no group's lock is held ---- */

/* What has become durable since it was freed may be had. */
void freed_collect(struct ext4_super *s);
void freed_close(struct ext4_super *s); /* the journal has ended */

/* ---- reserve.c; the group's locks are free ---- */

/* How many blocks more than it asks for a file should find in a row. */
uint32_t reserve_size(const struct ext4_inode *i);
/* Blocks behind those that were found, for the inode, which has none set aside. */
void reserve_set(struct ext4_super *s, struct ext4_inode *i, uint64_t block, uint32_t len);
/*
 * The first blocks of what was set aside, if they begin at `goal`: 0, -ENOSPC (they do not), or an
 * error.
 */
int reserve_use(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, uint64_t *block,
		uint32_t *count);
/*
 * All that is set aside for anybody is free again, since it is wanted otherwise. False: there was
 * nothing.
 */
bool reserve_drop_all(struct ext4_super *s);

#endif
