/* See cache_rig.h. */
#include "cache_rig.h"

#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>

/* ---- the disk ---- */

static void disk_start(struct blkdev *dev, struct blk_command *c)
{
	struct rig_disk *d = dev->driver;

	spin_lock(&d->lock);
	list_push_back(&d->taken, &c->link);
	spin_unlock(&d->lock);
}

static void disk_kick(struct blkdev *dev)
{
	task_wake(&((struct rig_disk *)dev->driver)->task);
}

static const struct blkdev_ops disk_ops = { .start = disk_start, .kick = disk_kick };

static bool is_bad(const struct rig_disk *d, const struct blk_command *c)
{
	return c->op != BLK_FLUSH && c->offset < d->bad_to && c->offset + c->len > d->bad_from;
}

static int perform(struct rig_disk *d, const struct blk_command *c)
{
	uint8_t *at = d->bytes + c->offset;

	if (c->op == BLK_FLUSH)
		__atomic_fetch_add(&d->flushes, 1, __ATOMIC_RELAXED);
	if (is_bad(d, c))
		return -EIO;
	__atomic_fetch_add(c->op == BLK_READ ? &d->reads : &d->writes, c->op <= BLK_WRITE,
			   __ATOMIC_RELAXED);
	__atomic_fetch_add(c->op == BLK_READ ? &d->bytes_read : &d->bytes_written, c->len,
			   __ATOMIC_RELAXED);
	for (size_t i = 0; i < c->vec_count; at += c->vecs[i++].len) {
		if (c->op == BLK_READ)
			memcpy(c->vecs[i].base, at, c->vecs[i].len);
		else
			memcpy(at, c->vecs[i].base, c->vecs[i].len);
	}
	return 0;
}

static struct blk_command *next_command(struct rig_disk *d)
{
	struct list *link = NULL;

	spin_lock(&d->lock);
	if (!d->hold)
		link = list_pop_front(&d->taken);
	spin_unlock(&d->lock);
	return link ? list_entry(link, struct blk_command, link) : NULL;
}

static void disk_task(struct task *t)
{
	struct rig_disk *d = container_of(t, struct rig_disk, task);
	struct blk_command *c;

	while ((c = next_command(d)))
		blk_command_done(&d->dev, c, perform(d, c));
	blkdev_kick(&d->dev);
}

/* A device is registered for ever. */
static struct rig_disk *disk_create(void)
{
	struct rig_disk *d = kzalloc(sizeof(*d));

	if (!d || !(d->bytes = page_alloc_exact(RIG_DISK_BYTES, PAGE_KERNEL)))
		panic("no memory for a disk");
	spin_init(&d->lock);
	list_init(&d->taken);
	task_init(&d->task, "rig disk", disk_task);
	d->dev = (struct blkdev){
		.name = "rig", .bytes = RIG_DISK_BYTES, .block_bytes = 512, .write_cache = true,
		.max_vecs = 64, .max_vec_bytes = KIB(64), .max_bytes = KIB(512), .depth = 8,
		.ops = &disk_ops, .driver = d,
	};
	if (blkdev_register(&d->dev))
		panic("no disk");
	return d;
}

struct rig_disk *rig_disk(void)
{
	static struct rig_disk *d;

	if (!d)
		d = disk_create();
	d->bad_from = d->bad_to = 0;
	d->reads = d->writes = d->flushes = 0;
	d->bytes_read = d->bytes_written = 0;
	memset(d->bytes, 0xee, RIG_DISK_BYTES);
	return d;
}

void rig_disk_hold(struct rig_disk *d, bool hold)
{
	spin_lock(&d->lock);
	d->hold = hold;
	spin_unlock(&d->lock);
	if (!hold)
		task_wake(&d->task);
}

unsigned rig_disk_held(struct rig_disk *d)
{
	struct blk_command *c;
	unsigned n = 0;

	spin_lock(&d->lock);
	list_for_each(c, &d->taken, link)
		n++;
	spin_unlock(&d->lock);
	return n;
}

void rig_disk_break(struct rig_disk *d, uint64_t from, uint64_t to)
{
	d->bad_from = from;
	d->bad_to = to;
}

/* ---- the file ---- */

static struct rig_file *file_of(struct cache *c)
{
	return container_of(c, struct rig_file, cache);
}

static int map(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	struct rig_file *f = file_of(c);
	uint32_t i = (uint32_t)(offset / f->block_bytes), n = 1;

	*e = (struct cache_extent){ .kind = CACHE_HOLE, .len = len };
	if (offset / f->block_bytes >= RIG_BLOCKS_MAX)
		return 0;
	while (n * (int64_t)f->block_bytes < len && f->unwritten[i] == f->unwritten[i + n] &&
	       (f->at[i] == RIG_HOLE ? f->at[i + n] == RIG_HOLE : f->at[i + n] == f->at[i] + n))
		n++;
	e->kind = f->at[i] == RIG_HOLE ? CACHE_HOLE
		  : f->unwritten[i]    ? CACHE_UNWRITTEN
				       : CACHE_MAPPED;
	e->disk = (uint64_t)f->at[i] * f->block_bytes;
	e->len = (int64_t)n * f->block_bytes;
	return 0;
}

