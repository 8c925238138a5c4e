/*
 * The entropy driver: it asks, mixes in what comes, and resets a device that claims too much.
 */
#include <core/executor.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/rng.h>

#include "model.h"

TEST(rng_device_is_asked_and_survived)
{
	struct model *m = kzalloc(sizeof(*m));
	uint8_t noise[64] = { 42 };
	struct model_chain c;

	model_init(m, VIRTIO_ID_RNG, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX, 1, 8);
	CHECK_EQ(virtio_device_add(&m->dev), 0);
	executor_run_pending();
	CHECK(model_pop(m, 0, &c)); /* a new source is asked at once */
	CHECK_EQ(c.in_bytes, 64);
	CHECK_EQ(model_write(&c, noise, 64), 64);
	model_push(m, 0, c.head, 64);
	CHECK(model_interrupt(m));
	executor_run_pending();
	CHECK(random_is_seeded());
	CHECK(!model_pop(m, 0, &c)); /* and not again until it is due */
	model_lie(m, 0, 5, 70, 1);
	m->causes = VIRTIO_INTERRUPT_QUEUE;
	model_interrupt(m);
	executor_run_pending();
	CHECK_EQ(m->dev.resets, 2);
	CHECK(!m->dev.broken);
	CHECK(!m->complaint);
}
