/*
 * The machine layer tried on the machine: traps and their repair, copies that may fault, the page
 * table, the timer. Image only.
 */
#include <core/arch.h>
#include <core/boot.h>
#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>
#include <core/symbols.h>
#include <core/test.h>
#include <core/thread.h>
#include <core/time.h>
#include <core/vm.h>

#define UNMAPPED ((void *)0x1000UL)

TEST(copy_faultable_copies_every_length_and_alignment)
{
	static char from[320], to[320];

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (char)(i + 1);
	for (size_t offset = 0; offset < 64; offset++) {
		char *src = from + offset % 8, *dst = to + offset / 8;

		for (size_t len = 0; len < 300; len += len < 64 ? 1 : 5) {
			memset(to, 0, sizeof(to));
			CHECK_EQ(arch_copy_faultable(dst, src, len), 0);
			CHECK(memcmp(dst, src, len) == 0);
			CHECK_EQ(dst[len], 0);
		}
	}
}

TEST(copy_faultable_tells_what_it_could_not_copy)
{
	char buf[100] = { 0 };
	char *page = vm_stack_alloc(PAGE_SIZE), *last = page + PAGE_SIZE - 20;

	CHECK(page);
	CHECK_EQ(arch_copy_faultable(buf, UNMAPPED, 100), 100);
	CHECK_EQ(arch_copy_faultable(UNMAPPED, buf, 100), 100);
	memset(last, 'x', 20);
	/* 20 bytes lie before the guard page: not a byte less is copied, whatever the step was. */
	CHECK_EQ(arch_copy_faultable(buf, last, 100), 80);
	CHECK_EQ(buf[0], 'x');
	CHECK_EQ(arch_copy_faultable(buf + 1, last, 100), 80);
	CHECK_EQ(buf[20], 'x');
	CHECK_EQ(buf[21], 0);
	vm_stack_free(page, PAGE_SIZE);
}

/* The end of what is there lies anywhere in the long lines that pages are copied by. */
TEST(copy_faultable_ends_at_the_very_byte_of_a_page)
{
	static char buf[PAGE_SIZE] __attribute__((aligned(8)));
	char *page = vm_stack_alloc(PAGE_SIZE);

	CHECK(page);
	for (size_t i = 0; i < PAGE_SIZE; i++)
		page[i] = (char)(i % 251 + 1);
	for (size_t from = 0; from < PAGE_SIZE; from += 264) {
		memset(buf, 0, sizeof(buf));
		CHECK_EQ(arch_copy_faultable(buf, page + from, PAGE_SIZE), from);
		CHECK(!memcmp(buf, page + from, PAGE_SIZE - from));
		CHECK(!from || !buf[PAGE_SIZE - from]);
		CHECK_EQ(arch_copy_faultable(page + from, buf, PAGE_SIZE), from);
	}
	vm_stack_free(page, PAGE_SIZE);
}

TEST(copy_faultable_refuses_to_write_code)
{
	char byte = 0;
	paddr_t pa;
	unsigned prot;
	void *code = (void *)(uintptr_t)arch_copy_faultable;

	CHECK_EQ(arch_copy_faultable(code, &byte, 1), 1);
	CHECK(arch_translate((vaddr_t)code & PAGE_MASK, &pa, &prot));
	CHECK_EQ(prot, MAP_R | MAP_X);
	/* Neither through the direct map's alias. */
	CHECK_EQ(arch_copy_faultable(arch_direct_map(pa), &byte, 1), 1);
	CHECK(arch_translate((vaddr_t)arch_direct_map(pa), &pa, &prot));
	CHECK_EQ(prot, MAP_R);
}

TEST(page_zero_is_never_mapped)
{
	char byte;

	CHECK(!arch_translate(0, NULL, NULL));
	CHECK_EQ(arch_copy_faultable(&byte, NULL, 1), 1);
}

TEST(direct_map_goes_there_and_back)
{
	char *p = page_alloc(0, PAGE_KERNEL);
	unsigned prot;
	paddr_t pa;

	CHECK(p);
	CHECK(arch_translate((vaddr_t)p, &pa, &prot));
	CHECK_EQ(pa, page_paddr(p));
	CHECK_EQ(prot, MAP_R | MAP_W);
	CHECK(arch_direct_map(pa) == p);
	page_free(p, 0);
}

TEST(protection_changes_at_once)
{
	char *page = vm_stack_alloc(PAGE_SIZE), byte = 'a';

	CHECK(page);
	page[0] = 'b';
	CHECK_EQ(arch_protect((vaddr_t)page, PAGE_SIZE, MAP_R), 0);
	CHECK_EQ(arch_copy_faultable(page, &byte, 1), 1);
	CHECK_EQ(page[0], 'b');
	CHECK_EQ(arch_protect((vaddr_t)page, PAGE_SIZE, 0), 0);
	CHECK_EQ(arch_copy_faultable(&byte, page, 1), 1);
	CHECK_EQ(arch_protect((vaddr_t)page, PAGE_SIZE, MAP_R | MAP_W), 0);
	page[0] = 'c';
	vm_stack_free(page, PAGE_SIZE);
}

