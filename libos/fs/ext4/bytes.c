/*
 * Bytes of regular files: between the page cache (libos/cache.h) and the map of blocks.
 *
 * A write makes blocks before its bytes are copied into pages, as unwritten ones, and turns them
 * into written ones afterwards, together with the file's new size, in the same handle. The inode is
 * on that transaction's list of ordered data, so the pages are on the disk before the commit: after
 * a crash the blocks have these bytes, or read as zeroes, or are not the file's. A copy that faults
 * half-way leaves blocks that read as zeroes, too. Writes to blocks that the file has need a handle
 * only for the time of the change, at most one in TIME_GRAIN_NS.
 *
 * At a file's end blocks may be found later (delayed.c); then they are written ones from the first,
 * and the size on the disk follows when they are.
 *
 * Behind the file's end the last block holds zeroes, on the disk as in memory: who shortens the
 * file sees to that.
 *
 * Locks: the inode's for writers; map_lock is taken inside.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/log.h>
#include <core/string.h>

#include "balloc.h"
#include "delayed.h"
#include "extent_change.h"
#include "journaled.h"
#include "map.h"

#define TIME_GRAIN_NS (4 * NSEC_PER_MSEC)
#define LAST_TRIES     12 /* of a second each, or of five if blocks are wanting */

static struct ext4_inode *inode_of(struct cache *c)
{
	return container_of(c, struct ext4_inode, bytes);
}

/* ---- where the cache finds bytes ---- */

/* -EAGAIN: they have no place yet. */
static int find_bytes(struct ext4_inode *i, int64_t offset, int64_t len, struct cache_extent *e)
{
	unsigned shift = extent_super(i)->block_shift;
	struct map_blocks b = map_blocks_of(i, offset, len);
	struct ext4_mapping m;
	int error;

	*e = (struct cache_extent){ .kind = CACHE_HOLE, .len = len };
	if (offset >= map_max_size(i)) /* the size is damaged */
		return 0;
	error = ext4_map(i, b.first, b.count, &m);
	if (error)
		return error;
	e->kind = m.kind == EXT4_MAPPED      ? CACHE_MAPPED
		  : m.kind == EXT4_UNWRITTEN ? CACHE_UNWRITTEN
					     : CACHE_HOLE;
	e->disk = m.block << shift;
	e->len = (int64_t)m.len << shift;
	return m.kind == EXT4_DELAYED ? -EAGAIN : 0;
}

static int bytes_map(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	int error = find_bytes(inode_of(c), offset, len, e);

	return error == -EAGAIN ? 0 : error;
}

/* What was prepared has its blocks, written ones, or is promised some. */
static int bytes_place(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	int error = find_bytes(inode_of(c), offset, len, e);

	if (!error && e->kind == CACHE_HOLE)
		return -EIO;
	e->kind = CACHE_MAPPED;
	return error;
}

static int bytes_settle(struct cache *c, bool wait)
{
	struct ext4_inode *i = inode_of(c);
	struct ext4_super *s = extent_super(i);

	if (!s->options.delays || !s->journal || journal_is_its_thread(s->journal))
		return 0;
	return delayed_settle(i, wait);
}

/* ---- writing ---- */

static bool times_are_old(const struct inode *inode)
{
	struct abi_timespec now = vfs_now();
	int64_t ns = (now.sec - inode->mtime.sec) * (int64_t)NSEC_PER_SEC + now.nsec -
		     inode->mtime.nsec;

	return ns < 0 || ns >= (int64_t)TIME_GRAIN_NS;
}

/*
 * All of it has blocks with bytes, or is promised some, so a write is nothing but a change of
 * pages.
 */
static int is_mapped(struct ext4_inode *i, struct map_blocks b, bool *yes)
{
	struct ext4_mapping m;
	int error;

	for (*yes = true; *yes && b.count; b.first += m.len, b.count -= m.len) {
		error = ext4_map(i, b.first, b.count, &m);
		if (error)
			return error;
		*yes = m.kind == EXT4_MAPPED || m.kind == EXT4_DELAYED;
	}
	return 0;
}

