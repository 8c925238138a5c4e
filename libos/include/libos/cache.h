/*
 * Cached bytes: the pages of one file, found by their place in it.
 *
 * A cache holds pages of a file sparsely. Without a backing the pages are the file (tmpfs): what
 * has no page reads as zeroes, and a budget bounds how many there are. With one, pages are copies
 * of what the disk has or will have: they are filled when they are read, ahead of sequential
 * readers, go to the disk by age and pressure, and may be forgotten when memory is short and they
 * are clean.
 *
 * Whoever looks at a page holds a reference, so that truncation takes a page out of its file at
 * once while a reader, or the network, still finishes with its bytes; the last reference frees it.
 * Copies from and to callers happen without locks, since they may fault.
 *
 * A backing says where bytes lie; the cache does the transfers itself. Blocks of the backing may be
 * smaller than pages (512 bytes at least), not larger. One cache of a block device and one for each
 * file use the same memory and the same rules.
 *
 * Writers. Those of one file come one at a time (the file's lock). A page under way to the disk may
 * be changed meanwhile: it is dirty again and will be written again (pages are not stable).
 *
 * Durability. cache_sync() writes what was dirty when it was called and waits; the device's own
 * cache is not flushed. Each error of a write is told once to each opener (cache_error_check()),
 * also of writes in the background. A page whose write failed stays readable and is clean.
 *
 * Locks, in order: whatever lock the file's writers take, the cache's lock, the lock of the lists
 * that reclaim walks. The last two are spinlocks, under which only the allocator is called; the
 * backing's functions are called with neither.
 */
#ifndef LIBOS_CACHE_H
#define LIBOS_CACHE_H

#include <core/list.h>
#include <core/sync.h>
#include <core/types.h>
#include <libos/file.h>
#include <libos/uio.h>

struct blkdev;
struct cache;
struct cache_node;

/* What several caches may have together, in pages. */
struct cache_budget {
	uint64_t used, max;  /* used is atomic; max 0: no bound */
};

struct cache_extent {
	enum { CACHE_HOLE, CACHE_UNWRITTEN, CACHE_MAPPED } kind; /* the first two read as zeroes */
	/* CACHE_MAPPED, CACHE_UNWRITTEN: where it begins on the device, in bytes */
	uint64_t disk;
	int64_t len;     /* bytes, > 0 */
};

/*
 * What a backing implements, in threads; all may wait for the disk. Offsets and lengths are
 * multiples of block_bytes, and may go beyond the file's end by less than a page. Results are 0 or
 * an errno.
 */
struct cache_backing_ops {
	/*
	 * What lies at `offset`: at most `len` bytes, as far as it goes in one piece. Changes
	 * nothing.
	 */
	int (*map)(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e);
	/*
	 * Bytes [offset, offset + len) (here not rounded) are about to change: the backing
	 * allocates, or promises room, so that write-back cannot fail for lack of it. -ENOSPC,
	 * -EROFS, -EIO. The writer holds the file's lock; pages are in memory already, so a
	 * journal's handle may stay open until finish(), which comes exactly once after each
	 * prepare() that succeeded, when [offset, offset + done) is in dirty pages; the file's size
	 * may grow there. `done` may be less than `len`, or 0. *token is the backing's.
	 */
	int (*prepare)(struct cache *c, int64_t offset, int64_t len, void **token);
	void (*finish)(struct cache *c, int64_t offset, int64_t done, void *token);
	/*
	 * Before write-back takes pages: bytes that have no place on the disk get one (delayed
	 * allocation). No journal's handle is open. An error is who waits told; pages that stay
	 * without a place stay dirty, or fail in place(). May be NULL.
	 */
	int (*settle)(struct cache *c, bool wait);
	/*
	 * As map(), for write-back of what was prepared: never a hole. -EAGAIN: it has no place
	 * yet, -ENOMEM: there was no memory; it stays dirty.
	 */
	int (*place)(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e);
	/*
	 * The bytes are on the device (error 0), or are not: an unwritten extent becomes written.
	 * Called before who waits for the pages goes on, only when place() said CACHE_UNWRITTEN.
	 * May be NULL. Its error is one of writing.
	 */
	int (*written)(struct cache *c, int64_t offset, int64_t len, int error);
	/*
	 * Instead of the cache's own transfers, for files whose bytes do not lie in extents of
	 * their own (inline data, data journaling): fill or write one page. NULL: the cache does it
	 * through map() and place(). `len`: where the last change in the page ends, which may be
	 * behind the file's end. After -ENOMEM the page stays dirty.
	 */
	int (*read_page)(struct cache *c, uint64_t index, uint8_t *bytes);
	int (*write_page)(struct cache *c, uint64_t index, const uint8_t *bytes, size_t len);
};

