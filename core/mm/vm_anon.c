/*
 * Anonymous memory: ranges that applications map, filled with zeroed frames on first touch.
 *
 * An operation on [va, va + len) first cuts the ranges at both ends, so that it deals in whole
 * ranges; neighbours that have become alike are joined again. Cutting needs up to two new ranges,
 * which are allocated beforehand: behind the point where the tree changes nothing can fail.
 *
 * The operations of one application may come from many threads; each step under vm_lock leaves the
 * tree whole, and what two threads do to the same addresses at once is undefined in Linux as well.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/counter.h>
#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>
#include "vm.h"

COUNTER(anon_pages_filled, "pages of anonymous memory filled on first touch");

static bool range_bad(vaddr_t va, size_t len)
{
	return !IS_ALIGNED(va, PAGE_SIZE) || !len || len > UINT64_MAX - va - PAGE_SIZE;
}

static bool prot_bad(unsigned prot)
{
	return prot & ~(unsigned)(VM_READ | VM_WRITE | VM_EXEC);
}

static unsigned map_prot(unsigned prot)
{
	return (prot & (VM_READ | VM_WRITE) ? MAP_R : 0) | (prot & VM_WRITE ? MAP_W : 0) |
	       (prot & VM_EXEC ? MAP_X | MAP_R : 0);
}

/* Two ranges in hand for cutting, given back when unused. */
struct spares {
	struct vm_range *r[2];
};

static int spares_get(struct spares *s)
{
	s->r[0] = vm_range_alloc(VM_ANON, 0);
	s->r[1] = vm_range_alloc(VM_ANON, 0);
	if (s->r[0] && s->r[1])
		return 0;
	if (s->r[0])
		vm_range_free(s->r[0]);
	if (s->r[1])
		vm_range_free(s->r[1]);
	return -ENOMEM;
}

static void spares_put(struct spares *s)
{
	for (unsigned i = 0; i < 2; i++) {
		if (s->r[i])
			vm_range_free(s->r[i]);
	}
}

/* Makes `at` a border between ranges. With vm_lock held. */
static void cut(vaddr_t at, struct vm_range **spare)
{
	struct vm_range *r = vm_range_at_or_after(at), *upper = *spare;

	if (!r || r->start >= at || r->kind != VM_ANON)
		return;
	*upper = (struct vm_range){ .kind = VM_ANON, .prot = r->prot, .dying = r->dying };
	tree_node_init(&upper->node);
	vm_range_insert(upper, at, r->end);
	r->end = at;
	*spare = NULL;
}

/* Joins r with the range behind it when they are alike; returns the range to go on from. */
static struct vm_range *join(struct vm_range *r)
{
	struct vm_range *next = vm_range_next(r);

	if (!next || next->start != r->end || next->kind != VM_ANON || r->kind != VM_ANON ||
	    next->prot != r->prot || next->dying || r->dying)
		return next;
	vm_range_remove(next);
	r->end = next->end;
	vm_range_free(next);
	return r;
}

static void join_around(vaddr_t start, vaddr_t end)
{
	struct vm_range *r = vm_range_at_or_after(start - 1);

	while (r && r->start <= end)
		r = join(r);
}

/* True if anonymous ranges cover [va, end) without a hole. With vm_lock held. */
static bool is_covered(vaddr_t va, vaddr_t end)
{
	struct vm_range *r = vm_range_at_or_after(va);

	for (; va < end; r = vm_range_next(r)) {
		if (!r || r->start > va || r->kind != VM_ANON || r->dying)
			return false;
		va = r->end;
	}
	return true;
}

/* True if nothing but anonymous ranges lies in [va, end). With vm_lock held. */
static bool is_ours(vaddr_t va, vaddr_t end)
{
	for (struct vm_range *r = vm_range_at_or_after(va); r && r->start < end;
	     r = vm_range_next(r)) {
		if (r->kind != VM_ANON || r->dying)
			return false;
	}
	return true;
}

static struct vm_range *mark_dying(vaddr_t va, vaddr_t end)
{
	struct vm_range *first = NULL;

	for (struct vm_range *r = vm_range_at_or_after(va); r && r->start < end;
	     r = vm_range_next(r)) {
		r->dying = true;
		if (!first)
			first = r;
	}
	return first;
}

static void remove_dying(vaddr_t va, vaddr_t end)
{
	struct vm_range *r = vm_range_at_or_after(va), *next;

	for (; r && r->start < end; r = next) {
		next = vm_range_next(r);
		assert(r->dying);
		vm_range_remove(r);
		vm_range_free(r);
	}
}

