/*
 * Before paging: from the firmware's hand-over to a page table that holds the image at its random
 * place and the direct map of RAM.
 *
 * Runs at the physical address where the loader put the image. The code reaches its own symbols
 * relative to pc, but pointers stored in data are link addresses; so the relocation table is
 * applied twice, first for where the image lies now, so that any C works here, and at the end for
 * where it will run. Nothing here keeps a pointer for later.
 *
 * Frames come from early_frames(): RAM behind the image, jumping over whatever is reserved.
 */
#include <core/errno.h>
#include <core/fdt.h>
#include <core/string.h>
#include "csr.h"
#include "early.h"
#include "pagetable.h"
#include "sbi.h"

#define FDT_SIZE_MAX MIB(2)
#define TEST_DEVICE_FAIL 0x13333u /* "failed", with exit code 1 */
#define IMAGE_LINK 0xffffffff80200000UL

extern uint64_t reloc_table_start[], reloc_table_end[];

struct boot_layout boot_layout;
/* Named by code that the compiler adds, so link-time optimisation must not think it unused. */
__attribute__((used)) uintptr_t __stack_chk_guard;

static struct fdt fdt; /* the firmware's blob; size 0 until it is open */

/* QEMU's test device, the only way to an exit code that is not 0. */
static void exit_qemu(void)
{
	fdt_node_t n = fdt.size ? fdt_next_compatible(&fdt, -1, "sifive,test1") : -1;
	uint64_t addr, size;

	if (n >= 0 && fdt_reg(&fdt, n, 0, &addr, &size))
		*(volatile uint32_t *)ALIGN_DOWN(addr, 4UL) = TEST_DEVICE_FAIL;
}

static NORETURN void early_fail(const char *sentence)
{
	static const char prefix[] = "Kiln cannot start: ";

	sbi_console_put(prefix, sizeof(prefix) - 1);
	sbi_console_put(sentence, str_length(sentence));
	sbi_console_put("\n", 1);
	exit_qemu();
	sbi_call(SBI_SRST, 0, SBI_SRST_SHUTDOWN, SBI_SRST_FAILURE, 0);
	for (;;)
		__asm__ volatile("wfi");
}

NORETURN void early_fault(void);
void early_fault(void)
{
	fdt.size = 0; /* what faulted may have been reading it */
	early_fail(
		"a fault before paging was on; the device tree or the memory it names is damaged.");
}

/* Adds `by` to each word of the table, whose addresses are link addresses, in the image at `at`. */
static void relocate(uintptr_t at, uintptr_t by)
{
	uintptr_t to_memory = at - IMAGE_LINK;
	uint64_t *word = NULL;

	for (const uint64_t *entry = reloc_table_start; entry < reloc_table_end; entry++) {
		if (!(*entry & 1)) {
			word = (uint64_t *)(*entry + to_memory);
			*word++ += by;
			continue;
		}
		for (unsigned i = 0; i < 63; i++) {
			if (*entry >> (i + 1) & 1)
				word[i] += by;
		}
		word += 63;
	}
}

/*
 * Where a symbol lies now. Compiler and linker must not fold it with a constant: they would reckon
 * with its link address.
 */
static paddr_t here(const char *symbol)
{
	paddr_t at = (paddr_t)symbol;

	__asm__("" : "+r"(at));
	return at;
}

static bool ranges_overlap(struct range a, struct range b)
{
	return a.start < b.end && b.start < a.end;
}

static void reserve(paddr_t start, paddr_t end)
{
	struct boot_layout *l = &boot_layout;

	if (start >= end)
		return;
	if (l->nr_reserved == ARRAY_SIZE(l->reserved))
		early_fail("the device tree reserves more memory ranges than the image can hold.");
	l->reserved[l->nr_reserved++] =
	    (struct range){ ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(end, PAGE_SIZE) };
}

/* The first reserved range that [start, end) touches, or NULL. */
static const struct range *reserved_in(paddr_t start, paddr_t end)
{
	struct range r = { start, end };

	for (unsigned i = 0; i < boot_layout.nr_reserved; i++) {
		if (ranges_overlap(r, boot_layout.reserved[i]))
			return &boot_layout.reserved[i];
	}
	return NULL;
}

static bool in_ram(paddr_t start, paddr_t end)
{
	for (unsigned i = 0; i < boot_layout.nr_ram; i++) {
		if (start >= boot_layout.ram[i].start && end <= boot_layout.ram[i].end)
			return true;
	}
	return false;
}