#define CACHE_VALID   1u  /* the bytes are the file's */
#define CACHE_FILLING 2u  /* somebody reads or makes its bytes: others wait */
#define CACHE_DIRTY   4u  /* differs from the disk */
#define CACHE_WRITING 8u  /* under way to the disk */
#define CACHE_GONE    16u /* out of its file */
#define CACHE_FAILED  32u /* GONE since it could not be read: `error` */
#define CACHE_USED    64u /* looked at since reclaim came by */
#define CACHE_AGAIN   128u /* and once more */

enum { CACHE_LIST_NONE, CACHE_LIST_INACTIVE, CACHE_LIST_ACTIVE };

/*
 * Locks:  I set once   c the cache's lock   l the lists' lock   a atomic   f who fills or writes it
 */
struct cache_page {
	/*
	 * [a] one of them the cache's, while it has the page; first, so that its address is the
	 * page's
	 */
	uint32_t refs;
	uint32_t state;          /* [c] CACHE_*; read without it, too */
	uint8_t *bytes;          /* [I] PAGE_SIZE of them */
	uint64_t index;          /* [I] */
	struct cache *cache;     /* [c] valid until GONE */
	struct list link;        /* [l] of the list below; on none without a backing */
	uint8_t on_list;         /* [l] CACHE_LIST_* */
	uint32_t transfers;      /* [a] of the fill or the write under way */
	int16_t error;           /* [a] of the same */
	uint8_t dirty;           /* [c] a bit for each 512 bytes */
	uint8_t writing_sectors; /* [f] the same, of those under way */
};

struct cache {
	struct spinlock lock;
	struct cache_node *root;       /* [c] pages by index (cache_index.c) */
	unsigned height;               /* [c] */
	uint64_t count;                /* [c] pages */
	const int64_t *size;           /* [I] where the file's owner keeps its size */
	struct cache_budget *budget;   /* [I] or NULL */

	/* With a backing: */
	const struct cache_backing_ops *ops; /* [file's lock] NULL: none */
	struct blkdev *dev;            /* [I] */
	uint32_t block_bytes;          /* [I] */
	uint32_t errors;               /* [c] writes that failed, counted; read without it, too */
	uint32_t errors_told;          /* [a] how many there were when somebody was told */
	int error;                     /* [c] the last one's errno */
	uint64_t dirty, writing;       /* [c] pages */
	uint32_t fills;                /* [c] under way */
	uint32_t cuts;                 /* [c] nobody may begin a fill */
	uint32_t pins;                 /* [a] reclaim and write-back that are at it */
	struct list dirty_link;        /* [dirty caches' lock] */
	uint64_t joined;               /* [the same] its number in the list */
	uint64_t dirty_since_ns;       /* [the same] */
	/* [the same] the last cache_sync_device() that has waited for it */
	uint64_t synced;
};

/* `size` is read whenever the cache must know where the file ends, without a lock. */
void cache_init(struct cache *c, const int64_t *size, struct cache_budget *budget);
void cache_init_backed(struct cache *c, const int64_t *size, const struct cache_backing_ops *ops,
		       struct blkdev *dev, uint32_t block_bytes);
/* Lets go of every page, dirty ones too, and waits for what is under way. */
void cache_destroy(struct cache *c);

/*
 * Copies at u->offset, at most to the file's end: bytes, 0 at or behind it, -EFAULT, -EIO, -ENOMEM.
 * `view` is the open file's (read-ahead), or NULL.
 */
kssize_t cache_read(struct cache *c, struct uio *u, struct file_view *view);
/*
 * Copies to u->offset: bytes, -EFAULT, -ENOMEM, -ENOSPC (the budget) and what prepare() says.
 * Without a backing, who writes sets the file's new size after it; with one, finish() does. Waits
 * while too much is dirty, so nobody comes with a journal's handle open.
 */
