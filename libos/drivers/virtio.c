/*
 * The core of virtio: finding drivers, negotiating, resetting, and believing nothing. See virtio.h.
 */
#include "virtio.h"

#include <core/arch.h>
#include <core/counter.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/log.h>
#include <core/thread.h>
#include <core/time.h>

#define RESET_TIMEOUT_NS NSEC_PER_SEC
#define LIES_LOGGED      16u

/* The ring's own features, taken whenever they are offered. */
#define RING_FEATURES                                                             \
	(VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)

COUNTER(virtio_lies, "times a virtio device broke its contract");
COUNTER(virtio_resets, "times a virtio device was reset after that");

extern const struct virtio_driver *const __start_drivers[] __attribute__((weak));
extern const struct virtio_driver *const __stop_drivers[] __attribute__((weak));

static const struct virtio_driver *driver_for(uint32_t id)
{
	const struct virtio_driver *const *at;

	for (at = __start_drivers; at < __stop_drivers; at++) {
		if ((*at)->id == id)
			return *at;
	}
	return NULL;
}

/* Before the machine is switched off, or handed to another program: no more access to memory. */
static void quiesce(struct power_hook *h)
{
	virtio_reset(container_of(h, struct virtio_device, power_hook));
}

int virtio_device_add(struct virtio_device *d)
{
	int error;

	d->driver = driver_for(d->id);
	if (!d->driver)
		return -ENODEV;
	error = d->driver->probe(d);
	if (error) {
		log_warn("%s: %s gives up, error %d", d->name, d->driver->name, -error);
		return error;
	}
	d->power_hook = (struct power_hook){ .level = POWER_DEVICES, .run = quiesce };
	power_hook_add(&d->power_hook);
	return 0;
}

static void add_status(struct virtio_device *d, uint8_t bits)
{
	d->transport->set_status(d, d->transport->status(d) | bits);
}

int virtio_reset(struct virtio_device *d)
{
	uint64_t deadline = clock_ns() + RESET_TIMEOUT_NS;

	d->transport->set_status(d, 0);
	while (d->transport->status(d)) {
		if (clock_ns() > deadline) {
			log_error("%s: does not reset", d->name);
			virtio_fail(d);
			return -EIO;
		}
		arch_relax();
	}
	if (d->broken)
		counter_inc(virtio_resets);
	d->resets++;
	__atomic_store_n(&d->broken, NULL, __ATOMIC_RELAXED);
	return 0;
}

void virtio_fail(struct virtio_device *d)
{
	__atomic_store_n(&d->broken, "failed", __ATOMIC_RELAXED);
	add_status(d, VIRTIO_STATUS_FAILED);
}

/* The steps of [3.1.1]; a legacy device knows no FEATURES_OK [3.1.2]. */
int virtio_begin(struct virtio_device *d, uint64_t wanted)
{
	uint64_t offered;
	int error = virtio_reset(d);

	if (error)
		return error;
	add_status(d, VIRTIO_STATUS_ACKNOWLEDGE);
	add_status(d, VIRTIO_STATUS_DRIVER);
	offered = d->transport->features(d);
	if (d->legacy)
		offered &= UINT32_MAX;
	else if (!(offered & VIRTIO_F_VERSION_1))
		return -EPROTO;
	d->features = offered & (wanted | RING_FEATURES);
	d->transport->set_features(d, d->features);
	if (d->legacy)
		return 0;
	add_status(d, VIRTIO_STATUS_FEATURES_OK);
	return d->transport->status(d) & VIRTIO_STATUS_FEATURES_OK ? 0 : -EPROTO;
}

void virtio_ready(struct virtio_device *d)
{
	add_status(d, VIRTIO_STATUS_DRIVER_OK);
}

void virtio_break(struct virtio_device *d, const char *why)
{
	const char *sound = NULL;

	if (!__atomic_compare_exchange_n(&d->broken, &sound, why, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return;
	counter_inc(virtio_lies);
	d->lies++;
	if (d->lies <= LIES_LOGGED)
		log_warn("%s: broken device, to be reset: %s", d->name, why);
	if (d->lies == LIES_LOGGED)
		log_warn("%s: further resets of this device are only counted", d->name);
}

uint8_t virtio_config_u8(struct virtio_device *d, unsigned offset)
{
	return (uint8_t)d->transport->config_read(d, offset, 1);
}

uint16_t virtio_config_u16(struct virtio_device *d, unsigned offset)
{
	return (uint16_t)d->transport->config_read(d, offset, 2);
}

uint32_t virtio_config_u32(struct virtio_device *d, unsigned offset)
{
	return d->transport->config_read(d, offset, 4);
}

uint64_t virtio_config_u64(struct virtio_device *d, unsigned offset)
{
	uint64_t value = 0;

	/* A device that changes without end gets a few tries, not the machine. */
	for (unsigned tries = 0; tries < 8; tries++) {
		uint32_t before = d->transport->config_generation(d);

		value = virtio_config_u32(d, offset) | (uint64_t)virtio_config_u32(d, offset + 4)
							       << 32;
		if (d->transport->config_generation(d) == before)
			break;
	}
	return value;
}

void virtio_config_bytes(struct virtio_device *d, unsigned offset, void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = virtio_config_u8(d, offset + (unsigned)i);
}
