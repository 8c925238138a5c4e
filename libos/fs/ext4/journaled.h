/* Files whose bytes go through the journal: see journaled.c. */
#ifndef EXT4_JOURNALED_H
#define EXT4_JOURNALED_H

#include "ext4.h"

bool journaled_is(const struct ext4_inode *i);
/*
 * Each block that is freed takes a revoke record, and with it a credit: so many at once. Others
 * have no bound.
 */
#define JOURNALED_FREE_MAX 64u
/*
 * Blocks whose contents went through the journal, a directory's too: a replay must not bring them
 * back.
 */
static inline bool journaled_is_revoked(const struct ext4_inode *i)
{
	return inode_kind(&i->inode) != S_IFREG || journaled_is(i);
}

static inline uint32_t journaled_free_max(const struct ext4_inode *i)
{
	return journaled_is_revoked(i) ? JOURNALED_FREE_MAX : UINT32_MAX;
}
/* Can there be bytes where the file has this, on the disk or in pages? */
bool journaled_may_hold_bytes(const struct ext4_inode *i, const struct ext4_mapping *m);
/* Of the page cache's backing: no handle is open. */
int journaled_read_page(struct ext4_inode *i, uint64_t index, uint8_t *bytes);
int journaled_write_page(struct ext4_inode *i, uint64_t index, const uint8_t *bytes, size_t len);

#endif
