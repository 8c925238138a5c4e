/*
 * Virtual ranges of the kernel half: guarded stacks, device windows, and anonymous memory for
 * applications (what mmap, brk and big mallocs get). A balanced tree holds the ranges; every range
 * has an unmapped guard page on each side.
 *
 * Anonymous ranges are filled on first touch with zeroed frames. A touch without frames left is an
 * application's SIGBUS or, without a handler, a panic that names it.
 * Threads only, unless said otherwise.
 */
#ifndef CORE_VM_H
#define CORE_VM_H

#include <core/types.h>

struct trap_frame;

enum vm_kind { VM_STACK, VM_DEVICE, VM_ANON };

/*
 * Maps a device window (uncached where the machine distinguishes). NULL when space or tables run
 * out.
 */
void *vm_map_device(paddr_t pa, size_t len_bytes);

/*
 * A stack of whole pages, mapped and filled, guard pages on both ends. Returns its lowest address.
 */
void *vm_stack_alloc(size_t len_bytes);
void vm_stack_free(void *lowest, size_t len_bytes);

/*
 * Anonymous memory. prot is PROT_* as Linux counts them (1 read, 2 write, 4 exec; W and X together
 * are refused with -EACCES). `hint` may be 0. The operations below take parts of ranges, split and
 * merge them as Linux does. Return 0 / an address, or negative errno.
 */
intptr_t vm_anon_map(vaddr_t hint, size_t len_bytes, unsigned prot, bool fixed);
int vm_anon_unmap(vaddr_t va, size_t len_bytes);
int vm_anon_protect(vaddr_t va, size_t len_bytes, unsigned prot);
/* MADV_DONTNEED: frames back, zeroes on next touch */
int vm_anon_discard(vaddr_t va, size_t len_bytes);
intptr_t vm_anon_remap(vaddr_t old, size_t old_len, size_t new_len, bool may_move);

/* Trap context, irqs off: true if the fault was a first touch and has been repaired. */
bool vm_fault(vaddr_t va, bool write, bool exec);

/* Calls visit for each range, in order, with interrupts off; it must not wait. */
void vm_for_each(void (*visit)(vaddr_t start, vaddr_t end, enum vm_kind kind, unsigned prot,
			       void *arg),
		 void *arg);

/* What is known about `va` ("the guard page below a stack"), or NULL. For panic. Any context. */
const char *vm_describe(vaddr_t va);

#endif
