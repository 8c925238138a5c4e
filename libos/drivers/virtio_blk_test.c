/*
 * The block driver with a simulated device: what it asks, what comes back, and a device that lies.
 *
 * The device answers at once when notified, unless a test holds it; it keeps its disk in memory.
 */
#include "virtio_blk.h"

#include <core/errno.h>
#include <core/executor.h>
#include <core/hart.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <libos/blkdev.h>

#include "../dev/blk_asked.h"
#include "model.h"

#define RING       (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define SECTORS    256u
#define DISK_BYTES (SECTORS * BLK_SECTOR)

struct blk_rig {
	struct model model;
	struct blkdev *dev;
	uint8_t *disk;
	bool hold;
	unsigned flushes, discards, requests;
	unsigned served;        /* bit n: queue n had something */
	uint8_t status;         /* what it answers; 0: sound */
	int32_t written_short;  /* what it leaves out of the length that it reports */
};

static bool is_in_blocks(const struct blk_rig *r, const uint8_t *asked)
{
	struct virtio_blk_range range;
	uint32_t bytes;

	memcpy(&range, asked, sizeof(range));
	memcpy(&bytes, r->model.config + BLK_CONFIG_BLK_SIZE, sizeof(bytes));
	return !((range.sector | range.sectors) % (bytes / BLK_SECTOR));
}

static uint8_t rig_answer(struct blk_rig *r, const struct model_chain *c, size_t *written)
{
	static uint8_t data[DISK_BYTES + 64];
	struct virtio_blk_header h;
	size_t out = model_read(c, data, sizeof(data));

	*written = 0;
	memcpy(&h, data, sizeof(h));
	if (out < sizeof(h) || !c->in_bytes)
		return BLK_S_IOERR;
	switch (h.type) {
	case BLK_T_IN:
		*written = c->in_bytes - 1;
		if (h.sector * BLK_SECTOR + *written > DISK_BYTES)
			return BLK_S_IOERR;
		model_write(c, r->disk + h.sector * BLK_SECTOR, *written);
		return BLK_S_OK;
	case BLK_T_OUT:
		if (h.sector * BLK_SECTOR + out - sizeof(h) > DISK_BYTES)
			return BLK_S_IOERR;
		memcpy(r->disk + h.sector * BLK_SECTOR, data + sizeof(h), out - sizeof(h));
		return BLK_S_OK;
	case BLK_T_FLUSH:
		r->flushes++;
		return BLK_S_OK;
	case BLK_T_DISCARD:
		r->discards++;
		return out == sizeof(h) + sizeof(struct virtio_blk_range) &&
				       is_in_blocks(r, data + sizeof(h))
			       ? BLK_S_OK
			       : BLK_S_IOERR;
	case BLK_T_GET_ID:
		model_write(c, "rig-7/../x", 10);
		*written = BLK_ID_BYTES;
		return BLK_S_OK;
	default:
		return BLK_S_UNSUPP;
	}
}

/* The device takes and ends all that was offered. */
static void rig_serve(struct blk_rig *r, unsigned queue)
{
	struct model_chain c;

	while (model_pop(&r->model, queue, &c)) {
		struct virtq_seg last = c.segs[c.count - 1];
		size_t written;
		uint8_t status = rig_answer(r, &c, &written);
		extern void *model_memory(paddr_t pa);

		r->requests++;
		r->served |= 1u << queue;
		*(uint8_t *)model_memory(last.addr + last.len - 1) = r->status ? r->status : status;
		model_push(&r->model, queue, c.head,
			   (uint32_t)(written + 1) - (uint32_t)r->written_short);
	}
}

static void rig_notified(struct model *m, unsigned queue)
{
	struct blk_rig *r = container_of(m, struct blk_rig, model);

	if (!r->hold)
		rig_serve(r, queue);
}

static void config_put(struct blk_rig *r, unsigned offset, uint64_t value, unsigned width)
{
	memcpy(r->model.config + offset, &value, width);
}

#define RIG_QUEUES 2u

static struct blk_rig *rig_new(uint64_t features)
{
	struct blk_rig *r = kzalloc(sizeof(*r));

	r->disk = kzalloc(DISK_BYTES);
	model_init(&r->model, VIRTIO_ID_BLOCK, features, RIG_QUEUES, 128);
	r->model.notified = rig_notified;
	config_put(r, BLK_CONFIG_CAPACITY, SECTORS, 8);
	config_put(r, BLK_CONFIG_SEG_MAX, 30, 4);
	config_put(r, BLK_CONFIG_BLK_SIZE, 512, 4);
	config_put(r, BLK_CONFIG_NUM_QUEUES, RIG_QUEUES, 2);
	config_put(r, BLK_CONFIG_MAX_DISCARD, 64, 4);
	return r;
}

