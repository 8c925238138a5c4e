/*
 * Block devices as files: /dev/vda, and /dev/disk/by-id/virtio-SERIAL.
 *
 * In images with files their bytes go through pages (block_pages.c), with O_DIRECT past them;
 * without, each read and write goes to the device at once. They wait for the device (libos/file.h),
 * which always answers. What write() has reported is durable after fsync(), or at once with O_SYNC
 * or O_DSYNC.
 *
 * A disk that a file system has taken cannot be opened for writing (EBUSY), and is read past the
 * pages, since the file system changes it underneath them.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/abi.h>
#include <libos/blkdev.h>

#include "block.h"
#include "vfs.h"

#define BY_ID            "/dev/disk/by-id/virtio-"

#define HAS_PAGES IS_ENABLED(CONFIG_VFS)

static kssize_t block_read(struct file *f, struct uio *u)
{
	struct blkdev *d = f->object;

	if (!HAS_PAGES)
		return block_direct(d, u, 0, true);
	if (f->flags & O_DIRECT)
		return uio_is_aligned(u, d->block_bytes) ? block_pages_read_past(f, u) : -EINVAL;
	return blkdev_is_claimed(d) ? block_direct(d, u, 0, true) : block_pages_read(f, u);
}

static kssize_t block_write(struct file *f, struct uio *u)
{
	uint32_t blk_flags = f->flags & O_DSYNC ? BLK_FUA : 0;
	struct blkdev *d = f->object;
	kssize_t n;
	int error;

	if (!HAS_PAGES)
		return block_direct(d, u, blk_flags, false);
	if (f->flags & O_DIRECT)
		return uio_is_aligned(u, d->block_bytes) ? block_pages_write_past(f, u, blk_flags)
							 : -EINVAL;
	n = block_pages_write(f, u);
	if (n <= 0 || !blk_flags)
		return n;
	error = block_pages_sync(f);
	return error ? error : n;
}

static int64_t block_seek(struct file *f, int64_t offset, int whence)
{
	const struct blkdev *d = f->object;

	return file_seek(f, offset, whence, (int64_t)d->bytes);
}

static int block_sync(struct file *f, bool data_only)
{
	(void)data_only;
	return HAS_PAGES ? block_pages_sync(f) : blkdev_flush(f->object);
}

static uint32_t block_poll(struct file *f)
{
	(void)f;
	return POLL_IN | POLL_OUT;
}

uint64_t block_number(const struct blkdev *d)
{
	return (uint64_t)d->major << 8 | (d->minor & 0xff) | (uint64_t)(d->minor & ~0xffu) << 12;
}

static int block_stat(struct file *f, struct kstat *st)
{
	const struct blkdev *d = f->object;

	st->mode = S_IFBLK | 0660;
	st->ino = d->minor + 1;
	st->rdev = block_number(d);
	return 0;
}

/* Discards or zeroes a range that the caller names in bytes. */
static int block_range(struct file *f, enum blk_op op, uintptr_t arg)
{
	struct blkdev *d = f->object;
	uint64_t range[2];
	struct blkreq *r;
	int error;

	if (user_read(range, (void *)arg, sizeof(range)) < 0)
		return -EFAULT;
	if ((f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if ((range[0] | range[1]) & (d->block_bytes - 1) || range[0] > d->bytes ||
	    range[1] > d->bytes - range[0])
		return -EINVAL;
	if (!range[1])
		return 0;
	r = kzalloc(sizeof(*r)); /* not on the stack, of which callers have little */
	if (!r)
		return -ENOMEM;
	*r = (struct blkreq){ .op = op, .offset = range[0], .len = range[1] };
	if (HAS_PAGES)
		block_pages_change_begin(f, range[0], range[0] + range[1]);
	error = blkdev_wait(d, r);
	if (HAS_PAGES)
		block_pages_change_end(f);
	kfree(r);
	return error;
}

static int block_ioctl(struct file *f, unsigned long request, uintptr_t arg)
{
	const struct blkdev *d = f->object;
	uint64_t sectors = d->bytes / 512;

	switch (request) {
	case BLKGETSIZE64:
		return user_write((void *)arg, &d->bytes, sizeof(d->bytes));
	case BLKGETSIZE:
		return user_write((void *)arg, &sectors, sizeof(sectors));
	case BLKSSZGET:
	case BLKPBSZGET:
		return user_write((void *)arg, &(int){ (int)d->block_bytes }, sizeof(int));
	case BLKROGET:
		return user_write((void *)arg, &(int){ d->read_only }, sizeof(int));
	case BLKFLSBUF:
		return HAS_PAGES ? block_pages_forget(f) : 0;
	case BLKDISCARD:
		return block_range(f, BLK_DISCARD, arg);
	case BLKZEROOUT:
		return block_range(f, BLK_WRITE_ZEROES, arg);
	default:
		return -ENOTTY;
	}
}

static struct cache *block_pages(struct file *f)
{
	return HAS_PAGES && !blkdev_is_claimed(f->object) ? block_pages_cache(f) : NULL;
}

static bool writes(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY;
}

static void block_release(struct file *f)
{
	if (HAS_PAGES)
		block_pages_close(f->object);
	if (writes(f))
		blkdev_close_writer(f->object);
	kfree(f);
}

static const struct file_ops block_ops = {
	.kind = "block device",
	.read = block_read,
	.write = block_write,
	.poll = block_poll,
	.seek = block_seek,
	.sync = block_sync,
	.stat = block_stat,
	.ioctl = block_ioctl,
	.pages = block_pages,
	.release = block_release,
};

static struct blkdev *device_of(const char *path)
{
	if (str_starts_with(path, BY_ID))
		return blkdev_find_serial(path + sizeof(BY_ID) - 1);
	return str_starts_with(path, "/dev/") ? blkdev_find(path + 5) : NULL;
}

static int open_device(struct blkdev *d, uint32_t flags, struct file **out)
{
	bool writing = (flags & O_ACCMODE) != O_RDONLY;
	int error = writing ? blkdev_open_writer(d) : 0;

	if (error)
		return error;
	*out = file_create(&block_ops, d, flags);
	error = !*out ? -ENOMEM : HAS_PAGES ? block_pages_open(d, *out) : 0;
	if (!error)
		return 0;
	if (writing)
		blkdev_close_writer(d);
	kfree(*out);
	return error;
}

int block_open(const char *path, uint32_t flags, struct file **out)
{
	struct blkdev *d = device_of(path);

	return d ? open_device(d, flags, out) : -ENOENT;
}

int block_open_number(uint64_t rdev, uint32_t flags, struct file **out)
{
	for (struct blkdev *d = blkdev_next(NULL); d; d = blkdev_next(d)) {
		if (block_number(d) == rdev)
			return open_device(d, flags, out);
	}
	return -ENXIO;
}
