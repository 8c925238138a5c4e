/*
 * ext4, for the files of this directory. docs/filesystems.md tells how they fit together.
 *
 *   mount.c super.c ... mounting, features, options, damage          trans.c     handles, with a
 *                                                                    journal or without
 *   inode.c icache.c    inodes: in memory, on the disk               ialloc.c    inode numbers
 *   dir.c htree.c ...   directories                                  namei.c rename.c  operations
 *                       on names
 *   symlink.c xattr.c   short texts of inodes                        inline.c    data in inodes
 *   group.c balloc.c    group descriptors, bitmaps, blocks           map.c ...   where a file's
 *                       blocks lie
 *   truncate.c orphan.c files that shrink and go                     file.c ...   open files, their
 *                                                                    bytes
 *
 * Each change of an inode in memory is copied into its block in the same handle, so a commit always
 * holds a whole operation, and there is no list of changed inodes.
 *
 * Locks, in order: those of the VFS (libos/vfs.h), the inode's; a handle; the inode's map_lock; a
 * group's lock; the inode's raw_lock; spinlocks. What the disk holds is hostile: every count and
 * pointer is checked before it is used.
 */
#ifndef EXT4_H
#define EXT4_H

#include <core/list.h>
#include <core/sync.h>
#include <core/time.h>
#include <core/types.h>
#include <libos/buffer.h>
#include <libos/cache.h>
#include <libos/journal.h>
#include <libos/vfs.h>

#include "ondisk.h"

enum ext4_data_mode { EXT4_DATA_ORDERED, EXT4_DATA_WRITEBACK, EXT4_DATA_JOURNAL };

struct ext4_options {
	enum ext4_data_mode data;
	bool read_only, panic, noload, no_barrier, discard;
	bool delays;                     /* blocks are found when they are written */
	uint32_t commit_ms;
};

struct ext4_group;                       /* group.c */
struct ext4_orphans;                     /* orphan.c */

#define EXT4_ICACHE_BUCKETS 512u

/*  Locks:  I set by mounting   a atomic   h handles_lock   i icache_lock   s super_lock */
struct ext4_super {
	struct super *vfs;               /* [I] */
	struct blkdev *dev;              /* [I] */
	struct buffer_cache buffers;     /* of all metadata */
	struct buffer *super_buffer;     /* [I] */
	struct ext4_disk_super *disk;    /* [s] in super_buffer */
	struct ext4_options options;     /* [I] */
	/* [I] features; RECOVER and ORPHAN_PRESENT as at mounting */
	uint32_t compat, incompat, ro_compat;
	uint32_t block_bytes, block_shift;    /* [I] 1024 to 4096 */
	/* [I] of the file system, and those that never hold a file's bytes */
	uint64_t blocks, overhead;
	uint32_t first_data_block;       /* [I] */
	uint32_t groups;                 /* [I] how many */
	uint32_t blocks_per_group, inodes_per_group; /* [I] */
	uint32_t inodes, first_ino;      /* [I] */
	uint32_t inode_bytes, inode_extra; /* [I] size of an inode, extra_isize of new ones */
	uint32_t desc_bytes;             /* [I] 32 or 64 and more */
	uint32_t inodes_per_block;       /* [I] */
	uint32_t csum_seed;              /* [I] */
	uint32_t hash_seed[4];           /* [I] of directories */
	/* [I] of new directories, with the signedness of characters */
	uint8_t hash_version;
	bool hash_unsigned;              /* [I] */
	bool has_csum;                   /* [I] metadata_csum */

	struct journal *journal;         /* [I] NULL: without, or mounted read-only */
	struct ext4_inode *journal_inode; /* [I] in no cache; or NULL */
	/* [I] its checksum was wrong before the journal was replayed */
	bool torn;
	uint32_t damaged;                /* [a] nothing is written any more */
	struct mutex super_lock;
	/* of blocks of attributes, for their counts of references (xattr_change.c) */
	struct mutex sharing_lock;

	/* without a journal: who writes buffers home waits for all handles */
	struct mutex handles_lock;
	struct waitq handles_wait;
	uint32_t handles;                /* [h] open ones */
	bool handles_stopped;            /* [h] */
	struct mutex write_lock;         /* one at a time writes all buffers */

