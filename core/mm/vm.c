/*
 * Ranges of the kernel half: where stacks, device windows and anonymous memory lie.
 *
 * The ranges stand in a tree by address. A new one takes the lowest gap that holds it and a guard
 * page on each side, which keeps page tables few; `first_gap` remembers below which address no gap
 * is left. A range that is being freed stays in the tree, marked dying, until its last frame is
 * back, so that nobody is given the addresses before the harts have forgotten them.
 *
 * Lock: vm_lock, with interrupts off, since a first touch comes as a trap. Outside the page table's
 * and the allocators' locks. Work of unbounded length is done a few pages at a time. See
 * docs/locks.md.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include "vm.h"

#define FREE_BATCH 32

struct spinlock vm_lock = SPINLOCK_INIT;

static struct tree ranges = TREE_INIT; /* [vm_lock] */
static vaddr_t first_gap;              /* [vm_lock] 0: the whole area is free */

static struct vm_range *range_of(struct tree_node *node)
{
	return node ? tree_entry(node, struct vm_range, node) : NULL;
}

static bool starts_before(const struct tree_node *a, const struct tree_node *b)
{
	return tree_entry(a, struct vm_range, node)->start <
	       tree_entry(b, struct vm_range, node)->start;
}

static int compare_end(const void *key, const struct tree_node *node)
{
	vaddr_t va = *(const vaddr_t *)key;
	const struct vm_range *r = tree_entry(node, struct vm_range, node);

	return va >= r->end ? 1 : va < r->start ? -1 : 0;
}

struct vm_range *vm_range_at_or_after(vaddr_t va)
{
	return range_of(tree_find_at_or_after(&ranges, &va, compare_end));
}

struct vm_range *vm_range_next(const struct vm_range *r)
{
	return range_of(tree_next(&r->node));
}

struct vm_range *vm_range_alloc(enum vm_kind kind, unsigned prot)
{
	struct vm_range *r = kmalloc(sizeof(*r));

	if (r) {
		*r = (struct vm_range){ .kind = kind, .prot = prot };
		tree_node_init(&r->node);
	}
	return r;
}

void vm_range_free(struct vm_range *r)
{
	kfree(r);
}

void vm_range_insert(struct vm_range *r, vaddr_t start, vaddr_t end)
{
	assert(spin_is_held(&vm_lock));
	r->start = start;
	r->end = end;
	tree_insert(&ranges, &r->node, starts_before);
}

void vm_range_remove(struct vm_range *r)
{
	assert(spin_is_held(&vm_lock));
	tree_remove(&ranges, &r->node);
	first_gap = MIN(first_gap, r->start - PAGE_SIZE);
}

void vm_for_each(void (*visit)(vaddr_t start, vaddr_t end, enum vm_kind kind, unsigned prot,
			       void *arg),
		 void *arg)
{
	irqflags_t flags = spin_lock_irq(&vm_lock);

	for (struct tree_node *n = tree_first(&ranges); n; n = tree_next(n)) {
		const struct vm_range *r = range_of(n);

		if (!r->dying)
			visit(r->start, r->end, r->kind, r->prot, arg);
	}
	spin_unlock_irq(&vm_lock, flags);
}

bool vm_in_area(vaddr_t va, size_t len_bytes)
{
	size_t area_len;
	vaddr_t area = arch_vm_area(&area_len);

	return len_bytes <= area_len && va >= area && va - area <= area_len - len_bytes;
}

bool vm_is_free(vaddr_t start, vaddr_t end, const struct vm_range *except)
{
	struct vm_range *r = vm_range_at_or_after(start);

	if (r && r == except)
		r = vm_range_next(r);
	return !r || r->start >= end;
}

bool vm_range_place(struct vm_range *r, size_t len_bytes)
{
	size_t area_len, need = len_bytes + 2 * PAGE_SIZE;
	vaddr_t area = arch_vm_area(&area_len), at;
	struct vm_range *next;
	bool skipped = false;

	if (len_bytes > area_len || need > area_len)
		return false;
	at = MAX(first_gap, area);
	for (next = vm_range_at_or_after(at); next && next->start < at + need;
	     next = vm_range_next(next)) {
		skipped = skipped || next->start > at + 2 * PAGE_SIZE;
		at = MAX(at, next->end);
	}
	if (at - area > area_len - need)
		return false;
	vm_range_insert(r, at + PAGE_SIZE, at + PAGE_SIZE + len_bytes);
	if (!skipped)
		first_gap = at + PAGE_SIZE + len_bytes;
	return true;
}

