/*
 * Virtio devices: what every driver of one does in the same way.
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, OASIS; "[2.7.13]" cites a section of it.
 *
 * Three parts meet here. A transport (virtio_mmio.c; a simulated one in the tests) reaches the
 * device's registers. The core (virtio.c) negotiates, resets and keeps the state of a device. A
 * driver (virtio_net.c, ...) joins by VIRTIO_DRIVER() and owns its virtqueues (virtqueue.h).
 *
 * The device is hostile. Whatever it writes, into a ring or into its configuration, is checked
 * where it is read, and each fact is read once. The first lie calls virtio_break(): from then on
 * nothing is taken from or given to the device until its driver has reset it.
 *
 * Life of a device: found -> probe() -> virtio_begin() (negotiated) -> queues set up ->
 * virtio_ready() (DRIVER_OK) -> ... -> virtio_reset(), and perhaps virtio_begin() again.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include <core/list.h>
#include <core/types.h>
#include <libos/power.h>

/* Device status [2.1]. */
#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER      2u
#define VIRTIO_STATUS_DRIVER_OK   4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_STATUS_FAILED      128u

/* Feature bits of every device [6], [6.3]. */
#define VIRTIO_F_ANY_LAYOUT    (1ULL << 27) /* legacy: headers need no descriptor of their own */
#define VIRTIO_F_INDIRECT_DESC (1ULL << 28)
#define VIRTIO_F_EVENT_IDX     (1ULL << 29)
#define VIRTIO_F_VERSION_1     (1ULL << 32)

/* Device numbers [5]. */
enum { VIRTIO_ID_NET = 1, VIRTIO_ID_BLOCK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4 };

/* What the driver of a legacy device chooses as alignment of the used ring [4.2.4]. */
#define VIRTIO_LEGACY_ALIGN 64u

/* Interrupt causes, as virtio-mmio's InterruptStatus has them [4.2.2]. */
#define VIRTIO_INTERRUPT_QUEUE  1u
#define VIRTIO_INTERRUPT_CONFIG 2u

struct virtio_device;

/* Where a queue's three parts lie, in physical addresses. */
struct virtio_queue_place {
	uint16_t size;
	paddr_t desc, avail, used;
};

/* How a device's registers are reached. Threads, unless said otherwise. */
struct virtio_transport {
	uint8_t (*status)(struct virtio_device *d);
	void (*set_status)(struct virtio_device *d, uint8_t status);  /* 0 resets */
	uint64_t (*features)(struct virtio_device *d);
	void (*set_features)(struct virtio_device *d, uint64_t features);
	/* One field of 1, 2 or 4 bytes, naturally aligned. */
	uint32_t (*config_read)(struct virtio_device *d, unsigned offset, unsigned width);
	void (*config_write)(struct virtio_device *d, unsigned offset, unsigned width,
			     uint32_t value);
	uint32_t (*config_generation)(struct virtio_device *d);
	unsigned (*queue_size_max)(struct virtio_device *d, unsigned index); /* 0: no such queue */
	void (*queue_enable)(struct virtio_device *d, unsigned index,
			     const struct virtio_queue_place *p);
	void (*notify)(struct virtio_device *d, unsigned index);               /* any context */
	uint32_t (*take_interrupt)(struct virtio_device *d); /* any context: causes, acknowledged */
	/*
	 * Interrupts off: what irq_take() is for. Acknowledges VIRTIO_INTERRUPT_QUEUE, pending or
	 * not.
	 */
	void (*quiet_queues)(struct virtio_device *d);
};

/*  Locks:  I set once before the driver sees it   o the driver's own serialisation   a atomic */
struct virtio_device {
	const struct virtio_transport *transport; /* [I] */
	const struct virtio_driver *driver;       /* [I] */
	void *driver_data;                        /* [o] */
	char name[16];                            /* [I] "virtio0", for the log */
	uint32_t id;                              /* [I] VIRTIO_ID_* */
	uint32_t irq;                             /* [I] */
	bool legacy;                              /* [I] the transport speaks the pre-1.0 layout */
	uint64_t features;                        /* [o] as negotiated */
	const char *broken; /* [a] why nothing more is believed; NULL: sound */
	uint32_t lies;                            /* [o] how often it broke */
	uint32_t resets;                          /* [o] */
	struct power_hook power_hook;
};

struct virtio_driver {
	const char *name;
	uint32_t id;
	int (*probe)(struct virtio_device *d);        /* 0 or negative errno; may sleep */
	/* Interrupt context; `causes` is VIRTIO_INTERRUPT_*. */
	void (*interrupt)(struct virtio_device *d, uint32_t causes);
};

/* Joins a driver by linker set. */
#define VIRTIO_DRIVER(symbol)                                               \
	static const struct virtio_driver *const virtio_driver_##symbol     \
	    __attribute__((used, section("drivers"), aligned(8))) = &symbol

static inline bool virtio_has(const struct virtio_device *d, uint64_t feature)
{
	return d->features & feature;
}

static inline bool virtio_is_broken(const struct virtio_device *d)
{
	return __atomic_load_n(&d->broken, __ATOMIC_RELAXED) != NULL;
}

/* A transport found a device: looks for its driver and probes it. -ENODEV: nobody wants it. */
int virtio_device_add(struct virtio_device *d);

/*
 * Resets the device and negotiates: `wanted` cut to what it offers, with the features of the ring
 * itself added. 0; -EPROTO when it does not accept; -EIO when it does not reset.
 */
int virtio_begin(struct virtio_device *d, uint64_t wanted);
void virtio_ready(struct virtio_device *d);

/*
 * Resets, so that the device lets go of all memory. -EIO when it does not confirm within a second:
 * then it is marked FAILED and memory it may write to must not be used again.
 */
int virtio_reset(struct virtio_device *d);
void virtio_fail(struct virtio_device *d);  /* [2.1] FAILED: the driver gives up */

/* A lie. Logged (with a limit), counted; the driver resets at its next safe point. Any context. */
void virtio_break(struct virtio_device *d, const char *why);

/* Configuration fields; wider ones are read until the generation stands still [2.5.1]. */
uint8_t virtio_config_u8(struct virtio_device *d, unsigned offset);
uint16_t virtio_config_u16(struct virtio_device *d, unsigned offset);
uint32_t virtio_config_u32(struct virtio_device *d, unsigned offset);
uint64_t virtio_config_u64(struct virtio_device *d, unsigned offset);
void virtio_config_bytes(struct virtio_device *d, unsigned offset, void *buf, size_t len);

#endif
