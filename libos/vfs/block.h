/* Block devices as files: the parts among themselves. */
#ifndef VFS_BLOCK_H
#define VFS_BLOCK_H

#include <libos/file.h>

struct blkdev;
struct cache;

/* block_direct.c: any offset and length; bytes, 0 or -ENOSPC at the end, -EIO, -EFAULT, -ENOMEM. */
kssize_t block_direct(struct blkdev *d, struct uio *u, uint32_t blk_flags, bool reading);

/* block_pages.c: the same through pages, for images with files. */
int block_pages_open(struct blkdev *d, struct file *f);       /* 0, -ENOMEM */
/* the last one writes and forgets everything */
void block_pages_close(struct blkdev *d);
struct cache *block_pages_cache(struct file *f);
kssize_t block_pages_read(struct file *f, struct uio *u);
kssize_t block_pages_write(struct file *f, struct uio *u);
int block_pages_sync(struct file *f);
/* Past the pages: what is dirty in the range is written before, and nothing of it is remembered. */
kssize_t block_pages_read_past(struct file *f, struct uio *u);
kssize_t block_pages_write_past(struct file *f, struct uio *u, uint32_t blk_flags);
/* the disk changes by itself ... */
void block_pages_change_begin(struct file *f, uint64_t from, uint64_t to);
void block_pages_change_end(struct file *f);                               /* ... until here */
int block_pages_forget(struct file *f);                       /* BLKFLSBUF */

#endif
