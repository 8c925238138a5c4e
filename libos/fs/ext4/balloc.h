/*
 * Blocks, for the files of this directory that map them: see balloc.c. space.h has what its parts
 * share.
 */
#ifndef EXT4_BALLOC_H
#define EXT4_BALLOC_H

#include <libos/blkdev.h>

#include "ext4.h"

/* What was set aside for the file's growth is free for others. */
void balloc_drop_reserve(struct ext4_inode *i);
uint64_t balloc_kept_for_root(const struct ext4_super *s); /* blocks that others may not take */

/* Blocks whose freeing is durable. */
struct freed {
	struct journal_callback callback;  /* its link is the list's, too, once it was called */
	struct ext4_super *super;
	uint64_t block;
	uint32_t count;
	bool durable;
	struct blkreq *discard;            /* or NULL */
};
/*
 * From now on others may take them, by whoever looks for blocks next. Any context that may take a
 * spinlock.
 */
void balloc_freed_is_ready(struct freed *f);
/* Tells the device that the blocks hold nothing, and then the above. */
void discard_freed(struct freed *f);

/*
 * Free blocks of a group in a row, at least `least`, the first at or behind *from: set aside, so
 * that nobody takes them until balloc_put_run(). How many, 0 (there are no more), or an error.
 * *from: the first of them, in the group.
 */
int balloc_take_run(struct ext4_super *s, uint32_t group, uint32_t least, uint32_t *from);
void balloc_put_run(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count);

void balloc_open(struct ext4_super *s);  /* before the groups are read */
void balloc_close(struct ext4_super *s); /* the journal has ended */

#endif