int vm_anon_unmap(vaddr_t va, size_t len_bytes)
{
	vaddr_t end = ALIGN_UP(va + len_bytes, PAGE_SIZE);
	struct spares spares;
	irqflags_t flags;
	bool ours;

	if (range_bad(va, len_bytes))
		return -EINVAL;
	if (spares_get(&spares))
		return -ENOMEM;
	flags = spin_lock_irq(&vm_lock);
	ours = is_ours(va, end);
	if (ours) {
		cut(va, &spares.r[0]);
		cut(end, &spares.r[1]);
		mark_dying(va, end);
	}
	spin_unlock_irq(&vm_lock, flags);
	spares_put(&spares);
	if (!ours)
		return -EINVAL;
	vm_frames_free(va, end);
	flags = spin_lock_irq(&vm_lock);
	remove_dying(va, end);
	spin_unlock_irq(&vm_lock, flags);
	return 0;
}

/*
 * More than the machine has can never be filled: refuse it, as Linux does by default. Addresses
 * that are only reserved cost nothing.
 */
static bool is_hopeless(size_t len_bytes, unsigned prot)
{
	struct page_stats stats;

	if (!prot)
		return false;
	page_stats(&stats);
	return len_bytes / PAGE_SIZE > stats.total_pages;
}

/* Enters r: at `at` when that is free, else anywhere unless `fixed`. 0 or -ENOMEM. */
static int place(struct vm_range *r, vaddr_t at, size_t len, bool fixed)
{
	irqflags_t flags = spin_lock_irq(&vm_lock);
	bool placed = true;

	if (at && vm_in_area(at, len) && vm_is_free(at, at + len, NULL))
		vm_range_insert(r, at, at + len);
	else
		placed = !fixed && vm_range_place(r, len);
	spin_unlock_irq(&vm_lock, flags);
	return placed ? 0 : -ENOMEM;
}

intptr_t vm_anon_map(vaddr_t hint, size_t len_bytes, unsigned prot, bool fixed)
{
	size_t len = ALIGN_UP(len_bytes, PAGE_SIZE);
	struct vm_range *r;
	vaddr_t start;
	int err;

	if (!len_bytes || prot_bad(prot) || (fixed && range_bad(hint, len_bytes)))
		return -EINVAL;
	if ((prot & VM_WRITE) && (prot & VM_EXEC))
		return -EACCES;
	if (len < len_bytes || is_hopeless(len, prot) || (fixed && !vm_in_area(hint, len)))
		return -ENOMEM;
	if (fixed && (err = vm_anon_unmap(hint, len)) != 0)
		return err;
	r = vm_range_alloc(VM_ANON, prot);
	if (!r)
		return -ENOMEM;
	err = place(r, ALIGN_DOWN(hint, PAGE_SIZE), len, fixed);
	if (err) {
		vm_range_free(r);
		return err;
	}
	start = r->start;
	return (intptr_t)start;
}

/* Changes mapped pages of [va, end), run by run. With vm_lock held. */
static void protect_mapped(vaddr_t va, vaddr_t end, unsigned prot)
{
	for (;;) {
		vaddr_t first = arch_next_mapped(va, end), last;

		if (first == end)
			return;
		for (last = first + PAGE_SIZE; last < end && arch_translate(last, NULL, NULL);)
			last += PAGE_SIZE;
		arch_protect(first, last - first, map_prot(prot));
		va = last;
	}
}

int vm_anon_protect(vaddr_t va, size_t len_bytes, unsigned prot)
{
	vaddr_t end = ALIGN_UP(va + len_bytes, PAGE_SIZE);
	struct spares spares;
	irqflags_t flags;
	int err = 0;

	if (!IS_ALIGNED(va, PAGE_SIZE) || prot_bad(prot))
		return -EINVAL;
	if (!len_bytes)
		return 0;
	if ((prot & VM_WRITE) && (prot & VM_EXEC))
		return -EACCES;
	if (range_bad(va, len_bytes) || spares_get(&spares))
		return -ENOMEM;
	flags = spin_lock_irq(&vm_lock);
	if (is_covered(va, end)) {
		cut(va, &spares.r[0]);
		cut(end, &spares.r[1]);
		for (struct vm_range *r = vm_range_at_or_after(va); r && r->start < end;
		     r = vm_range_next(r))
			r->prot = prot;
		protect_mapped(va, end, prot);
		join_around(va, end);
	} else {
		err = -ENOMEM;
	}
	spin_unlock_irq(&vm_lock, flags);
	spares_put(&spares);
	return err;
}

int vm_anon_discard(vaddr_t va, size_t len_bytes)
{
	vaddr_t end = ALIGN_UP(va + len_bytes, PAGE_SIZE);
	irqflags_t flags;
	bool covered;

	if (!len_bytes)
		return 0;
	if (range_bad(va, len_bytes))
		return -EINVAL;
	flags = spin_lock_irq(&vm_lock);
	covered = is_covered(va, end);
	spin_unlock_irq(&vm_lock, flags);
	if (!covered)
		return -ENOMEM;
	vm_frames_free(va, end);
	return 0;
}

