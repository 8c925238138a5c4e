/*
 * Open regular files: reading, writing, seeking, and what makes their bytes durable. The bytes
 * themselves are bytes.c's.
 *
 * Locks: the inode's for writers; readers need none.
 */
#include <core/errno.h>

#include "journaled.h"
#include "map.h"

/* ---- durability ---- */

/* The pages are written: a commit that has not flushed yet makes them durable, too. */
static int sync_journal(struct ext4_super *s, const struct ext4_inode *i, bool data_only)
{
	journal_tid tid = data_only ? i->datasync_tid : i->sync_tid;
	bool flushed = s->options.no_barrier || journal_will_flush(s->journal, tid);
	int error = journal_wait(s->journal, tid);

	return error || flushed ? error : blkdev_flush(s->dev);
}

int ext4_sync_inode(struct inode *inode, bool data_only)
{
	struct ext4_inode *i = ext4_of(inode);
	struct ext4_super *s = ext4_super_of(inode);
	int error = inode_kind(inode) == S_IFREG ? cache_sync(&i->bytes, 0, INT64_MAX, true) : 0;

	if (error)
		return error;
	if (s->journal)
		return sync_journal(s, i, data_only);
	error = ext4_write_buffers(s);
	return error ? error : blkdev_flush(s->dev);
}

static int file_sync(struct file *f, bool data_only)
{
	struct ext4_inode *i = ext4_of(f->object);
	int error = ext4_sync_inode(f->object, data_only),
	    before = cache_error_check(&i->bytes, &f->view);

	return error ? error : before;
}

/* ---- files ---- */

/* Apart, since most reads are not noted. */
static __attribute__((noinline)) void note_read(struct inode *inode)
{
	struct ext4_handle h;

	inode_touch(inode, TOUCH_A_ALWAYS);
	if (!ext4_start(ext4_super_of(inode), EXT4_CREDITS_INODE, &h))
		ext4_stop_with(&h, ext4_inode_write(&h, ext4_of(inode)));
}

/* O_DIRECT asks for whole blocks of the device. */
static bool may_go_past(const struct ext4_inode *i, const struct uio *u)
{
	return uio_is_aligned(u, extent_super(i)->dev->block_bytes);
}

/* Apart, too, so that other reads have a small frame. */
static __attribute__((noinline)) kssize_t read_directly(struct ext4_inode *i, struct uio *u)
{
	return may_go_past(i, u) ? cache_read_past(&i->bytes, u) : -EINVAL;
}

static kssize_t file_read(struct file *f, struct uio *u)
{
	struct ext4_inode *i = ext4_of(f->object);
	kssize_t n;

	if (likely(!(f->flags & O_DIRECT)))
		n = cache_read(&i->bytes, u, &f->view);
	else
		n = read_directly(i, u);
	if (n > 0 && unlikely(file_access_is_due(f)))
		note_read(&i->inode);
	return n;
}

static kssize_t write_locked(struct file *f, struct ext4_inode *i, struct uio *u)
{
	int error;

	if (f->flags & O_APPEND)
		u->offset = i->inode.size;
	if (!u->left)
		return 0;
	if (u->offset >= map_max_size(i))
		return -EFBIG;
	if (f->flags & O_DIRECT && !may_go_past(i, u))
		return -EINVAL;
	u->left = (size_t)MIN((uint64_t)u->left, (uint64_t)(map_max_size(i) - u->offset));
	error = map_allow_size(i, u->offset + (int64_t)u->left);
	if (error)
		return error;
	return f->flags & O_DIRECT ? cache_write_past(&i->bytes, u) : cache_write(&i->bytes, u);
}

static kssize_t file_write(struct file *f, struct uio *u)
{
	struct ext4_inode *i = ext4_of(f->object);
	kssize_t n;
	int error = 0;

	mutex_lock(&i->inode.lock);
	n = write_locked(f, i, u);
	mutex_unlock(&i->inode.lock);
	if (n > 0 && f->flags & O_DSYNC)
		error = file_sync(f, (f->flags & O_SYNC) != O_SYNC);
	return error ? error : n;
}

/* SEEK_DATA (3) and SEEK_HOLE (4): dirty pages have blocks already, so the map knows. */
static int64_t seek_mapped(struct ext4_inode *i, int64_t offset, bool data)
{
	struct ext4_super *s = extent_super(i);
	int64_t end = MIN(i->inode.size, map_max_size(i));
	struct ext4_mapping m;

	if (i->flags & EXT4_FL_INLINE_DATA)
		return data ? offset : i->inode.size;
	while (offset < end) {
		struct map_blocks b = map_blocks_of(i, offset, end - offset);
		int error = ext4_map(i, b.first, b.count, &m);

		if (error)
			return error;
		if (journaled_may_hold_bytes(i, &m) == data)
			return offset;
		offset = (int64_t)(((uint64_t)b.first + m.len) << s->block_shift);
	}
	return data ? -ENXIO : i->inode.size;
}

static int64_t file_seek_ext4(struct file *f, int64_t offset, int whence)
{
	struct ext4_inode *i = ext4_of(f->object);

	if (whence == 3 || whence == 4) {
		if (offset < 0 || offset >= i->inode.size)
			return -ENXIO;
		offset = seek_mapped(i, offset, whence == 3);
		if (offset < 0)
			return offset;
		whence = 0;
	}
	return file_seek_within(f, offset, whence, i->inode.size, map_max_size(i));
}

static uint32_t file_poll(struct file *f)
{
	(void)f;
	return POLL_IN | POLL_OUT;
}

static void file_opened(struct file *f)
{
	cache_error_open(&ext4_of(f->object)->bytes, &f->view);
}

static struct cache *file_pages(struct file *f)
{
	return &ext4_of(f->object)->bytes;
}

const struct file_ops ext4_file_ops = {
	.kind = "file", .read = file_read, .write = file_write, .seek = file_seek_ext4,
	.poll = file_poll, .sync = file_sync, .opened = file_opened, .pages = file_pages,
};
