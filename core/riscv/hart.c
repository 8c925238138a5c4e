/*
 * Harts: starting them, interrupting them, and making them forget translations, by SBI.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/errno.h>
#include <core/page.h>
#include <core/vm.h>
#include "csr.h"
#include "early.h"
#include "hart.h"
#include "pagetable.h"
#include "sbi.h"

#define TRAP_STACK_BYTES KIB(8)
#define FLUSH_PAGES_MAX  64 /* beyond this, flushing everything is cheaper than page by page */

extern char hart_entry[], hart_entry_virtual[];

/* What hart_entry reads before it has paging; written before the first hart starts. */
unsigned long hart_satp;
uintptr_t hart_virtual;

static unsigned long hartids[CONFIG_HARTS_MAX]; /* [I] after boot */

/* Who was started, and with which first thread, for entry.S. */
struct hart_start {
	unsigned long hartid;
	uintptr_t first; /* 0: not started */
};
struct hart_start hart_starts[CONFIG_HARTS_MAX];
static hart_t hart_total;
static hart_t harts_running; /* atomic */
static bool stop_all;
static unsigned harts_stopped;

bool hart_add(unsigned long hartid)
{
	if (hart_total == CONFIG_HARTS_MAX)
		return false;
	hartids[hart_total++] = hartid;
	return true;
}

hart_t arch_hart_count(void)
{
	return hart_total;
}

unsigned long arch_hart_id(hart_t hart)
{
	return hartids[hart];
}

void hart_registers_init(void);
void hart_registers_init(void)
{
	csr_write(sscratch, 0);
	csr_clear(sstatus, SSTATUS_SUM);
	csr_set(sstatus, SSTATUS_FS);
	csr_write(sie, SIE_SOFTWARE | SIE_TIMER | SIE_EXTERNAL);
	__atomic_fetch_add(&harts_running, 1, __ATOMIC_RELAXED);
}

static int hart_stacks_alloc(struct arch_thread *first)
{
	char *trap = vm_stack_alloc(TRAP_STACK_BYTES);
	char *spare = page_alloc(0, PAGE_STACK);

	if (!trap || !spare) {
		if (trap)
			vm_stack_free(trap, TRAP_STACK_BYTES);
		if (spare)
			page_free(spare, 0);
		return -ENOMEM;
	}
	if (!first->trap_sp)
		first->trap_sp = (uintptr_t)trap + TRAP_STACK_BYTES;
	first->spare_sp = (uintptr_t)spare + PAGE_SIZE;
	return 0;
}

int arch_hart_start(hart_t hart, struct thread *first)
{
	struct arch_thread *t = (struct arch_thread *)first;
	struct sbi_result r;

	assert(hart > 0 && hart < hart_total && hart < CONFIG_HARTS_MAX);
	if (hart_stacks_alloc(t))
		return -ENOMEM;
	t->hart = hart;
	hart_satp = pagetable_satp();
	hart_virtual = (uintptr_t)hart_entry_virtual;
	hart_starts[hart] = (struct hart_start){ hartids[hart], (uintptr_t)first };
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	r = sbi_call(SBI_HSM, SBI_HSM_START, hartids[hart],
		     (uintptr_t)hart_entry - boot_layout.image_offset, (uintptr_t)first);
	return r.error ? -EIO : 0;
}

void arch_ipi(hart_t hart)
{
	sbi_call(SBI_IPI, 0, 1, hartids[hart], 0);
}

static void fence_here(vaddr_t va, size_t len)
{
	if (len > FLUSH_PAGES_MAX * PAGE_SIZE) {
		__asm__ volatile("sfence.vma" : : : "memory");
		return;
	}
	for (vaddr_t end = va + len; va != end; va += PAGE_SIZE)
		__asm__ volatile("sfence.vma %0" : : "r"(va) : "memory");
}

void hart_flush_tlb(vaddr_t va, size_t len_bytes)
{
	/*
	 * Address and size 0: everything, on every hart that runs; the exact range would gain
	 * little.
	 */
	if (__atomic_load_n(&harts_running, __ATOMIC_RELAXED) > 1)
		sbi_call(SBI_RFENCE, SBI_RFENCE_VMA, 0, -1UL, 0);
	else
		fence_here(va, len_bytes);
}

void hart_flush_code(void)
{
	__asm__ volatile("fence.i" : : : "memory");
	if (__atomic_load_n(&harts_running, __ATOMIC_RELAXED) > 1)
		sbi_call(SBI_RFENCE, SBI_RFENCE_FENCE_I, 0, -1UL, 0);
}

void arch_flush_here(vaddr_t va)
{
	fence_here(va, PAGE_SIZE);
}

void hart_check_stop(void)
{
	if (likely(!__atomic_load_n(&stop_all, __ATOMIC_RELAXED)))
		return;
	__atomic_fetch_add(&harts_stopped, 1, __ATOMIC_RELAXED);
	csr_write(sie, 0);
	for (;;)
		__asm__ volatile("wfi");
}

void hart_stop_others(void)
{
	unsigned others = harts_running - 1;
	uint64_t end = arch_ticks() + arch_tick_hz() / 20;

	__atomic_store_n(&stop_all, true, __ATOMIC_SEQ_CST);
	for (hart_t h = 0; others && h < hart_total; h++) {
		if (h != ((struct arch_thread *)arch_thread_current())->hart)
			arch_ipi(h);
	}
	while (__atomic_load_n(&harts_stopped, __ATOMIC_RELAXED) < others && arch_ticks() < end)
		arch_relax();
}
