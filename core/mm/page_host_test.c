/*
 * The boot side of the frame allocator on hostile descriptions of RAM: a second copy of page.c,
 * under other names and from a fresh start each time, gets random ranges within a real block; a
 * byte per frame says what it may hand out.
 */
#include <core/page.h>
static void *real_block(unsigned order)
{
	return page_alloc(order, PAGE_KERNEL);
}
static void real_free(void *block, unsigned order)
{
	page_free(block, order);
}
#define page_of_any      fresh_page_of_any
#define page_first_span  fresh_page_first_span
#define page_paddr       fresh_page_paddr
#define page_order_for   fresh_page_order_for
#define page_alloc       fresh_page_alloc
#define page_alloc_zero  fresh_page_alloc_zero
#define page_free        fresh_page_free
#define page_alloc_exact fresh_page_alloc_exact
#define page_free_exact  fresh_page_free_exact
#define page_reserve     fresh_page_reserve
#define page_add_ram     fresh_page_add_ram
#define page_stats(out)  fresh_page_stats(out)
#define page_owner_names fresh_page_owner_names
#define page_free_count  fresh_page_free_count
#define page_keeper_set  fresh_page_keeper_set
paddr_t page_paddr(const void *p);
unsigned page_order_for(size_t bytes);
void *page_alloc(unsigned order, enum page_owner owner);
void *page_alloc_zero(unsigned order, enum page_owner owner);
void page_free(void *block, unsigned order);
void *page_alloc_exact(size_t bytes, enum page_owner owner);
void page_free_exact(void *p, size_t bytes);
void page_reserve(paddr_t start, paddr_t end);
void page_add_ram(paddr_t start, paddr_t end);
void fresh_page_stats(struct page_stats *out);
size_t page_free_count(void);
void page_keeper_set(const struct page_keeper *k);
#include "page.c"
#include <core/test.h>

#define ORDER  9
#define FRAMES (1u << ORDER)

enum { NOT_RAM, RAM, TAKEN };

static uint8_t map[FRAMES];

static void start_afresh(void)
{
	memset(regions, 0, sizeof(regions));
	memset(frames_by_owner, 0, sizeof(frames_by_owner));
	region_count = reserved_count = 0;
	total_frames = free_frames = 0;
	memset(map, NOT_RAM, sizeof(map));
}

/* A range around [base, base + block), now and then absurd. */
static struct range random_range(paddr_t base, paddr_t longest)
{
	paddr_t size = (paddr_t)FRAMES << PAGE_SHIFT;
	paddr_t a = base + test_random_below(size + 2 * PAGE_SIZE) - PAGE_SIZE;
	struct range r = { a, a + test_random_below(longest) };

	if (test_random_below(10) == 0)
		r.end = r.start;
	if (test_random_below(40) == 0)
		r.end = UINT64_MAX - test_random_below(2 * PAGE_SIZE);
	if (test_random_below(40) == 0)
		r.start = test_random_below(2 * PAGE_SIZE);
	return r;
}

static void add_ram(paddr_t base, unsigned from, unsigned to)
{
	page_add_ram(base + ((paddr_t)from << PAGE_SHIFT) - test_random_below(2),
		     base + ((paddr_t)to << PAGE_SHIFT) + test_random_below(PAGE_SIZE));
	memset(map + from, RAM, to - from);
}

static void forbid(paddr_t base, struct range r)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		paddr_t at = base + ((paddr_t)i << PAGE_SHIFT);

		if (at < r.end && at + PAGE_SIZE > r.start && r.start < r.end)
			map[i] = NOT_RAM;
	}
}

