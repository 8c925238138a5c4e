/*
 * A seed from virtio-rng before paging, for machines whose device tree carries none: one request,
 * polled, and the device is left as reset (virtio 1.2: 4.2 for the registers, 2.7 for the ring).
 *
 * The ring lies in what will be the boot hart's trap stack, which nobody uses before paging and
 * which is page-aligned, as the legacy interface wants it. The device may lie: nothing it writes is
 * used but the bytes themselves, and waiting for it ends.
 */
#include <core/fdt.h>
#include <core/string.h>
#include "early.h"

enum {
	REG_MAGIC = 0x00, REG_VERSION = 0x04, REG_DEVICE = 0x08, REG_DRIVER_FEATURES = 0x20,
	REG_DRIVER_FEATURES_SEL = 0x24, REG_GUEST_PAGE_SIZE = 0x28, REG_QUEUE_SEL = 0x30,
	REG_QUEUE_NUM_MAX = 0x34, REG_QUEUE_NUM = 0x38, REG_QUEUE_ALIGN = 0x3c,
	REG_QUEUE_PFN = 0x40, REG_QUEUE_READY = 0x44, REG_QUEUE_NOTIFY = 0x50,
	REG_STATUS = 0x70, REG_QUEUE_DESC = 0x80, REG_QUEUE_DRIVER = 0x90, REG_QUEUE_DEVICE = 0xa0
};

#define MAGIC             0x74726976u
#define DEVICE_ENTROPY    4u
#define STATUS_DRIVER     3u /* acknowledged, and a driver is there */
#define STATUS_FEATURES   8u
#define STATUS_DRIVER_OK  4u
#define FEATURE_VERSION_1 1u /* bit 32, in the upper half */
#define DESC_WRITE        2u
/* Most of a second: QEMU answers from a thread of its own, which a busy machine lets wait. */
#define POLLS_MAX         300000000u

#define QUEUE_SIZE  2u
#define QUEUE_ALIGN 64u

struct ring {
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[QUEUE_SIZE];
	struct {
		uint16_t flags, idx, ring[QUEUE_SIZE];
	} avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[QUEUE_SIZE];
	} used __attribute__((aligned(QUEUE_ALIGN)));
	uint8_t seed[EARLY_SEED_BYTES] __attribute__((aligned(QUEUE_ALIGN)));
};

static void reg_write(volatile uint32_t *registers, unsigned reg, uint32_t value)
{
	registers[reg / 4] = value;
}

static void write_address(volatile uint32_t *registers, unsigned reg, const volatile void *p)
{
	reg_write(registers, reg, (uint32_t)(uintptr_t)p);
	reg_write(registers, reg + 4, (uint32_t)((uintptr_t)p >> 32));
}

static void queue_setup(volatile uint32_t *registers, volatile struct ring *ring, bool legacy)
{
	reg_write(registers, REG_QUEUE_SEL, 0);
	if (legacy)
		reg_write(registers, REG_GUEST_PAGE_SIZE, PAGE_SIZE);
	reg_write(registers, REG_QUEUE_NUM, QUEUE_SIZE);
	if (legacy) {
		reg_write(registers, REG_QUEUE_ALIGN, QUEUE_ALIGN);
		reg_write(registers, REG_QUEUE_PFN, (uint32_t)((uintptr_t)ring >> PAGE_SHIFT));
		return;
	}
	write_address(registers, REG_QUEUE_DESC, &ring->desc);
	write_address(registers, REG_QUEUE_DRIVER, &ring->avail);
	write_address(registers, REG_QUEUE_DEVICE, &ring->used);
	reg_write(registers, REG_QUEUE_READY, 1);
}

static void device_start(volatile uint32_t *registers, volatile struct ring *ring, bool legacy)
{
	uint32_t status = STATUS_DRIVER;

	reg_write(registers, REG_STATUS, 0);
	reg_write(registers, REG_STATUS, status);
	reg_write(registers, REG_DRIVER_FEATURES_SEL, 0);
	reg_write(registers, REG_DRIVER_FEATURES, 0);
	if (!legacy) {
		reg_write(registers, REG_DRIVER_FEATURES_SEL, 1);
		reg_write(registers, REG_DRIVER_FEATURES, FEATURE_VERSION_1);
		status |= STATUS_FEATURES;
		reg_write(registers, REG_STATUS, status);
	}
	queue_setup(registers, ring, legacy);
	reg_write(registers, REG_STATUS, status | STATUS_DRIVER_OK);
}

/* Asks the entropy device at `registers` for a seed. */
static bool request(volatile uint32_t *registers, uint8_t *seed)
{
	volatile struct ring *ring = (volatile struct ring *)boot_trap_stack;
	bool legacy = registers[REG_VERSION / 4] == 1, got;

	memset(boot_trap_stack, 0, sizeof(*ring));
	ring->desc[0].addr = (uintptr_t)ring->seed;
	ring->desc[0].len = EARLY_SEED_BYTES;
	ring->desc[0].flags = DESC_WRITE;
	ring->avail.idx = 1;
	device_start(registers, ring, legacy);
	__asm__ volatile("fence" : : : "memory");
	reg_write(registers, REG_QUEUE_NOTIFY, 0);
	for (unsigned i = 0; i < POLLS_MAX && !ring->used.idx; i++)
		;
	__asm__ volatile("fence" : : : "memory");
	got = ring->used.idx && ring->used.ring[0].len >= EARLY_SEED_BYTES;
	reg_write(registers, REG_STATUS, 0);
	memcpy(seed, boot_trap_stack + offsetof(struct ring, seed), EARLY_SEED_BYTES);
	memset(boot_trap_stack, 0, sizeof(*ring));
	return got;
}

bool early_rng_read(const struct fdt *f, uint8_t *seed)
{
	fdt_node_t n = -1;
	uint64_t addr, size;

	while ((n = fdt_next_compatible(f, n, "virtio,mmio")) >= 0) {
		volatile uint32_t *registers;

		if (!fdt_reg(f, n, 0, &addr, &size) || size < 0x100 || !IS_ALIGNED(addr, 4UL))
			continue;
		registers = (volatile uint32_t *)addr;
		if (registers[REG_MAGIC / 4] == MAGIC &&
		    registers[REG_DEVICE / 4] == DEVICE_ENTROPY && request(registers, seed))
			return true;
	}
	return false;
}
