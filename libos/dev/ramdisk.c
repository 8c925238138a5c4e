/*
 * Disks in memory: block devices without a device below, for tests and for scratch.
 *
 * Memory is taken page by page when a block is first written; what was never written reads as
 * zeroes, and a discard gives pages back. Commands end in a task, as those of a driver do, so
 * callers see the same order of things.
 */
#include "ramdisk.h"

#include <core/boot.h>
#include <core/errno.h>
#include <core/executor.h>
#include <core/fmt.h>
#include <core/init.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>

BOOT_OPTION(ramdisk, "ramdisk=SIZE: a disk in memory, /dev/ram0");

/*  Locks:  I set once   r lock   t the task only */
struct ramdisk {
	struct blkdev dev;
	struct task task;
	struct spinlock lock;
	struct list started;    /* [r] commands */
	uint8_t **pages;        /* [t] NULL: zeroes */
};

static int write_page(uint8_t **page, size_t at, const uint8_t *from, size_t len)
{
	if (!*page)
		*page = page_alloc_zero(0, PAGE_CACHE);
	if (!*page)
		return -ENOSPC;
	memcpy(*page + at, from, len);
	return 0;
}

static int transfer(struct ramdisk *r, enum blk_op op, uint64_t offset, uint8_t *bytes, size_t len)
{
	int error = 0;

	for (size_t n; len && !error; offset += n, bytes += n, len -= n) {
		size_t at = offset & (PAGE_SIZE - 1);
		uint8_t **page = &r->pages[offset >> PAGE_SHIFT];

		n = MIN(len, PAGE_SIZE - at);
		if (op == BLK_WRITE)
			error = write_page(page, at, bytes, n);
		else if (*page)
			memcpy(bytes, *page + at, n);
		else
			memset(bytes, 0, n);
	}
	return error;
}

/* Whole pages are given back, parts of them zeroed. */
static void zero(struct ramdisk *r, uint64_t offset, uint64_t len)
{
	for (uint64_t n; len; offset += n, len -= n) {
		size_t at = offset & (PAGE_SIZE - 1);
		uint8_t **page = &r->pages[offset >> PAGE_SHIFT];

		n = MIN(len, PAGE_SIZE - at);
		if (!*page)
			continue;
		if (n < PAGE_SIZE) {
			memset(*page + at, 0, n);
			continue;
		}
		page_free(*page, 0);
		*page = NULL;
	}
}

static int perform(struct ramdisk *r, const struct blk_command *c)
{
	uint64_t offset = c->offset;
	int error = 0;

	if (c->op == BLK_DISCARD || c->op == BLK_WRITE_ZEROES)
		zero(r, c->offset, c->len);
	for (size_t i = 0; i < c->vec_count && !error; offset += c->vecs[i++].len)
		error = transfer(r, c->op, offset, c->vecs[i].base, c->vecs[i].len);
	return error;
}

static struct blk_command *next_command(struct ramdisk *r)
{
	struct list *link;

	spin_lock(&r->lock);
	link = list_pop_front(&r->started);
	spin_unlock(&r->lock);
	return link ? list_entry(link, struct blk_command, link) : NULL;
}

static void ramdisk_task(struct task *t)
{
	struct ramdisk *r = container_of(t, struct ramdisk, task);
	struct blk_command *c;

	while ((c = next_command(r)))
		blk_command_done(&r->dev, c, perform(r, c));
	blkdev_kick(&r->dev);
}

static void ramdisk_start(struct blkdev *d, struct blk_command *c)
{
	struct ramdisk *r = d->driver;

	spin_lock(&r->lock);
	list_push_back(&r->started, &c->link);
	spin_unlock(&r->lock);
}

static void ramdisk_kick(struct blkdev *d)
{
	task_wake(&((struct ramdisk *)d->driver)->task);
}

static const struct blkdev_ops ramdisk_ops = { .start = ramdisk_start, .kick = ramdisk_kick };

struct blkdev *ramdisk_create(uint64_t bytes)
{
	static uint32_t count;
	struct ramdisk *r = kzalloc(sizeof(*r));

	bytes = ALIGN_UP(bytes, PAGE_SIZE);
	if (r)
		r->pages = kzalloc((size_t)(bytes >> PAGE_SHIFT) * sizeof(*r->pages));
	if (!r || !r->pages)
		goto fail;
	spin_init(&r->lock);
	list_init(&r->started);
	task_init(&r->task, "ramdisk", ramdisk_task);
	r->dev = (struct blkdev){
		.bytes = bytes, .block_bytes = 512, .max_vecs = 64, .max_vec_bytes = MIB(1),
		.max_bytes = MIB(1), .max_discard_bytes = GIB(1), .max_zeroes_bytes = GIB(1),
		.depth = 8, .ops = &ramdisk_ops, .driver = r,
	};
	fmt_print(r->dev.name, sizeof(r->dev.name), "ram%u", count++);
	if (blkdev_register(&r->dev) == 0)
		return &r->dev;
fail:
	if (r)
		kfree(r->pages);
	kfree(r);
	return NULL;
}

static int ramdisk_init(void)
{
	const char *size = boot_option("ramdisk");
	uint64_t bytes;

	if (!size)
		return 0;
	if (!str_parse_size(size, &bytes) || !bytes || bytes > GIB(64)) {
		log_warn("ramdisk=%s is not a size, such as 16m", size);
		return 0;
	}
	return ramdisk_create(bytes) ? 0 : -ENOMEM;
}
INIT(INIT_DRIVERS, ramdisk_init);
