/*
 * What programs say to the page cache: sync, and hints of what will be read.
 *
 * Files without pages answer as on Linux: pipes and sockets ESPIPE or EINVAL. In memory file
 * systems there is nothing to write, to read ahead or to forget.
 */
#include <core/errno.h>
#include <libos/abi.h>
#include <libos/blkdev.h>
#include <libos/cache.h>
#include <libos/vfs.h>

#include "fd.h"
#include "io.h"
#include "syscalls.h"

enum {
	ADVICE_NORMAL,
	ADVICE_RANDOM,
	ADVICE_SEQUENTIAL,
	ADVICE_WILLNEED,
	ADVICE_DONTNEED,
	ADVICE_NOREUSE,
	ADVICES
};

#define SYNC_WAIT_BEFORE 1u
#define SYNC_WRITE       2u
#define SYNC_WAIT_AFTER  4u

#define HAS_DISKS IS_ENABLED(CONFIG_BLOCK)

static struct cache *pages_of(struct file *f)
{
	return f->ops->pages ? f->ops->pages(f) : NULL;
}

/* The end of a range of `len` bytes; 0 bytes: all that follows. */
static int64_t range_end(int64_t offset, int64_t len)
{
	return !len || len > INT64_MAX - offset ? INT64_MAX : offset + len;
}

/* ---- hints ---- */

static void advise(struct file *f, struct cache *c, int64_t from, int64_t to, int advice)
{
	if (advice == ADVICE_WILLNEED) {
		cache_read_ahead(c, from, to);
	} else if (advice == ADVICE_DONTNEED) {
		cache_sync(c, from, to, false);
		cache_drop(c, from, to);
	} else if (advice != ADVICE_NOREUSE) {
		f->view.advice = advice == ADVICE_NORMAL ? FILE_IN_ANY_ORDER :
				 advice == ADVICE_RANDOM ? FILE_IN_NO_ORDER : FILE_IN_ORDER;
	}
}

long sys_fadvise64(int fd, long offset, long len, int advice)
{
	struct file *f = fd_get(fd);
	struct cache *c;
	long ret = 0;

	if (!f)
		return -EBADF;
	if (!f->ops->seek)
		ret = -ESPIPE;
	else if (offset < 0 || len < 0 || advice < 0 || advice >= ADVICES)
		ret = -EINVAL;
	else if (HAS_DISKS && (c = pages_of(f)))
		advise(f, c, offset, range_end(offset, len), advice);
	file_put(f);
	return ret;
}

long sys_readahead(int fd, long offset, size_t len)
{
	struct file *f = fd_get(fd);
	struct cache *c;
	long ret = 0;

	if (!f)
		return -EBADF;
	c = pages_of(f);
	if (!file_may(f, true))
		ret = -EBADF;
	else if (!c || offset < 0)
		ret = -EINVAL;
	else if (HAS_DISKS)
		cache_read_ahead(c, offset,
				 len > INT64_MAX / 2 ? INT64_MAX
						     : range_end(offset, (int64_t)MAX(len, 1ul)));
	file_put(f);
	return ret;
}

/* ---- sync ---- */

static int sync_range(struct file *f, struct cache *c, int64_t from, int64_t to, unsigned flags)
{
	bool wait = flags & (SYNC_WAIT_BEFORE | SYNC_WAIT_AFTER);
	int error = 0;

	if (flags)
		error = cache_sync(c, from, to, wait);
	if (wait && !error)
		error = cache_error_check(c, &f->view);
	return error;
}

long sys_sync_file_range(int fd, long offset, long len, unsigned flags)
{
	struct file *f = fd_get(fd);
	struct cache *c;
	long ret = 0;

	if (!f)
		return -EBADF;
	if (flags & ~(SYNC_WAIT_BEFORE | SYNC_WRITE | SYNC_WAIT_AFTER) || offset < 0 || len < 0 ||
	    len > INT64_MAX - offset)
		ret = -EINVAL;
	else if (!f->ops->seek)
		ret = -ESPIPE;
	else if (HAS_DISKS && (c = pages_of(f)))
		ret = sync_range(f, c, offset, range_end(offset, len), flags);
	file_put(f);
	return ret;
}

/* The disks that are open as files; those of file systems have been synced with them. */
static void sync_disks(void)
{
	struct blkdev *d = NULL;

	cache_sync_device(NULL, true);
	while ((d = blkdev_next(d))) {
		if (__atomic_load_n(&d->writers, __ATOMIC_RELAXED))
			blkdev_flush(d);
	}
}

long sys_sync(void)
{
	vfs_sync_all();
	if (HAS_DISKS)
		sync_disks();
	return 0;
}

long sys_syncfs(int fd)
{
	struct file *f = fd_get(fd);
	const struct path *p;
	struct super *s;
	long ret = 0;

	if (!f)
		return -EBADF;
	p = file_path(f);
	s = p ? path_inode(p)->super : NULL;
	if (s && s->ops->sync)
		ret = s->ops->sync(s);
	file_put(f);
	return ret;
}
