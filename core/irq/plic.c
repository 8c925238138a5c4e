/*
 * The platform-level interrupt controller (RISC-V PLIC specification 1.0.0).
 *
 * Each pair of hart and privilege mode is a context with its own enable bits, threshold and claim
 * register; the device tree lists them in interrupts-extended as (a hart's interrupt controller,
 * cause) pairs, and ours is the boot hart's with the supervisor's external cause. All devices
 * interrupt the boot hart: one place that is warm in the cache, and the tasks that it wakes are
 * stolen by others when it is busy.
 *
 * Lock: enable_lock, for the read-modify-write of enable words; any context.
 */
#include <core/boot.h>
#include <core/errno.h>
#include <core/init.h>
#include <core/log.h>
#include <core/sync.h>
#include <core/vm.h>
#include "chip.h"

#define PLIC_PRIORITY_SIZE      0x1000u
#define PLIC_ENABLE(context)    (0x2000u + 0x80u * (context))
#define PLIC_ENABLE_SIZE        0x80u
#define PLIC_THRESHOLD(context) (0x200000u + 0x1000u * (context))
#define PLIC_THRESHOLD_SIZE     8u
#define PLIC_SOURCES_MAX          1023u
#define PLIC_CONTEXTS_MAX         15872u
#define SUPERVISOR_EXTERNAL       9u

static volatile uint32_t *priority;  /* [I] by source */
static volatile uint32_t *enable;    /* [I] our context's bits */
static volatile uint32_t *threshold; /* [I] our context's; the claim register follows it */
static struct spinlock enable_lock = SPINLOCK_INIT;

static void enable_set(unsigned irq, bool on)
{
	irqflags_t flags = spin_lock_irq(&enable_lock);
	volatile uint32_t *word = &enable[irq / 32];

	if (on)
		*word |= 1u << irq % 32;
	else
		*word &= ~(1u << irq % 32);
	spin_unlock_irq(&enable_lock, flags);
}

static void plic_mask(unsigned irq)
{
	enable_set(irq, false);
}

static void plic_unmask(unsigned irq)
{
	priority[irq] = 1;
	enable_set(irq, true);
}

static unsigned plic_claim(void)
{
	return threshold[1];
}

static void plic_complete(unsigned irq)
{
	threshold[1] = irq;
}

static struct irq_chip chip = {
	.name = "plic",
	.mask = plic_mask,
	.unmask = plic_unmask,
	.claim = plic_claim,
	.complete = plic_complete,
};

static uint32_t cell(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The hart id of the cpu node whose interrupt controller has this phandle. */
static bool hartid_of(const struct fdt *f, uint32_t phandle, uint64_t *hartid)
{
	fdt_node_t cpus = fdt_find(f, "/cpus");
	uint64_t unused;
	uint32_t own;

	for (fdt_node_t n = fdt_first_child(f, cpus); n >= 0; n = fdt_next_sibling(f, n)) {
		for (fdt_node_t c = fdt_first_child(f, n); c >= 0; c = fdt_next_sibling(f, c)) {
			if (fdt_u32(f, c, "phandle", &own) && own == phandle)
				return fdt_reg(f, n, 0, hartid, &unused);
		}
	}
	return false;
}

static int find_context(const struct fdt *f, fdt_node_t node)
{
	size_t len;
	const uint8_t *pairs = fdt_prop(f, node, "interrupts-extended", &len);
	uint64_t hartid;

	for (unsigned i = 0; pairs && i < len / 8 && i < PLIC_CONTEXTS_MAX; i++) {
		if (cell(pairs + 8 * i + 4) == SUPERVISOR_EXTERNAL &&
		    hartid_of(f, cell(pairs + 8 * i), &hartid) && hartid == arch_hart_id(0))
			return (int)i;
	}
	return -ENOENT;
}

static void quiet_all(unsigned sources)
{
	for (unsigned i = 0; i <= sources / 32; i++)
		enable[i] = 0;
	*threshold = 0;
}

static int plic_init(void)
{
	const struct fdt *f = boot_fdt();
	fdt_node_t n = fdt_next_compatible(f, -1, "riscv,plic0");
	uint64_t addr, size;
	uint32_t sources;
	int found;

	if (n < 0)
		n = fdt_next_compatible(f, -1, "sifive,plic-1.0.0");
	if (n < 0) {
		log_warn(
			"irq: this machine has no PLIC; devices that need interrupts will not work");
		return 0;
	}
	found = find_context(f, n);
	if (found < 0 || !fdt_u32(f, n, "riscv,ndev", &sources) || sources > PLIC_SOURCES_MAX ||
	    !fdt_reg(f, n, 0, &addr, &size) ||
	    size < PLIC_THRESHOLD((unsigned)found) + PLIC_THRESHOLD_SIZE)
		return -EINVAL;
	/* Three windows: between them lie megabytes of registers of other harts. */
	priority = vm_map_device(addr, PLIC_PRIORITY_SIZE);
	enable = vm_map_device(addr + PLIC_ENABLE((unsigned)found), PLIC_ENABLE_SIZE);
	threshold = vm_map_device(addr + PLIC_THRESHOLD((unsigned)found), PLIC_THRESHOLD_SIZE);
	if (!priority || !enable || !threshold)
		return -ENOMEM;
	quiet_all(sources);
	chip.sources = sources;
	return irq_chip_register(&chip);
}
INIT(INIT_CORE, plic_init);