static bool rig_add(struct blk_rig *r)
{
	struct blkdev *d = NULL, *last = NULL;

	if (virtio_device_add(&r->model.dev))
		return false;
	while ((d = blkdev_next(d)))
		last = d;
	r->dev = last;
	return true;
}

static struct blk_rig *rig_begin(uint64_t features)
{
	struct blk_rig *r = rig_new(features);

	return rig_add(r) ? r : NULL;
}

static void rig_interrupts(struct blk_rig *r)
{
	while (model_interrupt(&r->model))
		executor_run_pending();
	executor_run_pending();
}

static int ask(struct blk_rig *r, struct asked *a, enum blk_op op, uint64_t offset, void *buf,
	       size_t len)
{
	asked_init(a, op, 0, offset, buf, len);
	blkdev_submit(r->dev, &a->r);
	blkdev_kick(r->dev);
	rig_interrupts(r);
	return a->ended ? a->error : -EINPROGRESS;
}

/* Bytes go out and come back, with nobody complaining. */
static bool rig_is_well(struct blk_rig *r)
{
	uint8_t *buf = page_alloc_exact(KIB(16), PAGE_KERNEL);
	struct asked a;
	bool well = true;

	r->hold = false;
	for (size_t i = 0; i < KIB(8); i++)
		buf[i] = (uint8_t)(i * 3 + r->requests);
	well = !ask(r, &a, BLK_WRITE, KIB(4), buf, KIB(8)) &&
	       !ask(r, &a, BLK_READ, KIB(4), buf + KIB(8), KIB(8)) &&
	       !memcmp(buf, buf + KIB(8), KIB(8)) && !memcmp(buf, r->disk + KIB(4), KIB(8)) &&
	       !r->model.complaint;
	page_free_exact(buf, KIB(16));
	return well;
}

static void check_features(uint64_t features)
{
	struct blk_rig *r = rig_begin(features);
	struct asked a;

	CHECK(r != NULL);
	CHECK(rig_is_well(r));
	CHECK_EQ(r->dev->bytes, DISK_BYTES);
	CHECK(str_equal(r->dev->serial, "rig-7")); /* nothing of a path gets in */
	CHECK_EQ(ask(r, &a, BLK_FLUSH, 0, NULL, 0), 0);
	CHECK_EQ(r->flushes, features & BLK_F_FLUSH ? 1 : 0);
	CHECK_EQ(r->model.dev.resets, 1);
}

TEST(blk_transfers_with_every_set_of_features)
{
	check_features(RING | BLK_F_SEG_MAX | BLK_F_FLUSH | BLK_F_BLK_SIZE);
	check_features(RING | BLK_F_FLUSH);
	check_features(VIRTIO_F_VERSION_1);
	check_features(BLK_F_SEG_MAX);
}

struct crossing {
	struct blk_rig *rig;
	struct asked asked;
	uint8_t *buf;
};

static void write_from_here(void *arg)
{
	struct crossing *c = arg;

	ask(c->rig, &c->asked, BLK_WRITE, 0, c->buf, 512);
}

/* From the first two harts, as far as there are so many. */
static void write_from_harts(struct blk_rig *r)
{
	struct crossing c = { .rig = r, .buf = page_alloc(0, PAGE_KERNEL) };

	for (int hart = 0; hart < (int)MIN(hart_count(), RIG_QUEUES); hart++) {
		const struct thread_attr attr = {
			.name = "writer", .priority = THREAD_PRIORITY_APP, .hart = hart
		};
		struct thread *t;

		memset(c.buf, 0x40 + hart, 512);
		CHECK_EQ(thread_create(&attr, write_from_here, &c, 0, &t), 0);
		thread_start(t);
		thread_join(t);
		rig_interrupts(r);
		CHECK(c.asked.ended == 1 && !c.asked.error);
		CHECK(!memcmp(r->disk, c.buf, 512));
	}
	page_free(c.buf, 0);
}

TEST(blk_uses_a_ring_for_each_hart)
{
	struct blk_rig *one = rig_begin(RING), *two = rig_begin(RING | BLK_F_MQ | BLK_F_FLUSH);

	CHECK(one && two);
	write_from_harts(one);
	CHECK_EQ(one->served, 1);
	two->served = 0;
	write_from_harts(two);
	CHECK_EQ(two->served, hart_count() > 1 ? 3 : 1);
	CHECK(rig_is_well(two));
}

