/*
 * Writing through the page cache: what reaches the disk when; parts of pages, errors, cuts,
 * pressure.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "cache_parts.h"
#include "cache_rig.h"

static uint8_t buf[KIB(256)], back[KIB(256)];

static void make_bytes(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)test_random();
}

static bool is_clean(struct rig_file *f)
{
	return !f->cache.dirty && !f->cache.writing && !f->open_handles;
}

TEST(cache_writes_stay_in_memory_until_synced_and_go_together)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);

	make_bytes(buf, KIB(100));
	for (int64_t at = 0; at < (int64_t)KIB(100); at += 1000)
		CHECK_EQ(rig_write(f, buf + at, MIN(1000ul, KIB(100) - (size_t)at), at),
			 MIN(1000, (int64_t)KIB(100) - at));
	CHECK_EQ(f->size, KIB(100));
	CHECK_EQ(d->reads + d->writes, 0); /* what lies behind the end need not be read */
	CHECK(cache_is_dirty(&f->cache));
	CHECK_EQ(rig_read(f, back, KIB(100), 0, NULL), KIB(100));
	CHECK(!memcmp(back, buf, KIB(100)));
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK_EQ(d->writes, 1);
	CHECK(is_clean(f) && rig_on_disk(f, buf, KIB(100), 0));
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK_EQ(d->writes, 1);
	rig_file_free(f);
}

/* Chunks of the heap and pages, each with the address of the one taken before it. */
struct taken {
	void **chunks, **pages;
};

static struct taken take_all_memory(void)
{
	struct taken t = { NULL, NULL };
	void **p;

	for (; (p = page_alloc(0, PAGE_KERNEL)); t.pages = p)
		*p = t.pages;
	for (size_t size = KIB(2); size >= 64; size /= 2)
		for (; (p = kmalloc(size)); t.chunks = p)
			*p = t.chunks;
	return t;
}

static void give_back(struct taken t)
{
	for (void **next; t.chunks; t.chunks = next) {
		next = *t.chunks;
		kfree(t.chunks);
	}
	for (void **next; t.pages; t.pages = next) {
		next = *t.pages;
		page_free(t.pages, 0);
	}
}

/* Memory comes back by writing, so writing must not need any. */
TEST(cache_is_written_when_there_is_no_memory)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct taken all;
	int error;

	make_bytes(buf, KIB(200));
	CHECK_EQ(rig_write(f, buf, KIB(200), 0), KIB(200));
	all = take_all_memory();
	error = cache_sync(&f->cache, 0, INT64_MAX, true);
	give_back(all);
	CHECK_EQ(error, 0);
	CHECK(is_clean(f) && rig_on_disk(f, buf, KIB(200), 0));
	rig_file_free(f);
}

/* The backing may need memory to say where bytes belong. */
TEST(cache_pages_that_find_no_memory_stay_dirty)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 1024);
	struct file_view view = { 0 };

	make_bytes(buf, KIB(100));
	cache_error_open(&f->cache, &view);
	CHECK_EQ(rig_write(f, buf, KIB(100), 0), KIB(100));
	f->no_memory = 2;
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, false), -ENOMEM);
	CHECK(cache_is_dirty(&f->cache) && d->writes == 0);
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK(is_clean(f) && rig_on_disk(f, buf, KIB(100), 0));
	CHECK_EQ(rig_write(f, "abc", 3, 5000), 3);
	f->no_memory = UINT32_MAX;
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), -ENOMEM);
	f->no_memory = 0;
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK(is_clean(f) && rig_on_disk(f, "abc", 3, 5000));
	CHECK_EQ(cache_error_check(&f->cache, &view), 0);
	rig_file_free(f);
}

TEST(cache_writes_of_parts_read_the_rest_and_write_changed_blocks)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 1024);

	rig_file_fill(f, 0, 2 * 4096);
	CHECK_EQ(rig_write(f, "abc", 3, 4096 + 2000), 3);
	CHECK_EQ(d->bytes_read, 4096);
	CHECK_EQ(rig_read(f, back, 8192, 0, NULL), 8192);
	CHECK(!memcmp(back + 6096, "abc", 3) && back[6095] == rig_byte(6095) &&
	      back[6099] == rig_byte(6099));
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK_EQ(d->bytes_written, 1024); /* and a second block if the bytes had crossed a border */
	CHECK(rig_on_disk(f, back, 8192, 0));
	rig_file_free(f);
}

