/*
 * Writing back while others write, cut and go: who syncs misses nothing and comes to an end, who
 * waits is woken.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "cache_parts.h"
#include "cache_rig.h"

static uint8_t buf[KIB(512)];

static struct thread *start(const char *name, void (*run)(void *arg), void *arg)
{
	const struct thread_attr attr = {
		.name = name, .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t;

	if (thread_create(&attr, run, arg, 0, &t))
		panic("no thread");
	thread_start(t);
	return t;
}

/* Until it is set, or for so long: is it? */
static bool comes(const bool *what, uint64_t patience_ns)
{
	uint64_t end = clock_ns() + patience_ns;

	while (!__atomic_load_n(what, __ATOMIC_ACQUIRE) && clock_ns() < end)
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	return __atomic_load_n(what, __ATOMIC_ACQUIRE);
}

/* ---- a file whose write-back stands still where its place is asked for, and then fails ---- */

static struct event gate;
static bool at_gate;

static int place_behind_gate(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	(void)c, (void)offset, (void)len, (void)e;
	__atomic_store_n(&at_gate, true, __ATOMIC_RELEASE);
	event_wait(&gate, DEADLINE_NEVER);
	return -EIO;
}

static struct cache_backing_ops gated_ops;

static struct rig_file *gated_file(struct rig_disk *d)
{
	struct rig_file *f = rig_file_new(d, 4096);

	gated_ops = *f->cache.ops;
	gated_ops.place = place_behind_gate;
	f->cache.ops = &gated_ops;
	event_init(&gate);
	at_gate = false;
	return f;
}

/* ---- sync of a device ---- */

static bool sync_is_done;

static void sync_run(void *disk)
{
	cache_sync_device(&((struct rig_disk *)disk)->dev, true);
	__atomic_store_n(&sync_is_done, true, __ATOMIC_RELEASE);
}

/*
 * Another pass takes the second file's page and moves the file behind all others before the sync
 * has come to it.
 */
TEST(cache_sync_of_a_device_waits_for_what_others_are_writing)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *first = gated_file(d), *second = rig_file_new(d, 4096);
	struct thread *t;

	memset(buf, 's', 4096);
	CHECK_EQ(rig_write(first, buf, 4096, 0), 4096);
	CHECK_EQ(rig_write(second, buf, 4096, 0), 4096);
	rig_disk_hold(d, true);
	sync_is_done = false;
	t = start("sync", sync_run, d);
	CHECK(comes(&at_gate, 60 * NSEC_PER_SEC));
	CHECK_EQ(cache_sync_device(&d->dev, false), 0);
	event_set(&gate);
	CHECK(!comes(&sync_is_done, NSEC_PER_SEC / 10)); /* the disk has not answered */
	rig_disk_hold(d, false);
	thread_join(t);
	CHECK(rig_on_disk(second, buf, 4096, 0));
	rig_file_free(first);
	rig_file_free(second);
}

/* ---- a file that grows while it is written ---- */

#define APPENDS_MAX 100u

static unsigned appends;

static int place_and_append(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	struct rig_file *f = container_of(c, struct rig_file, cache);

	if (appends < APPENDS_MAX && ++appends)
		rig_write(f, buf, 4096, f->size);
	return c->ops->map(c, offset, len, e);
}

TEST(cache_sync_does_not_run_after_who_appends)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct cache_backing_ops ops = *f->cache.ops;

	ops.place = place_and_append;
	f->cache.ops = &ops;
	for (int wait = 0; wait < 2; wait++) {
		appends = 0;
		CHECK_EQ(rig_write(f, buf, KIB(64), f->size), KIB(64));
		CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, wait), 0);
		CHECK(appends < APPENDS_MAX);
	}
	appends = APPENDS_MAX;
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK(!cache_is_dirty(&f->cache));
	rig_file_free(f);
}

/* ---- bytes that have no place yet ---- */

static int unsettled, refusals;

static int settle_or_not(struct cache *c, bool wait)
{
	(void)c, (void)wait;
	return unsettled;
}

static int place_later(struct cache *c, int64_t offset, int64_t len, struct cache_extent *e)
{
	return refusals && refusals-- ? -EAGAIN : c->ops->map(c, offset, len, e);
}

/*
 * Nobody has found it a place: it stays dirty, who waits is told, and the next time it is written.
 */
