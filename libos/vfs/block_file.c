/*
 * Block devices as files: /dev/vda, and /dev/disk/by-id/virtio-SERIAL.
 *
 * Reads and writes go to the device at once, through a bounce buffer, since a caller's memory need be
 * neither contiguous nor aligned; a write that does not fill its first and last block reads them
 * before. They wait for the device (libos/file.h), which always answers. What write() has reported
 * is durable after fsync(), or at once with O_SYNC or O_DSYNC.
 *
 * Locks: transfers, a mutex, held from reading a block that is to be changed in part to writing it.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <libos/abi.h>
#include <libos/blkdev.h>

#include "vfs.h"

#define BOUNCE_ORDER_MAX 5u          /* 128 KiB */
#define BY_ID            "/dev/disk/by-id/virtio-"

static struct mutex transfers = MUTEX_INIT(transfers);

struct bounce {
	uint8_t *bytes;
	unsigned order;
};

/* As large as is useful and to be had. */
static bool bounce_alloc(struct bounce *b, size_t len)
{
	b->order = MIN(page_order_for(MAX(len, PAGE_SIZE) + PAGE_SIZE), BOUNCE_ORDER_MAX);
	while (!(b->bytes = page_alloc(b->order, PAGE_CACHE)) && b->order)
		b->order--;
	return b->bytes;
}

static void bounce_free(struct bounce *b)
{
	page_free(b->bytes, b->order);
}

/* The part of a transfer that goes in one request: whole blocks around [at, at + len). */
struct step {
	uint64_t start, end;
	size_t skip, len;
};

static struct step step_of(const struct blkdev *d, const struct bounce *b, uint64_t at, size_t left)
{
	struct step s = { .start = ALIGN_DOWN(at, (uint64_t)d->block_bytes) };
	uint64_t end = ALIGN_UP(MIN(at + left, d->bytes), (uint64_t)d->block_bytes);

	s.end = MIN(end, s.start + (PAGE_SIZE << b->order));
	s.skip = (size_t)(at - s.start);
	s.len = (size_t)MIN(left, s.end - at);
	return s;
}

static kssize_t read_step(struct blkdev *d, struct bounce *b, struct uio *u)
{
	struct step s = step_of(d, b, (uint64_t)u->offset, u->left);
	int error = blkdev_read(d, s.start, b->bytes, (size_t)(s.end - s.start));

	return error ? error : uio_copy_out(u, b->bytes + s.skip, s.len);
}

static bool step_is_whole(const struct blkdev *d, const struct step *s)
{
	return !s->skip && IS_ALIGNED(s->len, (size_t)d->block_bytes);
}

static kssize_t write_step(struct blkdev *d, struct bounce *b, struct uio *u, uint32_t flags)
{
	struct step s = step_of(d, b, (uint64_t)u->offset, u->left);
	size_t span = (size_t)(s.end - s.start);
	int64_t at = u->offset;
	kssize_t n;
	int error = 0;

	if (!step_is_whole(d, &s))
		error = blkdev_read(d, s.start, b->bytes, span);
	if (error)
		return error;
	n = uio_copy_in(u, b->bytes + s.skip, s.len);
	if (n <= 0)
		return n;
	if ((size_t)n < s.len) { /* a bad pointer in the middle: only whole blocks that were filled */
		span = ALIGN_DOWN(s.skip + (size_t)n, (size_t)d->block_bytes);
		n = (kssize_t)span - (kssize_t)s.skip;
		if (n <= 0)
			return -EFAULT;
	}
	error = blkdev_write(d, s.start, b->bytes, span, flags);
	if (error)
		u->offset = at;
	return error ? error : n;
}

static kssize_t block_transfer(struct file *f, struct uio *u, bool reading)
{
	struct blkdev *d = f->object;
	uint32_t flags = f->flags & O_DSYNC ? BLK_FUA : 0;
	struct bounce b;
	kssize_t done = 0, n = 0;

	if (!u->left || (uint64_t)u->offset >= d->bytes)
		return u->left && !reading ? -ENOSPC : 0;
	if (!bounce_alloc(&b, u->left))
		return -ENOMEM;
	mutex_lock(&transfers);
	while (u->left && (uint64_t)u->offset < d->bytes) {
		n = reading ? read_step(d, &b, u) : write_step(d, &b, u, flags);
		if (n <= 0)
			break;
		done += n;
	}
	mutex_unlock(&transfers);
	bounce_free(&b);
	return done ? done : n;
}

static kssize_t block_read(struct file *f, struct uio *u)
{
	return block_transfer(f, u, true);
}

static kssize_t block_write(struct file *f, struct uio *u)
{
	return block_transfer(f, u, false);
}

static int64_t block_seek(struct file *f, int64_t offset, int whence)
{
	const struct blkdev *d = f->object;

	return file_seek(f, offset, whence, (int64_t)d->bytes);
}

static int block_sync(struct file *f, bool data_only)
{
	(void)data_only;
	return blkdev_flush(f->object);
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
	error = blkdev_wait(d, r);
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
		return 0;
	case BLKDISCARD:
		return block_range(f, BLK_DISCARD, arg);
	case BLKZEROOUT:
		return block_range(f, BLK_WRITE_ZEROES, arg);
	default:
		return -ENOTTY;
	}
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
};

static struct blkdev *device_of(const char *path)
{
	if (str_starts_with(path, BY_ID))
		return blkdev_find_serial(path + sizeof(BY_ID) - 1);
	return str_starts_with(path, "/dev/") ? blkdev_find(path + 5) : NULL;
}

static int open_device(struct blkdev *d, uint32_t flags, struct file **out)
{
	if (d->read_only && (flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	if (blkdev_is_claimed(d) && (flags & O_ACCMODE) != O_RDONLY)
		return -EBUSY;
	*out = file_create(&block_ops, d, flags);
	return *out ? 0 : -ENOMEM;
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
