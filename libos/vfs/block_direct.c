/*
 * Reading and writing disks without pages in between: with O_DIRECT, of disks that a file system
 * has taken, and in images without files.
 *
 * Bytes go through a bounce buffer, since a caller's memory need be neither contiguous nor aligned;
 * a write that does not fill its first and last block reads them before.
 *
 * Locks: transfers, a mutex of writers, held from reading a block that is to be changed in part to
 * writing it. Readers take none, so that they keep the device busy together.
 */
#include <core/errno.h>
#include <core/page.h>
#include <core/sync.h>
#include <libos/abi.h>
#include <libos/blkdev.h>

#include "block.h"

#define BOUNCE_ORDER_MAX 5u /* 128 KiB */

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
	/* a bad pointer in the middle: only whole blocks that were filled */
	if ((size_t)n < s.len) {
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

kssize_t block_direct(struct blkdev *d, struct uio *u, uint32_t blk_flags, bool reading)
{
	struct bounce b;
	kssize_t done = 0, n = 0;

	if (!u->left || (uint64_t)u->offset >= d->bytes)
		return u->left && !reading ? -ENOSPC : 0;
	if (!bounce_alloc(&b, u->left))
		return -ENOMEM;
	if (!reading)
		mutex_lock(&transfers);
	while (u->left && (uint64_t)u->offset < d->bytes) {
		n = reading ? read_step(d, &b, u) : write_step(d, &b, u, blk_flags);
		if (n <= 0)
			break;
		done += n;
	}
	if (!reading)
		mutex_unlock(&transfers);
	bounce_free(&b);
	return done ? done : n;
}
