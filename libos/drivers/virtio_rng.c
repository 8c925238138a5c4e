/*
 * Virtio entropy devices [5.4]: one request of 64 bytes at a time, whenever the generator asks for
 * more. What comes is mixed in and never used as it is, so a device that lies can withhold
 * randomness but not choose it once another source has contributed.
 */
#include <core/errno.h>
#include <core/executor.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>
#include <libos/rng.h>

#include "virtqueue.h"

#define REQUEST_BYTES 64u

struct virtio_rng {
	struct virtio_device *dev;
	struct virtqueue q;
	struct task task;             /* everything but the request flag happens in it */
	struct random_source source;
	uint32_t wanted;              /* atomic */
	bool dead;
	uint8_t *buffer;
};

static void post_request(struct virtio_rng *r)
{
	struct virtq_seg seg = { page_paddr(r->buffer), REQUEST_BYTES };

	if (virtq_add(&r->q, &seg, 0, 1, r))
		return;
	virtq_interrupt_after(&r->q, 1);
	virtq_kick(&r->q);
}

static int rng_begin(struct virtio_rng *r)
{
	int error = virtio_begin(r->dev, 0);

	if (!error)
		error = virtq_setup(&r->q, r->dev, 0, 1, 0);
	if (!error)
		virtio_ready(r->dev);
	return error;
}

static void rng_restart(struct virtio_rng *r)
{
	if (rng_begin(r)) {
		virtio_fail(r->dev);
		r->dead = true;
	}
}

static void rng_task(struct task *t)
{
	struct virtio_rng *r = container_of(t, struct virtio_rng, task);
	uint32_t written;

	if (r->dead)
		return;
	while (virtq_take(&r->q, &written)) {
		random_add_entropy(r->buffer, written, written * 8);
		memset(r->buffer, 0, REQUEST_BYTES);
	}
	if (virtio_is_broken(r->dev))
		rng_restart(r);
	if (!virtq_outstanding(&r->q) && __atomic_exchange_n(&r->wanted, 0, __ATOMIC_RELAXED) &&
	    !r->dead)
		post_request(r);
}

static void rng_request(struct random_source *s)
{
	struct virtio_rng *r = container_of(s, struct virtio_rng, source);

	__atomic_store_n(&r->wanted, 1, __ATOMIC_RELAXED);
	task_wake(&r->task);
}

static void rng_interrupt(struct virtio_device *d, uint32_t causes)
{
	struct virtio_rng *r = d->driver_data;

	if (r && causes & VIRTIO_INTERRUPT_QUEUE)
		task_wake(&r->task);
}

static int rng_probe(struct virtio_device *d)
{
	struct virtio_rng *r = kzalloc(sizeof(*r));
	int error = -ENOMEM;

	if (!r)
		return -ENOMEM;
	r->dev = d;
	r->buffer = kzalloc(REQUEST_BYTES);
	if (r->buffer)
		error = rng_begin(r);
	if (error) {
		if (virtio_reset(d) == 0)
			virtq_release(&r->q);
		kfree(r->buffer);
		kfree(r);
		return error;
	}
	task_init(&r->task, "virtio-rng", rng_task);
	r->source.request = rng_request;
	d->driver_data = r;
	random_source_add(&r->source);
	log_info("%s: virtio-rng", d->name);
	return 0;
}

static const struct virtio_driver virtio_rng_driver = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.probe = rng_probe,
	.interrupt = rng_interrupt,
};
VIRTIO_DRIVER(virtio_rng_driver);
