/*
 * Open files: what a descriptor refers to.
 *
 * Operations never wait. Where they cannot go on they return -EAGAIN, and the object's poll_queue
 * tells when to try again; file_read() and its like in libos/posix/blocking.c do the waiting, with
 * time-outs, signals and O_NONBLOCK written once.
 *
 * Files on disks are the exception: their operations may wait for the device, uninterruptibly,
 * since a disk always answers, by an error if need be. They never answer -EAGAIN.
 *
 * A file is reference-counted: one reference per descriptor and one per call in progress. The last
 * file_put() calls release(), in thread context.
 */
#ifndef LIBOS_FILE_H
#define LIBOS_FILE_H

#include <core/types.h>
#include <libos/poll.h>
#include <libos/uio.h>

struct cache;
struct file;
struct kstat;            /* libos/vfs: Linux's struct stat as riscv64 has it */

struct file_ops {
	const char *kind; /* "pipe", "socket": for /proc and logs */
	/* bytes, 0 at the end, -EAGAIN, errno */
	kssize_t (*read)(struct file *f, struct uio *u);
	kssize_t (*write)(struct file *f, struct uio *u);
	uint32_t (*poll)(struct file *f);                         /* POLL_* that hold now */
	struct poll_queue *(*poll_queue)(struct file *f);         /* NULL: always ready */
	int (*ioctl)(struct file *f, unsigned long request, uintptr_t arg);
	int64_t (*seek)(struct file *f, int64_t offset, int whence);
	int (*stat)(struct file *f, struct kstat *st);
	int (*sync)(struct file *f, bool data_only);
	uint64_t (*timeout_ns)(struct file *f, bool reading);     /* of one wait; 0: none */
	/* of a file whose bytes lie in pages (libos/cache.h) */
	struct cache *(*pages)(struct file *f);
	/* by a path, before anybody has it; may be missing */
	void (*opened)(struct file *f);
	void (*release)(struct file *f);                          /* frees f's object, then f */
};

/* Where a file lies, if it lies in a file system; libos/vfs.h knows more. */
struct file_place {
	const struct file_place_ops *ops;
};
struct file_place_ops {
	int (*stat)(struct file_place *p, struct kstat *st);
	/* After the file's own release(); `was` is where the file lay. */
	void (*release)(struct file_place *p, const void *was);
};

/*
 * What the page cache remembers of an open file. Threads that read one file together only spoil its
 * guesses.
 */
enum { FILE_IN_ANY_ORDER, FILE_IN_NO_ORDER, FILE_IN_ORDER };

struct file_view {
	uint64_t next;        /* the page behind the last one read */
	uint64_t trigger;     /* who reads this page asks for the next window */
	uint64_t asked;       /* pages before this one have been asked for */
	uint32_t window;      /* pages, 0: reads are in no order */
	uint32_t errors_seen; /* cache_error_check() */
	uint32_t advice;      /* FILE_IN_*: as posix_fadvise() numbers them */
};

struct file {
	uint32_t refs;               /* atomic; first, so that its address is the file's */
	/* O_APPEND, O_NONBLOCK, access mode as Linux riscv64 numbers them; atomic */
	uint32_t flags;
	/* [I] a missing operation answers as Linux does (-EINVAL, -ESPIPE, -ENOTTY...) */
	const struct file_ops *ops;
	int64_t position;            /* [position_lock] */
	struct mutex position_lock;
	struct list epoll_items;     /* [epoll's lock] the epolls that watch this file */
	void *object;                /* the pipe, socket, ... */
	struct file_view view;       /* files with pages */
	struct file_place *place;    /* [I] or NULL */
};

/* NULL: no memory; one reference */
struct file *file_create(const struct file_ops *ops, void *object, uint32_t flags);
struct file *file_get(struct file *f);
void file_put(struct file *f);

/* Attributes: of its place, else as its kind has them. 0 or an errno. */
int file_stat(struct file *f, struct kstat *st);

/*
 * lseek() of a file of `size` bytes: the new position, -EINVAL, -ENXIO. Nowhere behind `max`, where
 * there are no files so long.
 */
int64_t file_seek(struct file *f, int64_t offset, int whence, int64_t size);
int64_t file_seek_within(struct file *f, int64_t offset, int whence, int64_t size, int64_t max);

#endif