TEST(blk_discards_where_the_device_can)
{
	struct blk_rig *r = rig_begin(RING | BLK_F_DISCARD), *plain = rig_begin(RING);
	struct asked a;

	CHECK(r && plain);
	CHECK_EQ(ask(r, &a, BLK_DISCARD, 0, NULL, KIB(100)), 0);
	CHECK_EQ(r->discards, 4); /* 64 sectors at a time */
	CHECK_EQ(ask(plain, &a, BLK_DISCARD, 0, NULL, KIB(100)), -EOPNOTSUPP);
}

/* As long as a range may be, in sectors, is not a multiple of the block. */
TEST(blk_discards_whole_blocks)
{
	struct blk_rig *r = rig_new(RING | BLK_F_DISCARD | BLK_F_BLK_SIZE);
	struct asked a;

	config_put(r, BLK_CONFIG_BLK_SIZE, 4096, 4);
	config_put(r, BLK_CONFIG_MAX_DISCARD, 63, 4);
	CHECK(rig_add(r));
	CHECK_EQ(ask(r, &a, BLK_DISCARD, 0, NULL, KIB(100)), 0);
	CHECK_EQ(r->discards, 4); /* 7 blocks at a time */
}

TEST(blk_gives_errors_of_the_device_to_who_asked)
{
	struct blk_rig *r = rig_begin(RING | BLK_F_FLUSH);
	uint8_t *buf = page_alloc(0, PAGE_KERNEL);
	struct asked a;

	CHECK(r != NULL);
	r->status = BLK_S_IOERR;
	CHECK_EQ(ask(r, &a, BLK_WRITE, 0, buf, 512), -EIO);
	CHECK_EQ(ask(r, &a, BLK_FLUSH, 0, NULL, 0), -EIO);
	r->status = BLK_S_UNSUPP;
	CHECK_EQ(ask(r, &a, BLK_READ, 0, buf, 512), -EOPNOTSUPP);
	r->status = 77;
	CHECK_EQ(ask(r, &a, BLK_READ, 0, buf, 512), -EIO);
	r->status = 0;
	CHECK(rig_is_well(r));
	CHECK_EQ(r->model.dev.resets, 1);
}

TEST(blk_read_that_claims_too_little_is_an_error)
{
	struct blk_rig *r = rig_begin(RING);
	uint8_t *buf = page_alloc(0, PAGE_KERNEL);
	struct asked a;

	CHECK(r != NULL);
	r->written_short = 1;
	CHECK_EQ(ask(r, &a, BLK_READ, 0, buf, 4096), -EIO);
	r->written_short = 4096;
	CHECK_EQ(ask(r, &a, BLK_READ, 0, buf, 4096), -EIO);
	r->written_short = 0;
	CHECK(rig_is_well(r));
}

/* After the lie: what was under way ended with -EIO, the next flush too, and then all is well. */
static void check_lie(uint32_t id, uint32_t len, uint16_t step)
{
	struct blk_rig *r = rig_begin(RING | BLK_F_FLUSH);
	uint8_t *buf = page_alloc_exact(KIB(8), PAGE_KERNEL);
	struct asked a, b, flush;
	struct model_chain c;

	CHECK(r != NULL);
	r->hold = true;
	CHECK_EQ(ask(r, &a, BLK_READ, 0, buf, KIB(4)), -EINPROGRESS);
	CHECK_EQ(ask(r, &b, BLK_WRITE, KIB(8), buf + KIB(4), KIB(4)), -EINPROGRESS);
	CHECK(model_pop(&r->model, 0, &c));
	model_lie(&r->model, 0, id, len, step);
	r->model.causes |= VIRTIO_INTERRUPT_QUEUE;
	rig_interrupts(r);
	CHECK(a.ended == 1 && a.error == -EIO);
	CHECK(b.ended == 1 && b.error == -EIO);
	CHECK_EQ(r->model.dev.resets, 3); /* one to stop it, one to begin */
	r->hold = false;
	CHECK_EQ(ask(r, &flush, BLK_FLUSH, 0, NULL, 0), -EIO);
	CHECK_EQ(ask(r, &flush, BLK_FLUSH, 0, NULL, 0), 0);
	CHECK(rig_is_well(r));
}

TEST(blk_survives_lies_in_the_ring)
{
	check_lie(0, 100, 300);                  /* an index that jumps */
	check_lie(4096, 1, 1);                   /* no such descriptor */
	check_lie(0xffffffff, 1, 1);
	check_lie(77, 1, 1);                     /* one that is not outstanding */
	check_lie(0, 4098, 1);                   /* longer than its buffers */
	check_lie(0, 0xfffffff0, 1);
}

TEST(blk_resets_a_device_that_asks_for_it)
{
	struct blk_rig *r = rig_begin(RING | BLK_F_FLUSH);

	CHECK(r != NULL);
	r->model.status |= VIRTIO_STATUS_NEEDS_RESET;
	model_config_changed(&r->model);
	rig_interrupts(r);
	CHECK_EQ(r->model.dev.resets, 3); /* one to stop it, one to begin */
	CHECK(rig_is_well(r));
}

