/*
 * Frames: blocks do not overlap, come back whole, and are counted.
 */
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>

#define BLOCKS 64

static size_t free_pages(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.free_pages;
}

/* Other threads of the image may take or return a slab meanwhile. */
static bool about_equal(size_t a, size_t b)
{
	return (a > b ? a - b : b - a) <= 8;
}

static size_t owned_pages(enum page_owner owner)
{
	struct page_stats s;

	page_stats(&s);
	return s.by_owner[owner];
}

TEST(page_alloc_gives_aligned_blocks)
{
	for (unsigned order = 0; order < 6; order++) {
		void *p = page_alloc(order, PAGE_KERNEL);

		CHECK(p && IS_ALIGNED(page_paddr(p), PAGE_SIZE << order));
		page_free(p, order);
	}
}

TEST(page_alloc_zero_clears)
{
	uint8_t *p = page_alloc(1, PAGE_KERNEL);

	CHECK(p);
	memset(p, 0x5a, 2 * PAGE_SIZE);
	page_free(p, 1);
	p = page_alloc_zero(1, PAGE_KERNEL);
	for (size_t i = 0; i < 2 * PAGE_SIZE; i++)
		CHECK(p[i] == 0);
	page_free(p, 1);
}

TEST(page_alloc_refuses_what_cannot_be)
{
	CHECK(!page_alloc(PAGE_ORDER_MAX + 1, PAGE_KERNEL));
	CHECK(!page_alloc_exact(0, PAGE_KERNEL));
	CHECK(!page_alloc_exact(GIB(2), PAGE_KERNEL));
}

TEST(page_order_for_is_the_smallest_that_fits)
{
	CHECK_EQ(page_order_for(1), 0);
	CHECK_EQ(page_order_for(PAGE_SIZE), 0);
	CHECK_EQ(page_order_for(PAGE_SIZE + 1), 1);
	CHECK_EQ(page_order_for(3 * PAGE_SIZE), 2);
	CHECK_EQ(page_order_for(MIB(4)), 10);
}

struct block {
	uint64_t *at;
	size_t bytes;
	unsigned order;
	uint64_t tag;
};

/* Tags at both ends of each page of a block tell an overlap. */
static void tag_block(struct block *b)
{
	for (size_t off = 0; off < b->bytes; off += PAGE_SIZE)
		b->at[off / 8] = b->tag + off;
}

static bool block_is_intact(const struct block *b)
{
	for (size_t off = 0; off < b->bytes; off += PAGE_SIZE) {
		if (b->at[off / 8] != b->tag + off)
			return false;
	}
	return true;
}

static void take_random(struct block *b)
{
	bool exact = test_random_below(2);

	b->order = (unsigned)test_random_below(5);
	b->bytes = exact ? (test_random_below(13) + 1) * PAGE_SIZE - test_random_below(PAGE_SIZE) :
			   PAGE_SIZE << b->order;
	b->at = exact ? page_alloc_exact(b->bytes, PAGE_NET) : page_alloc(b->order, PAGE_NET);
	if (exact)
		b->order = PAGE_ORDER_MAX + 1;
	b->tag = test_random();
	if (b->at)
		tag_block(b);
}

static void give_back(struct block *b)
{
	if (b->order > PAGE_ORDER_MAX)
		page_free_exact(b->at, b->bytes);
	else
		page_free(b->at, b->order);
	b->at = NULL;
}

TEST(page_blocks_never_overlap_and_come_back)
{
	static struct block blocks[BLOCKS];
	size_t before = free_pages(), mine = owned_pages(PAGE_NET);

	memset(blocks, 0, sizeof(blocks));
	for (int step = 0; step < 20000; step++) {
		struct block *b = &blocks[test_random_below(BLOCKS)];

		if (b->at) {
			CHECK(block_is_intact(b));
			give_back(b);
		} else {
			take_random(b);
		}
	}
	for (int i = 0; i < BLOCKS; i++) {
		if (blocks[i].at)
			give_back(&blocks[i]);
	}
	CHECK_EQ(owned_pages(PAGE_NET), mine);
	CHECK(about_equal(free_pages(), before));
}

TEST(page_alloc_returns_neighbours_after_merge)
{
	void *whole = page_alloc(4, PAGE_KERNEL), *part[16];

	CHECK(whole);
	page_free(whole, 4);
	for (int i = 0; i < 16; i++)
		CHECK((part[i] = page_alloc(0, PAGE_KERNEL)));
	for (int i = 0; i < 16; i++)
		page_free(part[i], 0);
	CHECK((whole = page_alloc(4, PAGE_KERNEL)));
	page_free(whole, 4);
}

TEST(page_alloc_uses_every_frame_and_then_says_no)
{
	struct page_stats before, empty, after;
	void *chain = NULL, *p;
	size_t count = 0;

	page_stats(&before);
	while ((p = page_alloc(0, PAGE_ANON))) {
		*(void **)p = chain;
		chain = p;
		count++;
	}
	page_stats(&empty);
	while ((p = chain)) {
		chain = *(void **)p;
		page_free(p, 0);
	}
	page_stats(&after);
	CHECK(about_equal(count, before.free_pages));
	CHECK(about_equal(empty.free_pages, 0));
	CHECK_EQ(empty.by_owner[PAGE_ANON] - before.by_owner[PAGE_ANON], count);
	CHECK(about_equal(after.free_pages, before.free_pages));
	CHECK(after.largest_free_order >= 8);
}
