/*
 * Reading through the page cache: what is read when, once, together, ahead; holes, ends, small
 * blocks, errors.
 */
#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "cache_rig.h"

static uint8_t buf[KIB(256)];

static bool is_as_laid_out(const uint8_t *bytes, size_t len, int64_t offset)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != rig_byte(offset + (int64_t)i))
			return false;
	}
	return true;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	while (len && !bytes[len - 1])
		len--;
	return !len;
}

TEST(cache_reads_neighbours_in_one_request_and_each_page_once)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);

	rig_file_fill(f, 0, KIB(128));
	CHECK_EQ(rig_read(f, buf, KIB(64), 0, NULL), KIB(64));
	CHECK(is_as_laid_out(buf, KIB(64), 0));
	CHECK_EQ(d->reads, 1);
	CHECK_EQ(rig_read(f, buf, 5000, 3000, NULL), 5000);
	CHECK(is_as_laid_out(buf, 5000, 3000));
	CHECK_EQ(d->reads, 1);
	rig_file_free(f);
}

TEST(cache_window_grows_for_readers_in_order_and_shuts_for_others)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct file_view view = { 0 };

	rig_file_fill(f, 0, MIB(2));
	for (int64_t at = 0; at < (int64_t)MIB(2); at += 4096)
		CHECK_EQ(rig_read(f, buf, 4096, at, &view), 4096);
	CHECK(d->reads < 24); /* of 512 pages: requests are soon as long as they get */
	CHECK_EQ(view.window, 64);
	cache_drop(&f->cache, 0, INT64_MAX);
	CHECK_EQ(f->cache.count, 0);
	d->reads = 0, d->bytes_read = 0;
	for (int i = 0; i < 8; i++)
		CHECK_EQ(rig_read(f, buf, 4096, (i * 61 + 17) * 4096, &view), 4096);
	CHECK_EQ(d->reads, 8);
	CHECK_EQ(d->bytes_read, 8 * 4096);
	rig_file_free(f);
}

TEST(cache_reads_holes_ends_and_small_blocks)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 1024);

	f->stride = 3; /* no two blocks lie together */
	rig_file_fill(f, 0, 1024);
	rig_file_fill(f, 3 * 1024, 5 * 1024);
	rig_file_fill(f, 9 * 1024, 10000);
	f->unwritten[4] = true;
	CHECK_EQ(rig_read(f, buf, sizeof(buf), 0, NULL), 10000);
	CHECK(is_as_laid_out(buf, 1024, 0));
	CHECK(is_zero(buf + 1024, 2048));
	CHECK(is_as_laid_out(buf + 3 * 1024, 1024, 3 * 1024));
	CHECK(is_zero(buf + 4 * 1024, 5 * 1024));
	CHECK(is_as_laid_out(buf + 9 * 1024, 10000 - 9 * 1024, 9 * 1024));
	CHECK_EQ(rig_read(f, buf, 10, 10000, NULL), 0);
	f->size = 12 * 1024; /* grown: what the disk has behind the old end is not to be seen */
	CHECK_EQ(rig_read(f, buf, 100, 10000, NULL), 100);
	CHECK(is_zero(buf, 100));
	rig_file_free(f);
}

/* The size comes from the disk, and may be as large as a number can be. */
TEST(cache_reads_files_of_a_damaged_size)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);

	rig_file_fill(f, 0, 8192);
	f->size = INT64_MAX;
	CHECK_EQ(rig_read(f, buf, 8192, 0, NULL), 8192);
	CHECK(is_as_laid_out(buf, 8192, 0));
	memset(buf, 1, 200);
	CHECK_EQ(rig_read(f, buf, 200, INT64_MAX - 100, NULL), 100);
	CHECK(is_zero(buf, 100));
	rig_file_free(f);
}

TEST(cache_read_errors_reach_the_reader_and_do_not_stick)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct file_view view = { 0 };

	rig_file_fill(f, 0, KIB(64));
	rig_disk_break(d, 8192, 8192 + 512);
	CHECK_EQ(rig_read(f, buf, 4096, 8192, NULL), -EIO);
	/* up to the bad page, though read together with it */
	CHECK_EQ(rig_read(f, buf, KIB(64), 0, &view), 8192);
	CHECK(is_as_laid_out(buf, 8192, 0));
	rig_disk_break(d, 0, 0);
	CHECK_EQ(rig_read(f, buf, KIB(64), 0, &view), KIB(64));
	CHECK(is_as_laid_out(buf, KIB(64), 0));
	rig_file_free(f);
}

/* ---- several at once ---- */

#define READERS 4

struct reader {
	struct rig_file *file;
	struct thread *thread;
	uint8_t bytes[8192];
	kssize_t got;
};

static struct reader readers[READERS];

static void read_start(void *arg)
{
	struct reader *r = arg;

	r->got = rig_read(r->file, r->bytes, sizeof(r->bytes), 0, NULL);
}

static bool readers_run(struct rig_file *f)
{
	static const struct thread_attr attr = {
		.name = "reader", .priority = THREAD_PRIORITY_APP, .hart = -1
	};

	rig_disk_hold(f->disk, true);
	for (int i = 0; i < READERS; i++) {
		readers[i].file = f;
		if (thread_create(&attr, read_start, &readers[i], 0, &readers[i].thread))
			return false;
		thread_start(readers[i].thread);
	}
	for (int i = 0; i < 20; i++)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	rig_disk_hold(f->disk, false);
	for (int i = 0; i < READERS; i++)
		thread_join(readers[i].thread);
	return true;
}

TEST(cache_readers_that_meet_read_once_and_share_errors)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);

	rig_file_fill(f, 0, KIB(8));
	CHECK(readers_run(f));
	CHECK_EQ(d->bytes_read, KIB(8));
	for (int i = 0; i < READERS; i++)
		CHECK(readers[i].got == 8192 && is_as_laid_out(readers[i].bytes, 8192, 0));
	cache_drop(&f->cache, 0, INT64_MAX);
	rig_disk_break(d, 0, 512);
	CHECK(readers_run(f));
	for (int i = 0; i < READERS; i++)
		CHECK_EQ(readers[i].got, -EIO);
	rig_file_free(f);
}