TEST(data_becomes_code_only_by_protection)
{
	static const uint32_t code[] = { 0x02a00513, 0x00008067 }; /* li a0, 42; ret */
	intptr_t page = vm_anon_map(0, PAGE_SIZE, 1 | 2, false);
	int (*function)(void) = (int (*)(void))page;

	CHECK(page < -4096);
	memcpy((void *)page, code, sizeof(code));
	CHECK_EQ(vm_anon_protect((vaddr_t)page, PAGE_SIZE, 1 | 4), 0);
	CHECK_EQ(function(), 42);
	CHECK_EQ(arch_copy_faultable((void *)page, code, 4), 4);
	CHECK_EQ(vm_anon_unmap((vaddr_t)page, PAGE_SIZE), 0);
}

static int breakpoints;

static bool skip_breakpoint(struct trap_frame *frame, vaddr_t addr)
{
	(void)addr;
	breakpoints++;
	arch_frame_redirect(frame, arch_frame_pc(frame) + 4, arch_frame_sp(frame), 42);
	return true;
}

/* The value that a register holds must survive a trap; every kind of register is tried. */
TEST(exceptions_keep_registers_and_go_where_the_handler_says)
{
	unsigned long a0 = 1, s1 = 2, t3 = 3;

	breakpoints = 0;
	arch_set_fault_handler(skip_breakpoint);
	__asm__ volatile("li a0, 1\n\tli s1, 22\n\tli t3, 33\n\t"
			 ".option push\n\t.option norvc\n\tebreak\n\t.option pop\n\t"
			 "mv %0, a0\n\tmv %1, s1\n\tmv %2, t3"
			 : "=&r"(a0), "=&r"(s1), "=&r"(t3)
			 :
			 : "a0", "s1", "t3", "memory");
	arch_set_fault_handler(NULL);
	CHECK_EQ(breakpoints, 1);
	CHECK_EQ(a0, 42);
	CHECK_EQ(s1, 22);
	CHECK_EQ(t3, 33);
}

static void on_own_stack(void *arg, struct trap_frame *saved)
{
	char page_of_stack[64];

	memset(page_of_stack, 0xff, sizeof(page_of_stack));
	__asm__ volatile("" : : "r"(page_of_stack) : "memory");
	++*(int *)arg;
	/* Behind the breakpoint, with another a0; every other register comes back. */
	arch_frame_redirect(saved, arch_frame_pc(saved) + 4, arch_frame_sp(saved), 7);
}

static bool call_on_own_stack(struct trap_frame *frame, vaddr_t addr)
{
	(void)addr;
	return arch_frame_call(frame, on_own_stack, &breakpoints);
}

TEST(interrupted_code_can_be_made_to_call)
{
	unsigned long a0, a1, t0, s1;

	breakpoints = 0;
	arch_set_fault_handler(call_on_own_stack);
	__asm__ volatile("li a0, 1\n\tli a1, 11\n\tli t0, 22\n\tli s1, 33\n\t"
			 ".option push\n\t.option norvc\n\tebreak\n\t.option pop\n\t"
			 "mv %0, a0\n\tmv %1, a1\n\tmv %2, t0\n\tmv %3, s1"
			 : "=&r"(a0), "=&r"(a1), "=&r"(t0), "=&r"(s1)
			 :
			 : "a0", "a1", "t0", "s1", "memory");
	arch_set_fault_handler(NULL);
	CHECK_EQ(breakpoints, 1);
	CHECK_EQ(a0, 7);
	CHECK_EQ(a1, 11);
	CHECK_EQ(t0, 22);
	CHECK_EQ(s1, 33);
	CHECK(arch_irq_is_enabled());
}

TEST(timer_interrupts_come_in_time)
{
	uint64_t start = clock_ns();

	thread_sleep_until(start + 2 * NSEC_PER_MSEC);
	CHECK(clock_ns() - start >= 2 * NSEC_PER_MSEC);
	CHECK(clock_ns() - start < NSEC_PER_SEC);
}

static __attribute__((noinline)) size_t walk(vaddr_t *pcs, size_t max, int depth)
{
	size_t n = depth ? walk(pcs, max, depth - 1) : arch_backtrace(NULL, pcs, max);

	__asm__ volatile("" : : "r"(pcs) : "memory"); /* keeps the call from becoming a jump */
	return n;
}

TEST(backtrace_lists_callers_innermost_first)
{
	static vaddr_t pcs[16];
	size_t n = walk(pcs, ARRAY_SIZE(pcs), 2), offset;
	const char *name;

	CHECK(n >= 3);
	for (size_t i = 0; i < 3; i++) {
		CHECK(arch_is_text(pcs[i]));
		name = symbol_find(pcs[i] - 1, &offset);
		CHECK(!name || str_starts_with(name, "walk"));
	}
}

TEST(entropy_is_given_once)
{
	uint8_t a[64], b[64];
	size_t got = arch_entropy(a, sizeof(a));

	CHECK(got <= sizeof(a));
	CHECK_EQ(arch_entropy(b, sizeof(b)), 0);
}

TEST(the_wall_clock_was_set_from_the_machine)
{
	/* 2020-01-01: earlier, and it was not; a machine without a clock would start at 1970. */
	CHECK(clock_wall_ns() > 1577836800ULL * NSEC_PER_SEC);
}
