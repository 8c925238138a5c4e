/*
 * Block devices: requests go down, completions come up, and each error reaches who asked.
 *
 * A caller fills a struct blkreq and calls blkdev_submit() any number of times, then blkdev_kick()
 * once per batch. done() comes exactly once for each request, in a thread or executor task without
 * locks held; it may submit more, take mutexes for short sections, and must not wait. The
 * request and the memory it names belong to the device from submit to done().
 *
 * Between submit and the driver lies a queue (blk_queue.c): neighbours are merged into one command,
 * what is larger than the device takes goes in pieces, reads and writes that somebody waits for go
 * before background write-back. Requests under way together are in no order: who cares waits.
 *
 * Durability. A write is done when the device has it, perhaps in a volatile cache. A BLK_FLUSH
 * makes durable every write that was done before it was submitted; a write with BLK_FUA is durable
 * itself when done. Devices without a volatile cache are always durable, and their flushes end at
 * once. When a device had to be reset, its requests under way end with -EIO, and so does the next
 * flush: nobody knows what its cache still held. If a file system has it, or one of its partitions,
 * so do all flushes until none has: whose flush comes first is not who must not rely on what was
 * written.
 *
 * Memory: pieces come from page_alloc() or kmalloc(), so each is contiguous for the device.
 */
#ifndef LIBOS_BLKDEV_H
#define LIBOS_BLKDEV_H

#include <core/list.h>
#include <core/sync.h>
#include <core/types.h>

struct blkdev;
struct block_pages;

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_WRITE_ZEROES };

#define BLK_FUA        1u /* BLK_WRITE: durable when done */
#define BLK_BACKGROUND 2u /* nobody waits for it: others go first */
#define BLK_UNMAP      4u /* BLK_WRITE_ZEROES: the device may give the space back */

/* of a disk: places in files are signed, and sums of them fit, too */
#define BLKDEV_BYTES_MAX (1ull << 62)

struct blk_vec { void *base; size_t len; }; /* len: a multiple of the device's block */

/*  Locks:  I the caller's, fixed from submit to done   d the device's lock */
struct blkreq {
	enum blk_op op;                            /* [I] */
	uint32_t flags;                            /* [I] BLK_* */
	/* [I] bytes, multiples of the block; BLK_FLUSH has none */
	uint64_t offset, len;
	/* [I] of reads and writes: `len` bytes together */
	const struct blk_vec *vecs;
	size_t vec_count;                          /* [I] */
	void (*done)(struct blkreq *r, int error); /* [I] 0, -EIO, -ENOSPC, -EOPNOTSUPP, ... */
	void *user;                                /* [I] */
	/* the queue's own */
	struct list link;                          /* [d] */
	uint64_t at;                               /* [d] where it begins on the whole disk */
	uint64_t progress;                         /* [d] bytes of it that are done or under way */
	size_t vec_at, vec_done;                   /* [d] where the next piece begins */
	bool flushing;                             /* [d] written, and now its flush is under way */
};

/* One command of the device: a run of blocks, made of one or more requests. */
struct blk_command {
	struct list link;        /* [d] while free */
	enum blk_op op;          /* [driver while it runs] */
	uint32_t flags;          /* BLK_FUA only if the device has it */
	uint64_t offset, len;
	struct blk_vec *vecs;    /* at most max_vecs, none longer than max_vec_bytes */
	size_t vec_count;
	unsigned index;          /* [I] below depth: for the driver's own arrays */
	struct list requests;    /* [d] */
};

struct blkdev_ops {
	/*
	 * Takes a command, without publishing it yet. There are never more than `depth`. Called
	 * with the device's lock held, from any thread or task; as is kick(). blk_command_done()
	 * must not come from inside either.
	 */
	void (*start)(struct blkdev *d, struct blk_command *c);
	void (*kick)(struct blkdev *d);
};

struct blk_stats {
	uint64_t requests[5], bytes[5]; /* by enum blk_op, as submitted */
	uint64_t commands, merged, errors;
};

