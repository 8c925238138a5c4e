/*
 * From the device tree to what core asks of the machine: RAM, harts, the clock's rate, extensions.
 *
 * The tree comes from outside. What is needed and missing is told in one sentence before the
 * machine stops; what is optional and odd is logged and left alone.
 */
#include <core/arch.h>
#include <core/boot.h>
#include <core/errno.h>
#include <core/init.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>
#include <core/vm.h>
#include "early.h"
#include "hart.h"
#include "power.h"
#include "sbi.h"

static NORETURN void setup_fail(const char *sentence)
{
	log_error("riscv: %s", sentence);
	arch_poweroff(1);
}

const void *arch_device_tree(size_t *size)
{
	*size = boot_layout.fdt_size;
	return arch_direct_map(boot_layout.fdt);
}

const void *arch_initrd(size_t *size)
{
	*size = boot_layout.initrd.end - boot_layout.initrd.start;
	return *size ? arch_direct_map(boot_layout.initrd.start) : NULL;
}

uintptr_t arch_placement(void)
{
	return boot_layout.placement;
}

bool arch_is_text(vaddr_t pc)
{
	return pc >= (vaddr_t)image_start && pc < (vaddr_t)text_end;
}

size_t arch_entropy(void *buf, size_t len)
{
	size_t n = MIN(len, boot_layout.entropy_len);

	boot_layout.entropy_len -= n;
	memcpy(buf, boot_layout.entropy + boot_layout.entropy_len, n);
	memset(boot_layout.entropy + boot_layout.entropy_len, 0, n);
	return n;
}

static void add_memory(void)
{
	const struct boot_layout *l = &boot_layout;
	paddr_t guard = l->image + (paddr_t)(boot_guard_pages - image_start);

	for (unsigned i = 0; i < l->nr_reserved; i++)
		page_reserve(l->reserved[i].start, l->reserved[i].end);
	/* The frame behind the boot stack's guard page serves like any other. */
	page_reserve(l->image, guard);
	page_reserve(guard + PAGE_SIZE, l->image_end);
	page_reserve(l->early.start, l->early.end);
	for (unsigned i = 0; i < l->nr_ram; i++)
		page_add_ram(l->ram[i].start, l->ram[i].end);
	if (l->ram_cut)
		log_warn(
			"riscv: some RAM lies beyond the first 128 GiB or 8 banks and stays unused");
}

/* "sstc" in "rv64imafdch_zicsr_sstc": multi-letter extensions stand between underscores. */
static bool isa_list_has(const char *isa, const char *extension)
{
	size_t len = str_length(extension);

	for (const char *at = str_find(isa, '_'); at; at = str_find(at + 1, '_')) {
		if (str_starts_with(at + 1, extension) && (at[len + 1] == '_' || !at[len + 1]))
			return true;
	}
	return false;
}

static bool strings_have(const char *list, size_t len, const char *want)
{
	for (size_t at = 0; at < len;) {
		size_t n = str_length_max(list + at, len - at);

		if (n < len - at && str_equal(list + at, want))
			return true;
		at += n + 1;
	}
	return false;
}

static bool cpu_has(const struct fdt *f, fdt_node_t cpu, const char *extension)
{
	size_t len;
	const char *list = fdt_prop(f, cpu, "riscv,isa-extensions", &len);
	const char *isa = fdt_string(f, cpu, "riscv,isa");

	return list ? strings_have(list, len, extension) : isa && isa_list_has(isa, extension);
}

static bool cpu_is_usable(const struct fdt *f, fdt_node_t cpu)
{
	const char *type = fdt_string(f, cpu, "device_type");
	const char *status = fdt_string(f, cpu, "status");

	return type && str_equal(type, "cpu") &&
	       (!status || str_equal(status, "okay") || str_equal(status, "ok"));
}

/* Counts the harts, the boot hart first. True if all of them have Sstc. */
static bool add_harts(const struct fdt *f, fdt_node_t cpus)
{
	bool all_have_sstc = true;
	uint64_t hartid, unused;
	unsigned left_out = 0;

	hart_add(boot_layout.boot_hartid);
	for (fdt_node_t n = fdt_first_child(f, cpus); n >= 0; n = fdt_next_sibling(f, n)) {
		if (!cpu_is_usable(f, n) || !fdt_reg(f, n, 0, &hartid, &unused))
			continue;
		all_have_sstc = all_have_sstc && cpu_has(f, n, "sstc");
		if (hartid != boot_layout.boot_hartid && !hart_add(hartid))
			left_out++;
	}
	if (left_out)
		log_warn("riscv: %u harts stay off: this image is built for %u", left_out,
			 CONFIG_HARTS_MAX);
	return all_have_sstc;
}

void arch_init(void)
{
	const struct fdt *f = boot_fdt();
	fdt_node_t cpus = fdt_find(f, "/cpus");
	uint32_t hz = 0;
	bool fast_timer;

	add_memory();
	if (cpus < 0)
		setup_fail("the device tree names no harts (/cpus)");
	if (!fdt_u32(f, cpus, "timebase-frequency", &hz) || !hz || hz >= NSEC_PER_SEC)
		setup_fail(
			"the device tree has no sensible timebase-frequency: time cannot be told");
	fast_timer = timer_init(add_harts(f, cpus), hz);
	log_debug("riscv: %u harts, timer %u Hz by %s, image moved by 0x%lx", arch_hart_count(), hz,
		  fast_timer ? "stimecmp" : "SBI", boot_layout.placement);
}

static int power_init(void)
{
	const struct fdt *f = boot_fdt();
	fdt_node_t n = fdt_next_compatible(f, -1, "sifive,test1");
	uint64_t addr, size;
	void *registers;

	if (n < 0 || !fdt_reg(f, n, 0, &addr, &size) || size < 4 || !IS_ALIGNED(addr, 4UL))
		return 0;
	registers = vm_map_device(addr, 4);
	if (!registers)
		return -ENOMEM;
	power_set_test_device(registers);
	return 0;
}
INIT(INIT_EARLY, power_init);
