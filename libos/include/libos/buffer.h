/*
 * Metadata buffers: the blocks of a disk that a file system reads and changes as structures.
 *
 * File bytes live in pages (libos/cache.h); inodes, bitmaps, directories and the like live here,
 * one buffer for each block of the file system, found by its number. There is never more than one
 * buffer of a block, so who holds it sees every change at once.
 *
 * A buffer stays as long as somebody holds it, it is dirty, or a journal has it; else it may go
 * when memory is short, the longest unused first. Without a journal a changed buffer is marked
 * dirty and goes home by buffers_write(); with one, the journal alone says when (libos/journal.h),
 * so that nothing reaches its place before the transaction that changed it is durable.
 *
 * What the disk holds is hostile. A reader verifies a block once, after it came from the disk, and
 * sets BUFFER_VERIFIED; the flag goes with the contents.
 *
 * Contents are guarded by the locks of whoever owns the structure (a directory's inode, a group's
 * lock); the cache's own lock guards which buffers there are. Threads only: reading waits.
 *
 * A disk opened through /dev goes through pages, not through these: who writes to a mounted disk
 * past its file system is refused (EBUSY).
 */
#ifndef LIBOS_BUFFER_H
#define LIBOS_BUFFER_H

#include <core/list.h>
#include <core/sync.h>
#include <core/tree.h>
#include <core/types.h>
#include <libos/blkdev.h>
#include <libos/cache.h>

#define BUFFER_VALID    1u /* the contents are the block's: read, or made anew */
#define BUFFER_VERIFIED 2u /* its owner has checked them */
#define BUFFER_DIRTY    4u /* differs from the disk, and may go home */
#define BUFFER_BUSY     8u /* a transfer is under way */

struct journal_block;
struct kmem_cache;

/*  Locks:  I set once   c the cache's lock   a atomic   j the journal's lock */
struct buffer {
	struct tree_node node;         /* [c] by block */
	struct list link;              /* [c] in the cache's dirty or unused list */
	struct buffer_cache *cache;    /* [I] */
	uint64_t block;                /* [I] */
	uint8_t *data;                 /* [I] block_bytes of them, aligned to as many */
	uint32_t refs;                 /* [a] dirty ones have one for that */
	uint32_t flags;                /* [a] BUFFER_*; DIRTY changes under [c] */
	struct journal_block *journal; /* [j] NULL: no transaction knows it */
};

struct buffer_cache {
	struct blkdev *dev;            /* [I] */
	uint32_t block_bytes;          /* [I] 1024, 2048 or 4096 */
	/* [I] the file system's size; what lies behind is -EIO, and never asked of the disk */
	uint64_t blocks;
	struct kmem_cache *memory;     /* [I] of contents smaller than a page */
	struct spinlock lock;
	struct tree buffers;           /* [c] */
	struct list unused, dirty;     /* [c] oldest first */
	uint64_t count, unused_count, dirty_count; /* [c] */
	struct waitq ended;            /* transfers */
	struct cache_shrinker shrinker; /* gives buffers back when memory is short */
};

/* 0, -EINVAL for a block size that is none or smaller than the device's, -ENOMEM. */
int buffers_init(struct buffer_cache *c, struct blkdev *d, uint32_t block_bytes, uint64_t blocks);
/* Nobody holds a buffer any more, none is dirty (asserted): frees all. */
void buffers_destroy(struct buffer_cache *c);

/* The block with its contents, read if need be: 0 and *out with a reference, -EIO, -ENOMEM. */
int buffer_read(struct buffer_cache *c, uint64_t block, struct buffer **out);
/*
 * The same without reading: of a block that is about to be written as a whole; zeroes if it was not
 * there.
 */
int buffer_make(struct buffer_cache *c, uint64_t block, struct buffer **out);
/* Only if it is there and valid, with a reference; else NULL. */
struct buffer *buffer_find(struct buffer_cache *c, uint64_t block);
/* Starts reading blocks that will be wanted, without waiting. */
void buffers_read_ahead(struct buffer_cache *c, uint64_t block, unsigned count);
struct buffer *buffer_hold(struct buffer *b);
void buffer_put(struct buffer *b); /* NULL is harmless */

/*
 * No journal: the change may go home from now on. 0; -EIO: the contents are gone, since the block
 * was freed after it was read, as on a damaged disk where two structures have it.
 */
int buffer_mark_dirty(struct buffer *b);
/*
 * Forgets contents and changes: the block was freed. Its next reader finds what the disk has. Waits
 * for a transfer that is under way, so that what is written there next is not overwritten.
 */
void buffer_discard(struct buffer *b);
/*
 * Writes one buffer, or all dirty ones, and waits; the device's cache is not flushed. 0 or the
 * first error. What could not be written counts as clean afterwards: the error is told once, to who
 * can act on it.
 */
int buffer_write(struct buffer *b, uint32_t blk_flags);
int buffers_write(struct buffer_cache *c);
/* Memory is short: frees unused clean buffers, at most `count`; how many. */
size_t buffers_reclaim(struct buffer_cache *c, size_t count);

#endif