/*  Locks:  I set before registration   d lock   r the registry's   a atomic */
struct blkdev {
	struct list link;               /* [r] */
	char name[16]; /* [I] "vda"; without one, the registry gives vda, vdb, ... */
	char serial[32];                /* [I] what the device says; "" when it has none */
	uint64_t bytes;                 /* [I] a multiple of block_bytes */
	uint32_t block_bytes;           /* [I] power of two from 512 to 4096 */
	/* [r] for st_rdev: as Linux numbers virtio disks, RAM disks, partitions beyond 15 */
	uint32_t major, minor;
	bool read_only;                 /* [I] */
	bool write_cache;               /* [I] volatile: flushes mean something */
	bool has_fua;                   /* [I] understands BLK_FUA itself */
	uint32_t max_vecs;              /* [I] of one command */
	uint32_t max_vec_bytes;         /* [I] */
	uint32_t max_bytes;             /* [I] of a read or write command */
	uint64_t max_discard_bytes;     /* [I] 0: no discard */
	uint64_t max_zeroes_bytes;      /* [I] 0: zeroes are written like other bytes */
	uint32_t depth;                 /* [I] commands under way at most */
	const struct blkdev_ops *ops;   /* [I] */
	void *driver;                   /* [I] */
	/* [I] of a partition: the disk whose queue it uses; else NULL */
	struct blkdev *whole;
	uint64_t start;                 /* [I] of a partition: where it begins */
	unsigned part;                  /* [I] of a partition: its number, from 1 */
	char part_uuid[40];             /* [I] what the table calls it, or "" */
	char part_label[40];            /* [I] */

	uint32_t writers;               /* [r] who has it open for writing */
	/* [r] odd while a file system has it; grows with each change */
	uint32_t claims;
	struct block_pages *pages;      /* [libos/vfs] while it is open as a file */

	struct spinlock lock;
	/* [d] requests: those somebody waits for, background ones */
	struct list waiting[2];
	struct list free;               /* [d] commands */
	struct blk_command *commands;   /* [I] */
	struct blk_vec *vecs;           /* [I] max_vecs for each command */
	uint32_t in_flight;             /* [d] commands */
	uint32_t passed_over;           /* [d] commands since background ones were looked at */
	bool flush_runs;                /* [d] one at a time: later ones gather */
	bool dead;                      /* [d] everything ends with -EIO */
	bool lost_writes;               /* [d] flushes end with -EIO */
	struct blk_stats stats;         /* [d] */
};

/*
 * Drivers, threads: makes the device known. 0, -EINVAL for impossible limits, -ENOMEM. It stays for
 * ever.
 */
int blkdev_register(struct blkdev *d);
/* A part of a disk (whole, start, bytes, name and the part_* are filled in): 0, -EINVAL. */
int blkdev_register_part(struct blkdev *d);
/*
 * Drivers, thread or task: a command has ended; its requests' done() are called from here. After a
 * bunch of these, blkdev_kick() sends on what has waited.
 */
void blk_command_done(struct blkdev *d, struct blk_command *c, int error);
/*
 * Drivers, after a reset or a burial: the device has no command any more, and those that it had
 * have not been ended yet, since who hears of their -EIO and flushes must hear that writes are
 * lost.
 */
void blkdev_was_reset(struct blkdev *d, bool dead);

/*
 * Calls appeared() for each device that is registered from now on, in the thread that does it. One
 * listener.
 */
void blkdev_set_listener(void (*appeared)(struct blkdev *d));
struct blkdev *blkdev_next(struct blkdev *after);            /* NULL: the first */
struct blkdev *blkdev_find(const char *name);                /* NULL: no such device */
struct blkdev *blkdev_find_serial(const char *serial);

/*
 * A disk that a file system has taken is its own: nobody opens it for writing, nor the disk that it
 * is a partition of, nor its partitions; and it is not taken while somebody has. 0, -EBUSY, and for
 * writers -EROFS of a read-only device.
 */
int blkdev_claim(struct blkdev *d);
void blkdev_release(struct blkdev *d);
/* it, its disk, or one of its partitions */
bool blkdev_is_claimed(const struct blkdev *d);
int blkdev_open_writer(struct blkdev *d);
void blkdev_close_writer(struct blkdev *d);

/*
 * Threads and tasks. A request that can never be (out of range, not in whole blocks, a write to a
 * read-only device) ends with -EINVAL, -EIO beyond the end, -EROFS, from inside submit.
 */
void blkdev_submit(struct blkdev *d, struct blkreq *r);
void blkdev_kick(struct blkdev *d);

/* Submits, kicks and waits. Threads, not tasks. `buf` as above. 0 or done()'s error. */
int blkdev_wait(struct blkdev *d, struct blkreq *r);
int blkdev_read(struct blkdev *d, uint64_t offset, void *buf, size_t len);
int blkdev_write(struct blkdev *d, uint64_t offset, const void *buf, size_t len, uint32_t flags);
int blkdev_flush(struct blkdev *d);

#endif
