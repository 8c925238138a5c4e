/*
 * Virtqueues against a device that behaves, and one test for each lie about a used ring.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>

#include "model.h"

#define MODERN (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)

static struct model *model;
static struct virtqueue *queue;
static uint8_t *memory;
static int cookies[64];

/* A device with one queue of `size`, in operation. */
static bool begin(uint64_t features, unsigned size, unsigned indirect_max)
{
	if (!model) {
		model = kzalloc(sizeof(*model));
		queue = kzalloc(sizeof(*queue));
		memory = kzalloc(PAGE_SIZE);
	}
	if (queue->desc)
		virtq_release(queue);
	memset(queue, 0, sizeof(*queue));
	model_init(model, 0, features, 1, 64);
	if (virtio_begin(&model->dev, 0) || virtq_setup(queue, &model->dev, 0, size, indirect_max))
		return false;
	virtio_ready(&model->dev);
	return true;
}

static struct virtq_seg seg(unsigned offset, unsigned len)
{
	struct virtq_seg s;

	virtq_pieces(memory + offset, len, &s, 0, 1);
	return s;
}

static int offer(unsigned out, unsigned in, unsigned cookie)
{
	struct virtq_seg segs[16];

	for (unsigned i = 0; i < out + in; i++)
		segs[i] = seg(i * 64, 64);
	return virtq_add(queue, segs, out, in, &cookies[cookie]);
}

static bool broken_because(const char *part)
{
	const char *why = model->dev.broken;

	for (; why && *why; why++) {
		if (str_starts_with(why, part))
			return true;
	}
	return false;
}

TEST(virtq_carries_a_request_with_a_status_byte)
{
	static const uint64_t kinds[] = { MODERN, VIRTIO_F_VERSION_1, VIRTIO_F_INDIRECT_DESC, 0 };
	struct model_chain c;
	uint32_t written;
	uint8_t status = 7;

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		CHECK(begin(kinds[k], 16, 4));
		struct virtq_seg segs[3] = { seg(0, 16), seg(512, 512), seg(1024, 1) };

		CHECK_EQ(virtq_add(queue, segs, 2, 1, &cookies[1]), 0);
		CHECK(!model_pop(model, 0, &c)); /* not published yet */
		CHECK(virtq_kick(queue));
		CHECK(model_pop(model, 0, &c));
		CHECK_EQ(c.count, 3);
		CHECK_EQ(c.out_bytes, 528);
		CHECK_EQ(c.in_bytes, 1);
		CHECK_EQ(model_write(&c, &status, 1), 1);
		CHECK(!virtq_take(queue, &written));
		model_push(model, 0, c.head, 1);
		CHECK(virtq_take(queue, &written) == &cookies[1]);
		CHECK_EQ(written, 1);
		CHECK_EQ(memory[1024], 7);
		CHECK_EQ(queue->free_count, 16);
		CHECK(!model->complaint && !model->dev.broken);
	}
}

TEST(virtq_takes_back_chains_in_any_order)
{
	struct model_chain c[3];
	uint32_t written;

	CHECK(begin(MODERN, 8, 0));
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(offer(1, 1, i), 0);
	CHECK_EQ(queue->free_count, 2);
	CHECK_EQ(offer(2, 1, 3), -EAGAIN);
	CHECK_EQ(offer(8, 1, 3), -EINVAL);
	virtq_kick(queue);
	for (unsigned i = 0; i < 3; i++)
		CHECK(model_pop(model, 0, &c[i]));
	for (unsigned i = 3; i-- > 0;) {
		model_push(model, 0, c[i].head, 64);
		CHECK(virtq_take(queue, &written) == &cookies[i]);
	}
	CHECK_EQ(queue->free_count, 8);
	CHECK_EQ(virtq_outstanding(queue), 0);
}

TEST(virtq_goes_round_its_indices_many_times)
{
	struct model_chain c;
	uint32_t written;

	CHECK(begin(MODERN, 16, 4));
	for (unsigned i = 0; i < 70000; i++) {
		unsigned n = (unsigned)test_random_below(4) + 1;

		CHECK_EQ(offer(n, 1, i % 64), 0);
		virtq_kick(queue);
		CHECK(model_pop(model, 0, &c));
		CHECK_EQ(c.count, n + 1);
		model_push(model, 0, c.head, 64);
		CHECK(virtq_take(queue, &written) == &cookies[i % 64]);
	}
	CHECK(!model->complaint);
}