TEST(cache_keeps_what_has_no_place)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct cache_backing_ops ops = *f->cache.ops;

	ops.settle = settle_or_not;
	ops.place = place_later;
	f->cache.ops = &ops;
	memset(buf, 'k', KIB(64));
	CHECK_EQ(rig_write(f, buf, KIB(64), 0), KIB(64));
	unsettled = -ENOMEM;
	refusals = 2;
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), -ENOMEM);
	CHECK(cache_is_dirty(&f->cache));
	unsettled = 0;
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK(!cache_is_dirty(&f->cache));
	CHECK(rig_on_disk(f, buf, KIB(64), 0));
	rig_file_free(f);
}

/* It got one while its pages looked clean: whoever has found it waits for this write alone. */
TEST(cache_writes_what_gets_its_place_meanwhile)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct cache_backing_ops ops = *f->cache.ops;

	ops.place = place_later;
	f->cache.ops = &ops;
	memset(buf, 'm', KIB(64));
	CHECK_EQ(rig_write(f, buf, KIB(64), 0), KIB(64));
	refusals = 1;
	CHECK_EQ(cache_sync(&f->cache, 0, INT64_MAX, true), 0);
	CHECK(rig_on_disk(f, buf, KIB(64), 0));
	rig_file_free(f);
}

/* ---- too much is dirty, and then it is gone ---- */

/* All but a few pages, so that few dirty ones are too many. */
static void **take_memory(size_t leave)
{
	void **pages = NULL, **p;

	for (; page_free_count() > leave && (p = page_alloc(0, PAGE_KERNEL)); pages = p)
		*p = pages;
	return pages;
}

static void give_memory(void **pages)
{
	for (void **next; pages; pages = next) {
		next = *pages;
		page_free(pages, 0);
	}
}

static bool write_is_done;

static void write_run(void *file)
{
	rig_write(file, "x", 1, 0);
	__atomic_store_n(&write_is_done, true, __ATOMIC_RELEASE);
}

static bool waits_since(uint64_t throttled)
{
	struct cache_stats s;

	for (uint64_t end = clock_ns() + 60 * NSEC_PER_SEC; clock_ns() < end;
	     thread_sleep_until(clock_ns() + NSEC_PER_MSEC)) {
		cache_stats(&s);
		if (s.throttled > throttled)
			return true;
	}
	return false;
}

/* The write-back thread stands at the gate: nothing but the cut makes the dirty pages fewer. */
TEST(cache_writers_that_wait_go_on_when_dirty_pages_are_cut)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *stuck = gated_file(d), *large = rig_file_new(d, 4096),
			*small = rig_file_new(d, 4096);
	uint64_t age = cache_dirty_age_ns;
	struct cache_stats s;
	struct thread *t;
	void **taken;

	cache_stats(&s);
	CHECK_EQ(rig_write(stuck, buf, 1, 0), 1);
	cache_dirty_age_ns = 0;
	cache_back_wake();
	CHECK(comes(&at_gate, 60 * NSEC_PER_SEC));
	cache_dirty_age_ns = age;
	CHECK_EQ(rig_write(large, buf, sizeof(buf), 0), sizeof(buf));
	taken = take_memory(300);
	write_is_done = false;
	t = start("writer", write_run, small);
	CHECK(waits_since(s.throttled));
	cache_cut(&large->cache, 0, INT64_MAX);
	CHECK(comes(&write_is_done, 60 * NSEC_PER_SEC));
	give_memory(taken);
	event_set(&gate);
	thread_join(t);
	rig_file_free(stuck);
	rig_file_free(large);
	rig_file_free(small);
}

/* ---- files that go while all are synced ---- */

static bool stop;

static void sync_on_and_on(void *disk)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		cache_sync_device(&((struct rig_disk *)disk)->dev, false);
		thread_yield();
	}
}

TEST(cache_may_go_while_all_are_synced)
{
	struct rig_disk *d = rig_disk();
	struct thread *t;

	stop = false;
	t = start("syncs", sync_on_and_on, d);
	for (int i = 0; i < 300; i++) {
		struct rig_file *f = rig_file_new(d, 4096);

		CHECK_EQ(rig_write(f, buf, 4096, 0), 4096);
		if (i & 1)
			thread_yield();
		rig_file_free(f);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	thread_join(t);
}
