/*
 * The queue before a block device: merging, pieces, order, flushes and errors, with a device by
 * hand.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/blkdev.h>

#include "blk_asked.h"

#define DISK_BYTES KIB(256)
#define TAKEN_MAX  64u

/* A disk of memory that ends commands when the test says so. */
struct fake {
	struct blkdev dev;
	uint8_t *bytes;
	struct blk_command *taken[TAKEN_MAX];
	unsigned count, kicks;
};

static void fake_start(struct blkdev *d, struct blk_command *c)
{
	struct fake *f = d->driver;

	f->taken[f->count++] = c;
}

static void fake_kick(struct blkdev *d)
{
	((struct fake *)d->driver)->kicks++;
}

static const struct blkdev_ops fake_ops = { .start = fake_start, .kick = fake_kick };

static struct fake *fake_new(bool write_cache)
{
	struct fake *f = kzalloc(sizeof(*f));

	f->bytes = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	memset(f->bytes, 0xee, DISK_BYTES);
	f->dev = (struct blkdev){
		.name = "fake", .bytes = DISK_BYTES, .block_bytes = 512, .write_cache = write_cache,
		.max_vecs = 4, .max_vec_bytes = KIB(8), .max_bytes = KIB(16), .depth = 3,
		.ops = &fake_ops, .driver = f,
	};
	return blkdev_register(&f->dev) ? NULL : f;
}

static void fake_perform(struct fake *f, const struct blk_command *c)
{
	uint64_t at = c->offset;

	for (size_t i = 0; i < c->vec_count; i++) {
		if (c->op == BLK_READ)
			memcpy(c->vecs[i].base, f->bytes + at, c->vecs[i].len);
		else
			memcpy(f->bytes + at, c->vecs[i].base, c->vecs[i].len);
		at += c->vecs[i].len;
	}
}

/* Ends the oldest command taken. */
static void fake_end(struct fake *f, int error)
{
	struct blk_command *c = f->taken[0];

	f->count--;
	memmove(f->taken, f->taken + 1, f->count * sizeof(*f->taken));
	if (!error)
		fake_perform(f, c);
	blk_command_done(&f->dev, c, error);
}

static void fake_run(struct fake *f)
{
	do {
		while (f->count)
			fake_end(f, 0);
		blkdev_kick(&f->dev);
	} while (f->count);
}

static void ask(struct fake *f, struct asked *a, enum blk_op op, uint32_t flags, uint64_t offset,
		void *buf, size_t len)
{
	asked_init(a, op, flags, offset, buf, len);
	blkdev_submit(&f->dev, &a->r);
}

TEST(blk_queue_merges_neighbours_into_one_command)
{
	struct fake *f = fake_new(false);
	uint8_t *buf = page_alloc_exact(KIB(4), PAGE_KERNEL);
	struct asked a[4];

	CHECK(f);
	for (unsigned i = 0; i < 4; i++) {
		memset(buf + i * KIB(1), (int)i + 1, KIB(1));
		ask(f, &a[i], BLK_WRITE, 0, KIB(4) + i * KIB(1), buf + i * KIB(1), KIB(1));
	}
	blkdev_kick(&f->dev);
	CHECK_EQ(f->count, 1);
	CHECK_EQ(f->kicks, 1);
	CHECK_EQ(f->taken[0]->len, KIB(4));
	fake_run(f);
	for (unsigned i = 0; i < 4; i++)
		CHECK(a[i].ended == 1 && !a[i].error);
	CHECK(!memcmp(f->bytes + KIB(4), buf, KIB(4)));
	CHECK(f->bytes[KIB(4) - 1] == 0xee && f->bytes[KIB(8)] == 0xee);
}