TEST(cache_writes_into_holes_allocate_only_their_blocks)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 512);

	f->size = KIB(64);
	CHECK_EQ(rig_write(f, "x", 1, 10000), 1);
	CHECK_EQ(rig_write(f, "y", 1, 8192), 1); /* the same page, not the same block */
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK_EQ(f->next, 2);
	CHECK_EQ(d->bytes_written, 1024);
	CHECK(rig_on_disk(f, "x", 1, 10000) && rig_on_disk(f, "y", 1, 8192) &&
	      f->at[17] == RIG_HOLE);
	rig_file_free(f);
}

TEST(cache_write_turns_unwritten_blocks_into_written_ones)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 1024);

	rig_file_fill(f, 0, KIB(16));
	for (int i = 0; i < 16; i++)
		f->unwritten[i] = true;
	make_bytes(buf, 3000);
	CHECK_EQ(rig_write(f, buf, 3000, 5000), 3000);
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(f->unwritten[i], i < 4 || i > 7);
	CHECK(rig_on_disk(f, buf, 3000, 5000));
	rig_file_free(f);
}

TEST(cache_errors_of_writes_are_told_once_to_each_opener)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct file_view one = { 0 }, two = { 0 }, late = { 0 };

	cache_error_open(&f->cache, &one);
	cache_error_open(&f->cache, &two);
	make_bytes(buf, KIB(16));
	CHECK_EQ(rig_write(f, buf, KIB(16), 0), KIB(16));
	rig_disk_break(d, 0, RIG_DISK_BYTES);
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), -EIO);
	CHECK_EQ(cache_error_check(&f->cache, &one), -EIO);
	CHECK_EQ(cache_error_check(&f->cache, &one), 0);
	cache_error_open(&f->cache, &late);
	CHECK_EQ(cache_error_check(&f->cache, &late), 0); /* it happened before, and was told */
	CHECK_EQ(cache_error_check(&f->cache, &two), -EIO);
	CHECK(is_clean(f)); /* and still readable */
	CHECK_EQ(rig_read(f, back, KIB(16), 0, NULL), KIB(16));
	CHECK(!memcmp(back, buf, KIB(16)));
	rig_disk_break(d, 0, 0);
	CHECK_EQ(rig_write(f, buf, 10, 0), 10);
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	rig_file_free(f);
}

TEST(cache_errors_that_nobody_was_told_wait_for_the_next_opener)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct file_view next = { 0 }, later = { 0 };

	CHECK_EQ(rig_write(f, buf, KIB(16), 0), KIB(16));
	rig_disk_break(d, 0, RIG_DISK_BYTES);
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), -EIO);
	rig_disk_break(d, 0, 0);
	cache_error_open(&f->cache, &next);
	CHECK_EQ(cache_error_check(&f->cache, &next), -EIO);
	cache_error_open(&f->cache, &later);
	CHECK_EQ(cache_error_check(&f->cache, &later), 0);
	rig_file_free(f);
}

TEST(cache_write_stops_where_there_is_no_room)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);

	f->prepare_fails_at = KIB(64);
	CHECK_EQ(rig_write(f, buf, KIB(128), 0), KIB(64));
	CHECK_EQ(rig_write(f, buf, KIB(128), KIB(64)), -ENOSPC);
	CHECK_EQ(f->size, KIB(64));
	CHECK_EQ(f->cache.count, 16); /* pages that were made ready for it are gone */
	CHECK_EQ(f->open_handles, 0);
	rig_file_free(f);
}

TEST(cache_cut_forgets_changes_and_waits_for_what_is_under_way)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 1024);

	make_bytes(buf, KIB(32));
	CHECK_EQ(rig_write(f, buf, KIB(32), 0), KIB(32));
	f->size = 5000;
	cache_cut_begin(&f->cache, 5000, INT64_MAX);
	CHECK_EQ(f->cache.count, 2);
	for (int i = 5; i < 32; i++)
		f->at[i] = RIG_HOLE;
	cache_cut_end(&f->cache);
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0); /* place() would not like a hole */
	CHECK_EQ(d->bytes_written, 5 * 1024);
	memset(buf + 5000, 0, 1000);
	f->size = 6000;
	CHECK_EQ(rig_read(f, back, KIB(32), 0, NULL), 6000);
	CHECK(!memcmp(back, buf, 6000));
	rig_file_free(f);
}

/* ---- a model, with everything at once ---- */

#define MODEL_BYTES KIB(192)

static uint8_t model[MODEL_BYTES];

static void punch(struct rig_file *f, int64_t from, int64_t to)
{
	cache_cut_begin(&f->cache, from, to);
	for (int64_t i = DIV_ROUND_UP(from, f->block_bytes); (i + 1) * f->block_bytes <= to; i++)
		rig_file_release(f, (uint32_t)i);
	cache_cut_end(&f->cache);
	memset(model + from, 0, (size_t)(to - from));
}