	struct ext4_group *group;        /* [I] array; its owner is group.c */
	struct tree zones;               /* [I] zone.c's own */
	/* [a] sums over the groups, kept by who changes a group */
	uint64_t free_blocks, free_inodes, dirs;
	struct spinlock space_lock;      /* bfree.c, reserve.c */
	/* [space_lock] blocks whose freeing is durable, or failed */
	struct list freed;
	struct list reserves;            /* [space_lock] of inodes: blocks set aside */
	uint64_t freeing;                /* [a] blocks that are free, but not for others yet */
	uint32_t discards;               /* [a] of freed blocks, under way */
	struct waitq discards_wait;
	/* [a] blocks that are promised; that are being taken (delayed.c) */
	uint64_t delayed, claimed;
	struct ext4_orphans *orphans;    /* [I] orphan.c's own */

	struct spinlock icache_lock;
	struct waitq icache_wait;        /* for inodes that are on their way out, or in */
	struct list icache[EXT4_ICACHE_BUCKETS]; /* [i] by number */
	uint32_t icache_count;           /* [i] */
	uint32_t next_generation;        /* [a] */
};

static inline struct ext4_super *ext4_super_of(const struct inode *inode)
{
	return inode->super->own;
}

static inline bool ext4_has_compat(const struct ext4_super *s, uint32_t f) { return s->compat & f; }
static inline bool ext4_has_incompat(const struct ext4_super *s, uint32_t f)
{
	return s->incompat & f;
}
static inline bool ext4_has_ro(const struct ext4_super *s, uint32_t f) { return s->ro_compat & f; }

/*
 * One operation: either a journal's handle or, without a journal, a place in the queue of those who
 * change buffers.
 */
struct ext4_handle {
	struct ext4_super *super;
	struct journal_handle *journal;  /* NULL: there is none */
	bool touched;                    /* it has announced changes since it was started */
	/* and they are not whole: the operation has to go on, or take them back */
	bool half;
	bool places;                     /* it takes blocks that are promised */
};

/*  Locks:  I set once   i inode's lock   m map_lock   r raw_lock   c icache_lock   o orphan.c's */
struct ext4_inode {
	struct inode inode;              /* refs: from 0 only under icache_lock */
	struct list hash;                /* [c] */
	/* [c] while it is read others wait */
	enum { EXT4_INODE_NEW, EXT4_INODE_READY, EXT4_INODE_BAD } state;
	uint32_t flags;                  /* [i, or m for EXTENTS and INLINE_DATA] EXT4_FL_* */
	uint32_t generation;             /* [I] */
	uint32_t csum_seed;              /* [I] */
	uint32_t block[15];              /* [m] as on the disk */
	uint64_t xattr_block;            /* [i] 0: none */
	/* [m] what the disk's inode says; inode.size may be ahead */
	int64_t disk_size;
	uint16_t extra_isize;            /* [I] */
	bool has_inode_xattrs;           /* [i] */
	uint32_t parent_ino;             /* directories: [i] a hint for allocation; 0: unknown */
	uint32_t dtime;                  /* [o] as on the disk: the next on the orphan list */
	struct list orphan;              /* [o] */
	struct mutex map_lock;           /* where blocks lie */
	struct mutex raw_lock;           /* copying into the disk's inode */
	struct cache bytes;              /* regular files: their pages */
	struct ext4_handle writing;      /* [i] between prepare() and finish() of a write */
	struct journal_ordered ordered;
	/* [m] transactions of the last change, of the last that matters to fdatasync() */
	journal_tid sync_tid, datasync_tid;
	/* [m] blocks at the end that have no place yet (delayed.c) */
	struct { uint32_t first, count, pending; } delayed;
	bool map_is_checked;             /* [m] the root of the extent tree was */
	struct {                         /* reserve.c: blocks set aside for the file's growth */
		struct list link;        /* while there are any */
		uint64_t block;
		uint32_t len;
	} reserve;                       /* [space_lock] */
};

static inline struct ext4_inode *ext4_of(const struct inode *inode)
{
	return container_of((struct inode *)(uintptr_t)inode, struct ext4_inode, inode);
}