paddr_t early_frames(size_t count)
{
	struct range *early = &boot_layout.early;
	paddr_t start = early->end, end;
	const struct range *hit;

	while ((hit = reserved_in(start, start + count * PAGE_SIZE)))
		start = hit->end;
	end = start + count * PAGE_SIZE;
	if (!in_ram(start, end))
		return 0;
	early->end = end;
	memset((void *)start, 0, count * PAGE_SIZE);
	return start;
}

static void read_reserved(const struct fdt *f)
{
	fdt_node_t parent = fdt_find(f, "/reserved-memory");
	uint64_t addr, size;

	for (unsigned i = 0; fdt_reserved(f, i, &addr, &size); i++)
		reserve(addr, addr + size);
	for (fdt_node_t n = fdt_first_child(f, parent); n >= 0; n = fdt_next_sibling(f, n)) {
		for (unsigned i = 0; fdt_reg(f, n, i, &addr, &size); i++)
			reserve(addr, addr + size);
	}
}

static void add_ram(uint64_t addr, uint64_t size)
{
	struct boot_layout *l = &boot_layout;
	paddr_t start, end;

	if (size > UINT64_MAX - addr || addr > UINT64_MAX - PAGE_SIZE)
		return;
	start = ALIGN_UP(addr, PAGE_SIZE);
	end = ALIGN_DOWN(addr + size, PAGE_SIZE);
	if (start >= end)
		return;
	for (unsigned i = 0; i < l->nr_ram; i++) { /* what banks have in common counts once */
		if (start >= l->ram[i].start && start < l->ram[i].end)
			start = l->ram[i].end;
		else if (start < l->ram[i].start && end > l->ram[i].start)
			end = l->ram[i].start;
	}
	if (start >= end)
		return;
	if (l->nr_ram == ARRAY_SIZE(l->ram)) {
		l->ram_cut = true;
		return;
	}
	l->ram[l->nr_ram++] = (struct range){ start, end };
}

static void read_ram(const struct fdt *f)
{
	uint64_t addr, size;

	for (fdt_node_t n = fdt_first_child(f, fdt_root(f)); n >= 0; n = fdt_next_sibling(f, n)) {
		const char *type = fdt_string(f, n, "device_type");

		if (!type || !str_equal(type, "memory"))
			continue;
		for (unsigned i = 0; fdt_reg(f, n, i, &addr, &size); i++)
			add_ram(addr, size);
	}
	if (!boot_layout.nr_ram)
		early_fail("the device tree names no memory.");
	if (!in_ram(boot_layout.image, boot_layout.image_end))
		early_fail("the image does not fit into the memory that the device tree names.");
}

/* An address in /chosen: one cell or two, as the loader likes. */
static bool chosen_address(const struct fdt *f, const char *name, uint64_t *address)
{
	size_t len;
	const uint8_t *cells = fdt_prop(f, fdt_find(f, "/chosen"), name, &len);

	if (!cells || (len != 4 && len != 8))
		return false;
	*address = 0;
	for (size_t i = 0; i < len; i++)
		*address = *address << 8 | cells[i];
	return true;
}

/* Keeps the archive where it lies; one that is not in RAM, or in the image's place, is none. */
static void read_initrd(const struct fdt *f)
{
	struct boot_layout *l = &boot_layout;
	struct range r;

	if (!IS_ENABLED(CONFIG_INITRD) || !chosen_address(f, "linux,initrd-start", &r.start) ||
	    !chosen_address(f, "linux,initrd-end", &r.end) || r.start >= r.end ||
	    !in_ram(r.start, r.end) ||
	    ranges_overlap((struct range){ ALIGN_DOWN(r.start, PAGE_SIZE), r.end },
			   (struct range){ l->image, l->image_end }))
		return;
	l->initrd = r;
	reserve(r.start, r.end);
}

/* Cuts RAM to what the direct map's window can hold, and returns the map's lowest address. */
static paddr_t direct_base(void)
{
	struct boot_layout *l = &boot_layout;
	paddr_t base = l->image;

	for (unsigned i = 0; i < l->nr_ram; i++) {
		if (l->ram[i].start < base)
			base = l->ram[i].start;
	}
	base = ALIGN_DOWN(base, GIB(1));
	for (unsigned i = 0; i < l->nr_ram; i++) {
		struct range *r = &l->ram[i];

		if (r->end - base <= DIRECT_WINDOW_SIZE)
			continue;
		l->ram_cut = true;
		r->start = MIN(r->start, base + DIRECT_WINDOW_SIZE);
		r->end = base + DIRECT_WINDOW_SIZE;
	}
	return base;
}