kssize_t cache_write(struct cache *c, struct uio *u);

/*
 * The same for O_DIRECT, with a backing: pages are written before the call returns, and forgotten.
 * An error of the write is told by the call, and to openers as any other.
 */
kssize_t cache_read_past(struct cache *c, struct uio *u);
kssize_t cache_write_past(struct cache *c, struct uio *u);

/* Without a backing: makes pages for [from, to) that read as zeroes: 0, -ENOSPC, -ENOMEM. */
int cache_reserve(struct cache *c, int64_t from, int64_t to);
/*
 * Without a backing: the first byte at or after `from` that has a page (or has none); INT64_MAX:
 * there is none.
 */
int64_t cache_seek(struct cache *c, int64_t from, bool data);

/*
 * [from, to) reads as zeroes from now on; whole pages are given back. `to` may be INT64_MAX. With a
 * backing this waits for reads and writes of the range under way, marks nothing dirty, and until
 * cache_cut_end() no page is filled, so that the backing can free blocks in between:
 *
 *   file's lock; set the new size (truncation); cache_cut_begin(); journal handles, blocks freed;
 *   cache_cut_end()
 *
 * Not with a journal's handle open. Bytes of pages that are cut in part are zero in memory; the
 * backing sees to them on the disk, for instance by cache_zero() before. cache_cut() is both, for
 * where there is nothing to do in between.
 */
void cache_cut_begin(struct cache *c, int64_t from, int64_t to);
void cache_cut_end(struct cache *c);
void cache_cut(struct cache *c, int64_t from, int64_t to);
/* Writes zeroes as cache_write() would, within one page: 0 or an errno. */
int cache_zero(struct cache *c, int64_t from, int64_t to);

/* ---- to the disk ---- */

/*
 * Starts writing what is dirty in [from, to), and waits for it if asked: 0, or an error of those
 * writes. -ENOMEM: some of it is dirty as before.
 */
int cache_sync(struct cache *c, int64_t from, int64_t to, bool wait);
/* Every cache of a device (NULL: of all): those of the files of a file system. The first error. */
int cache_sync_device(struct blkdev *dev, bool wait);
bool cache_is_dirty(struct cache *c);       /* or something is under way to the disk */
/*
 * Has a write failed since this opener asked last (or opened: cache_error_open())? 0 or its errno,
 * once. What nobody has been told counts for who opens the file next.
 */
void cache_error_open(struct cache *c, struct file_view *view);
int cache_error_check(struct cache *c, struct file_view *view);

/* ---- hints ---- */

/* Starts reading pages that will be wanted; waits for no page. */
void cache_read_ahead(struct cache *c, int64_t from, int64_t to);
/* Forgets clean pages of [from, to) that nobody holds; whole pages only. */
void cache_drop(struct cache *c, int64_t from, int64_t to);
bool cache_has_page(struct cache *c, uint64_t index); /* mincore() */

/* ---- lending ---- */

/*
 * A page for somebody who lends its bytes on, read if need be: 0 and *out with a reference; *out
 * NULL: a hole, of a cache without backing. -EIO, -ENOMEM. cache_page_put() may come from any
 * thread or task, and after the cache has ended.
 */
int cache_page_get(struct cache *c, uint64_t index, struct file_view *view,
		   struct cache_page **out);
/* by who has a reference, or the cache's lock */
static inline void cache_page_hold(struct cache_page *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
}
void cache_page_put(struct cache_page *p);

/* ---- memory ---- */

struct cache_stats {
	uint64_t pages, dirty, writing;              /* with a backing; pages now */
	uint64_t filled, read_ahead, written, reclaimed; /* pages since boot */
	uint64_t throttled;                          /* times that a writer waited */
};
void cache_stats(struct cache_stats *out);
/* Forgets clean pages that were not used lately, at most `count`: how many. Threads and tasks. */
size_t cache_reclaim(size_t count);

/*
 * Others who can do without some memory: asked when it is short, in a task, which must not wait for
 * a disk.
 */
struct cache_shrinker {
	struct list link;                                               /* the cache's */
	/* how many it gave back, about */
	size_t (*shrink)(struct cache_shrinker *s, size_t pages);
};
void cache_shrinker_add(struct cache_shrinker *s);
void cache_shrinker_remove(struct cache_shrinker *s);   /* on return it is not being asked */

#endif
