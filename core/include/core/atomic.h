/*
 * Single writes that other harts or interrupts read, and the number of the lowest bit.
 *
 * The compiler's own atomic stores of words become read-modify-write instructions on RISC-V (gcc
 * 12), which cost more than everything around them; a store of a register's width is one access by
 * itself.
 */
#ifndef CORE_ATOMIC_H
#define CORE_ATOMIC_H

#include <core/types.h>

/* One access, in no order with others. */
#define store_relaxed(p, v) (*(volatile __typeof__(*(p)) *)(p) = (v))

/* One access, after all that the caller has read and written before. */
#define store_release(p, v)                                             \
	do {                                                            \
		if (CONFIG_HARTS_MAX > 1)                               \
			__atomic_thread_fence(__ATOMIC_RELEASE);        \
		else                                                    \
			__asm__ volatile("" ::: "memory");              \
		store_relaxed(p, v);                                    \
	} while (0)

extern const uint8_t bit_lowest_table[32];

/*
 * The number of the lowest bit set; word != 0. Without Zbb the compiler would call libgcc:
 * isolating the bit and multiplying by a de Bruijn sequence leaves a different number in the top
 * five bits for each.
 */
static inline unsigned bit_lowest(uint32_t word)
{
	if (IS_ENABLED(CONFIG_RISCV_ZBB))
		return (unsigned)__builtin_ctz(word);
	return bit_lowest_table[(uint32_t)((word & -word) * 0x077cb531u) >> 27];
}

#endif