static paddr_t ram_end(void)
{
	paddr_t end = 0;

	for (unsigned i = 0; i < boot_layout.nr_ram; i++)
		end = MAX(end, boot_layout.ram[i].end);
	return end;
}

/*
 * splitmix64: spreads the seed over independent-looking words. What the RNG gets is the seed
 * itself.
 */
static uint64_t mix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/*
 * Half of the seed decides placement and stack guard, half is kept for the random number generator,
 * so neither tells about the other. The seed is wiped where it lay.
 */
static uint64_t split_seed(uint8_t *seed, size_t len)
{
	uint64_t state = arch_ticks();

	for (size_t i = 0; i < len / 2; i++)
		state = (state ^ seed[i]) * 0x100000001b3 + (state >> 29);
	boot_layout.entropy_len = MIN(len - len / 2, sizeof(boot_layout.entropy));
	memcpy(boot_layout.entropy, seed + len / 2, boot_layout.entropy_len);
	memset(seed, 0, len);
	boot_layout.placed_by_chance = true;
	return state;
}

/* The device tree's seed, else virtio-rng's; without either, places are the same at each boot. */
static uint64_t take_seed(const struct fdt *f)
{
	size_t len = 0;
	uint8_t *given = (uint8_t *)fdt_prop(f, fdt_find(f, "/chosen"), "rng-seed", &len);
	uint8_t asked[EARLY_SEED_BYTES];

	if (given && len >= 16)
		return split_seed(given, len);
	if (early_rng_read(f, asked))
		return split_seed(asked, sizeof(asked));
	return arch_ticks();
}

static void choose_place(uint64_t *state, paddr_t base)
{
	struct boot_layout *l = &boot_layout;
	uint64_t gibs = DIV_ROUND_UP(ram_end() - base, GIB(1));
	uint64_t slots = DIRECT_WINDOW_SIZE / GIB(1) - gibs + 1;
	uint64_t room = IMAGE_WINDOW + IMAGE_WINDOW_SIZE - IMAGE_LINK - (l->image_end - l->image);
	bool can_move = IS_ENABLED(CONFIG_RANDOM_PLACEMENT) &&
			&reloc_table_start[0] != reloc_table_end;

	if (can_move && l->placed_by_chance)
		l->placement = mix(state) % (room / PAGE_SIZE) * PAGE_SIZE;
	if (IS_ENABLED(CONFIG_RANDOM_PLACEMENT) && l->placed_by_chance)
		l->vm_offset = mix(state) % (VM_CHANCE / MIB(2)) * MIB(2);
	l->image_offset = IMAGE_LINK + l->placement - l->image;
	if (!IS_ENABLED(CONFIG_RANDOM_PLACEMENT))
		slots = 1;
	arch_direct_offset = DIRECT_WINDOW + mix(state) % slots * GIB(1) - base;
}

static void map_or_fail(vaddr_t va, paddr_t pa, size_t len, unsigned prot, bool large)
{
	if (len && pagetable_map(va, pa, len, prot, large))
		early_fail("there is too little memory for the page tables.");
}

static void map_image(void)
{
	paddr_t text = boot_layout.image, offset = boot_layout.image_offset;
	paddr_t rodata = here(text_end), data = here(rodata_end);
	paddr_t guard = here(boot_guard_pages), trap = here(boot_trap_stack);

	map_or_fail(text + offset, text, rodata - text, MAP_R | MAP_X, false);
	map_or_fail(rodata + offset, rodata, data - rodata, MAP_R, false);
	map_or_fail(data + offset, data, guard - data, MAP_R | MAP_W, false);
	map_or_fail(guard + PAGE_SIZE + offset, guard + PAGE_SIZE, trap - guard - 2 * PAGE_SIZE,
		    MAP_R | MAP_W, false);
	map_or_fail(trap + offset, trap, boot_layout.image_end - trap, MAP_R | MAP_W, false);
}

/*
 * Maps RAM [start, end) but for reserved ranges from the i-th on, which stay out of the direct map.
 */