TEST(virtq_notifies_once_a_batch_and_only_when_asked)
{
	struct model_chain c;

	CHECK(begin(MODERN, 16, 0));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(offer(1, 0, i), 0);
	CHECK(virtq_kick(queue));
	CHECK(!virtq_kick(queue));
	CHECK_EQ(model->queues[0].notifications, 1);
	/* The device has not looked: it did not ask to be told again. */
	CHECK_EQ(offer(1, 0, 4), 0);
	CHECK(!virtq_kick(queue));
	while (model_pop(model, 0, &c))
		;
	CHECK_EQ(offer(1, 0, 5), 0);
	CHECK(virtq_kick(queue));

	CHECK(begin(VIRTIO_F_VERSION_1, 16, 0));
	model_used(model, 0)->flags = VIRTQ_USED_F_NO_NOTIFY;
	CHECK_EQ(offer(1, 0, 0), 0);
	CHECK(!virtq_kick(queue));
}

/* As if the device's word that it sleeps had come while the index was on its way to it. */
TEST(virtq_an_early_kick_that_missed_the_device_is_made_good)
{
	CHECK(begin(MODERN, 16, 0));
	CHECK_EQ(offer(1, 0, 0), 0);
	CHECK(virtq_kick_early(queue));
	CHECK_EQ(model->queues[0].notifications, 1);
	virtq_settle(queue);
	CHECK_EQ(model->queues[0].notifications, 1);
	CHECK_EQ(offer(1, 0, 1), 0);
	CHECK(!virtq_kick_early(queue));          /* it seems to be awake, */
	*queue->avail_event = 1;                  /* and is not */
	virtq_settle(queue);
	CHECK_EQ(model->queues[0].notifications, 2);
	virtq_settle(queue);
	CHECK_EQ(model->queues[0].notifications, 2);
	CHECK_EQ(offer(1, 0, 2), 0);
	CHECK(!virtq_kick_early(queue));
	*queue->avail_event = 2;
	CHECK_EQ(offer(1, 0, 3), 0);
	CHECK(virtq_kick_early(queue));           /* for both */
	virtq_settle(queue);
	CHECK_EQ(model->queues[0].notifications, 3);
}

TEST(virtq_sees_what_was_used_while_it_armed_the_interrupt)
{
	static const uint64_t kinds[] = { MODERN, VIRTIO_F_VERSION_1 };
	struct model_chain c[4];
	uint32_t written;

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		CHECK(begin(kinds[k], 16, 0));
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(offer(0, 1, i), 0);
		virtq_kick(queue);
		for (unsigned i = 0; i < 4; i++)
			CHECK(model_pop(model, 0, &c[i]));
		CHECK(virtq_interrupt_after(queue, 1));
		model_push(model, 0, c[0].head, 1);
		CHECK(!virtq_interrupt_after(queue, 1));
		CHECK(virtq_take(queue, &written));
		CHECK(virtq_interrupt_after(queue, 2));
		model_push(model, 0, c[1].head, 1);
		CHECK(virtq_interrupt_after(queue, 2));
		model_push(model, 0, c[2].head, 1);
		CHECK(!virtq_interrupt_after(queue, 2));
	}
}

TEST(virtq_gives_back_what_a_reset_device_had)
{
	unsigned seen = 0;
	int *cookie;

	CHECK(begin(MODERN, 16, 4));
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(offer(2, 1, i), 0);
	virtq_kick(queue);
	CHECK_EQ(virtio_reset(&model->dev), 0);
	while ((cookie = virtq_reclaim(queue)) != NULL)
		seen |= 1u << (cookie - cookies);
	CHECK_EQ(seen, 31);
	CHECK_EQ(queue->free_count, 16);
}

/* One lie each: the reason is the expected one, nothing is taken, and after a reset all is well. */
static void check_lie(uint32_t id, uint32_t len, uint16_t step, const char *reason)
{
	struct model_chain c;
	uint32_t written;

	CHECK(begin(MODERN, 16, 4));
	CHECK_EQ(offer(0, 1, 1), 0);
	CHECK_EQ(offer(0, 1, 2), 0);
	virtq_kick(queue);
	CHECK(model_pop(model, 0, &c));
	model_lie(model, 0, id, len, step);
	CHECK(!virtq_take(queue, &written));
	CHECK(broken_because(reason));
	CHECK(!virtq_take(queue, &written));
	CHECK_EQ(offer(0, 1, 3), 0);
	CHECK(!virtq_kick(queue)); /* a broken device is left alone */
	CHECK_EQ(virtio_begin(&model->dev, 0), 0);
	CHECK(!model->dev.broken);
	CHECK_EQ(virtq_setup(queue, &model->dev, 0, 16, 4), 0);
	virtio_ready(&model->dev);
	CHECK_EQ(offer(0, 1, 5), 0);
	virtq_kick(queue);
	CHECK(model_pop(model, 0, &c));
	model_push(model, 0, c.head, 64);
	CHECK(virtq_take(queue, &written) == &cookies[5]);
}

