/*
 * ext4 where memory runs out: each allocation of a history in turn, alone, with some after it, or
 * with all from then on.
 *
 * Several threads work (crash_model.h), each until something fails. What the want of memory left
 * half done must not become durable: the file system can be unmounted, mounts again, and e2fsck -fn
 * is content. One allocation that fails is no end of writing. Bytes that find no memory on their
 * way to the disk stay where they are.
 *
 * A test run takes a sample; SHORTAGES=n asks for n places in each mode (0: all), SHORTAGE_SEED=n
 * for another history, SHORTAGE_AT=n for one place.
 */
#include <stdlib.h>

#include <arch/shortage.h>
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "crash_model.h"
#include "ext4.h"
#include "testdisk.h"

#define DISK_MIB 4u
#define PLACES   8u

static const char *const modes[] = { "data=ordered", "data=journal" };

static struct recdev *disk;
static uint8_t *image;
static struct crash_worker workers[CRASH_WORKERS];
static uint64_t seed, fails_at, failures;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static bool may_be_written(void)
{
	struct path p;
	bool yes;

	if (vfs_walk(NULL, "/t", 0, &p) != 0)
		return false;
	yes = !(path_inode(&p)->super->flags & MS_RDONLY);
	path_put(&p);
	return yes;
}

/* *allocations: by the workers and the threads below them. */
static bool work(const char *mode, uint64_t *allocations)
{
	bool well;

	recdev_load(disk, image);
	if (testdisk_mount(0, mode) != 0)
		return false;
	host_shortage(fails_at, failures);
	crash_work(workers, disk, seed);
	well = failures > 1 || may_be_written();
	well &= testdisk_unmount() == 0;
	*allocations = host_allocations();
	host_shortage(0, 0);
	return well;
}

/* The mount replays, and takes care of orphans. */
static bool comes_back(void)
{
	return testdisk_mount(0, "") == 0 && testdisk_unmount() == 0 && testdisk_judge() == 0;
}

static bool try_place(const char *mode, uint64_t place)
{
	static const uint64_t lengths[] = { 1, 30, UINT64_MAX };
	uint64_t allocations;

	fails_at = place;
	for (unsigned n = 0; n < ARRAY_SIZE(lengths); n++) {
		failures = lengths[n];
		if (!work(mode, &allocations) || !comes_back()) {
			test_print(
				"%s, allocation %llu fails and %llu after it, SHORTAGE_SEED=%llu\n",
				mode, (unsigned long long)place, (unsigned long long)failures - 1,
				(unsigned long long)seed);
			return false;
		}
	}
	return true;
}

static bool try_mode(const char *mode)
{
	uint64_t count, places = number_of("SHORTAGES", PLACES), only = number_of("SHORTAGE_AT", 0),
			step;
	bool well;

	fails_at = failures = 0;
	well = work(mode, &count) && comes_back();
	if (well && only)
		return try_place(mode, only);
	step = places ? MAX(count / places, 1u) : 1;
	for (uint64_t place = 1 + seed * 7 % step; well && place <= count; place += step)
		well = try_place(mode, place);
	return well;
}

TEST(ext4_keeps_nothing_half_done_for_want_of_memory)
{
	bool well;

	seed = number_of("SHORTAGE_SEED", 1);
	image = malloc(MIB(DISK_MIB));
	well = image && testdisk_make("-b 1024 " DEBIAN_13, DISK_MIB, NULL) &&
	       testdisk_mount(0, "") == 0;
	if (well) {
		disk = container_of(testdisk_dev(), struct recdev, dev);
		well = crash_prepare() == 0 && testdisk_unmount() == 0;
		memcpy(image, disk->bytes, MIB(DISK_MIB));
	}
	for (unsigned i = 0; well && i < ARRAY_SIZE(modes); i++)
		well = try_mode(modes[i]);
	free(image);
	CHECK(well);
}

/* ---- bytes on their way to the disk ---- */

#define PIECES 64u
#define APART  2048 /* two blocks: each piece is an extent of its own */

struct syncing {
	struct file *file;
	uint64_t failures;
	int error;
};

/* The file's extents fill a block; without it in memory write-back asks for some. */
static bool write_pieces(struct file *f, uint8_t byte)
{
	for (unsigned n = 0; n < PIECES; n++) {
		if (testdisk_transfer(f, &byte, 1, n * APART, false) != 1)
			return false;
	}
	return true;
}

static bool has_pieces(uint8_t byte)
{
	static uint8_t bytes[PIECES * APART];

	if (testdisk_read("/t/f", bytes, sizeof(bytes)) != (PIECES - 1) * APART + 1)
		return false;
	for (unsigned n = 0; n < PIECES; n++) {
		if (bytes[n * APART] != byte)
			return false;
	}
	return true;
}

static void sync_file(void *arg)
{
	struct syncing *s = arg;

	s->error = s->file->ops->sync(s->file, false);
}

/* In another thread, since this one is spared. */
static int sync_in_need(struct syncing *s)
{
	static const struct thread_attr attr = {
		.name = "sync", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t;

	if (thread_create(&attr, sync_file, s, 0, &t) != 0)
		return -ENOMEM;
	buffers_reclaim(&ext4_super_of(s->file->object)->buffers, SIZE_MAX);
	host_shortage(1, s->failures);
	thread_start(t);
	thread_join(t);
	host_shortage(0, 0);
	return s->error;
}

/* What is asked for may be there, in the journal: then sync goes well. */
static bool loses_nothing(const char *mode, uint8_t byte)
{
	struct syncing s = { .failures = 3 };
	bool well;
	int error;

	if (testdisk_mount(0, mode) != 0 ||
	    vfs_open(NULL, "/t/f", O_RDWR | O_CREAT, 0644, &s.file) != 0)
		return false;
	well = write_pieces(s.file, byte) && sync_in_need(&s) == 0 &&
	       write_pieces(s.file, byte + 1);
	s.failures = UINT64_MAX;
	error = well ? sync_in_need(&s) : 0;
	well = well && (error == -ENOMEM || !error) && may_be_written() &&
	       s.file->ops->sync(s.file, false) == 0;
	file_put(s.file);
	well &= testdisk_unmount() == 0;
	return well && testdisk_mount(MS_RDONLY, "") == 0 && has_pieces(byte + 1) &&
	       testdisk_unmount() == 0;
}

TEST(ext4_keeps_dirty_bytes_for_want_of_memory)
{
	CHECK(testdisk_make("-b 1024 " DEBIAN_13, DISK_MIB, NULL));
	CHECK(loses_nothing("data=ordered", 10));
	CHECK(loses_nothing("data=journal", 20));
	CHECK(loses_nothing("data=ordered", 30)); /* no block is new */
	CHECK_EQ(testdisk_judge(), 0);
}
