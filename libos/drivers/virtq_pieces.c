/*
 * From kernel addresses to the physical pieces that a device can be given.
 *
 * Most memory that drivers see lies in the direct map and is one piece, found by a subtraction.
 * The rest (the image's own data, an application's anonymous memory) is looked up page by page, and
 * neighbours are joined.
 */
#include "virtqueue.h"

#include <core/arch.h>
#include <core/errno.h>

/* RAM as the device tree has it: what a direct-map address may come to. */
paddr_t virtq_ram_start, virtq_ram_bytes;

void virtq_set_ram(paddr_t start, paddr_t end)
{
	virtq_ram_start = start;
	virtq_ram_bytes = end - start;
}

/* The frame behind an address; an anonymous page that nobody has touched yet gets one now. */
static bool translate(vaddr_t va, paddr_t *pa)
{
	unsigned prot;

	if (likely(arch_translate(va, pa, &prot)))
		return true;
	(void)*(const volatile char *)va;
	return arch_translate(va, pa, &prot);
}

static int pieces_by_page(vaddr_t va, size_t len, struct virtq_seg *segs, unsigned count,
			  unsigned max)
{
	unsigned first = count;

	for (size_t step; len; va += step, len -= step) {
		paddr_t pa;

		step = MIN(len, PAGE_SIZE - (va & (PAGE_SIZE - 1)));
		if (!translate(va, &pa))
			return -EFAULT;
		if (count > first && segs[count - 1].addr + segs[count - 1].len == pa) {
			segs[count - 1].len += (uint32_t)step;
			continue;
		}
		if (count == max)
			return -E2BIG;
		segs[count++] = (struct virtq_seg){ pa, (uint32_t)step };
	}
	return (int)count;
}

int virtq_pieces(const void *base, size_t len, struct virtq_seg *segs, unsigned count, unsigned max)
{
	if (unlikely(!virtq_is_direct(base)))
		return pieces_by_page((vaddr_t)base, len, segs, count, max);
	if (unlikely(count == max))
		return -E2BIG;
	segs[count] = (struct virtq_seg){ arch_direct_unmap(base), (uint32_t)len };
	return (int)count + 1;
}