static unsigned piece_credits(const struct ext4_inode *i)
{
	return ext4_map_credits(i, 1) + extent_credits(i);
}

/*
 * With what it takes to turn them into written ones: nobody hears of it when that fails
 * (bytes_finish()).
 */
static int make_blocks(struct ext4_handle *h, struct ext4_inode *i, struct map_blocks b)
{
	const uint32_t first = b.first;
	struct ext4_mapping m;
	int error;

	for (; b.count; b.first += m.len, b.count -= m.len) {
		error = map_renew(h, i, piece_credits(i));
		if (!error)
			error = map_make(h, i, b.first, b.count, EXT4_MAKE_UNWRITTEN, &m);
		h->half &= error != 0; /* such blocks may stay as they are */
		if (!error && m.kind == EXT4_UNWRITTEN)
			error = map_make_room(h, i, b.first, b.first != first);
		if (error)
			return error;
	}
	return 0;
}

static int start_and_make(struct ext4_inode *i, struct ext4_handle *h, struct map_blocks b)
{
	int error = map_start(i, piece_credits(i) + delayed_credits(i), h);

	if (error || delayed_take(h, i, b.first, b.count))
		return error;
	error = delayed_place(h, i);
	if (!error)
		error = make_blocks(h, i, b);
	if (!error)
		return 0;
	/* the blocks that it got are the file's */
	return ext4_stop_with(h, map_write_inode(h, i, error));
}

static int bytes_prepare(struct cache *c, int64_t offset, int64_t len, void **token)
{
	struct ext4_inode *i = inode_of(c);
	struct map_blocks b = map_blocks_of(i, offset, len);
	unsigned tries = 0;
	bool mapped;
	int error;

	*token = NULL;
	error = is_mapped(i, b, &mapped);
	if (error || (mapped && offset + len <= i->inode.size && !times_are_old(&i->inode)))
		return error;
	do
		error = start_and_make(i, &i->writing, b);
	while (ext4_room_may_come(extent_super(i), error, &tries));
	if (!error)
		*token = &i->writing;
	return error;
}

static int set_written(struct ext4_handle *h, struct ext4_inode *i, struct map_blocks b)
{
	uint32_t len;
	int error = 0;

	for (; !error && b.count; b.first += len, b.count -= len) {
		error = map_renew(h, i, piece_credits(i));
		if (!error)
			error = map_set_written(h, i, b.first, b.count, true, &len);
		if (error)
			return error;
	}
	return 0;
}

void ext4_order_bytes(struct ext4_handle *h, struct ext4_inode *i)
{
	if (h->journal && h->super->options.data != EXT4_DATA_WRITEBACK && !journaled_is(i) &&
	    !planted(EXT4_ORDERED))
		journal_add_ordered(h->journal, &i->ordered);
}

/*
 * The write has succeeded as far as its caller knows, so what cannot be kept of it ends the file
 * system. The handle may be restarted in the end: the transaction before shows all of the write
 * then.
 */
static void bytes_finish(struct cache *c, int64_t offset, int64_t done, void *token)
{
	struct ext4_inode *i = inode_of(c);
	struct ext4_handle *h = token;
	int error = 0;

	if (!h)
		return;
	if (done)
		ext4_order_bytes(h, i);
	delayed_confirm(i, done ? map_blocks_of(i, 0, offset + done).count : 0);
	if (done && offset + done > i->inode.size) {
		delayed_set_size(i, offset + done);
		i->datasync_tid = ext4_tid(h);
	}
	if (done && !journaled_is(i))
		error = set_written(h, i, map_blocks_of(i, offset, done));
	inode_touch(&i->inode, TOUCH_M | TOUCH_C);
	i->sync_tid = ext4_tid(h);
	if (!error)
		error = ext4_inode_write(h, i);
	if (error)
		ext4_abort(h->super, error);
	ext4_stop(h);
}

