/*
 * Checking an ext4 file system that nobody has mounted: docs/fsck.md tells what is looked at, and
 * in which order.
 *
 * Nothing on the disk is believed: whatever it holds, the check ends, stays within its memory (a
 * bit for each block, some bytes for each inode, a record for each directory) and tells what it
 * found, each fault in a sentence with its place. What a crash can leave is put in order on demand;
 * other damage is only told, since what is right is then a guess.
 */
#ifndef LIBOS_FSCK_H
#define LIBOS_FSCK_H

#include <core/types.h>
#include <libos/blkdev.h>

struct fsck_options {
	/* replay the journal, delete and truncate orphans: as mounting does */
	bool recover;
	bool repair;                     /* write bitmaps and counts that are wrong */
	void (*say)(void *arg, const char *sentence);
	void *arg;
};

struct fsck_result {
	uint64_t damage;                 /* faults that are left to e2fsck */
	uint64_t counts;                 /* wrong bitmaps and counts, which follow from the rest */
	/* there was a journal to replay or an orphan, and it was seen to */
	bool recovered;
	/* bitmaps and counts were written; when nothing else was damaged */
	bool repaired;
	uint32_t inodes, inodes_used, directories;
	uint64_t blocks, blocks_used;
};

/*
 * Threads. The device is not mounted. 0 and *out, whatever was found; else nothing is known:
 * -EINVAL (no ext4, or none that is whole), -EUCLEAN (no superblock is right), -EOPNOTSUPP
 * (features), -EBUSY, -EIO, -ENOMEM, -EFBIG.
 */
int fsck_ext4(struct blkdev *d, const struct fsck_options *o, struct fsck_result *out);

#endif
