/*
 * Virtio over memory-mapped registers [4.2]: every slot of the device tree is looked at, and a slot
 * with a device in it gets a driver.
 *
 * Two register layouts exist: version 2, and the legacy one [4.2.4] that QEMU shows unless told
 * otherwise. They differ in how a queue is placed (three addresses, or one page number) and in that
 * legacy devices have 32 feature bits and no generation.
 *
 * Reads of device registers are dear (under a hypervisor each one leaves the guest), so none is on
 * the path of a frame: a notification is one write, an interrupt one read and one write.
 */
#include <core/arch.h>
#include <core/boot.h>
#include <core/errno.h>
#include <core/fdt.h>
#include <core/fmt.h>
#include <core/init.h>
#include <core/irq.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <core/vm.h>

#include "virtio.h"
#include "virtqueue.h"

/* Register offsets [4.2.2, 4.2.4]. */
enum {
	REG_MAGIC = 0x000, REG_VERSION = 0x004, REG_DEVICE_ID = 0x008,
	REG_DEVICE_FEATURES = 0x010, REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020, REG_DRIVER_FEATURES_SEL = 0x024,
	REG_GUEST_PAGE_SIZE = 0x028, /* legacy */
	REG_QUEUE_SEL = 0x030, REG_QUEUE_SIZE_MAX = 0x034, REG_QUEUE_SIZE = 0x038,
	REG_QUEUE_ALIGN = 0x03c, REG_QUEUE_PFN = 0x040, /* legacy */
	REG_QUEUE_READY = 0x044, REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060, REG_INTERRUPT_ACK = 0x064, REG_STATUS = 0x070,
	REG_QUEUE_DESC = 0x080, REG_QUEUE_DRIVER = 0x090, REG_QUEUE_DEVICE = 0x0a0,
	REG_CONFIG_GENERATION = 0x0fc, REG_CONFIG = 0x100,
};

#define MAGIC        0x74726976u /* "virt" */
#define WINDOW_BYTES 0x200u

struct virtio_mmio {
	struct virtio_device device;
	volatile uint8_t *window;
};

static inline volatile uint8_t *window_of(struct virtio_device *d)
{
	return container_of(d, struct virtio_mmio, device)->window;
}

static inline uint32_t reg_read(struct virtio_device *d, unsigned reg)
{
	return *(volatile uint32_t *)(window_of(d) + reg);
}

/* What was written to memory before is there when the device sees the register change. */
static inline void reg_write(struct virtio_device *d, unsigned reg, uint32_t value)
{
	arch_io_fence();
	*(volatile uint32_t *)(window_of(d) + reg) = value;
}

static uint8_t mmio_status(struct virtio_device *d)
{
	return (uint8_t)reg_read(d, REG_STATUS);
}

static void mmio_set_status(struct virtio_device *d, uint8_t status)
{
	reg_write(d, REG_STATUS, status);
	if (d->legacy && !status) /* QEMU forgets it with the reset */
		reg_write(d, REG_GUEST_PAGE_SIZE, PAGE_SIZE);
}

static uint64_t mmio_features(struct virtio_device *d)
{
	uint64_t low;

	reg_write(d, REG_DEVICE_FEATURES_SEL, 0);
	low = reg_read(d, REG_DEVICE_FEATURES);
	reg_write(d, REG_DEVICE_FEATURES_SEL, 1);
	return low | (uint64_t)reg_read(d, REG_DEVICE_FEATURES) << 32;
}