TEST(blk_device_that_comes_back_different_is_dead)
{
	struct blk_rig *r = rig_begin(RING | BLK_F_FLUSH);
	uint8_t *buf = page_alloc(0, PAGE_KERNEL);
	struct asked a;

	CHECK(r != NULL);
	r->model.offered = RING; /* and its write cache cannot be flushed any more */
	r->model.status |= VIRTIO_STATUS_NEEDS_RESET;
	model_config_changed(&r->model);
	rig_interrupts(r);
	CHECK_EQ(ask(r, &a, BLK_READ, 0, buf, 512), -EIO);
	CHECK_EQ(ask(r, &a, BLK_FLUSH, 0, NULL, 0), -EIO);
}

static bool refused(uint64_t features, unsigned offset, uint64_t value, unsigned width)
{
	struct blk_rig *r = rig_new(features);

	config_put(r, offset, value, width);
	return virtio_device_add(&r->model.dev) == -EPROTO;
}

static struct blk_rig *appearing;
static int first_read;

static void read_at_once(struct blkdev *d)
{
	uint8_t *sector = page_alloc(0, PAGE_KERNEL);
	struct asked a;

	appearing->dev = d;
	first_read = ask(appearing, &a, BLK_READ, 0, sector, BLK_SECTOR);
	page_free(sector, 0);
}

TEST(blk_answers_as_soon_as_the_disk_is_known)
{
	appearing = rig_new(RING);
	first_read = -EINPROGRESS;
	blkdev_set_listener(read_at_once);
	CHECK_EQ(virtio_device_add(&appearing->model.dev), 0);
	blkdev_set_listener(NULL);
	CHECK_EQ(first_read, 0);
}

TEST(blk_refuses_impossible_configurations)
{
	CHECK(refused(RING, BLK_CONFIG_CAPACITY, UINT64_MAX, 8));
	CHECK(refused(RING, BLK_CONFIG_CAPACITY, 1ull << 55, 8));
	CHECK(refused(RING, BLK_CONFIG_CAPACITY, (1ull << 54) - 1, 8));
	CHECK(refused(RING | BLK_F_BLK_SIZE, BLK_CONFIG_BLK_SIZE, 0, 4));
	CHECK(refused(RING | BLK_F_BLK_SIZE, BLK_CONFIG_BLK_SIZE, 513, 4));
	CHECK(refused(RING | BLK_F_BLK_SIZE, BLK_CONFIG_BLK_SIZE, 1 << 20, 4));
	CHECK(refused(RING | BLK_F_SIZE_MAX, BLK_CONFIG_SIZE_MAX, 100, 4));
}

/* A liar that answers, holds, lies and breaks at random: each request ends exactly once. */
TEST(blk_survives_a_liar)
{
	struct blk_rig *r = rig_begin(RING | BLK_F_FLUSH | BLK_F_SEG_MAX);
	uint8_t *buf = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	static struct asked a[16];

	CHECK(r != NULL);
	r->hold = true;
	for (int round = 0; round < 10000; round++) {
		struct asked *one = &a[test_random() % ARRAY_SIZE(a)];
		struct model_chain c;
		uint64_t sector = test_random_below(SECTORS - 16);

		if (!one->r.done || one->ended)
			ask(r, one, (enum blk_op)(test_random() % 3), sector * BLK_SECTOR,
			    buf + sector * BLK_SECTOR, BLK_SECTOR * (1 + test_random_below(16)));
		switch (test_random() % 8) {
		case 0:
			model_lie(&r->model, 0, (uint32_t)test_random_below(200),
				  (uint32_t)test_random_below(9000),
				  (uint16_t)test_random_below(3));
			break;
		case 1:
			if (model_pop(&r->model, 0, &c))
				model_push(&r->model, 0, c.head, (uint32_t)test_random_below(9000));
			break;
		default:
			rig_serve(r, 0);
		}
		r->model.causes |= VIRTIO_INTERRUPT_QUEUE;
		rig_interrupts(r);
		for (size_t i = 0; i < ARRAY_SIZE(a); i++)
			CHECK(a[i].ended <= 1);
	}
	r->hold = false;
	for (int i = 0; i < 20; i++) { /* what waited comes to the device, too */
		rig_serve(r, 0);
		r->model.causes |= VIRTIO_INTERRUPT_QUEUE;
		rig_interrupts(r);
	}
	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		CHECK_EQ(a[i].ended, 1);
	ask(r, &a[0], BLK_FLUSH, 0, NULL, 0); /* may tell of lost writes */
	CHECK(rig_is_well(r));
}
