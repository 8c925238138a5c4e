/* Between orphan.c and orphan_file.c. */
#ifndef EXT4_ORPHAN_H
#define EXT4_ORPHAN_H

#include "ext4.h"

/*
 * Deletes an inode without names, or ends its truncation; it is on the list, or on none. Takes over the reference.
 */
int orphan_settle(struct ext4_inode *i);
/* Empties the orphan file; adds to *count how many there were. */
int orphan_file_settle(struct ext4_super *s, uint32_t *count);

#endif
