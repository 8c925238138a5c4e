/* Block devices as files: any offset and length, the ends of the disk, errors. */
#include <core/errno.h>
#include <core/executor.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <core/time.h>
#include <libos/abi.h>
#include <libos/blkdev.h>

#include "vfs.h"

#define DISK_BYTES KIB(300)

/* A disk of memory whose commands end in a task, as a driver's do. */
struct memory_disk {
	struct blkdev dev;
	uint8_t *bytes;
	struct task task;
	struct spinlock lock;
	struct list taken;
	int error;
	bool hold;         /* [lock] nothing ends */
	unsigned flushes;
};

static void disk_start(struct blkdev *d, struct blk_command *c)
{
	struct memory_disk *m = d->driver;

	spin_lock(&m->lock);
	list_push_back(&m->taken, &c->link);
	spin_unlock(&m->lock);
}

static void disk_kick(struct blkdev *d)
{
	task_wake(&((struct memory_disk *)d->driver)->task);
}

static void disk_perform(struct memory_disk *m, const struct blk_command *c)
{
	uint64_t at = c->offset;

	m->flushes += c->op == BLK_FLUSH;
	for (size_t i = 0; !m->error && i < c->vec_count; at += c->vecs[i++].len) {
		if (c->op == BLK_READ)
			memcpy(c->vecs[i].base, m->bytes + at, c->vecs[i].len);
		else
			memcpy(m->bytes + at, c->vecs[i].base, c->vecs[i].len);
	}
}

static void disk_task(struct task *t)
{
	struct memory_disk *m = container_of(t, struct memory_disk, task);

	for (;;) {
		struct list *link;

		spin_lock(&m->lock);
		link = m->hold ? NULL : list_pop_front(&m->taken);
		spin_unlock(&m->lock);
		if (!link)
			break;
		disk_perform(m, list_entry(link, struct blk_command, link));
		blk_command_done(&m->dev, list_entry(link, struct blk_command, link), m->error);
	}
	blkdev_kick(&m->dev);
}

static const struct blkdev_ops disk_ops = { .start = disk_start, .kick = disk_kick };

static struct memory_disk *disk_new(const char *name, uint32_t block_bytes)
{
	struct memory_disk *m = kzalloc(sizeof(*m));

	m->bytes = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	spin_init(&m->lock);
	list_init(&m->taken);
	task_init(&m->task, "disk", disk_task);
	m->dev = (struct blkdev){
		.bytes = DISK_BYTES, .block_bytes = block_bytes, .write_cache = true, .max_vecs = 8,
		.max_vec_bytes = KIB(64), .max_bytes = KIB(64), .depth = 4, .ops = &disk_ops,
		.driver = m,
	};
	str_copy(m->dev.name, sizeof(m->dev.name), name);
	str_copy(m->dev.serial, sizeof(m->dev.serial), name);
	return blkdev_register(&m->dev) ? NULL : m;
}

static kssize_t transfer(struct file *f, void *buf, size_t len, int64_t offset, bool reading)
{
	struct uio_vec vec = { buf, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .offset = offset };

	return reading ? f->ops->read(f, &u) : f->ops->write(f, &u);
}

static void check_against_model(const char *path, const char *name, uint32_t block_bytes)
{
	struct memory_disk *m = disk_new(name, block_bytes);
	uint8_t *model = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	uint8_t *buf = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	struct file *f;

	CHECK(m != NULL);
	CHECK_EQ(block_open(path, O_RDWR, &f), 0);
	memset(model, 0, DISK_BYTES);
	memset(m->bytes, 0, DISK_BYTES);
	for (int round = 0; round < 400; round++) {
		size_t max = round % 10 ? 3000 : KIB(200);
		uint64_t at = test_random_below(DISK_BYTES);
		size_t len = test_random_below(max) + 1, fits = MIN(len, DISK_BYTES - at);

		if (test_random() % 2) {
			for (size_t i = 0; i < len; i++)
				buf[i] = (uint8_t)test_random();
			memcpy(model + at, buf, fits);
			CHECK_EQ(transfer(f, buf, len, (int64_t)at, false), fits);
		} else {
			CHECK_EQ(transfer(f, buf, len, (int64_t)at, true), fits);
			CHECK(!memcmp(buf, model + at, fits));
		}
	}
	file_put(f); /* the last to close it writes what is dirty */
	CHECK(!memcmp(m->bytes, model, DISK_BYTES));
}