static void mmio_set_features(struct virtio_device *d, uint64_t features)
{
	reg_write(d, REG_DRIVER_FEATURES_SEL, 0);
	reg_write(d, REG_DRIVER_FEATURES, (uint32_t)features);
	if (d->legacy)
		return;
	reg_write(d, REG_DRIVER_FEATURES_SEL, 1);
	reg_write(d, REG_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint32_t mmio_config_read(struct virtio_device *d, unsigned offset, unsigned width)
{
	volatile uint8_t *at = window_of(d) + REG_CONFIG + offset;

	if (width == 1)
		return *at;
	return width == 2 ? *(volatile uint16_t *)at : *(volatile uint32_t *)at;
}

static void mmio_config_write(struct virtio_device *d, unsigned offset, unsigned width,
			      uint32_t value)
{
	volatile uint8_t *at = window_of(d) + REG_CONFIG + offset;

	arch_io_fence();
	if (width == 1)
		*at = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)at = (uint16_t)value;
	else
		*(volatile uint32_t *)at = value;
}

static uint32_t mmio_config_generation(struct virtio_device *d)
{
	return d->legacy ? 0 : reg_read(d, REG_CONFIG_GENERATION);
}

static unsigned mmio_queue_size_max(struct virtio_device *d, unsigned index)
{
	reg_write(d, REG_QUEUE_SEL, index);
	return reg_read(d, REG_QUEUE_SIZE_MAX);
}

static void write_address(struct virtio_device *d, unsigned reg, paddr_t pa)
{
	reg_write(d, reg, (uint32_t)pa);
	reg_write(d, reg + 4, (uint32_t)(pa >> 32));
}

static void mmio_queue_enable(struct virtio_device *d, unsigned index,
			      const struct virtio_queue_place *p)
{
	reg_write(d, REG_QUEUE_SEL, index);
	reg_write(d, REG_QUEUE_SIZE, p->size);
	if (d->legacy) {
		reg_write(d, REG_QUEUE_ALIGN, VIRTIO_LEGACY_ALIGN);
		reg_write(d, REG_QUEUE_PFN, (uint32_t)(p->desc >> PAGE_SHIFT));
		return;
	}
	write_address(d, REG_QUEUE_DESC, p->desc);
	write_address(d, REG_QUEUE_DRIVER, p->avail);
	write_address(d, REG_QUEUE_DEVICE, p->used);
	reg_write(d, REG_QUEUE_READY, 1);
}

static void mmio_notify(struct virtio_device *d, unsigned index)
{
	reg_write(d, REG_QUEUE_NOTIFY, index);
}

static uint32_t mmio_take_interrupt(struct virtio_device *d)
{
	uint32_t causes = reg_read(d, REG_INTERRUPT_STATUS);

	if (causes)
		reg_write(d, REG_INTERRUPT_ACK, causes);
	return causes;
}

/* Another cause keeps the line up and is taken as an interrupt. */
static void quiet(void *device)
{
	reg_write(device, REG_INTERRUPT_ACK, VIRTIO_INTERRUPT_QUEUE);
}

static void mmio_quiet_queues(struct virtio_device *d)
{
	irq_take(d->irq, quiet, d);
}

static const struct virtio_transport mmio_transport = {
	.status = mmio_status,
	.set_status = mmio_set_status,
	.features = mmio_features,
	.set_features = mmio_set_features,
	.config_read = mmio_config_read,
	.config_write = mmio_config_write,
	.config_generation = mmio_config_generation,
	.queue_size_max = mmio_queue_size_max,
	.queue_enable = mmio_queue_enable,
	.notify = mmio_notify,
	.take_interrupt = mmio_take_interrupt,
	.quiet_queues = mmio_quiet_queues,
};

static void mmio_interrupt(void *arg)
{
	struct virtio_device *d = arg;
	uint32_t causes = mmio_take_interrupt(d);

	if (causes && d->driver)
		d->driver->interrupt(d, causes);
}

/* The first cell of `interrupts` is the source number for the PLIC and the APLIC alike. */
static bool node_irq(const struct fdt *f, fdt_node_t node, uint32_t *irq)
{
	size_t len;
	const uint8_t *p = fdt_prop(f, node, "interrupts", &len);

	if (!p || len < 4)
		return false;
	*irq = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return true;
}

static struct virtio_mmio *slot_open(volatile uint8_t *window, uint32_t irq)
{
	static unsigned devices;
	struct virtio_mmio *m = kzalloc(sizeof(*m));

	if (!m)
		return NULL;
	m->window = window;
	m->device.transport = &mmio_transport;
	m->device.legacy = *(volatile uint32_t *)(window + REG_VERSION) == 1;
	m->device.id = *(volatile uint32_t *)(window + REG_DEVICE_ID);
	m->device.irq = irq;
	fmt_print(m->device.name, sizeof(m->device.name), "virtio%u", devices++);
	return m;
}

/* The interrupt is requested before the probe, which may wait for answers of the device. */
static int slot_probe(volatile uint8_t *window, uint32_t irq)
{
	struct virtio_mmio *m = slot_open(window, irq);
	int error;

	if (!m)
		return -ENOMEM;
	error = irq_request(irq, mmio_interrupt, &m->device, m->device.name);
	if (error)
		goto free;
	error = virtio_device_add(&m->device);
	if (!error)
		return 0;
	if (error != -ENODEV)
		virtio_fail(&m->device);
	irq_release(irq);
free:
	kfree(m);
	return error;
}

static bool slot_has_device(volatile uint8_t *window)
{
	uint32_t version = *(volatile uint32_t *)(window + REG_VERSION);

	return *(volatile uint32_t *)(window + REG_MAGIC) == MAGIC &&
	       (version == 1 || version == 2) &&
	       *(volatile uint32_t *)(window + REG_DEVICE_ID) != 0;
}

/* Sets where RAM lies, from the first to the last byte of all memory nodes. */
static void learn_ram(const struct fdt *f)
{
	uint64_t start = UINT64_MAX, end = 0, addr, size;
	fdt_node_t node;

	for (node = fdt_first_child(f, fdt_root(f)); node >= 0; node = fdt_next_sibling(f, node)) {
		const char *type = fdt_string(f, node, "device_type");

		if (!type || !str_equal(type, "memory"))
			continue;
		for (unsigned i = 0; fdt_reg(f, node, i, &addr, &size); i++) {
			start = MIN(start, addr);
			end = MAX(end, addr + size);
		}
	}
	if (start < end)
		virtq_set_ram(start, end);
}

static int virtio_mmio_probe(void)
{
	const struct fdt *f = boot_fdt();
	fdt_node_t node = -1;

	learn_ram(f);
	while ((node = fdt_next_compatible(f, node, "virtio,mmio")) >= 0) {
		uint64_t addr, size;
		uint32_t irq;
		volatile uint8_t *window;
		int error;

		if (!fdt_reg(f, node, 0, &addr, &size) || size < WINDOW_BYTES ||
		    !node_irq(f, node, &irq))
			continue;
		window = vm_map_device(addr, size);
		if (!window || !slot_has_device(window))
			continue;
		error = slot_probe(window, irq);
		if (error && error != -ENODEV)
			log_warn("virtio-mmio: slot %s: error %d", fdt_name(f, node), -error);
	}
	return 0;
}
INIT(INIT_DRIVERS, virtio_mmio_probe);
