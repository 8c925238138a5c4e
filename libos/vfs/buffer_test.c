/* Metadata buffers: one for each block, read once, written once, gone when nobody wants them. */
#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <core/time.h>
#include <libos/buffer.h>

#include "../dev/recdev.h"

#define DISK_BYTES KIB(256)
#define BLOCK      1024u
#define BLOCKS     (DISK_BYTES / BLOCK)

static struct recdev *disk;
static struct buffer_cache cache;

/* Every block of the disk begins with its number. */
static bool set_up(void)
{
	if (!disk)
		disk = recdev_create(DISK_BYTES);
	if (!disk)
		return false;
	recdev_load(disk, NULL);
	for (unsigned i = 0; i < BLOCKS; i++)
		disk->bytes[i * BLOCK] = (uint8_t)i;
	return buffers_init(&cache, &disk->dev, BLOCK, BLOCKS) == 0;
}

TEST(buffer_of_a_block_is_read_once_and_shared)
{
	struct buffer *a, *b;

	CHECK(set_up());
	CHECK_EQ(buffer_read(&cache, 7, &a), 0);
	CHECK_EQ(buffer_read(&cache, 7, &b), 0);
	CHECK(a == b && a->data[0] == 7 && disk->reads == 1);
	CHECK(buffer_find(&cache, 7) == a);
	CHECK(!buffer_find(&cache, 8));
	for (int i = 0; i < 3; i++)
		buffer_put(a);
	CHECK_EQ(buffer_read(&cache, 7, &b), 0);
	CHECK_EQ(disk->reads, 1);
	buffer_put(b);
	buffers_destroy(&cache);
}

TEST(buffer_behind_the_end_is_never_asked_of_the_disk)
{
	struct buffer *b;

	CHECK(set_up());
	CHECK_EQ(buffer_read(&cache, BLOCKS, &b), -EIO);
	CHECK_EQ(buffer_make(&cache, UINT64_MAX, &b), -EIO);
	buffers_read_ahead(&cache, BLOCKS - 1, 8);
	buffers_destroy(&cache);
	CHECK_EQ(disk->reads, 1);
}

TEST(buffer_that_cannot_be_read_leaves_nothing_and_may_be_tried_again)
{
	struct buffer *b;

	CHECK(set_up());
	disk->faults.read = 1;
	CHECK_EQ(buffer_read(&cache, 3, &b), -EIO);
	CHECK_EQ(cache.count, 0);
	CHECK_EQ(buffer_read(&cache, 3, &b), 0);
	CHECK_EQ(b->data[0], 3);
	buffer_put(b);
	buffers_destroy(&cache);
}

/* ---- several threads ---- */

struct reader {
	struct thread *thread;
	struct buffer *got;
	int error;
};

static void read_nine(void *arg)
{
	struct reader *r = arg;

	r->error = buffer_read(&cache, 9, &r->got);
}

static bool start_reader(struct reader *r)
{
	static const struct thread_attr attr = {
		.name = "reader", .priority = THREAD_PRIORITY_APP, .hart = -1
	};

	if (thread_create(&attr, read_nine, r, 0, &r->thread) != 0)
		return false;
	thread_start(r->thread);
	return true;
}

static bool is_waiting(void)
{
	struct buffer_cache *c = &cache;
	struct tree_node *n = tree_first(&c->buffers);

	return n && tree_entry(n, struct buffer, node)->refs == 2 && !waitq_is_empty(&c->ended);
}

TEST(buffer_wanted_by_two_threads_is_read_once)
{
	struct reader r[2] = { 0 };

	CHECK(set_up());
	recdev_hold(disk, true);
	CHECK(start_reader(&r[0]) && start_reader(&r[1]));
	while (!is_waiting())
		thread_yield();
	recdev_hold(disk, false);
	for (int i = 0; i < 2; i++) {
		thread_join(r[i].thread);
		CHECK_EQ(r[i].error, 0);
	}
	CHECK(r[0].got == r[1].got && disk->reads == 1);
	buffer_put(r[0].got);
	buffer_put(r[1].got);
	buffers_destroy(&cache);
}

TEST(buffer_read_error_reaches_both_who_wait)
{
	struct reader r[2] = { 0 };

	CHECK(set_up());
	recdev_hold(disk, true);
	disk->faults = (struct rec_faults){ .read = 1, .for_ever = true };
	CHECK(start_reader(&r[0]) && start_reader(&r[1]));
	while (!is_waiting())
		thread_yield();
	recdev_hold(disk, false);
	for (int i = 0; i < 2; i++) {
		thread_join(r[i].thread);
		CHECK_EQ(r[i].error, -EIO);
	}
	buffers_destroy(&cache);
}

/* ---- read-ahead ---- */

TEST(buffer_read_ahead_is_one_command_and_is_found_later)
{
	struct buffer *b;

	CHECK(set_up());
	buffers_read_ahead(&cache, 16, 8);
	for (unsigned i = 16; i < 24; i++) {
		CHECK_EQ(buffer_read(&cache, i, &b), 0);
		CHECK_EQ(b->data[0], i);
		buffer_put(b);
	}
	CHECK_EQ(disk->reads, 1);
	buffers_destroy(&cache);
}

TEST(buffer_read_ahead_that_fails_is_read_again_by_who_wants_it)
{
	struct buffer *b;

	CHECK(set_up());
	disk->faults.read = 1;
	buffers_read_ahead(&cache, 16, 8);
	CHECK_EQ(buffer_read(&cache, 20, &b), 0);
	CHECK_EQ(b->data[0], 20);
	buffer_put(b);
	buffers_destroy(&cache);
}

/* ---- changes ---- */