static const struct cache_backing_ops bytes_ops = {
	.map = bytes_map, .prepare = bytes_prepare, .finish = bytes_finish, .settle = bytes_settle,
	.place = bytes_place,
};

/* ---- files whose bytes lie in the inode: only read ---- */

static int inline_map(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	(void)c, (void)offset;
	*e = (struct cache_extent){ .kind = CACHE_HOLE, .len = len };
	return 0;
}

static int inline_prepare(struct cache *c, int64_t offset, int64_t len, void **token)
{
	(void)c, (void)offset, (void)len, (void)token;
	return -EROFS;
}

static int inline_read_page(struct cache *c, uint64_t index, uint8_t *bytes)
{
	kssize_t n = ext4_inline_read(inode_of(c), index << PAGE_SHIFT, bytes, PAGE_SIZE);

	if (n < 0)
		return (int)n;
	memset(bytes + n, 0, PAGE_SIZE - (size_t)n);
	return 0;
}

static const struct cache_backing_ops inline_ops = {
	.map = inline_map, .prepare = inline_prepare, .read_page = inline_read_page,
};

/* ---- files whose bytes go through the journal (journaled.c) ---- */

static int bytes_read_page(struct cache *c, uint64_t index, uint8_t *bytes)
{
	return journaled_read_page(inode_of(c), index, bytes);
}

static int bytes_write_page(struct cache *c, uint64_t index, const uint8_t *bytes, size_t len)
{
	return journaled_write_page(inode_of(c), index, bytes, len);
}

static const struct cache_backing_ops journaled_ops = {
	.map = bytes_map, .prepare = bytes_prepare, .finish = bytes_finish, .place = bytes_place,
	.read_page = bytes_read_page, .write_page = bytes_write_page,
};

/* ---- coming and going ---- */

static const struct cache_backing_ops *ops_of(const struct ext4_inode *i)
{
	if (i->flags & EXT4_FL_INLINE_DATA)
		return &inline_ops;
	return journaled_is(i) ? &journaled_ops : &bytes_ops;
}

static int write_patiently(struct ext4_inode *i)
{
	int error, tries = 0;

	do
		error = cache_sync(&i->bytes, 0, INT64_MAX, true);
	while (delayed_may_pass(error) && ++tries < LAST_TRIES);
	return error;
}

/* What the transaction shows must have its bytes: without them it is not committed. */
static int write_ordered(struct journal_ordered *o)
{
	struct ext4_inode *i = container_of(o, struct ext4_inode, ordered);
	int error = write_patiently(i);

	if (error == -ENOMEM)
		ext4_abort(extent_super(i), error);
	return error;
}

void ext4_bytes_init(struct ext4_inode *i)
{
	struct ext4_super *s = extent_super(i);

	list_init(&i->reserve.link);
	journal_ordered_init(&i->ordered, write_ordered);
	i->ordered.place = delayed_place_for_commit;
	cache_init_backed(&i->bytes, &i->inode.size, ops_of(i), s->dev, s->block_bytes);
}

/* Nobody will ask for these bytes again, so they are not given up soon. */
static int write_last(struct ext4_inode *i)
{
	int error = write_patiently(i);

	if (delayed_may_pass(error))
		log_error("ext4: bytes of inode %llu are lost, error %d",
			  (unsigned long long)i->inode.ino, error);
	return error;
}

/*
 * What waits for the journal comes first: write-back may put the file on its list again, until the
 * cache is gone.
 */
int ext4_bytes_forget(struct ext4_inode *i, bool drop)
{
	struct ext4_super *s = extent_super(i);
	int error = drop ? 0 : write_last(i);

	if (s->journal)
		journal_settle_ordered(s->journal, &i->ordered);
	cache_destroy(&i->bytes);
	if (s->journal)
		journal_drop_ordered(s->journal, &i->ordered);
	delayed_drop(i, 0);
	balloc_drop_reserve(i);
	return error;
}

int ext4_sync_data(struct ext4_super *s)
{
	return cache_sync_device(s->dev, true);
}
