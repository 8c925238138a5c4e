/*
 * The kernel's page table; see pagetable.h for the layout.
 *
 * Locks: table_lock guards the tables once several harts run. Frames of tables are never given
 * back: the upper half's shape settles soon, and a table that another hart may be walking cannot be
 * reused. An invalid entry that becomes valid needs no flush (a hart that faults on it looks
 * again), so only unmapping and protecting flush, once for the whole range, on all harts.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>
#include <core/sync.h>
#include "csr.h"
#include "early.h"
#include "hart.h"
#include "pagetable.h"

#define PTE_V 0x01UL
#define PTE_R 0x02UL
#define PTE_W 0x04UL
#define PTE_X 0x08UL
#define PTE_G 0x20UL
#define PTE_A 0x40UL
#define PTE_D 0x80UL
#define PTE_LEAF (PTE_R | PTE_W | PTE_X)
#define PTE_KEPT 0x100UL /* ours, in an invalid entry: the frame is kept, access is not */
#define PTE_PPN_SHIFT 10
#define PTE_PPN_MASK 0x003ffffffffffc00UL

#define LEVEL_BITS 9
#define LEVEL_SHIFT(level) (PAGE_SHIFT + LEVEL_BITS * (level))
#define LEVEL_SIZE(level)  (1UL << LEVEL_SHIFT(level))
#define LEVEL_GIB 2 /* leaves of 1 GiB; larger ones are not used */

typedef uint64_t pte_t;

uintptr_t arch_direct_offset;

static paddr_t root;
static unsigned levels;
static struct spinlock table_lock = SPINLOCK_INIT;

static paddr_t pte_target(pte_t pte)
{
	return (pte & PTE_PPN_MASK) >> PTE_PPN_SHIFT << PAGE_SHIFT;
}

static pte_t pte_make(paddr_t pa, pte_t bits)
{
	return pa >> PAGE_SHIFT << PTE_PPN_SHIFT | bits;
}

static pte_t pte_bits(unsigned prot)
{
	pte_t bits = PTE_V | PTE_A | PTE_G;

	if (!(prot & (MAP_R | MAP_W | MAP_X)))
		return PTE_KEPT; /* a valid entry without these bits would be a table */
	assert((prot & (MAP_W | MAP_X)) != (MAP_W | MAP_X));
	if (prot & (MAP_R | MAP_W))
		bits |= PTE_R; /* writable and not readable is reserved */
	if (prot & MAP_W)
		bits |= PTE_W | PTE_D;
	if (prot & MAP_X)
		bits |= PTE_X;
	return bits;
}

static unsigned pte_prot(pte_t pte)
{
	return (pte & PTE_R ? MAP_R : 0) | (pte & PTE_W ? MAP_W : 0) | (pte & PTE_X ? MAP_X : 0);
}

static pte_t *entry_at(paddr_t table, vaddr_t va, unsigned level)
{
	pte_t *entries = arch_direct_map(table);

	return &entries[(va >> LEVEL_SHIFT(level)) & ((1u << LEVEL_BITS) - 1)];
}

static paddr_t table_alloc(void)
{
	void *table;

	if (!arch_direct_offset)
		return early_frames(1);
	table = page_alloc_zero(0, PAGE_TABLE);
	return table ? page_paddr(table) : 0;
}

int pagetable_init(unsigned wanted_levels)
{
	levels = wanted_levels;
	root = table_alloc();
	return root ? 0 : -ENOMEM;
}

unsigned long pagetable_satp(void)
{
	return (SATP_MODE_SV39 + levels - 3) << SATP_MODE_SHIFT | root >> PAGE_SHIFT;
}

bool pagetable_drop_level(void)
{
	if (levels == 3)
		return false;
	root = pte_target(*entry_at(root, DIRECT_WINDOW, levels - 1));
	levels--;
	return true;
}

/*
 * The entry for `va` at `level`, tables above it made as needed. NULL: no memory, or a leaf above.
 */
static pte_t *entry_make(vaddr_t va, unsigned level)
{
	paddr_t table = root;

	for (unsigned l = levels - 1; l > level; l--) {
		pte_t *pte = entry_at(table, va, l);

		if (!(*pte & PTE_V)) {
			paddr_t fresh = table_alloc();

			if (!fresh)
				return NULL;
			*pte = pte_make(fresh, PTE_V);
		} else if (*pte & PTE_LEAF) {
			return NULL;
		}
		table = pte_target(*pte);
	}
	return entry_at(table, va, level);
}

/* The leaf for `va`, or NULL; *level is where the search ended. */
static pte_t *entry_find(vaddr_t va, unsigned *level)
{
	paddr_t table = root;

	for (unsigned l = levels; l-- > 0;) {
		pte_t *pte = entry_at(table, va, l);

		*level = l;
		if (!*pte)
			return NULL;
		if (l == 0 || *pte & PTE_LEAF)
			return pte;
		table = pte_target(*pte);
	}
	return NULL;
}