/* Takes all there is in blocks of random order; false when a block holds a frame it must not. */
static bool take_all(paddr_t base, size_t *count)
{
	for (unsigned order = 5;;) {
		unsigned char *p = page_alloc(order, PAGE_KERNEL);
		size_t first;

		if (!p) {
			if (order-- == 0)
				return true;
			continue;
		}
		first = (size_t)((arch_direct_unmap(p) - base) >> PAGE_SHIFT);
		for (size_t i = first; i < first + (1u << order); i++) {
			if (i >= FRAMES || map[i] != RAM)
				return false;
			map[i] = TAKEN;
		}
		*count += 1ul << order;
		memset(p, 0xee, PAGE_SIZE << order); /* its metadata must lie elsewhere */
	}
}

TEST(page_boot_never_hands_out_what_is_reserved)
{
	void *block = real_block(ORDER);
	paddr_t base;

	CHECK(block);
	base = arch_direct_unmap(block);
	for (int round = 0; round < 2000; round++) {
		unsigned middle = 1 + (unsigned)test_random_below(FRAMES - 2);
		struct range r[60];
		size_t ranges = test_random_below(ARRAY_SIZE(r)), count = 0;
		/* few and large, or more than the table holds */
		paddr_t longest = round % 2 ? MIB(1) / 2 : 64;
		struct page_stats s;

		start_afresh();
		for (size_t i = 0; i < ranges; i++) {
			r[i] = random_range(base, longest);
			page_reserve(r[i].start, r[i].end);
		}
		add_ram(base, 0, middle - (unsigned)test_random_below(2));
		add_ram(base, middle, FRAMES);
		page_add_ram(base, base + MIB(1)); /* again: overlaps, ignored */
		for (size_t i = 0; i < ranges; i++)
			forbid(base, r[i]);
		page_stats(&s);
		CHECK(take_all(base, &count));
		CHECK_EQ(count, s.free_pages);
		CHECK(s.free_pages <= s.total_pages && s.total_pages <= FRAMES);
	}
	real_free(block, ORDER);
}

TEST(page_boot_writes_little)
{
	unsigned char *block = real_block(ORDER);
	size_t touched = 0;

	CHECK(block);
	memset(block, 0x77, (size_t)FRAMES << PAGE_SHIFT);
	start_afresh();
	add_ram(arch_direct_unmap(block), 0, FRAMES);
	CHECK(page_alloc(0, PAGE_KERNEL));
	for (size_t i = 0; i < (size_t)FRAMES << PAGE_SHIFT; i++)
		touched += block[i] != 0x77;
	CHECK(touched <= KIB(4));
	real_free(block, ORDER);
}

/*
 * A keeper that has two blocks of a frame each, neighbours, and gives back one at a time. No block
 * of both is there before.
 */
static void *kept[2];
static unsigned asked;

static void is_low(void)
{
}

static size_t give_back_one(size_t pages)
{
	(void)pages;
	if (asked == ARRAY_SIZE(kept))
		return 0;
	page_free(kept[asked++], 0);
	return 1;
}

TEST(page_alloc_asks_the_keeper_before_it_fails)
{
	static const struct page_keeper keeper = {
		.low_pages = 1, .low = is_low, .give_back = give_back_one
	};
	static const struct page_keeper nobody;
	void *block = real_block(2), *both, *other, *large, *more;

	CHECK(block);
	start_afresh();
	/* the last holds the metadata */
	page_add_ram(arch_direct_unmap(block), arch_direct_unmap(block) + 4 * PAGE_SIZE);
	kept[0] = page_alloc(0, PAGE_CACHE);
	kept[1] = page_alloc(0, PAGE_CACHE);
	other = page_alloc(0, PAGE_CACHE);
	asked = 0;
	page_keeper_set(&keeper);
	large = page_alloc(ASK_ORDER + 1, PAGE_KERNEL);
	CHECK(!large && !asked);
	both = page_alloc(1, PAGE_KERNEL);
	more = page_alloc(0, PAGE_KERNEL);
	page_keeper_set(&nobody);
	CHECK(kept[0] && kept[1] && other && asked == 2);
	CHECK(both && !more);
	real_free(block, 2);
}
