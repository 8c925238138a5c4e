/*
 * Ranges of virtual memory: guards, first touch, cutting, joining, moving; frames come back.
 */
#include <core/arch.h>
#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/vm.h>

enum { R = 1, W = 2, X = 4 };

static size_t anon_pages(void)
{
	struct page_stats stats;

	page_stats(&stats);
	return stats.by_owner[PAGE_ANON];
}

static bool is_error(intptr_t r)
{
	return r < 0 && r > -4096;
}

TEST(vm_stack_has_guard_pages)
{
	char *stack = vm_stack_alloc(3 * PAGE_SIZE);

	CHECK(stack);
	CHECK(arch_translate((vaddr_t)stack, NULL, NULL));
	CHECK(arch_translate((vaddr_t)stack + 2 * PAGE_SIZE, NULL, NULL));
	CHECK(!arch_translate((vaddr_t)stack - PAGE_SIZE, NULL, NULL));
	CHECK(!arch_translate((vaddr_t)stack + 3 * PAGE_SIZE, NULL, NULL));
	CHECK(vm_describe((vaddr_t)stack - 8));
	CHECK(!vm_fault((vaddr_t)stack - 8, true, false));
	vm_stack_free(stack, 3 * PAGE_SIZE);
	CHECK(!arch_translate((vaddr_t)stack, NULL, NULL));
}

TEST(vm_addresses_of_freed_stacks_serve_again)
{
	void *first = vm_stack_alloc(PAGE_SIZE), *second;

	CHECK(first);
	vm_stack_free(first, PAGE_SIZE);
	second = vm_stack_alloc(PAGE_SIZE);
	CHECK(first == second);
	vm_stack_free(second, PAGE_SIZE);
}

TEST(vm_anon_is_filled_with_zeroes_on_first_touch)
{
	size_t before = anon_pages();
	intptr_t va = vm_anon_map(0, 10 * PAGE_SIZE, R | W, false);

	CHECK(!is_error(va));
	CHECK_EQ(anon_pages(), before);
	CHECK(vm_fault((vaddr_t)va + 5, true, false));
	CHECK_EQ(anon_pages(), before + 1);
	CHECK(vm_fault((vaddr_t)va + 8, false, false)); /* again: harmless */
	CHECK_EQ(anon_pages(), before + 1);
	CHECK(!vm_fault((vaddr_t)va, false, true));
	CHECK_EQ(vm_anon_unmap((vaddr_t)va, 10 * PAGE_SIZE), 0);
	CHECK_EQ(anon_pages(), before);
	CHECK(!vm_fault((vaddr_t)va, true, false));
}

TEST(vm_anon_refuses_what_linux_refuses)
{
	CHECK_EQ(vm_anon_map(0, PAGE_SIZE, W | X, false), -EACCES);
	CHECK_EQ(vm_anon_map(0, 0, R, false), -EINVAL);
	CHECK_EQ(vm_anon_map(0, PAGE_SIZE, 64, false), -EINVAL);
	CHECK_EQ(vm_anon_map(0, SIZE_MAX, R, false), -ENOMEM);
	CHECK_EQ(vm_anon_map(0, SIZE_MAX / 2, R, false), -ENOMEM);
	CHECK_EQ(vm_anon_map(0, SIZE_MAX / 2, 0, false), -ENOMEM);
	CHECK_EQ(vm_anon_map(PAGE_SIZE, PAGE_SIZE, R, true), -ENOMEM);
	CHECK_EQ(vm_anon_map(5, PAGE_SIZE, R, true), -EINVAL);
	CHECK_EQ(vm_anon_unmap(1, PAGE_SIZE), -EINVAL);
	CHECK_EQ(vm_anon_unmap(PAGE_SIZE, SIZE_MAX), -EINVAL);
}