/* Whole blocks only, since the disk would keep what a page forgets. */
static void step_cut(struct rig_file *f, bool truncate)
{
	int64_t from = (int64_t)ALIGN_DOWN(test_random_below(MODEL_BYTES),
					   (uint64_t)f->block_bytes);
	int64_t to = from + (int64_t)(1 + test_random_below(12)) * f->block_bytes;

	if (truncate && from < f->size) {
		f->size = from;
		punch(f, from, (int64_t)MODEL_BYTES);
	} else if (!truncate) {
		punch(f, from, MIN(to, (int64_t)MODEL_BYTES));
	}
}

static bool step(struct rig_file *f, struct file_view *v)
{
	int64_t at = (int64_t)test_random_below(MODEL_BYTES);
	size_t any = 1 + test_random_below(test_random() % 4 ? 3000 : KIB(70)),
	       len = MIN(any, MODEL_BYTES - (size_t)at);
	size_t there = (size_t)CLAMP(f->size - at, 0, (int64_t)len);

	switch (test_random_below(8)) {
	case 0: case 1: case 2:
		make_bytes(model + at, len);
		return rig_write(f, model + at, len, at) == (kssize_t)len;
	case 3: case 4:
		return rig_read(f, back, len, at, v) == (kssize_t)there &&
		       !memcmp(back, model + at, there);
	case 5:
		return cache_sync(&f->cache, at, at + (int64_t)len, test_random() & 1) == 0;
	case 6:
		if (test_random() & 1)
			cache_drop(&f->cache, 0, INT64_MAX);
		else
			cache_reclaim(test_random_below(20));
		return true;
	default:
		step_cut(f, test_random() & 1);
		return true;
	}
}

static bool follows_a_model(uint32_t block_bytes, uint32_t stride)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, block_bytes);
	struct file_view view = { 0 };
	bool same = true;

	f->stride = stride;
	memset(model, 0, sizeof(model));
	for (int i = 0; i < 600 && same; i++)
		same = step(f, &view);
	same = same && cache_sync(&f->cache, 0, INT64_MAX, true) == 0 && is_clean(f);
	cache_drop(&f->cache, 0, INT64_MAX);
	same = same && f->cache.count == 0 && rig_read(f, back, MODEL_BYTES, 0, NULL) == f->size &&
	       !memcmp(back, model, (size_t)f->size);
	rig_file_free(f);
	return same;
}

TEST(cache_follows_a_model_whatever_happens)
{
	CHECK(follows_a_model(512, 1));
	CHECK(follows_a_model(1024, 2));
	CHECK(follows_a_model(4096, 1));
}

/* ---- by themselves ---- */

TEST(cache_dirty_pages_go_by_age)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	uint64_t begin = clock_ns(), age = cache_dirty_age_ns, period = cache_look_period_ns;

	cache_dirty_age_ns = NSEC_PER_SEC;
	cache_look_period_ns = NSEC_PER_SEC / 5;
	CHECK_EQ(rig_write(f, buf, 8192, 0), 8192);
	while (cache_is_dirty(&f->cache) && clock_ns() < begin + 120 * NSEC_PER_SEC)
		thread_sleep_until(clock_ns() + NSEC_PER_SEC / 10);
	CHECK(is_clean(f));
	CHECK(clock_ns() >= begin + cache_dirty_age_ns);
	cache_dirty_age_ns = age;
	cache_look_period_ns = period;
	CHECK(rig_on_disk(f, buf, 8192, 0));
	rig_file_free(f);
}

TEST(cache_reclaim_spares_what_is_used_again_and_what_is_dirty)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct cache_page *held;

	rig_file_fill(f, 0, KIB(256));
	CHECK_EQ(rig_read(f, back, KIB(256), 0, NULL), KIB(256));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(rig_read(f, back, 4096, 5 * 4096, NULL), 4096);
	CHECK_EQ(rig_write(f, buf, 10, 7 * 4096), 10);
	CHECK_EQ(cache_page_get(&f->cache, 9, NULL, &held), 0);
	CHECK(cache_reclaim(40) >= 40);
	CHECK(cache_has_page(&f->cache, 5) && cache_has_page(&f->cache, 7) &&
	      cache_has_page(&f->cache, 9));
	CHECK(f->cache.count <= 24);
	CHECK(held->bytes[0] == rig_byte(9 * 4096));
	cache_page_put(held);
	rig_file_free(f);
}