TEST(buffer_made_anew_is_zero_and_not_read)
{
	struct buffer *b;

	CHECK(set_up());
	CHECK_EQ(buffer_make(&cache, 5, &b), 0);
	CHECK_EQ(disk->reads, 0);
	for (unsigned i = 0; i < BLOCK; i++)
		CHECK_EQ(b->data[i], 0);
	buffer_put(b);
	buffers_destroy(&cache);
}

TEST(buffer_that_is_dirty_stays_until_it_is_written)
{
	struct buffer *b;

	CHECK(set_up());
	CHECK_EQ(buffer_read(&cache, 11, &b), 0);
	b->data[1] = 0xaa;
	buffer_mark_dirty(b);
	buffer_mark_dirty(b);
	buffer_put(b);
	CHECK_EQ(buffers_reclaim(&cache, 100), 0);
	CHECK_EQ(buffers_write(&cache), 0);
	CHECK_EQ(disk->bytes[11 * BLOCK + 1], 0xaa);
	CHECK_EQ(buffers_write(&cache), 0);
	CHECK_EQ(disk->writes, 1);
	CHECK_EQ(buffers_reclaim(&cache, 100), 1);
	buffers_destroy(&cache);
}

/* Somebody else, who believes that the block is his, has freed it meanwhile. */
TEST(buffer_that_is_discarded_takes_no_change)
{
	struct buffer *b;

	CHECK(set_up());
	CHECK_EQ(buffer_read(&cache, 11, &b), 0);
	buffer_discard(b);
	CHECK_EQ(buffer_mark_dirty(b), -EIO);
	buffer_put(b);
	CHECK_EQ(buffers_write(&cache), 0);
	CHECK_EQ(disk->writes, 0);
	buffers_destroy(&cache);
}

TEST(buffers_write_many_and_merge_neighbours)
{
	struct buffer *b;

	CHECK(set_up());
	for (unsigned i = 0; i < 200; i++) {
		CHECK_EQ(buffer_make(&cache, i, &b), 0);
		memset(b->data, (int)i + 1, BLOCK);
		buffer_mark_dirty(b);
		buffer_put(b);
	}
	CHECK_EQ(buffers_write(&cache), 0);
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(disk->bytes[i * BLOCK + BLOCK - 1], (uint8_t)(i + 1));
	CHECK(disk->writes < 20);
	buffers_destroy(&cache);
}

TEST(buffer_write_errors_are_told_and_not_repeated)
{
	struct buffer *b;

	CHECK(set_up());
	disk->faults.write = 1;
	CHECK_EQ(buffer_make(&cache, 1, &b), 0);
	buffer_mark_dirty(b);
	CHECK_EQ(buffers_write(&cache), -EIO);
	CHECK_EQ(buffers_write(&cache), 0);
	CHECK_EQ(buffer_write(b, BLK_FUA), 0);
	buffer_put(b);
	buffers_destroy(&cache);
}

TEST(buffer_that_is_discarded_forgets_its_change)
{
	struct buffer *b;

	CHECK(set_up());
	CHECK_EQ(buffer_read(&cache, 2, &b), 0);
	b->flags |= BUFFER_VERIFIED;
	b->data[0] = 0xff;
	buffer_mark_dirty(b);
	buffer_discard(b);
	buffer_put(b);
	CHECK_EQ(buffers_write(&cache), 0);
	CHECK_EQ(disk->writes, 0);
	CHECK_EQ(buffer_read(&cache, 2, &b), 0);
	CHECK(b->data[0] == 2 && !(b->flags & BUFFER_VERIFIED));
	buffer_put(b);
	buffers_destroy(&cache);
}

TEST(buffers_go_the_longest_unused_first)
{
	struct buffer *b, *held;

	CHECK(set_up());
	CHECK_EQ(buffer_read(&cache, 100, &held), 0);
	for (unsigned i = 0; i < 10; i++) {
		CHECK_EQ(buffer_read(&cache, i, &b), 0);
		buffer_put(b);
	}
	CHECK_EQ(buffer_read(&cache, 0, &b), 0); /* and is the youngest again */
	buffer_put(b);
	CHECK_EQ(buffers_reclaim(&cache, 5), 5);
	for (unsigned i = 0; i < 10; i++) {
		b = buffer_find(&cache, i);
		CHECK(!!b == (i == 0 || i > 5));
		buffer_put(b);
	}
	CHECK_EQ(buffers_reclaim(&cache, 100), 5);
	buffer_put(held);
	buffers_destroy(&cache);
}

/* Takes memory until those who watch it have given some of theirs back. */
static bool pressure_takes(const uint64_t *count, uint64_t before)
{
	void **taken = NULL, **p;
	uint64_t deadline = clock_ns() + 20 * NSEC_PER_SEC;

	while (*(volatile const uint64_t *)count == before && (p = page_alloc(0, PAGE_KERNEL))) {
		*p = taken;
		taken = p;
	}
	while (*(volatile const uint64_t *)count == before && clock_ns() < deadline)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	for (; taken; taken = p) {
		p = *taken;
		page_free(taken, 0);
	}
	return *(volatile const uint64_t *)count < before;
}

TEST(buffers_are_given_back_when_memory_is_short)
{
	struct buffer *b;

	CHECK(set_up());
	for (unsigned i = 0; i < 64; i++) {
		CHECK_EQ(buffer_read(&cache, i, &b), 0);
		buffer_put(b);
	}
	if (IS_ENABLED(KILN_HOST)) /* nobody watches the memory there */
		CHECK(cache.shrinker.shrink(&cache.shrinker, 8) && cache.count < 64);
	else
		CHECK(pressure_takes(&cache.count, 64));
	buffers_destroy(&cache);
}