/* Unmaps up to FREE_BATCH frames from *at on and frees them; moves *at. */
static void free_batch(vaddr_t *at, vaddr_t end)
{
	paddr_t frames[FREE_BATCH];
	unsigned n = 0;
	irqflags_t flags = spin_lock_irq(&vm_lock);
	vaddr_t first = arch_next_mapped(*at, end), va = first;

	while (va < end && n < FREE_BATCH) {
		if (arch_translate(va, &frames[n], NULL))
			n++;
		va = arch_next_mapped(va + PAGE_SIZE, end);
	}
	if (n)
		arch_unmap(first, va - first);
	spin_unlock_irq(&vm_lock, flags);
	while (n)
		page_free(arch_direct_map(frames[--n]), 0);
	*at = va;
}

void vm_frames_free(vaddr_t start, vaddr_t end)
{
	while (start < end)
		free_batch(&start, end);
}

static void range_destroy(struct vm_range *r)
{
	irqflags_t flags = spin_lock_irq(&vm_lock);

	r->dying = true;
	spin_unlock_irq(&vm_lock, flags);
	vm_frames_free(r->start, r->end);
	flags = spin_lock_irq(&vm_lock);
	vm_range_remove(r);
	spin_unlock_irq(&vm_lock, flags);
	vm_range_free(r);
}

static struct vm_range *range_create(enum vm_kind kind, size_t len_bytes)
{
	struct vm_range *r = vm_range_alloc(kind, 0);
	irqflags_t flags;
	bool placed;

	if (!r)
		return NULL;
	flags = spin_lock_irq(&vm_lock);
	placed = vm_range_place(r, len_bytes);
	spin_unlock_irq(&vm_lock, flags);
	if (placed)
		return r;
	vm_range_free(r);
	return NULL;
}

void *vm_map_device(paddr_t pa, size_t len_bytes)
{
	size_t offset = pa & (PAGE_SIZE - 1);
	size_t len = ALIGN_UP(offset + len_bytes, PAGE_SIZE);
	struct vm_range *r;

	if (!len_bytes || len < len_bytes || pa > UINT64_MAX - len)
		return NULL;
	r = range_create(VM_DEVICE, len);
	if (!r)
		return NULL;
	/* Windows live for ever; one that could not be mapped leaves its addresses unused. */
	if (arch_map(r->start, pa - offset, len, MAP_R | MAP_W | MAP_DEVICE))
		return NULL;
	return (void *)(r->start + offset);
}

static bool fill(struct vm_range *r)
{
	for (vaddr_t va = r->start; va < r->end; va += PAGE_SIZE) {
		void *frame = page_alloc(0, PAGE_STACK);

		if (!frame)
			return false;
		if (arch_map(va, page_paddr(frame), PAGE_SIZE, MAP_R | MAP_W)) {
			page_free(frame, 0);
			return false;
		}
	}
	return true;
}

void *vm_stack_alloc(size_t len_bytes)
{
	struct vm_range *r = range_create(VM_STACK, ALIGN_UP(len_bytes, PAGE_SIZE));

	if (!r)
		return NULL;
	if (fill(r))
		return (void *)r->start;
	range_destroy(r);
	return NULL;
}

void vm_stack_free(void *lowest, size_t len_bytes)
{
	irqflags_t flags = spin_lock_irq(&vm_lock);
	struct vm_range *r = vm_range_at_or_after((vaddr_t)lowest);

	spin_unlock_irq(&vm_lock, flags);
	assert(r && r->kind == VM_STACK && r->start == (vaddr_t)lowest);
	assert(r->end - r->start == ALIGN_UP(len_bytes, PAGE_SIZE));
	range_destroy(r);
}

const char *vm_describe(vaddr_t va)
{
	static const char *const below[] = { "the guard page below a stack",
					     "the guard page below a device's registers",
					     "the guard page below an application's mapping" };
	static const char *const inside[] = { "in a stack", "in a device's registers",
					      "in an application's mapping, without the right or "
					      "without memory left to fill it" };
	irqflags_t flags = arch_irq_save();
	const char *text = NULL;
	struct vm_range *r;

	if (spin_try_lock(&vm_lock)) {
		r = vm_range_at_or_after(va);
		if (r && va >= r->start)
			text = inside[r->kind];
		else if (r && va >= r->start - PAGE_SIZE)
			text = below[r->kind];
		spin_unlock(&vm_lock);
	}
	arch_irq_restore(flags);
	return text;
}
