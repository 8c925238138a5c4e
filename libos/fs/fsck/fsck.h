/*
 * Between the files of the checker.
 *
 *   fsck.c   the order of things      disk.c    superblock, descriptors, their blocks    recover.c
 *            journal, orphans
 *   inode.c  inodes                   map.c     extents and block maps                   attr.c
 *            attributes
 *   resize.c room for descriptors     dir.c     entries                                  index.c
 *                                     a directory's index
 *   tree.c   who is whose parent      count.c   bitmaps, counts                          repair.c
 *            the same, written
 *   torn.c   a superblock that was cut while it was written                              orphans.c
 *            the orphan file
 *
 * It reads through the file system's own code where that only computes (checksums, hashes, entries,
 * geometry), and walks by itself where the file system would stop at the first damage. Blocks are
 * claimed one owner at a time; the walk of a file ends at its first fault, so that no tree of
 * blocks is walked twice, however it is knotted.
 */
#ifndef FSCK_H
#define FSCK_H

#include <libos/fsck.h>

#include "../ext4/dir.h"
#include "../ext4/super.h"

/* What pass 1 keeps of an inode. */
struct seen_inode {
	uint32_t refs;                   /* entries that name it, "." and ".." with them */
	uint16_t links;                  /* what it says itself */
	uint8_t type;                    /* enum ext4_ft; EXT4_FT_UNKNOWN: its mode is none */
	bool used : 1, indexed : 1;
	bool broken : 1;                 /* its blocks cannot be followed */
};

struct seen_dir {
	uint32_t ino, parent;            /* who names it; 0: nobody yet */
	uint32_t dotdot;
	uint32_t visit;                  /* tree.c */
};

/* An inode whose attributes lie in a block. */
struct attr_ref {
	uint64_t block;
	uint32_t ino;
};

/* An array that grows. */
struct rows {
	void *at;
	size_t count, room;
};

struct fsck {
	const struct fsck_options *options;
	struct fsck_result *result;
	struct ext4_super *s;
	struct super vfs;                /* what inodes of the file system's code point to */
	struct ext4_inode *scratch;      /* the inode under look, for that code */
	/* what was told of the superblock when recovery looked for it; 0: it is right */
	int super_error;
	bool from_copy;                  /* the superblock is a backup: nothing is written */
	int error;                       /* -EIO, -ENOMEM: the check could not go on */
	uint64_t told;
	uint8_t *blocks;                 /* a bit for each block that has an owner */
	struct seen_inode *inodes;       /* by number - 1 */
	struct rows dirs, attrs;         /* struct seen_dir by number, struct attr_ref */
	bool large_file;                 /* there is a file of 2 GiB or more */
	/* the superblock's counts are not those of the groups: a crash leaves that */
	bool stale_sums;
};

/* ---- fsck.c ---- */

/* A fault that is left to e2fsck, in a sentence; and one of what follows from the rest. */
void damage(struct fsck *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void wrong_count(struct fsck *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void say(struct fsck *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Not the disk's contents but the machine fails: the check ends. */
bool has_failed(struct fsck *f, int error);
/* A row of `bytes` bytes more, zeroed; NULL: no memory, and the check ends. */
void *rows_add(struct fsck *f, struct rows *r, size_t bytes);
/* Reads a block; NULL: it cannot be read, and the check ends. */
struct buffer *fsck_read(struct fsck *f, uint64_t block);

static inline struct seen_inode *seen(struct fsck *f, uint32_t ino) { return &f->inodes[ino - 1]; }
struct seen_dir *seen_dir(struct fsck *f, uint32_t ino); /* NULL: no directory */

/* ---- disk.c ---- */

/* 0, or -EOPNOTSUPP with a line in the log: features whose structures are not looked at. */
int refuse_unknown(struct blkdev *dev, const struct ext4_disk_super *d);
int disk_open(struct fsck *f, struct blkdev *d);
void disk_close(struct fsck *f);
/* Descriptors; false: inode tables cannot be found. */
bool disk_open_groups(struct fsck *f);
void disk_claim_groups(struct fsck *f);
/* The blocks belong to one owner: NULL, or why not; then none is taken. */
const char *claim(struct fsck *f, uint64_t block, uint64_t count);

/* A copy of the superblock that is right: the group it lies in, or 0. */
uint32_t super_read_copy(struct blkdev *d, struct ext4_disk_super *out);

/* ---- torn.c, recover.c ---- */

/* Before anything else, when the superblock is damaged and may be written. 0, -EIO, -ENOMEM. */
int mend_torn_super(struct fsck *f, struct blkdev *d);

bool needs_recovery(const struct ext4_disk_super *d);
int recover(struct fsck *f, struct blkdev *d);
void check_journal(struct fsck *f);

/* ---- map.c ---- */

struct walk {
	struct fsck *f;
	uint32_t ino, seed;
	const struct ext4_disk_inode *raw;
	bool claims;                     /* pass 1; later passes only visit */
	/* Each run of the file's blocks, in order; false ends the walk. NULL: none. */
	bool (*visit)(struct walk *w, uint64_t first, uint64_t block, uint32_t len, bool unwritten);
	void *arg;
	/* Found: */
	uint64_t blocks;                 /* of the disk, those of the map with them */
	uint64_t end;                    /* behind the last block of the file */
	uint64_t written_end;            /* and the last that is written */
	bool unwritten;
};

/* NULL, or the fault that ended it. */
const char *walk_blocks(struct walk *w);

/* ---- inode.c, resize.c, attr.c, orphans.c ---- */

void check_inodes(struct fsck *f);
void inode_fault(struct fsck *f, uint32_t ino, const char *what);
uint64_t inode_size(const struct ext4_disk_inode *raw);
/* Is the number of 512-byte units, or of blocks, right that the inode says it has? */
bool block_count_is_right(const struct fsck *f, const struct ext4_disk_inode *raw, uint64_t blocks);
void check_resize(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw);
void check_inode_attrs(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw);
void check_attr_blocks(struct fsck *f);
void check_orphan_file(struct fsck *f);

/* ---- dir.c, index.c ---- */

void check_dirs(struct fsck *f);

/* The block of a directory that has an index: what its entries' hashes are. */
struct leaf {
	uint32_t low, high;
	/* an index block; there are entries; the index leads to it */
	bool node, seen, found;
	uint64_t block;                  /* of the disk; 0: a hole */
};

struct dir_scan {
	struct fsck *f;
	struct seen_dir *dir;
	uint32_t ino, blocks;
	struct leaf *leaves;             /* of each block, if there is an index */
	bool indexed;
	uint8_t version;                 /* of its hash */
	uint32_t next;                   /* block that should come next */
	bool broken;
};

void dir_fault(struct dir_scan *d, uint32_t at, const char *what);
bool index_begin(struct dir_scan *d, const struct buffer *root);
void index_end(struct dir_scan *d);

/* ---- tree.c, count.c, repair.c ---- */

void check_tree(struct fsck *f);
void check_links(struct fsck *f);

/* What the bitmaps of a group should be; `map` has a block's bytes. How many of them are free. */
uint32_t found_blocks(const struct fsck *f, uint32_t group, uint8_t *map);
uint32_t found_inodes(const struct fsck *f, uint32_t group, uint8_t *map, uint32_t *dirs);
void check_counts(struct fsck *f);
int repair_counts(struct fsck *f);

#endif