static void allocate(struct rig_file *f, int64_t from, int64_t to)
{
	/* odd, so that every stride comes by all */
	const uint32_t total = RIG_DISK_BYTES / f->block_bytes - 1;

	for (int64_t i = from / f->block_bytes; i * f->block_bytes < to; i++) {
		if (f->at[i] != RIG_HOLE)
			continue;
		while (f->taken[f->next % total])
			f->next += f->stride;
		f->at[i] = f->next % total;
		f->taken[f->at[i]] = true;
		f->next += f->stride;
	}
}

void rig_file_release(struct rig_file *f, uint32_t block)
{
	if (f->at[block] != RIG_HOLE)
		f->taken[f->at[block]] = false;
	f->at[block] = RIG_HOLE;
	f->unwritten[block] = false;
}

static int prepare(struct cache *c, int64_t offset, int64_t len, void **token)
{
	struct rig_file *f = file_of(c);

	if (f->prepare_fails_at >= 0 && offset + len > f->prepare_fails_at)
		return -ENOSPC;
	allocate(f, offset, offset + len);
	f->open_handles++;
	*token = f;
	return 0;
}

static void finish(struct cache *c, int64_t offset, int64_t done, void *token)
{
	struct rig_file *f = file_of(c);

	if (token != f || !f->open_handles--)
		panic("finish() without prepare()");
	if (done)
		__atomic_store_n(&f->size, MAX(f->size, offset + done), __ATOMIC_RELAXED);
}

static int place(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	struct rig_file *f = file_of(c);

	if (f->no_memory) {
		f->no_memory--;
		return -ENOMEM;
	}
	return map(c, offset, len, e);
}

static int written(struct cache *c, int64_t offset, int64_t len, int error)
{
	struct rig_file *f = file_of(c);

	for (int64_t at = offset; !error && at < offset + len; at += f->block_bytes)
		f->unwritten[at / f->block_bytes] = false;
	return 0;
}

static const struct cache_backing_ops file_ops = {
	.map = map, .prepare = prepare, .finish = finish, .place = place, .written = written,
};

struct rig_file *rig_file_new(struct rig_disk *d, uint32_t block_bytes)
{
	struct rig_file *f = kzalloc(sizeof(*f));

	f->disk = d;
	f->block_bytes = block_bytes;
	f->stride = 1;
	f->prepare_fails_at = -1;
	memset(f->at, 0xff, sizeof(f->at));
	cache_init_backed(&f->cache, &f->size, &file_ops, &d->dev, block_bytes);
	return f;
}

void rig_file_free(struct rig_file *f)
{
	cache_destroy(&f->cache);
	kfree(f);
}

uint8_t rig_byte(int64_t offset)
{
	return (uint8_t)(offset * 37 + offset / 256 * 11 + 1);
}

void rig_file_fill(struct rig_file *f, int64_t from, int64_t to)
{
	allocate(f, from, to);
	for (int64_t i = from; i < to; i++)
		f->disk->bytes[(int64_t)f->at[i / f->block_bytes] * f->block_bytes +
			       i % f->block_bytes] = rig_byte(i);
	f->size = MAX(f->size, to);
}

static struct uio uio_of(struct uio_vec *vec, int64_t offset)
{
	return (struct uio){
		.vecs = vec, .vec_count = 1, .left = vec->len, .offset = offset, .from_kernel = true
	};
}

kssize_t rig_read(struct rig_file *f, void *buf, size_t len, int64_t offset, struct file_view *v)
{
	struct uio_vec vec = { buf, len };
	struct uio u = uio_of(&vec, offset);

	return cache_read(&f->cache, &u, v);
}

kssize_t rig_write(struct rig_file *f, const void *buf, size_t len, int64_t offset)
{
	struct uio_vec vec = { (void *)buf, len };
	struct uio u = uio_of(&vec, offset);

	return cache_write(&f->cache, &u);
}

bool rig_on_disk(struct rig_file *f, const void *buf, size_t len, int64_t offset)
{
	const uint8_t *bytes = buf;

	for (size_t i = 0; i < len; i++) {
		int64_t at = offset + (int64_t)i;
		uint32_t block = f->at[at / f->block_bytes];

		if (block == RIG_HOLE ||
		    f->disk->bytes[(int64_t)block * f->block_bytes + at % f->block_bytes] !=
			    bytes[i])
			return false;
	}
	return true;
}