TEST(blk_queue_does_not_merge_what_does_not_fit_together)
{
	struct fake *f = fake_new(false);
	uint8_t *buf = page_alloc_exact(KIB(4), PAGE_KERNEL);
	struct asked a[3];

	CHECK(f);
	ask(f, &a[0], BLK_WRITE, 0, 0, buf, 512);
	ask(f, &a[1], BLK_READ, 0, 512, buf + 512, 512);
	ask(f, &a[2], BLK_WRITE, 0, 1024, buf + 1024, 512);
	blkdev_kick(&f->dev);
	CHECK_EQ(f->count, 3);
	fake_run(f);
	CHECK(a[0].ended && a[1].ended && a[2].ended);
}

TEST(blk_queue_sends_large_requests_in_pieces)
{
	struct fake *f = fake_new(false);
	uint8_t *buf = page_alloc_exact(KIB(100), PAGE_KERNEL);
	struct asked a;
	unsigned commands = 0;

	CHECK(f);
	for (size_t i = 0; i < KIB(100); i++)
		buf[i] = (uint8_t)(i * 7 >> 5);
	ask(f, &a, BLK_WRITE, 0, KIB(8), buf, KIB(100));
	blkdev_kick(&f->dev);
	while (f->count) {
		CHECK(f->count == 1 && f->taken[0]->len <= KIB(16) && !a.ended);
		fake_end(f, 0);
		blkdev_kick(&f->dev);
		commands++;
	}
	CHECK_EQ(commands, 7);
	CHECK(a.ended == 1 && !a.error);
	CHECK(!memcmp(f->bytes + KIB(8), buf, KIB(100)));
}

TEST(blk_queue_never_has_more_commands_than_the_device_takes)
{
	struct fake *f = fake_new(false);
	uint8_t *buf = page_alloc_exact(KIB(4), PAGE_KERNEL);
	struct asked a[8];

	CHECK(f);
	for (unsigned i = 0; i < 8; i++)
		ask(f, &a[i], BLK_READ, 0, i * KIB(16), buf, 512);
	blkdev_kick(&f->dev);
	CHECK_EQ(f->count, 3);
	fake_run(f);
	for (unsigned i = 0; i < 8; i++)
		CHECK(a[i].ended == 1 && !a[i].error);
}

TEST(blk_queue_lets_readers_go_before_background_writes)
{
	struct fake *f = fake_new(false);
	uint8_t *buf = page_alloc_exact(KIB(4), PAGE_KERNEL);
	struct asked writes[6], reads[40];
	unsigned first_write = 0, ended = 0;

	CHECK(f);
	for (unsigned i = 0; i < 6; i++)
		ask(f, &writes[i], BLK_WRITE, BLK_BACKGROUND, i * KIB(32), buf, 512);
	for (unsigned i = 0; i < 40; i++)
		ask(f, &reads[i], BLK_READ, 0, KIB(2) * i + KIB(1), buf, 512);
	blkdev_kick(&f->dev);
	CHECK(f->taken[0]->op == BLK_READ && f->taken[2]->op == BLK_READ);
	while (f->count) {
		ended++;
		if (f->taken[0]->op == BLK_WRITE && !first_write)
			first_write = ended;
		fake_end(f, 0);
		blkdev_kick(&f->dev);
	}
	CHECK(first_write > 10 && first_write < 30); /* later, but not never */
	CHECK_EQ(ended, 46);
}

TEST(blk_queue_answers_many_flushes_with_one)
{
	struct fake *f = fake_new(true);
	struct asked a[5];

	CHECK(f);
	ask(f, &a[0], BLK_FLUSH, 0, 0, NULL, 0);
	blkdev_kick(&f->dev);
	CHECK_EQ(f->count, 1);
	for (unsigned i = 1; i < 5; i++)
		ask(f, &a[i], BLK_FLUSH, 0, 0, NULL, 0);
	blkdev_kick(&f->dev);
	CHECK_EQ(f->count, 1); /* they were submitted after it began */
	fake_end(f, 0);
	CHECK(a[0].ended && !a[1].ended);
	blkdev_kick(&f->dev);
	CHECK_EQ(f->count, 1);
	fake_end(f, 0);
	for (unsigned i = 0; i < 5; i++)
		CHECK(a[i].ended == 1 && !a[i].error);
}