TEST(virtq_refuses_an_index_ahead_of_what_was_offered)
{
	check_lie(0, 1, 3, "used index is ahead");
	check_lie(0, 1, 0x8000, "used index is ahead");
	check_lie(0, 1, 0xffff, "used index is ahead");
}

TEST(virtq_refuses_a_number_that_is_no_descriptor)
{
	check_lie(16, 1, 1, "used entry names no");
	check_lie(0xffffffff, 1, 1, "used entry names no");
	check_lie(0x10000, 1, 1, "used entry names no");
}

TEST(virtq_refuses_a_chain_that_is_not_outstanding)
{
	check_lie(2, 1, 1, "used entry names a chain");
}

TEST(virtq_refuses_a_length_beyond_the_buffers)
{
	check_lie(0, 65, 1, "used entry is longer");
	check_lie(0, 0xffffffff, 1, "used entry is longer");
}

TEST(virtq_refuses_the_same_chain_twice)
{
	struct model_chain c;
	uint32_t written;

	CHECK(begin(MODERN, 16, 4));
	CHECK_EQ(offer(0, 1, 1), 0);
	CHECK_EQ(offer(0, 1, 2), 0);
	virtq_kick(queue);
	CHECK(model_pop(model, 0, &c));
	model_fill(model, 0, 0, c.head, 1);
	model_fill(model, 0, 1, c.head, 1);
	model_flush(model, 0, 2);
	CHECK(virtq_take(queue, &written) == &cookies[1]);
	CHECK(!virtq_take(queue, &written));
	CHECK(broken_because("used entry names a chain"));
}

TEST(virtq_does_not_read_a_table_that_the_device_scribbled_over)
{
	struct model_chain c[2];
	uint32_t written;

	CHECK(begin(VIRTIO_F_VERSION_1, 16, 0));
	CHECK_EQ(offer(3, 1, 1), 0);
	CHECK_EQ(offer(3, 1, 2), 0);
	virtq_kick(queue);
	CHECK(model_pop(model, 0, &c[0]) && model_pop(model, 0, &c[1]));
	/* every chain a loop, every link out of range or to itself */
	for (unsigned i = 0; i < 16; i++)
		queue->desc[i] = (struct virtq_desc){ UINT64_MAX, UINT32_MAX, 0xffff,
						      (uint16_t)(i & 1 ? i : 0xffff) };
	memset(queue->avail, 0xff, 6 + 16 * 2);
	model_push(model, 0, c[1].head, 64);
	model_push(model, 0, c[0].head, 64);
	CHECK(virtq_take(queue, &written) == &cookies[2]);
	CHECK(virtq_take(queue, &written) == &cookies[1]);
	CHECK_EQ(queue->free_count, 16);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(offer(1, 0, i), 0);
	CHECK_EQ(offer(1, 0, 16), -EAGAIN);
}

TEST(virtq_refuses_queue_sizes_that_are_nonsense)
{
	CHECK(begin(MODERN, 16, 0));
	virtq_release(queue);
	memset(queue, 0, sizeof(*queue));
	model->queues[0].size_max = 0;
	CHECK_EQ(virtq_setup(queue, &model->dev, 0, 16, 0), -ENOENT);
	model->queues[0].size_max = 0x80000000;
	CHECK_EQ(virtq_setup(queue, &model->dev, 0, 16, 0), -EPROTO);
	model->queues[0].size_max = 100; /* not a power of two: 64 of them are used */
	CHECK_EQ(virtq_setup(queue, &model->dev, 0, 128, 0), 0);
	CHECK_EQ(queue->size, 64);
	model->queues[0].size_max = 32; /* shrunk since */
	CHECK_EQ(virtq_setup(queue, &model->dev, 0, 128, 0), -EPROTO);
}

TEST(virtio_gives_up_on_devices_that_do_not_negotiate)
{
	CHECK(begin(MODERN, 16, 0));
	model->refuses_features = true;
	CHECK_EQ(virtio_begin(&model->dev, 0), -EPROTO);
	model->refuses_features = false;
	model->offered &= ~VIRTIO_F_VERSION_1;
	CHECK_EQ(virtio_begin(&model->dev, 0), -EPROTO);
	model->status = VIRTIO_STATUS_DRIVER_OK;
	model->stuck = true;
	CHECK_EQ(virtio_begin(&model->dev, 0), -EIO);
	CHECK(model->status & VIRTIO_STATUS_FAILED);
	model->stuck = false;
	model->generation_runs = true;
	CHECK_EQ(virtio_config_u64(&model->dev, 0), 0); /* comes to an end */
}
