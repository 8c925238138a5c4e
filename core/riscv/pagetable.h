/*
 * The kernel's page table: Sv39, Sv48 or Sv57 (Privileged Architecture, 4.4 to 4.6).
 *
 * The layout of the upper half is the same in the three modes, inside the topmost 256 GiB:
 *
 *   ffffffc000000000  direct map of RAM, at a random GiB of this 128 GiB window
 *   ffffffe000000000  ranges of core/mm/vm.c: stacks, device windows, anonymous memory, beginning
 *                     at a random 2 MiB of the first 32 GiB
 *   ffffffff80000000  the image, at a random page of this GiB
 *
 * so a larger mode only adds levels above, and falling back to a smaller one means to start one
 * level further down. The lower half and page 0 are never mapped here.
 *
 * The same code builds the tables before paging is on and changes them afterwards: tables are
 * reached through arch_direct_map(), and arch_direct_offset is 0 until paging is on.
 */
#ifndef RISCV_PAGETABLE_H
#define RISCV_PAGETABLE_H

#include <core/arch.h>
#include <core/types.h>

#define DIRECT_WINDOW      0xffffffc000000000UL
#define DIRECT_WINDOW_SIZE GIB(128)
#define VM_AREA_START      0xffffffe000000000UL
#define VM_CHANCE          GIB(32)
#define VM_AREA_END        0xffffffff80000000UL
#define IMAGE_WINDOW       0xffffffff80000000UL
#define IMAGE_WINDOW_SIZE  GIB(1)

/* Starts an empty table with this many levels (3 to 5). 0 or -ENOMEM. Before paging. */
int pagetable_init(unsigned levels);
/* Drops the topmost level, since the hart lacks the mode. False when Sv39 was refused. */
bool pagetable_drop_level(void);
unsigned long pagetable_satp(void);

/* Maps with the largest pages that alignment allows. 0, -ENOMEM, -EEXIST. */
int pagetable_map(vaddr_t va, paddr_t pa, size_t len_bytes, unsigned prot, bool large);

/* Cleared frames for tables before the page allocator has memory; 0 when none is left. */
paddr_t early_frames(size_t count);

#endif
