/*
 * Between the files that make a mounted file system: mount.c, super.c, geometry.c, features.c,
 * recognise.c, recovery.c.
 */
#ifndef EXT4_SUPER_H
#define EXT4_SUPER_H

#include "ext4.h"

/*
 * geometry.c. Reads the superblock and checks every field: 0 and *out filled in, -EIO, -EINVAL (no
 * ext4: a sentence in the log says what it is instead), -EUCLEAN (damaged), -ENOMEM. A wrong
 * checksum of a file system with a journal is *torn instead: a cut may have left half of it, and
 * the journal has the whole one. `torn` NULL: it must be right.
 */
int ext4_super_read(struct blkdev *d, struct ext4_disk_super *out, bool *torn);
/* The checks alone: 0, -EINVAL, -EUCLEAN, with a line in the log. */
int ext4_super_check(struct blkdev *d, const struct ext4_disk_super *super);
/* How many bytes its file system has, if log_block_size is right. */
uint64_t ext4_super_bytes(const struct ext4_disk_super *super);
/* As fs_type.identify; without a word in the log. */
bool ext4_identify(struct blkdev *d, struct fs_identity *out);
/* What the rest of the file system knows of a superblock that has been checked. */
void ext4_geometry_set(struct ext4_super *s, const struct ext4_disk_super *d);

/*
 * features.c. Features nobody knows: 0, -EOPNOTSUPP with their names in the log; *read_only: only
 * to be read.
 */
int ext4_features_check(const struct blkdev *dev, const struct ext4_disk_super *d, bool *read_only);
/* Their names, "ea_inode quota ro_compat_40000" for example. */
void ext4_features_name(char *buf, size_t size, uint32_t compat, uint32_t incompat,
			uint32_t ro_compat);

/* recognise.c. The format of a disk, or NULL; `bytes` has room for 4096. */
const char *ext4_recognise(struct blkdev *d, uint8_t *bytes);

/*
 * recovery.c. Replays the journal and opens it, if there is one and the mount wants it: 0, -EIO,
 * -EUCLEAN, -EROFS...
 */
int ext4_journal_open(struct ext4_super *s);
/* Everything is in its place, the journal is empty and closed. */
int ext4_journal_close(struct ext4_super *s);
/*
 * super.c. Writes the superblock past the journal, durably; flags that say what state the disk is
 * in.
 */
int ext4_super_write(struct ext4_super *s);
/*
 * Changes it in a transaction of its own, which is durable on return: from then on the log makes up
 * for a torn one.
 */
int ext4_super_commit(struct ext4_super *s, void (*change)(struct ext4_super *s));
void ext4_super_mark_clean(struct ext4_super *s); /* such a change: the last one */
/*
 * The mount, as the disk tells it: how often, when last. With a journal the state stays clean, and
 * the flag that says so is in its place before anything else is committed, since Linux asks it
 * whether there is a log.
 */
int ext4_super_write_mounted(struct ext4_super *s);
extern const struct super_ops ext4_super_ops;
/* inode.c. An inode that is in no cache, from the disk's: 0, -EUCLEAN, -ENOMEM. */
int ext4_inode_load(struct ext4_super *s, uint32_t ino, const struct ext4_disk_inode *raw,
		    unsigned flags, struct ext4_inode *i);
/* Is the checksum of a disk's inode right, if the file system has them? */
bool inode_csum_is_right(const struct ext4_super *s, uint32_t seed,
			 const struct ext4_disk_inode *raw);

#endif
