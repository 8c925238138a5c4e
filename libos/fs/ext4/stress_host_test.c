/*
 * One file and many threads. Each owner has a range of the file for itself and knows its bytes: it
 * writes, punches, zeroes and reads there, and its neighbours share pages and blocks with it.
 * Behind all ranges one thread lets the file grow and shrink, where every byte is zero or tells its
 * place. One syncs, and forgets what is clean.
 *
 * STRESS_SEED=n begins with another seed.
 */
#include <stdlib.h>

#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "ext4.h"
#include "testdisk.h"

#define OWNERS 3u
#define RANGE  50001u              /* so that ranges begin and end within blocks */
#define FLOOR  ((int64_t)(OWNERS * RANGE))
#define TAIL   200000u
#define STEPS  100u

struct owner {
	struct file *file;
	struct thread *thread;
	unsigned number;
	uint64_t random;
	uint8_t bytes[RANGE], seen[RANGE];
	const char *wrong;
};

static struct owner owners[OWNERS + 2];
static uint32_t working; /* atomic: owners */

static unsigned pick(struct owner *o, unsigned limit)
{
	o->random = o->random * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(o->random >> 33) % limit;
}

/* ---- owners ---- */

static bool change(struct owner *o)
{
	unsigned at = pick(o, RANGE), most = pick(o, 3) ? 3000 : RANGE,
		 len = 1 + pick(o, MIN(RANGE - at, most));
	int64_t place = (int64_t)(o->number * RANGE + at);

	switch (pick(o, 5)) {
	case 0: /* a hole */
		memset(o->bytes + at, 0, len);
		return !testdisk_allocate(o->file, 3, place, len);
	case 1: /* zeroes */
		memset(o->bytes + at, 0, len);
		return !testdisk_allocate(o->file, 17, place, len);
	default:
		for (unsigned n = at; n < at + len; n++)
			o->bytes[n] = (uint8_t)pick(o, 256);
		return testdisk_transfer(o->file, o->bytes + at, len, place, false) ==
		       (kssize_t)len;
	}
}

static bool is_mine(struct owner *o)
{
	return testdisk_transfer(o->file, o->seen, RANGE, (int64_t)(o->number * RANGE), true) ==
		       RANGE &&
	       !memcmp(o->seen, o->bytes, RANGE);
}

static void own(void *arg)
{
	struct owner *o = arg;

	for (unsigned n = 0; n < STEPS && !o->wrong; n++) {
		if (!change(o))
			o->wrong = "a change failed";
		else if (!is_mine(o))
			o->wrong = "an owner's range has other bytes";
	}
	__atomic_sub_fetch(&working, 1, __ATOMIC_RELEASE);
}

static bool owners_work(void)
{
	return __atomic_load_n(&working, __ATOMIC_ACQUIRE);
}

/* ---- the tail: byte n is its place's, or 0 ---- */

static uint8_t byte_at(int64_t place)
{
	return (uint8_t)(1 + place % 253);
}

static bool tail_fits(struct owner *o, int64_t from)
{
	kssize_t n = testdisk_transfer(o->file, o->seen, RANGE, from, true);

	for (kssize_t k = 0; k < n; k++) {
		if (o->seen[k] && o->seen[k] != byte_at(from + k))
			return false;
	}
	return n >= 0;
}

static bool change_tail(struct owner *o)
{
	int64_t at = FLOOR + pick(o, TAIL);
	size_t len = 1 + pick(o, RANGE);

	if (pick(o, 3) == 0)
		return !testdisk_resize(o->file, at);
	for (size_t n = 0; n < len; n++)
		o->bytes[n] = byte_at(at + (int64_t)n);
	return testdisk_transfer(o->file, o->bytes, len, at, false) == (kssize_t)len;
}

static void grow_and_shrink(void *arg)
{
	struct owner *o = arg;

	while (owners_work() && !o->wrong) {
		if (!change_tail(o))
			o->wrong = "the tail could not be changed";
		else if (!tail_fits(o, FLOOR + pick(o, TAIL)))
			o->wrong = "the tail has other bytes";
		thread_yield();
	}
}

static void sync_and_forget(void *arg)
{
	struct owner *o = arg;
	struct inode *inode = o->file->object;

	while (owners_work() && !o->wrong) {
		if (o->file->ops->sync(o->file, pick(o, 2)))
			o->wrong = "fsync failed";
		cache_drop(&ext4_of(inode)->bytes, 0, INT64_MAX);
		if (!tail_fits(o, FLOOR + pick(o, TAIL)))
			o->wrong = "somebody else's bytes are in the tail";
		thread_yield();
	}
}

/* ---- */

static bool start(struct file *f, uint64_t seed)
{
	static const struct thread_attr attr = {
		.name = "owner", .priority = THREAD_PRIORITY_APP, .hart = -1
	};

	working = OWNERS;
	for (unsigned n = 0; n < ARRAY_SIZE(owners); n++) {
		void (*run)(void *) = n < OWNERS    ? own
				      : n == OWNERS ? grow_and_shrink
						    : sync_and_forget;

		memset(&owners[n], 0, sizeof(owners[n]));
		owners[n].file = f;
		owners[n].number = n;
		owners[n].random = seed * 77 + n;
		if (thread_create(&attr, run, &owners[n], 0, &owners[n].thread))
			return false;
	}
	for (unsigned n = 0; n < ARRAY_SIZE(owners); n++)
		thread_start(owners[n].thread);
	return true;
}

static bool finish(void)
{
	bool well = true;

	for (unsigned n = 0; n < ARRAY_SIZE(owners); n++) {
		thread_join(owners[n].thread);
		if (owners[n].wrong)
			test_print("thread %u: %s\n", n, owners[n].wrong);
		well &= !owners[n].wrong;
	}
	return well;
}

static bool stress(const char *kind, const char *options, uint64_t seed)
{
	struct file *f;
	bool well;

	if (!testdisk_make(kind, 16, "touch f") || testdisk_mount(0, options) ||
	    vfs_open(NULL, "/t/f", O_RDWR, 0, &f))
		return false;
	well = !testdisk_resize(f, FLOOR) && start(f, seed) && finish();
	file_put(f);
	if (testdisk_unmount() || testdisk_judge() || testdisk_mount(0, options) ||
	    vfs_open(NULL, "/t/f", O_RDWR, 0, &f))
		return false;
	for (unsigned n = 0; n < OWNERS; n++) {
		owners[n].file = f;
		well &= is_mine(&owners[n]);
	}
	file_put(f);
	return !testdisk_unmount() && well;
}

TEST(ext4_files_hold_what_many_threads_write)
{
	const char *text = getenv("STRESS_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 1;

	CHECK(stress(DEBIAN_12 " -b 4096", NULL, seed));
	CHECK(stress(DEBIAN_13 " -b 1024", "delalloc", seed + 1));
	CHECK(stress(PLAIN " -b 1024", "data=journal", seed + 2));
	CHECK(stress(DEBIAN_12 ",^has_journal -b 2048", NULL, seed + 3));
}
