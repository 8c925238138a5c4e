/* Between orphan.c and orphan_file.c; and the latter's blocks, for the checker. */
#ifndef EXT4_ORPHAN_H
#define EXT4_ORPHAN_H

#include "ext4.h"

/*
 * Deletes an inode without names, or ends its truncation; it is on the list, or on none. Takes over
 * the reference.
 */
int orphan_settle(struct ext4_inode *i);
/* Empties the orphan file; adds to *count how many there were. */
int orphan_file_settle(struct ext4_super *s, uint32_t *count);

/*
 * A block of the orphan file: magic and checksum; `seed` is that of the file's inode. How many
 * numbers each has room for, and the first.
 */
bool orphan_block_is_right(const struct ext4_super *s, uint32_t seed, const struct buffer *b);
uint32_t orphan_block_entries(const struct ext4_super *s);

#endif