TEST(vm_anon_parts_can_be_unmapped)
{
	size_t before = anon_pages();
	vaddr_t va = (vaddr_t)vm_anon_map(0, 5 * PAGE_SIZE, R | W, false);

	for (unsigned i = 0; i < 5; i++)
		CHECK(vm_fault(va + i * PAGE_SIZE, true, false));
	CHECK_EQ(vm_anon_unmap(va + PAGE_SIZE, PAGE_SIZE), 0);
	CHECK_EQ(anon_pages(), before + 4);
	CHECK(!vm_fault(va + PAGE_SIZE, true, false));
	CHECK(vm_fault(va, true, false));
	CHECK_EQ(vm_anon_map(va + PAGE_SIZE, PAGE_SIZE, R, true), (intptr_t)(va + PAGE_SIZE));
	CHECK(!vm_fault(va + PAGE_SIZE, true, false));
	CHECK(vm_fault(va + PAGE_SIZE, false, false));
	CHECK_EQ(vm_anon_unmap(va, 5 * PAGE_SIZE), 0);
	CHECK_EQ(vm_anon_unmap(va, 5 * PAGE_SIZE), 0); /* nothing there is no error */
	CHECK_EQ(anon_pages(), before);
}

TEST(vm_anon_protect_cuts_and_keeps_frames)
{
	size_t before = anon_pages();
	vaddr_t va = (vaddr_t)vm_anon_map(0, 4 * PAGE_SIZE, R | W, false);
	unsigned prot;
	paddr_t pa, again;

	CHECK(vm_fault(va + PAGE_SIZE, true, false));
	CHECK(arch_translate(va + PAGE_SIZE, &pa, NULL));
	CHECK_EQ(vm_anon_protect(va + PAGE_SIZE, PAGE_SIZE, 0), 0);
	CHECK(!vm_fault(va + PAGE_SIZE, false, false));
	CHECK_EQ(vm_anon_protect(va + PAGE_SIZE, 2 * PAGE_SIZE, R), 0);
	CHECK(arch_translate(va + PAGE_SIZE, &again, &prot));
	CHECK_EQ(pa, again);
	CHECK_EQ(prot, MAP_R);
	CHECK_EQ(vm_anon_protect(va, 4 * PAGE_SIZE, W | X), -EACCES);
	CHECK_EQ(vm_anon_protect(va, 4 * PAGE_SIZE, R | W), 0);
	CHECK_EQ(vm_anon_protect(va, 6 * PAGE_SIZE, R), -ENOMEM);
	CHECK_EQ(vm_anon_unmap(va, 4 * PAGE_SIZE), 0);
	CHECK_EQ(anon_pages(), before);
}

TEST(vm_anon_discard_gives_frames_back_and_keeps_the_range)
{
	size_t before = anon_pages();
	vaddr_t va = (vaddr_t)vm_anon_map(0, 100 * PAGE_SIZE, R | W, false);

	for (unsigned i = 0; i < 100; i++)
		CHECK(vm_fault(va + i * PAGE_SIZE, true, false));
	CHECK_EQ(anon_pages(), before + 100);
	CHECK_EQ(vm_anon_discard(va + PAGE_SIZE, 98 * PAGE_SIZE), 0);
	CHECK_EQ(anon_pages(), before + 2);
	CHECK(vm_fault(va + 50 * PAGE_SIZE, true, false));
	CHECK_EQ(vm_anon_discard(va, 101 * PAGE_SIZE), -ENOMEM);
	CHECK_EQ(vm_anon_unmap(va, 100 * PAGE_SIZE), 0);
	CHECK_EQ(anon_pages(), before);
}