/*
 * Lets the range that holds [old, old + old_len) end at `end` if what follows is free, guard
 * included.
 */
static bool grow_in_place(struct vm_range *r, vaddr_t old_end, vaddr_t end)
{
	if (r->end != old_end || !vm_in_area(r->start, end + PAGE_SIZE - r->start) ||
	    !vm_is_free(old_end, end + PAGE_SIZE, r))
		return false;
	r->end = end;
	return true;
}

/* Moves frames, not bytes, from the old addresses to the new ones. 0 or -ENOMEM with some moved. */
static int move_frames(vaddr_t from, vaddr_t from_end, vaddr_t to, unsigned prot)
{
	irqflags_t flags;
	paddr_t pa;
	int err = 0;

	for (vaddr_t va = from; !err && (va = arch_next_mapped(va, from_end)) < from_end;
	     va += PAGE_SIZE) {
		flags = spin_lock_irq(&vm_lock);
		if (arch_translate(va, &pa, NULL)) {
			err = arch_map(to + (va - from), pa, PAGE_SIZE, map_prot(prot));
			if (!err)
				arch_unmap(va, PAGE_SIZE);
		}
		spin_unlock_irq(&vm_lock, flags);
	}
	return err;
}

static intptr_t remap_by_moving(vaddr_t old, size_t old_len, size_t new_len, unsigned prot)
{
	intptr_t moved = vm_anon_map(0, new_len, prot, false);
	int err;

	if (moved < 0 && moved > -4096)
		return moved;
	err = move_frames(old, old + old_len, (vaddr_t)moved, prot);
	if (err) {
		/* Back to where they were; those tables exist, so this cannot fail. */
		err = move_frames((vaddr_t)moved, (vaddr_t)moved + old_len, old, prot);
		assert(!err);
		vm_anon_unmap((vaddr_t)moved, new_len);
		return -ENOMEM;
	}
	vm_anon_unmap(old, old_len);
	return moved;
}

intptr_t vm_anon_remap(vaddr_t old, size_t old_len, size_t new_len, bool may_move)
{
	struct vm_range *r;
	irqflags_t flags;
	unsigned prot = 0;
	bool covered, grown = false;

	if (range_bad(old, old_len) || !new_len || new_len > SIZE_MAX - PAGE_SIZE)
		return -EINVAL;
	old_len = ALIGN_UP(old_len, PAGE_SIZE);
	new_len = ALIGN_UP(new_len, PAGE_SIZE);
	flags = spin_lock_irq(&vm_lock);
	r = vm_range_at_or_after(old);
	covered = r && r->kind == VM_ANON && r->start <= old && r->end >= old + old_len &&
		  !r->dying;
	if (covered) {
		prot = r->prot;
		grown = new_len > old_len && grow_in_place(r, old + old_len, old + new_len);
	}
	spin_unlock_irq(&vm_lock, flags);
	if (!covered)
		return -EFAULT;
	if (grown || new_len == old_len)
		return (intptr_t)old;
	if (new_len < old_len)
		return vm_anon_unmap(old + new_len, old_len - new_len) ? -ENOMEM : (intptr_t)old;
	return may_move ? remap_by_moving(old, old_len, new_len, prot) : -ENOMEM;
}

static bool may_touch(const struct vm_range *r, vaddr_t va, bool write, bool exec)
{
	unsigned need = write ? VM_WRITE : exec ? VM_EXEC : VM_READ | VM_WRITE | VM_EXEC;

	return r && r->start <= va && r->kind == VM_ANON && !r->dying && r->prot & need;
}

/* A zeroed frame at `va`. With vm_lock held. */
static bool touch(vaddr_t va, unsigned prot)
{
	void *frame;

	if (arch_translate(va, NULL, NULL)) {
		/* another hart was first, and this one had remembered that nothing was there */
		arch_flush_here(va);
		return true;
	}
	frame = page_alloc_zero(0, PAGE_ANON);
	if (!frame)
		return false;
	if (!arch_map(va, page_paddr(frame), PAGE_SIZE, map_prot(prot))) {
		counter_inc(anon_pages_filled);
		return true;
	}
	page_free(frame, 0);
	return false;
}

bool vm_fault(vaddr_t va, bool write, bool exec)
{
	bool repaired = false;
	irqflags_t flags;
	struct vm_range *r;

	/*
	 * Code that holds the lock touches no anonymous memory; if it did, waiting would never end.
	 */
	if (spin_is_held(&vm_lock))
		return false;
	flags = spin_lock_irq(&vm_lock);
	r = vm_range_at_or_after(va);
	if (may_touch(r, va, write, exec))
		repaired = touch(ALIGN_DOWN(va, PAGE_SIZE), r->prot);
	spin_unlock_irq(&vm_lock, flags);
	return repaired;
}
