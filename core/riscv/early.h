/*
 * What is found out before paging is on and used after it.
 */
#ifndef RISCV_EARLY_H
#define RISCV_EARLY_H

#include <core/types.h>

struct range {
	paddr_t start, end;
};

struct boot_layout {
	uintptr_t placement;     /* virtual minus link address of the image */
	uintptr_t image_offset;  /* virtual minus physical address of the image */
	uintptr_t vm_offset;     /* where in its area vm.c begins */
	paddr_t image, image_end;
	/* frames taken before the page allocator: tables, the device tree */
	struct range early;
	paddr_t fdt;             /* our copy of the device tree */
	size_t fdt_size;
	unsigned long boot_hartid;
	struct range ram[8];     /* whole pages, inside the direct map */
	unsigned nr_ram;
	struct range reserved[32];
	unsigned nr_reserved;
	struct range initrd;     /* the archive that the loader left in RAM; empty: none */
	bool ram_cut;            /* some RAM did not fit the direct map or the lists above */
	bool placed_by_chance;   /* there was a seed */
	uint8_t entropy[32];     /* of the seed, for arch_entropy(); wiped when taken */
	size_t entropy_len;
};

extern struct boot_layout boot_layout;

#define EARLY_SEED_BYTES 32

/* From entry.S: traps if the hart lacks an extension that the image was compiled for. */
void early_use_extensions(void);

/*
 * A seed from a virtio-rng of the device tree, before paging. False: there is none, or it is
 * silent.
 */
struct fdt;
bool early_rng_read(const struct fdt *f, uint8_t *seed);

/* The image's own symbols (kiln.lds). */
extern char image_start[], text_end[], rodata_end[], image_file_end[], image_end[];
extern char boot_guard_pages[], boot_stack[], boot_stack_top[], boot_trap_stack[];
extern char boot_trap_stack_top[], boot_spare_stack[], boot_spare_stack_top[];

#endif
