/*
 * Memory that is all taken but for pages of files: whoever allocates gets those. On the host only,
 * where no task brings frames back beside it.
 */
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>

#include "cache_parts.h"
#include "cache_rig.h"

#define FILE_PAGES 64u
#define OBJECTS    40u
#define BYTES      4096u /* of an object: a frame each */

static uint8_t bytes[FILE_PAGES * PAGE_SIZE];
static void *hoard, *objects[OBJECTS];

static void low(void)
{
}

/* Every free frame, linked; from then on the page cache is asked. */
static void take_all(void)
{
	static const struct page_keeper keeper = {
		.low_pages = 1, .low = low, .give_back = cache_give_back
	};
	void *p;

	while ((p = page_alloc(0, PAGE_KERNEL))) {
		*(void **)p = hoard;
		hoard = p;
	}
	page_keeper_set(&keeper);
}

static void give_all(void)
{
	static const struct page_keeper nobody;
	void *p;

	page_keeper_set(&nobody);
	while ((p = hoard)) {
		hoard = *(void **)p;
		page_free(p, 0);
	}
}

/* How many there is memory for. */
static unsigned take_objects(void)
{
	unsigned n = 0;

	while (n < OBJECTS && (objects[n] = kmalloc(BYTES)))
		n++;
	return n;
}

static void free_objects(unsigned n)
{
	while (n)
		kfree(objects[--n]);
}

static struct rig_file *file_in_memory(struct rig_disk *d)
{
	struct rig_file *f = rig_file_new(d, 4096);

	rig_file_fill(f, 0, sizeof(bytes));
	return rig_read(f, bytes, sizeof(bytes), 0, NULL) == sizeof(bytes) ? f : NULL;
}

TEST(cache_gives_its_pages_to_whoever_allocates)
{
	struct rig_file *f = file_in_memory(rig_disk());
	unsigned taken, left;

	CHECK(f);
	take_all();
	taken = take_objects();
	left = (unsigned)f->cache.count;
	free_objects(taken);
	give_all();
	CHECK_EQ(taken, OBJECTS);
	CHECK(left <= FILE_PAGES - OBJECTS / 2); /* the heap had some */
	CHECK_EQ(rig_read(f, bytes, sizeof(bytes), 0, NULL), sizeof(bytes));
	CHECK_EQ(bytes[sizeof(bytes) - 1], rig_byte(sizeof(bytes) - 1));
	rig_file_free(f);
}

/* As the cache itself does: it has its lock when it wants memory for its index. */
TEST(cache_whose_lock_the_caller_has_is_left_alone)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *mine = file_in_memory(d), *other = file_in_memory(d);
	unsigned taken;
	size_t left;

	CHECK(mine && other);
	take_all();
	spin_lock(&mine->cache.lock);
	taken = take_objects();
	left = mine->cache.count;
	spin_unlock(&mine->cache.lock);
	free_objects(taken);
	give_all();
	CHECK_EQ(taken, OBJECTS);
	CHECK_EQ(left, FILE_PAGES);
	CHECK(other->cache.count < FILE_PAGES);
	rig_file_free(mine);
	rig_file_free(other);
}
