/*
 * Blocks that are found when they are written: see delayed.c. The inode's lock is held, unless said
 * otherwise.
 */
#ifndef EXT4_DELAYED_H
#define EXT4_DELAYED_H

#include "ext4.h"

/*
 * Blocks [first, first + count) are about to get bytes: true when those without a place need none
 * now. The handle has delayed_credits() to spare.
 */
bool delayed_take(struct ext4_handle *h, struct ext4_inode *i, uint32_t first, uint32_t count);
/* After delayed_take(): the bytes before block `end` are in dirty pages, more are not to come. */
void delayed_confirm(struct ext4_inode *i, uint32_t end);
unsigned delayed_credits(const struct ext4_inode *i);
/* The file's size, and the one on the disk as far as there are blocks. */
void delayed_set_size(struct ext4_inode *i, int64_t size);

/* Finds blocks for what was confirmed; the handle may be restarted. No lock is needed. */
int delayed_place(struct ext4_handle *h, struct ext4_inode *i);
/*
 * The same in a handle of its own, with no other open. For want of memory or blocks it is tried
 * again, for five seconds if `patient`, and nothing is lost by that error. With any other one the
 * range is a hole from then on.
 */
int delayed_settle(struct ext4_inode *i, bool patient);
bool delayed_may_pass(int error); /* memory comes back, and so does what a trim has set aside */
/* The same before a commit, in its thread. */
void delayed_place_for_commit(struct journal_ordered *o, struct journal_handle *h);
/* Blocks from `first` on are not wanted any more; their pages are gone. */
void delayed_drop(struct ext4_inode *i, uint32_t first);

/* [m] Is `at` such a block, and how many from it on? */
uint32_t delayed_run(const struct ext4_inode *i, uint32_t at);
/*
 * Before `count` blocks are taken for an inode, and after it. False: they would be missing where
 * blocks were promised, and delayed_unclaim() is not called.
 */
bool delayed_claim(const struct ext4_handle *h, const struct ext4_inode *i, uint32_t count);
void delayed_unclaim(const struct ext4_handle *h, const struct ext4_inode *i, uint32_t count);

#endif
