/*
 * For tests of the page cache: a disk in memory that keeps commands until it is told to go on,
 * fails where it is told to and counts; and a file on it whose blocks lie anywhere, are holes, or
 * unwritten.
 */
#ifndef VFS_CACHE_RIG_H
#define VFS_CACHE_RIG_H

#include <core/executor.h>
#include <libos/blkdev.h>
#include <libos/cache.h>

#define RIG_DISK_BYTES MIB(4)
#define RIG_BLOCKS_MAX 1024u     /* of a file */
#define RIG_HOLE       UINT32_MAX

struct rig_disk {
	struct blkdev dev;
	uint8_t *bytes;
	struct task task;
	struct spinlock lock;
	struct list taken;            /* [lock] commands */
	bool hold;                    /* [lock] they stay */
	uint64_t bad_from, bad_to;    /* commands that touch these bytes fail */
	uint32_t reads, writes, flushes;         /* atomic: commands */
	uint64_t bytes_read, bytes_written;      /* atomic */
};

struct rig_disk *rig_disk(void); /* the one there is, as new; blocks of 512 bytes */
void rig_disk_hold(struct rig_disk *d, bool hold);
unsigned rig_disk_held(struct rig_disk *d);
void rig_disk_break(struct rig_disk *d, uint64_t from, uint64_t to); /* 0, 0: whole again */

struct rig_file {
	struct cache cache;
	struct rig_disk *disk;
	int64_t size;
	uint32_t block_bytes;
	uint32_t at[RIG_BLOCKS_MAX];        /* block on the disk, or RIG_HOLE */
	bool unwritten[RIG_BLOCKS_MAX];
	bool taken[RIG_DISK_BYTES / 512];   /* blocks of the disk */
	uint32_t next;                      /* where the search for a free one goes on */
	uint32_t stride;                    /* 1: neighbours lie together */
	int64_t prepare_fails_at;           /* -1: never */
	unsigned no_memory;                 /* so many times place() has none */
	uint32_t open_handles;              /* prepared and not finished */
};

struct rig_file *rig_file_new(struct rig_disk *d, uint32_t block_bytes);
void rig_file_free(struct rig_file *f);
/*
 * Lays [from, to) out on the disk with bytes that rig_byte() tells, and lets the file end there at
 * least.
 */
void rig_file_fill(struct rig_file *f, int64_t from, int64_t to);
uint8_t rig_byte(int64_t offset);
/* a hole from now on; its place may be given out again */
void rig_file_release(struct rig_file *f, uint32_t block);

kssize_t rig_read(struct rig_file *f, void *buf, size_t len, int64_t offset, struct file_view *v);
kssize_t rig_write(struct rig_file *f, const void *buf, size_t len, int64_t offset);
/* Does the disk have these bytes in the file's blocks? */
bool rig_on_disk(struct rig_file *f, const void *buf, size_t len, int64_t offset);

#endif
