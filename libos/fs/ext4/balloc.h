/* Blocks, for the files of this directory that map them: see balloc.c. */
#ifndef EXT4_BALLOC_H
#define EXT4_BALLOC_H

#include "ext4.h"

/* What was set aside for the file's growth is free for others. */
void balloc_drop_reserve(struct ext4_inode *i);
void balloc_open(struct ext4_super *s);  /* before the groups are read */
void balloc_close(struct ext4_super *s); /* the journal has ended */

#endif