TEST(block_file_takes_any_offset_and_length)
{
	check_against_model("/dev/bf512", "bf512", 512);
	check_against_model("/dev/disk/by-id/virtio-bf4096", "bf4096", 4096);
}

TEST(block_file_ends_where_the_disk_ends)
{
	struct memory_disk *m = disk_new("bfend", 512);
	struct file *f;
	char byte = 'x';

	CHECK(m && !block_open("/dev/bfend", O_RDWR, &f));
	CHECK_EQ(transfer(f, &byte, 1, DISK_BYTES, true), 0);
	CHECK_EQ(transfer(f, &byte, 1, DISK_BYTES, false), -ENOSPC);
	CHECK_EQ(f->ops->seek(f, 0, 2), DISK_BYTES);
	CHECK_EQ(f->ops->seek(f, -1, 0), -EINVAL);
	CHECK_EQ(f->position, DISK_BYTES);
	file_put(f);
}

TEST(block_file_syncs_by_a_flush_and_reports_errors)
{
	struct memory_disk *m = disk_new("bfsync", 512);
	struct file *f, *durable;
	char bytes[512] = { 0 };

	CHECK(m && !block_open("/dev/bfsync", O_RDWR, &f));
	CHECK(!block_open("/dev/bfsync", O_RDWR | O_SYNC, &durable));
	memset(m->bytes, 'o', 512);
	CHECK_EQ(transfer(f, bytes, 512, 0, false), 512);
	CHECK(m->bytes[0] == 'o' && !m->flushes);
	CHECK_EQ(f->ops->sync(f, true), 0);
	CHECK(m->bytes[0] == 0 && m->flushes == 1);
	memset(bytes, 'd', 512);
	CHECK_EQ(transfer(durable, bytes, 512, 512, false), 512);
	CHECK(m->bytes[512] == 'd' && m->flushes == 2);
	m->error = -EIO;
	CHECK_EQ(transfer(f, bytes, 100, KIB(100), true), -EIO);
	/* the rest of the page cannot be read */
	CHECK_EQ(transfer(f, bytes, 100, KIB(100), false), -EIO);
	CHECK_EQ(transfer(f, bytes, 100, 0, false), 100);
	CHECK_EQ(f->ops->sync(f, false), -EIO);
	CHECK_EQ(transfer(durable, bytes, 512, 512, false), -EIO);
	m->error = 0;
	CHECK_EQ(durable->ops->sync(durable, false), 0); /* each error was told */
	CHECK_EQ(f->ops->sync(f, false), -EIO);           /* once to each opener */
	CHECK_EQ(f->ops->sync(f, false), 0);
	file_put(f);
	file_put(durable);
}

TEST(block_file_with_o_direct_goes_past_the_pages_and_agrees_with_them)
{
	struct memory_disk *m = disk_new("bfdirect", 512);
	uint8_t *bytes = page_alloc_exact(KIB(8), PAGE_KERNEL);
	struct file *f, *direct;

	CHECK(m && !block_open("/dev/bfdirect", O_RDWR, &f));
	CHECK(!block_open("/dev/bfdirect", O_RDWR | O_DIRECT, &direct));
	memset(bytes, 'c', KIB(8));
	CHECK_EQ(transfer(f, bytes, KIB(8), 0, false), KIB(8));
	/* what was only in pages is there */
	CHECK_EQ(transfer(direct, bytes, 512, 512, true), 512);
	CHECK(bytes[0] == 'c' && m->bytes[512] == 'c');
	memset(bytes, 'd', 1024);
	CHECK_EQ(transfer(direct, bytes, 1024, 1024, false), 1024);
	CHECK(m->bytes[1024] == 'd' && m->bytes[2048] == 'c');
	CHECK_EQ(transfer(f, bytes, 4096, 0, true), 4096); /* and what went past them is seen */
	CHECK(bytes[1023] == 'c' && bytes[1024] == 'd' && bytes[2047] == 'd' && bytes[2048] == 'c');
	CHECK_EQ(transfer(direct, bytes, 100, 0, true), -EINVAL);
	CHECK_EQ(transfer(direct, bytes, 512, 100, true), -EINVAL);
	CHECK_EQ(transfer(direct, bytes + 1, 512, 0, false), -EINVAL);
	page_free_exact(bytes, KIB(8));
	file_put(f);
	file_put(direct);
}