TEST(blk_queue_flushes_behind_durable_writes)
{
	struct fake *f = fake_new(true), *plain = fake_new(false);
	uint8_t *buf = page_alloc_exact(KIB(4), PAGE_KERNEL);
	struct asked a;

	CHECK(f && plain);
	ask(f, &a, BLK_WRITE, BLK_FUA, 0, buf, 512);
	blkdev_kick(&f->dev);
	CHECK(f->taken[0]->op == BLK_WRITE && !f->taken[0]->flags);
	fake_end(f, 0);
	CHECK(!a.ended);
	blkdev_kick(&f->dev);
	CHECK(f->count == 1 && f->taken[0]->op == BLK_FLUSH);
	fake_end(f, 0);
	CHECK(a.ended == 1 && !a.error);

	ask(plain, &a, BLK_WRITE, BLK_FUA, 0, buf, 512);
	blkdev_kick(&plain->dev);
	fake_end(plain, 0);
	CHECK(a.ended == 1 && !a.error);
	ask(plain, &a, BLK_FLUSH, 0, 0, NULL, 0);
	CHECK(a.ended == 1 && !a.error);
}

TEST(blk_queue_gives_each_error_to_who_asked)
{
	struct fake *f = fake_new(true);
	uint8_t *buf = page_alloc_exact(KIB(4), PAGE_KERNEL);
	struct asked good, bad, flush;

	CHECK(f);
	ask(f, &bad, BLK_WRITE, BLK_FUA, 0, buf, 512);
	ask(f, &good, BLK_WRITE, 0, KIB(8), buf, 512);
	blkdev_kick(&f->dev);
	fake_end(f, -EIO);
	fake_end(f, 0);
	CHECK(bad.ended == 1 && bad.error == -EIO);
	CHECK(good.ended == 1 && !good.error);
	ask(f, &flush, BLK_FLUSH, 0, 0, NULL, 0);
	blkdev_kick(&f->dev);
	fake_end(f, -EIO);
	CHECK_EQ(flush.error, -EIO);
	CHECK_EQ(f->dev.stats.errors, 2);
}

TEST(blk_queue_refuses_what_can_never_be)
{
	struct fake *f = fake_new(true);
	uint8_t *buf = page_alloc_exact(KIB(4), PAGE_KERNEL);
	static const struct { enum blk_op op; uint64_t offset; size_t len; int error; } bad[] = {
		{ BLK_READ, 1, 512, -EINVAL },          { BLK_READ, 0, 100, -EINVAL },
		{ BLK_READ, 0, 0, -EINVAL },            { BLK_READ, DISK_BYTES, 512, -EIO },
		{ BLK_READ, DISK_BYTES - 512, 1024, -EIO },
		{ BLK_READ, UINT64_MAX - 511, 512, -EIO }, { BLK_DISCARD, 0, 512, -EOPNOTSUPP },
	};
	struct asked a;

	CHECK(f);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ask(f, &a, bad[i].op, 0, bad[i].offset, buf, bad[i].len);
		CHECK_EQ(a.ended, 1);
		CHECK_EQ(a.error, bad[i].error);
	}
	f->dev.read_only = true;
	ask(f, &a, BLK_WRITE, 0, 0, buf, 512);
	CHECK_EQ(a.error, -EROFS);
}

TEST(blk_queue_writes_zeroes_where_the_device_cannot)
{
	struct fake *f = fake_new(false);
	struct asked a = { .r = { .op = BLK_WRITE_ZEROES, .offset = KIB(1), .len = KIB(70),
				  .done = asked_done, .user = &a } };

	CHECK(f);
	blkdev_submit(&f->dev, &a.r);
	blkdev_kick(&f->dev);
	fake_run(f);
	CHECK(a.ended == 1 && !a.error);
	for (size_t i = KIB(1); i < KIB(71); i++)
		CHECK_EQ(f->bytes[i], 0);
	CHECK(f->bytes[KIB(1) - 1] == 0xee && f->bytes[KIB(71)] == 0xee);
}