static unsigned largest_level(vaddr_t va, paddr_t pa, size_t len)
{
	unsigned level = LEVEL_GIB;

	while (level && (!IS_ALIGNED(va | pa, LEVEL_SIZE(level)) || len < LEVEL_SIZE(level)))
		level--;
	return level;
}

/*
 * Enters leaves of one size, at most to the end of the table that holds the first. Returns the
 * bytes mapped, or negative errno.
 */
static intptr_t map_run(vaddr_t va, paddr_t pa, size_t len, pte_t bits, unsigned level)
{
	size_t size = LEVEL_SIZE(level),
	       room = LEVEL_SIZE(level + 1) - (va & (LEVEL_SIZE(level + 1) - 1));
	size_t run = ALIGN_DOWN(MIN(len, room), size);
	pte_t *pte = entry_make(va, level);

	if (!pte)
		return -ENOMEM;
	for (size_t done = 0; done < run; done += size, pte++) {
		if (*pte)
			return -EEXIST;
		*pte = pte_make(pa + done, bits);
	}
	return (intptr_t)run;
}

int pagetable_map(vaddr_t va, paddr_t pa, size_t len, unsigned prot, bool large)
{
	pte_t bits = pte_bits(prot);

	while (len) {
		unsigned level = large ? largest_level(va, pa, len) : 0;
		/* Small pages end where larger ones become possible: at the end of their table. */
		intptr_t run = map_run(va, pa, len, bits, level);

		if (run < 0)
			return (int)run;
		va += (size_t)run;
		pa += (size_t)run;
		len -= (size_t)run;
	}
	return 0;
}

static void range_check(vaddr_t va, size_t len)
{
	assert(IS_ALIGNED(va | len, PAGE_SIZE));
	assert(va >= DIRECT_WINDOW && va + len - 1 >= va);
}

int arch_map(vaddr_t va, paddr_t pa, size_t len_bytes, unsigned prot)
{
	irqflags_t flags;
	int err;

	range_check(va, len_bytes);
	flags = spin_lock_irq(&table_lock);
	err = pagetable_map(va, pa, len_bytes, prot, true);
	spin_unlock_irq(&table_lock, flags);
	return err;
}

/*
 * Gives every leaf of the range the bits `set`, keeping `keep`, or clears it when `set` is 0. Holes
 * are skipped; a large leaf lies in the range as a whole.
 */
static void range_update(vaddr_t va, size_t len, pte_t keep, pte_t set)
{
	vaddr_t end = va + len;

	while (va != end) {
		unsigned level;
		pte_t *pte = entry_find(va, &level);
		vaddr_t next = ALIGN_DOWN(va, LEVEL_SIZE(level)) + LEVEL_SIZE(level);

		if (pte) {
			assert(IS_ALIGNED(va, LEVEL_SIZE(level)) && next - 1 <= end - 1);
			*pte = set ? (*pte & keep) | set : 0;
		}
		va = next - 1 > end - 1 ? end : next;
	}
}

void arch_unmap(vaddr_t va, size_t len_bytes)
{
	irqflags_t flags;

	range_check(va, len_bytes);
	flags = spin_lock_irq(&table_lock);
	range_update(va, len_bytes, 0, 0);
	spin_unlock_irq(&table_lock, flags);
	hart_flush_tlb(va, len_bytes);
}

int arch_protect(vaddr_t va, size_t len_bytes, unsigned prot)
{
	irqflags_t flags;

	range_check(va, len_bytes);
	flags = spin_lock_irq(&table_lock);
	range_update(va, len_bytes, PTE_PPN_MASK, pte_bits(prot));
	spin_unlock_irq(&table_lock, flags);
	hart_flush_tlb(va, len_bytes);
	if (prot & MAP_X)
		hart_flush_code(); /* what was data until now may have been written just before */
	return 0;
}

vaddr_t arch_next_mapped(vaddr_t va, vaddr_t end)
{
	irqflags_t flags = spin_lock_irq(&table_lock);
	unsigned level;

	while (va < end && !entry_find(va, &level))
		va = ALIGN_DOWN(va, LEVEL_SIZE(level)) + LEVEL_SIZE(level);
	spin_unlock_irq(&table_lock, flags);
	return MIN(va, end);
}

vaddr_t arch_vm_area(size_t *len_bytes)
{
	*len_bytes = VM_AREA_END - VM_AREA_START - boot_layout.vm_offset;
	return VM_AREA_START + boot_layout.vm_offset;
}

bool arch_translate(vaddr_t va, paddr_t *pa, unsigned *prot)
{
	irqflags_t flags = spin_lock_irq(&table_lock);
	unsigned level;
	pte_t *entry = entry_find(va, &level);
	pte_t pte = entry ? *entry : 0;

	spin_unlock_irq(&table_lock, flags);
	if (!pte)
		return false;
	if (pa)
		*pa = pte_target(pte) + (va & (LEVEL_SIZE(level) - 1));
	if (prot)
		*prot = pte_prot(pte);
	return true;
}
