/*
 * The file that insncount.c writes and loadgen.c and bench.py read: 64-bit words, native order.
 */
#ifndef INSNCOUNT_H
#define INSNCOUNT_H

#include <stdint.h>

#define COUNTS_HARTS    8
#define COUNTS_STRIDE   8              /* words: a cache line apart */
#define COUNTS_BLOCKS   (1u << 18)
#define IMAGE_ENTRY     0x80200000u    /* where QEMU's virt board enters a payload */
#define IMAGE_ENTRY_END 0x84000000u

struct counts_block {
	uint64_t vaddr, insns, runs;
};

struct counts {
	uint64_t total[COUNTS_HARTS * COUNTS_STRIDE];
	/* 1 + instructions before the image's first; 0: not entered yet */
	uint64_t at_entry;
	uint64_t blocks_used;
	uint64_t reserved[6];
	struct counts_block blocks[COUNTS_BLOCKS];
};

#endif