TEST(blk_queue_of_a_device_that_was_reset_says_that_writes_may_be_lost)
{
	struct fake *f = fake_new(true);
	struct asked a, b;

	CHECK(f);
	blkdev_was_reset(&f->dev, false);
	ask(f, &a, BLK_FLUSH, 0, 0, NULL, 0);
	blkdev_kick(&f->dev);
	CHECK(a.ended == 1 && a.error == -EIO);
	ask(f, &b, BLK_FLUSH, 0, 0, NULL, 0);
	blkdev_kick(&f->dev);
	fake_end(f, 0);
	CHECK(b.ended == 1 && !b.error);
	blkdev_was_reset(&f->dev, true);
	ask(f, &b, BLK_FLUSH, 0, 0, NULL, 0);
	CHECK(b.ended == 1 && b.error == -EIO);
}

/* Flushes of others must not take away what a file system has to be told. */
TEST(blk_queue_says_that_writes_may_be_lost_until_no_file_system_has_the_disk)
{
	struct fake *f = fake_new(true);
	struct blkdev *part = kzalloc(sizeof(*part));
	struct asked a;

	CHECK(f && part);
	*part = (struct blkdev){
		.name = "fake1", .whole = &f->dev, .start = KIB(64), .bytes = KIB(64), .part = 1
	};
	CHECK_EQ(blkdev_register_part(part), 0);
	CHECK_EQ(blkdev_claim(part), 0);
	blkdev_was_reset(&f->dev, false);
	for (int i = 0; i < 3; i++) {
		ask(f, &a, BLK_FLUSH, 0, 0, NULL, 0);
		blkdev_kick(&f->dev);
		CHECK(a.ended == 1 && a.error == -EIO);
	}
	blkdev_release(part);
	ask(f, &a, BLK_FLUSH, 0, 0, NULL, 0);
	blkdev_kick(&f->dev);
	fake_end(f, 0);
	CHECK(a.ended == 1 && !a.error);
}

/*
 * Random requests against a model of the disk; each is in flight with others that do not overlap
 * it.
 */
TEST(blk_queue_agrees_with_a_model)
{
	struct fake *f = fake_new(true);
	uint8_t *model = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	uint8_t *buf = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	static struct asked a[16];

	CHECK(f);
	memset(model, 0xee, DISK_BYTES);
	for (int round = 0; round < 300; round++) {
		for (unsigned i = 0; i < 16; i++) { /* one request in each sixteenth of the disk */
			uint64_t base = i * (DISK_BYTES / 16), at = test_random_below(24) * 512;
			size_t len = (1 + test_random_below(8)) * 512;
			bool writes = test_random() % 2;

			for (size_t j = 0; writes && j < len; j++)
				buf[base + at + j] = model[base + at + j] = (uint8_t)test_random();
			ask(f, &a[i], writes ? BLK_WRITE : BLK_READ,
			    (uint32_t)(test_random() % 4) & (writes ? BLK_FUA | BLK_BACKGROUND : 0),
			    base + at, buf + base + at, len);
			if (test_random() % 4 == 0)
				blkdev_kick(&f->dev);
			if (f->count && test_random() % 4 == 0)
				fake_end(f, 0);
		}
		blkdev_kick(&f->dev);
		fake_run(f);
		for (unsigned i = 0; i < 16; i++) {
			CHECK(a[i].ended == 1 && !a[i].error);
			CHECK(!memcmp(a[i].vec.base, model + a[i].r.offset, a[i].r.len));
		}
	}
	CHECK(!memcmp(f->bytes, model, DISK_BYTES));
}
