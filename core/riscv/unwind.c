/*
 * Who called whom, for backtraces.
 *
 * Frame pointers would cost three instructions in each function that calls another, all day, for
 * the sake of a panic; so there are none, and the stack is read backwards from what the code says.
 * With the symbol table, the function's own first instructions tell how far it moved sp and where
 * it put ra. Without it, or where that fails, each word of the stack that points behind a call
 * instruction counts as a return address, which may list a call that has already returned.
 */
#include <core/arch.h>
#include <core/symbols.h>
#include "trap_frame.h"

#define SCAN_BYTES   KIB(16)
#define FUNCTION_MAX KIB(16)

void thread_begin(void); /* as context.c has it; the end is a label alone */
extern char image_start[], entry_end[], thread_begin_end[];

/* Reads a word without trusting the address. */
static bool peek(vaddr_t at, uint64_t *value)
{
	return IS_ALIGNED(at, 8UL) && arch_copy_faultable(value, (const void *)at, 8) == 0;
}

static uint16_t half(vaddr_t pc)
{
	return *(const uint16_t *)pc;
}

static int32_t sign_extend(uint32_t value, unsigned bits)
{
	return (int32_t)(value << (32 - bits)) >> (32 - bits);
}

/* Bytes that the instruction at `pc` takes sp down by (negative: up), 0 when it is another one. */
static int32_t sp_lowered(vaddr_t pc)
{
	uint32_t h = half(pc), insn;

	if ((h & 0xef83) == 0x6101 && h & 0x107c) /* c.addi16sp */
		return -sign_extend((h >> 12 & 1) << 9 | (h >> 3 & 3) << 7 | (h >> 5 & 1) << 6 |
					(h >> 2 & 1) << 5 | (h >> 6 & 1) << 4, 10);
	if ((h & 0xef83) == 0x0101) /* c.addi sp */
		return -sign_extend((h >> 12 & 1) << 5 | (h >> 2 & 0x1f), 6);
	if ((h & 3) != 3)
		return 0;
	insn = h | (uint32_t)half(pc + 2) << 16;
	if ((insn & 0xfffff) == 0x10113) /* addi sp, sp, imm */
		return -sign_extend(insn >> 20, 12);
	return 0;
}

/* True for a store of ra relative to sp, whose offset goes to *offset. */
static bool stores_ra(vaddr_t pc, int32_t *offset)
{
	uint32_t h = half(pc), insn;

	if ((h & 0xe07f) == 0xe006) { /* c.sdsp ra */
		*offset = (int32_t)((h >> 10 & 7) << 3 | (h >> 7 & 7) << 6);
		return true;
	}
	if ((h & 3) != 3)
		return false;
	insn = h | (uint32_t)half(pc + 2) << 16;
	if ((insn & 0x1fff07f) != 0x113023) /* sd ra, imm(sp) */
		return false;
	*offset = sign_extend((insn >> 25) << 5 | (insn >> 7 & 0x1f), 12);
	return true;
}

struct prologue {
	int64_t frame;   /* bytes that sp went down by, up to pc */
	/* where ra lies, as a distance below sp at entry; 0: still in its register */
	int64_t ra_at;
};

/*
 * Reads a function's code up to `pc`. Only lowering counts: an epilogue before pc was on another
 * path.
 */
static struct prologue read_prologue(vaddr_t start, vaddr_t pc)
{
	struct prologue p = { 0, 0 };
	int32_t offset;

	for (vaddr_t at = start; at < pc; at += (half(at) & 3) == 3 ? 4 : 2) {
		int32_t lowered = sp_lowered(at);

		if (lowered > 0)
			p.frame += lowered;
		if (stores_ra(at, &offset))
			p.ra_at = p.frame - offset;
	}
	return p;
}

static bool is_return_address(uint64_t word)
{
	if (word & 1 || !arch_is_text(word - 4) || !arch_is_text(word - 2))
		return false;
	if ((half(word - 2) & 0xf07f) == 0x9002 && half(word - 2) & 0xf80) /* c.jalr */
		return true;
	/* jal ra or jalr ra */
	return (half(word - 4) & 0xfff) == 0x0ef || (half(word - 4) & 0xfff) == 0x0e7;
}

/* The next return address on the stack from *sp up; moves *sp behind it. 0 when there is none. An
 * unmapped page is stepped over: a stack that overflowed begins in its guard page. */
static vaddr_t scan(vaddr_t *sp)
{
	vaddr_t end = *sp + SCAN_BYTES;
	uint64_t word;

	for (vaddr_t at = ALIGN_UP(*sp, 8UL); at < end; at += 8) {
		if (!peek(at, &word)) {
			at = ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE - 8;
		} else if (is_return_address(word)) {
			*sp = at + 8;
			return word;
		}
	}
	return 0;
}

/* The caller of the code at `pc` with stack pointer *sp; ra counts only in the innermost frame. */
static vaddr_t caller(vaddr_t pc, vaddr_t *sp, uint64_t ra, bool innermost)
{
	vaddr_t look = innermost ? pc : pc - 1;
	size_t offset;
	struct prologue p;
	uint64_t word;

	if (!symbol_find(look, &offset) || offset > FUNCTION_MAX)
		return innermost && is_return_address(ra) ? ra : scan(sp);
	p = read_prologue(look - offset, look);
	if (!p.ra_at && innermost && is_return_address(ra)) {
		*sp += (uint64_t)p.frame;
		return ra;
	}
	if (p.ra_at <= 0 || p.ra_at > p.frame ||
	    !peek(*sp + (uint64_t)(p.frame - p.ra_at), &word) || !is_return_address(word))
		return scan(sp);
	*sp += (uint64_t)p.frame;
	return word;
}

/* Code that nobody called: where a thread, the boot or a hart begins. */
static bool is_outermost(vaddr_t pc)
{
	return (pc >= (vaddr_t)image_start && pc <= (vaddr_t)entry_end) ||
	       (pc > (vaddr_t)(uintptr_t)thread_begin && pc <= (vaddr_t)thread_begin_end);
}

size_t arch_backtrace(const struct trap_frame *frame, vaddr_t *pcs, size_t max)
{
	uint64_t ra = frame ? frame->x[REG_RA] : 0;
	bool innermost = frame != NULL;
	vaddr_t pc, sp;
	size_t n = 0;

	if (frame) {
		pc = frame->sepc;
		sp = frame->x[REG_SP];
	} else {
		__asm__ volatile("mv %0, sp\n\tauipc %1, 0" : "=r"(sp), "=r"(pc));
		pc = caller(pc, &sp, 0, false);
	}
	while (pc && n < max) {
		/* ra may be in its register and on the stack */
		if (n != 2 || !frame || pcs[1] != pc)
			pcs[n++] = pc;
		if (is_outermost(pc))
			break;
		pc = caller(pc, &sp, ra, innermost);
		innermost = false;
	}
	return n;
}