struct reader {
	struct file *file;
	struct thread *thread;
	int64_t offset;
	uint8_t *bytes;
	kssize_t read;
};

static void reader_run(void *arg)
{
	struct reader *r = arg;

	r->read = transfer(r->file, r->bytes, 512, r->offset, true);
}

static bool reader_start(struct reader *r, struct file *f, int64_t offset)
{
	static const struct thread_attr attr = {
		.name = "reader", .priority = THREAD_PRIORITY_APP, .hart = -1
	};

	*r = (struct reader){ .file = f, .offset = offset };
	r->bytes = page_alloc(0, PAGE_KERNEL);
	if (!r->bytes || thread_create(&attr, reader_run, r, 0, &r->thread))
		return false;
	thread_start(r->thread);
	return true;
}

static bool has_taken(struct memory_disk *m, unsigned count)
{
	struct blk_command *c;

	spin_lock(&m->lock);
	list_for_each(c, &m->taken, link)
		count--;
	spin_unlock(&m->lock);
	return !count;
}

static void hold(struct memory_disk *m, bool on)
{
	spin_lock(&m->lock);
	m->hold = on;
	spin_unlock(&m->lock);
	task_wake(&m->task);
}

TEST(block_file_reads_with_o_direct_are_under_way_together)
{
	struct memory_disk *m = disk_new("bfmany", 512);
	uint64_t deadline = clock_ns() + 60 * NSEC_PER_SEC;
	struct reader r[2];
	struct file *f;
	bool both;

	CHECK(m && !block_open("/dev/bfmany", O_RDONLY | O_DIRECT, &f));
	memset(m->bytes + KIB(16), 'r', 512);
	hold(m, true);
	CHECK(reader_start(&r[0], f, 0) && reader_start(&r[1], f, KIB(16)));
	while (!(both = has_taken(m, 2)) && clock_ns() < deadline)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	hold(m, false);
	for (unsigned i = 0; i < 2; i++) {
		thread_join(r[i].thread);
		CHECK_EQ(r[i].read, 512);
	}
	CHECK(both && r[1].bytes[511] == 'r');
	for (unsigned i = 0; i < 2; i++)
		page_free(r[i].bytes, 0);
	file_put(f);
}

TEST(block_file_of_a_disk_with_a_file_system_is_only_read)
{
	struct memory_disk *m = disk_new("bfclaim", 512);
	struct file *f, *writer;
	char byte = 0;

	CHECK(m && !block_open("/dev/bfclaim", O_RDWR, &writer) &&
	      !block_open("/dev/bfclaim", O_RDONLY, &f));
	CHECK_EQ(blkdev_claim(&m->dev), -EBUSY);
	m->bytes[0] = 'a';
	CHECK(transfer(f, &byte, 1, 0, true) == 1 && byte == 'a');
	file_put(writer);
	CHECK_EQ(blkdev_claim(&m->dev), 0);
	CHECK_EQ(blkdev_claim(&m->dev), -EBUSY);
	CHECK_EQ(block_open("/dev/bfclaim", O_RDWR, &writer), -EBUSY);
	m->bytes[0] = 'b'; /* as the file system would */
	CHECK(transfer(f, &byte, 1, 0, true) == 1 && byte == 'b');
	m->bytes[0] = 'c';
	blkdev_release(&m->dev);
	CHECK(transfer(f, &byte, 1, 0, true) == 1 && byte == 'c');
	CHECK_EQ(block_open("/dev/bfclaim", O_RDWR, &writer), 0);
	file_put(writer);
	file_put(f);
}

TEST(block_file_of_a_read_only_disk_is_not_opened_for_writing)
{
	struct memory_disk *m = disk_new("bfro", 512);
	struct file *f;

	CHECK(m != NULL);
	m->dev.read_only = true;
	CHECK_EQ(block_open("/dev/bfro", O_RDWR, &f), -EROFS);
	CHECK_EQ(block_open("/dev/nothing", O_RDONLY, &f), -ENOENT);
	CHECK_EQ(block_open("/dev/disk/by-id/virtio-", O_RDONLY, &f), -ENOENT);
	CHECK_EQ(block_open("/dev/bfro", O_RDONLY, &f), 0);
	file_put(f);
}