TEST(vm_anon_remap_grows_in_place_or_moves_frames)
{
	size_t before = anon_pages();
	vaddr_t va = (vaddr_t)vm_anon_map(0, 2 * PAGE_SIZE, R | W, false), other, moved;
	paddr_t pa, after;

	CHECK(vm_fault(va + PAGE_SIZE, true, false));
	CHECK(arch_translate(va + PAGE_SIZE, &pa, NULL));
	CHECK_EQ(vm_anon_remap(va, 2 * PAGE_SIZE, 3 * PAGE_SIZE, false), (intptr_t)va);
	other = (vaddr_t)vm_anon_map(va + 4 * PAGE_SIZE, PAGE_SIZE, R | W, true);
	CHECK_EQ(other, va + 4 * PAGE_SIZE);
	CHECK_EQ(vm_anon_remap(va, 3 * PAGE_SIZE, 8 * PAGE_SIZE, false), -ENOMEM);
	moved = (vaddr_t)vm_anon_remap(va, 3 * PAGE_SIZE, 8 * PAGE_SIZE, true);
	CHECK(!is_error((intptr_t)moved) && moved != va);
	CHECK(arch_translate(moved + PAGE_SIZE, &after, NULL));
	CHECK_EQ(pa, after);
	CHECK(!arch_translate(va + PAGE_SIZE, NULL, NULL));
	CHECK_EQ(vm_anon_remap(moved, 8 * PAGE_SIZE, PAGE_SIZE, true), (intptr_t)moved);
	CHECK_EQ(vm_anon_remap(va, PAGE_SIZE, 2 * PAGE_SIZE, true), -EFAULT);
	CHECK_EQ(anon_pages(), before);
	CHECK_EQ(vm_anon_unmap(moved, PAGE_SIZE), 0);
	CHECK_EQ(vm_anon_unmap(other, PAGE_SIZE), 0);
}

/* A model of 64 pages: what each operation should leave, compared page by page. */
#define MODEL_PAGES 64u

static void model_set(uint8_t *model, unsigned from, unsigned n, uint8_t value)
{
	for (unsigned i = 0; i < n; i++)
		model[from + i] = value;
}

static bool model_covers(const uint8_t *model, unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (model[from + i] == 0xff)
			return false;
	}
	return true;
}

static bool model_step(vaddr_t base, uint8_t *model)
{
	unsigned from = (unsigned)(test_random() % MODEL_PAGES);
	unsigned n = 1 + (unsigned)(test_random() % (MODEL_PAGES - from));
	unsigned prot = (unsigned)(test_random() % 4);
	vaddr_t va = base + from * PAGE_SIZE;
	bool covered = model_covers(model, from, n);

	switch (test_random() % 5) {
	case 0:
		model_set(model, from, n, (uint8_t)prot);
		return vm_anon_map(va, n * PAGE_SIZE, prot, true) == (intptr_t)va;
	case 1:
		model_set(model, from, n, 0xff);
		return vm_anon_unmap(va, n * PAGE_SIZE) == 0;
	case 2:
		if (covered)
			model_set(model, from, n, (uint8_t)prot);
		return vm_anon_protect(va, n * PAGE_SIZE, prot) == (covered ? 0 : -ENOMEM);
	case 3:
		return vm_anon_discard(va, n * PAGE_SIZE) == (covered ? 0 : -ENOMEM);
	default:
		return vm_fault(va, true, false) == (model[from] != 0xff && model[from] & W);
	}
}

TEST(vm_anon_agrees_with_a_model_over_random_operations)
{
	size_t before = anon_pages();
	vaddr_t base = (vaddr_t)vm_anon_map(0, MODEL_PAGES * PAGE_SIZE, R | W, false);
	uint8_t model[MODEL_PAGES];

	model_set(model, 0, MODEL_PAGES, R | W);
	for (unsigned step = 0; step < 3000; step++) {
		CHECK(model_step(base, model));
		for (unsigned i = step % 8; i < MODEL_PAGES; i += 8) {
			bool readable = model[i] != 0xff && model[i];

			CHECK_EQ(vm_fault(base + i * PAGE_SIZE, false, false), readable);
		}
	}
	CHECK_EQ(vm_anon_unmap(base, MODEL_PAGES * PAGE_SIZE), 0);
	CHECK_EQ(anon_pages(), before);
}