/* ---- mount.c, super.c ---- */

/*
 * Damage was found: a line in the log with its place, the superblock notes it, and the file system
 * turns read-only or the machine panics, as errors= has it. `block` and `ino` may be 0. Returns
 * -EUCLEAN. Any thread; with or without a handle, and any lock of ours but super_lock.
 */
int ext4_damaged(struct ext4_super *s, const char *where, uint32_t ino, uint64_t block,
		 const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Without a journal: an operation was left half done. e2fsck is asked to look at the disk. */
void ext4_super_doubt(struct ext4_super *s);
/*
 * recovery.c. The disk failed: nothing that is in memory reaches it any more, and the file system
 * is read-only.
 */
void ext4_abort(struct ext4_super *s, int error);
bool ext4_is_read_only(const struct ext4_super *s);        /* mounted so, or damaged since */
/* Is [block, block + count) on the disk, and not the superblock or before? */
bool ext4_blocks_are_valid(const struct ext4_super *s, uint64_t block, uint64_t count);
/* zone.c. May the inode have them, too: are they not the file system's own? */
bool ext4_blocks_may_be_files(const struct ext4_inode *i, uint64_t block, uint64_t count);
void ext4_super_csum_set(struct ext4_super *s);
/* In a handle of its own: change() under super_lock, the checksum after it. 0 or an errno. */
int ext4_super_change(struct ext4_super *s, void (*change)(struct ext4_super *s));
extern const struct fs_type ext4_type;

/* ---- options.c ---- */

/*
 * Fills in `o`, on which the superblock's defaults stand already: 0, -EINVAL with a line in the
 * log.
 */
int ext4_options_parse(struct ext4_options *o, const char *text);

/* ---- trans.c ---- */

/*
 * May change `blocks` buffers. 0, -EROFS, -EIO, -ENOSPC, -ENOMEM. Not nested; see libos/journal.h.
 */
int ext4_start(struct ext4_super *s, unsigned blocks, struct ext4_handle *h);
int ext4_stop(struct ext4_handle *h);
/*
 * `error` if it is one, else what ext4_stop() says. -EIO from an operation that has changed
 * something, -ENOMEM from one whose changes are not whole: they must not become durable, so nothing
 * does any more (ext4_abort()).
 *
 * Functions that take a handle say "or nothing" where -ENOMEM leaves things as they were, or whole;
 * h->half is as before then.
 */
int ext4_stop_with(struct ext4_handle *h, int error);
void ext4_judge(struct ext4_handle *h, int error);          /* the same without the end */
int ext4_touch(struct ext4_handle *h, struct buffer *b);    /* before b->data is changed */
/* The buffer of a block whose contents nobody needs, touched and to be put; or nothing. */
int ext4_buffer_make(struct ext4_handle *h, uint64_t block, struct buffer **out);
/* it is freed; nobody holds its buffer's contents dear */
int ext4_forget(struct ext4_handle *h, uint64_t block);
bool ext4_extend(struct ext4_handle *h, unsigned blocks);
int ext4_restart(struct ext4_handle *h, unsigned blocks);
unsigned ext4_credits(const struct ext4_handle *h);         /* without a journal: plenty */
journal_tid ext4_tid(const struct ext4_handle *h);          /* without a journal: 0 */
/* Without a journal: all buffers are home, when no handle is open. */
int ext4_write_buffers(struct ext4_super *s);

/* Credits, in buffers. */
#define EXT4_CREDITS_INODE  1u   /* ext4_inode_write() */
/* superblock or a block of the orphan file, neighbours on the list */
#define EXT4_CREDITS_ORPHAN 3u
#define EXT4_CREDITS_IALLOC 5u   /* bitmaps, descriptor, inode, superblock */
#define EXT4_CREDITS_BALLOC 3u   /* one run of blocks: bitmap, descriptor, superblock */

/* ---- icache.c, inode.c ---- */

void ext4_icache_init(struct ext4_super *s);
/*
 * The inode by its number with a reference, read if need be: 0, -EUCLEAN (a number or contents that
 * cannot be), -EIO, -ENOMEM, -ESTALE (it is free). EXT4_IGET_SPECIAL: also those of the file
 * system's own (journal, resize, orphan file). EXT4_IGET_ORPHAN: also with no links.
 */
#define EXT4_IGET_SPECIAL 1u
#define EXT4_IGET_ORPHAN  2u
int ext4_iget(struct ext4_super *s, uint32_t ino, unsigned flags, struct ext4_inode **out);
/*
 * A new one for a number that was just allocated, in the cache, where others wait for it, and not
 * on the disk. NULL: no memory. It ends NEW by ext4_inode_publish(), once it is whole, or
 * ext4_inode_abandon().
 */
struct ext4_inode *ext4_inode_new(struct ext4_super *s, const struct inode *dir, uint32_t ino,
				  uint32_t mode);
void ext4_inode_publish(struct ext4_super *s, struct ext4_inode *i);
void ext4_inode_abandon(struct ext4_super *s, struct ext4_inode *i);
void ext4_inode_forget(struct inode *inode);               /* inode_ops.forget */
void ext4_inode_free(struct ext4_inode *i);                /* its memory; it has left the cache */
void ext4_inode_set_ops(struct ext4_inode *i);             /* by its type */
/* Copies the inode to the disk's, checksum and all. One credit. 0 or an error of the journal. */
int ext4_inode_write(struct ext4_handle *h, struct ext4_inode *i);
/*
 * Takes that credit: ext4_inode_write() in the same transaction finds what it needs. Changes
 * nothing.
 */
int ext4_inode_announce(struct ext4_handle *h, struct ext4_inode *i);
/* As ext4_inode_write(), of a new inode, whose place on the disk holds anything. */
int ext4_inode_write_first(struct ext4_handle *h, struct ext4_inode *i);
/* The disk's inode in its block; the caller puts the buffer. Checked only for place. */
int ext4_inode_raw(struct ext4_super *s, uint32_t ino, struct buffer **b,
		   struct ext4_disk_inode **raw);
void ext4_inode_csum_set(struct ext4_super *s, const struct ext4_inode *i,
			 struct ext4_disk_inode *raw);
/* the nearest that the inode can hold */
void ext4_time_fit(const struct ext4_inode *i, struct abi_timespec *t);
uint32_t ext4_inode_seed(const struct ext4_super *s, uint32_t ino, uint32_t generation);
extern const struct inode_ops ext4_file_inode_ops, ext4_dir_inode_ops, ext4_link_inode_ops,
	ext4_special_inode_ops;

static inline bool ext4_inode_has_extents(const struct ext4_inode *i)
{
	return i->flags & EXT4_FL_EXTENTS;
}

/* ---- ialloc.c ---- */

/*
 * A free inode number near `dir`, marked as used: 0 and *ino, -ENOSPC, -EIO, -EUCLEAN; or nothing.
 * EXT4_CREDITS_IALLOC.
 */
int ext4_ialloc(struct ext4_handle *h, struct ext4_inode *dir, uint32_t mode, uint32_t *ino);
/* The number is free; the inode on the disk says when that was. EXT4_CREDITS_IALLOC. */
int ext4_ifree(struct ext4_handle *h, struct ext4_inode *i);
/* Before that: it finds what it needs then. Takes the credits for it, and changes nothing. */
int ext4_ifree_announce(struct ext4_handle *h, struct ext4_inode *i);
/* of one that never became an inode; or nothing */
int ext4_ifree_number(struct ext4_handle *h, uint32_t ino, bool dir);

/* ---- group.c (descriptors and bitmaps) ---- */

/*
 * Reads and checks all descriptors, fills in the sums: 0, -EUCLEAN with a line in the log, -EIO,
 * -ENOMEM.
 */
int ext4_groups_open(struct ext4_super *s);
void ext4_groups_close(struct ext4_super *s);

/*  Locks:  I set once   g lock */
struct ext4_group {
	struct mutex lock;               /* bitmaps and descriptor */
	struct buffer *buffer;           /* [I] of the descriptor, held */
	struct ext4_disk_group *desc;    /* [g] in it */
	uint64_t block_bitmap, inode_bitmap, inode_table; /* [I] blocks, checked */
	/* [g] as in the descriptor; read without it as hints */
	uint32_t free_blocks, free_inodes, dirs, itable_unused;
	/* space.c's, once the group was used: */
	struct buffer *bitmap;           /* [g] of blocks, held */
	/* [g] what is used or nobody may take yet; NULL: not there */
	uint8_t *taken;
	uint32_t available;              /* [g] free in `taken` */
	/* [g] no run in `taken` is longer; read without it as a hint */
	uint32_t largest_run;
	/* [g] behind what was taken last; read without it as a hint */
	uint32_t next;
};

/* The inode bitmap, checked, computed where it is uninitialised; the group's lock is held. */
int ext4_inode_bitmap(struct ext4_super *s, uint32_t group, struct buffer **out);
int ext4_block_bitmap(struct ext4_super *s, uint32_t group, struct buffer **out);
/* After a change of a bitmap that was touched: its checksum into the descriptor. */
void ext4_inode_bitmap_csum_set(struct ext4_super *s, uint32_t group, struct buffer *bitmap);
void ext4_block_bitmap_csum_set(struct ext4_super *s, uint32_t group, struct buffer *bitmap);
/*
 * Counts and flags of struct ext4_group into the descriptor, with its checksum; the buffer was
 * touched.
 */
void ext4_group_write(struct ext4_super *s, uint32_t group);
/* Has the group a superblock's copy (sparse_super, sparse_super2)? */
bool ext4_group_has_super(const struct ext4_super *s, uint32_t group);
/* Blocks of the group: fewer in the last. */
uint32_t ext4_group_blocks(const struct ext4_super *s, uint32_t group);

static inline uint64_t ext4_group_first_block(const struct ext4_super *s, uint32_t group)
{
	return s->first_data_block + (uint64_t)group * s->blocks_per_group;
}

/* ---- balloc.c, bfree.c (blocks) ---- */

/*
 * Up to *count blocks in a row, at `goal` or near it: 0, *block and *count, -ENOSPC; or nothing.
 * EXT4_CREDITS_BALLOC. The inode's block count is kept by the caller. `i` NULL: for metadata.
 */
int ext4_balloc(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, uint64_t *block,
		uint32_t *count);
/*
 * A new block for metadata, at `goal` or near it, as ext4_buffer_make(), or nothing. `i` as above.
 * EXT4_CREDITS_BALLOC + 1.
 */
int ext4_block_make(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal,
		    struct buffer **out);
/*
 * They become free for others once the transaction is durable; or nothing. `metadata`: buffers of
 * them are revoked and forgotten (of several blocks some may be, then, when memory is wanting).
 */
int ext4_bfree(struct ext4_handle *h, struct ext4_inode *i, uint64_t block, uint32_t count,
	       bool metadata);
/*
 * Before that, and before what leads to the blocks is changed: what is not metadata can be freed
 * then. Changes nothing.
 */
int ext4_bfree_announce(struct ext4_handle *h, struct ext4_inode *i, uint64_t block,
			uint32_t count);
/* where a file's first block should be */
uint64_t ext4_inode_goal(const struct ext4_inode *i);
/*
 * An operation has ended with `error`, and its handle too: should it be tried once more? After
 * -ENOSPC, if blocks were freed and that is not durable yet, or are promised: then all is committed
 * first. *tries, 0 at first, bounds it.
 */
bool ext4_room_may_come(struct ext4_super *s, int error, unsigned *tries);

/* ---- discard.c ---- */

/* FITRIM: as super_ops.trim. */
int ext4_trim(struct super *vfs, uint64_t from, uint64_t len, uint64_t least, uint64_t *trimmed);
void ext4_discards_wait(struct ext4_super *s); /* until none is under way */

/* ---- map.c (extents and old block maps) ---- */

struct ext4_mapping {
	/* the last: bytes, and no place yet */
	enum { EXT4_HOLE, EXT4_UNWRITTEN, EXT4_MAPPED, EXT4_DELAYED } kind;
	uint64_t block;                  /* of the disk, where there is one */
	uint32_t len;                    /* blocks, > 0 */
};

/*
 * What lies at block `at` of the file, at most `max` blocks: 0, -EUCLEAN, -EIO. EXT4_DELAYED comes
 * from here alone.
 */
int ext4_map(struct ext4_inode *i, uint32_t at, uint32_t max, struct ext4_mapping *m);
/*
 * The same, holes being filled, or nothing: with EXT4_MAKE_UNWRITTEN blocks that read as zeroes.
 * ext4_map_credits() buffers.
 */
#define EXT4_MAKE_UNWRITTEN 1u
int ext4_map_make(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint32_t max,
		  unsigned flags, struct ext4_mapping *m);
unsigned ext4_map_credits(const struct ext4_inode *i, uint32_t blocks);
/* Gives a new inode an empty map of the kind that the file system makes. */
void ext4_map_init(struct ext4_inode *i);

/* ---- truncate.c ---- */

/*
 * The file's blocks from `size` on are freed, in as many handles as it takes; the inode's lock is
 * held.
 */
int ext4_truncate(struct ext4_inode *i, int64_t size);

/* ---- orphan.c ---- */

/* At mounting, after replay: deletes and truncates what is listed. */
int ext4_orphans_open(struct ext4_super *s);
void ext4_orphans_close(struct ext4_super *s);
/* or nothing; harmless when it is listed; EXT4_CREDITS_ORPHAN */
int ext4_orphan_add(struct ext4_handle *h, struct ext4_inode *i);
/*
 * Before that: what is announced itself can be added then. Changes nothing, and takes one of those
 * credits.
 */
int ext4_orphan_announce(struct ext4_handle *h);
/* or nothing; harmless when it is not */
int ext4_orphan_remove(struct ext4_handle *h, struct ext4_inode *i);
/*
 * It was forgotten, and could not be taken off the list: true when the list keeps it, for the next
 * mount to see to; the memory is the list's then.
 */
bool ext4_orphan_keep(struct ext4_inode *i);

/* ---- file.c, bytes.c, fallocate.c ---- */

extern const struct file_ops ext4_file_ops;
/* of a regular file that came into memory */
void ext4_bytes_init(struct ext4_inode *i);
/* it leaves memory: writes what is dirty, or drops it */
int ext4_bytes_forget(struct ext4_inode *i, bool drop);
/* ATTR_SIZE; the inode's lock is held */
int ext4_resize(struct inode *inode, int64_t size);
int ext4_allocate(struct inode *inode, int mode, int64_t offset, int64_t len);
/*
 * The handle's transaction is committed when the file's dirty bytes are on the disk, if the mode of
 * its data asks for that.
 */
void ext4_order_bytes(struct ext4_handle *h, struct ext4_inode *i);
/* fsync(), of directories and others, too */
int ext4_sync_inode(struct inode *inode, bool data_only);
/* all files' dirty pages are on the disk */
int ext4_sync_data(struct ext4_super *s);

/* ---- dir.c and its like ---- */

int ext4_lookup(struct inode *dir, const struct vfs_name *n, struct inode **out);
int ext4_iterate(struct inode *dir, struct dir_sink *s, uint64_t *position);
bool ext4_dir_is_empty(struct inode *dir);
int ext4_dir_aliased(struct inode *dir, struct inode *found); /* as super_ops.aliased */
int ext4_dir_parent(struct ext4_inode *dir, uint32_t *ino); /* ".." */

/* ---- symlink.c, xattr.c, inline.c ---- */

kssize_t ext4_read_link(struct inode *inode, char *buf, size_t size);
unsigned ext4_link_credits(size_t len);
/* of a new link */
int ext4_link_write(struct ext4_handle *h, struct ext4_inode *i, const char *target);
bool ext4_link_is_fast(const struct ext4_inode *i);        /* its target lies in the inode */
kssize_t ext4_xattr_get(struct inode *inode, const char *name, void *buf, size_t size);
int ext4_xattr_set(struct inode *inode, const char *name, const void *value, size_t size,
		   int flags);
/* the file goes: its block of attributes is freed, or has one user less */
int ext4_xattr_drop(struct ext4_inode *i);
kssize_t ext4_xattr_list(struct inode *inode, char *buf, size_t size);
/* Bytes of a file or link that lies in its inode: how many, 0 at the end, -EUCLEAN, -EIO. */
kssize_t ext4_inline_read(struct ext4_inode *i, uint64_t offset, void *buf, size_t size);

#endif