static void map_ram(paddr_t start, paddr_t end, unsigned i, uintptr_t offset)
{
	for (; i < boot_layout.nr_reserved && start < end; i++) {
		const struct range *hole = &boot_layout.reserved[i];

		if (hole->start >= end || hole->end <= start)
			continue;
		if (hole->start > start)
			map_ram(start, hole->start, i + 1, offset);
		start = MIN(hole->end, end);
	}
	if (start < end)
		map_or_fail(start + offset, start, end - start, MAP_R | MAP_W, true);
}

static void map_direct(uintptr_t offset)
{
	struct boot_layout *l = &boot_layout;
	paddr_t data = here(rodata_end);

	/*
	 * The alias of text and rodata is read-only: what W^X forbids there must not be had here.
	 */
	map_or_fail(l->image + offset, l->image, data - l->image, MAP_R, true);
	reserve(l->image, data);
	if (l->initrd.end)
		map_or_fail(ALIGN_DOWN(l->initrd.start, PAGE_SIZE) + offset,
			    ALIGN_DOWN(l->initrd.start, PAGE_SIZE),
			    ALIGN_UP(l->initrd.end, PAGE_SIZE) -
				ALIGN_DOWN(l->initrd.start, PAGE_SIZE),
			    MAP_R, true);
	for (unsigned i = 0; i < l->nr_ram; i++)
		map_ram(l->ram[i].start, l->ram[i].end, 0, offset);
}

static void copy_fdt(struct fdt *f)
{
	size_t pages = DIV_ROUND_UP(f->size, PAGE_SIZE);
	paddr_t old = (paddr_t)f->blob, copy;
	unsigned reserved_before = boot_layout.nr_reserved;

	reserve(old, old + f->size);
	copy = early_frames(pages);
	if (!copy)
		early_fail("there is too little memory for the device tree.");
	memcpy((void *)copy, (const void *)old, f->size);
	boot_layout.nr_reserved = reserved_before; /* the original is of no use any more */
	boot_layout.fdt = copy;
	boot_layout.fdt_size = f->size;
}

static unsigned wanted_levels(void)
{
	return IS_ENABLED(CONFIG_SV57) ? 5 : IS_ENABLED(CONFIG_SV48) ? 4 : 3;
}

struct early_result {
	uintptr_t image_offset;
	unsigned long satp;
};

/*
 * From entry.S, on the boot stack, paging off. Sets the stack guard, so it must not be guarded
 * itself.
 */
__attribute__((no_stack_protector)) struct early_result early_boot(unsigned long hartid,
								   paddr_t fdt_at);
struct early_result early_boot(unsigned long hartid, paddr_t fdt_at)
{
	struct boot_layout *l = &boot_layout;
	paddr_t base;
	uintptr_t direct;
	uint64_t state;

	l->image = here(image_start);
	l->image_end = here(image_end);
	l->boot_hartid = hartid;
	l->early = (struct range){ l->image_end, l->image_end };
	relocate(l->image, l->image - IMAGE_LINK);
	if (!IS_ALIGNED(l->image, PAGE_SIZE))
		early_fail("the image was loaded at an address that is no multiple of 4096.");
	if (!fdt_at || fdt_open(&fdt, (const void *)fdt_at, FDT_SIZE_MAX))
		early_fail("the firmware passed no device tree that holds together.");
	read_reserved(&fdt);
	read_ram(&fdt);
	read_initrd(&fdt);
	state = take_seed(&fdt);
	copy_fdt(&fdt);
	base = direct_base();
	__stack_chk_guard = mix(&state) & ~0xffUL; /* the zero byte stops string overruns */
	choose_place(&state, base);
	direct = arch_direct_offset;
	arch_direct_offset = 0;
	if (pagetable_init(wanted_levels()))
		early_fail("there is too little memory for the page tables.");
	map_image();
	map_direct(direct);
	l->nr_reserved--; /* the alias; core/mm learns of the whole image */
	relocate(l->image, IMAGE_LINK + l->placement - l->image);
	arch_direct_offset = direct;
	return (struct early_result){ l->image_offset, pagetable_satp() };
}

unsigned long early_mode_refused(void);
unsigned long early_mode_refused(void)
{
	static const char note[] =
		"riscv: this hart lacks the chosen paging mode; using a smaller one\n";
	uintptr_t direct = arch_direct_offset;
	bool dropped;

	arch_direct_offset = 0;
	dropped = pagetable_drop_level();
	arch_direct_offset = direct;
	if (!dropped)
		early_fail("this hart has no Sv39 paging.");
	sbi_console_put(note, sizeof(note) - 1);
	return pagetable_satp();
}
