/*
 * ext4 where memory runs out: each allocation of a history in turn, once or all from then on.
 *
 * Several threads work (crash_model.h), each until something fails. What the want of memory left half done must not become
 * durable: the file system can be unmounted, mounts again, and e2fsck -fn is content.
 *
 * A test run takes a sample; SHORTAGES=n asks for n places in each mode (0: all), SHORTAGE_SEED=n for another
 * history, SHORTAGE_AT=n for one place.
 */
#include <stdlib.h>

#include <arch/shortage.h>
#include <core/string.h>
#include <core/test.h>

#include "crash_model.h"
#include "testdisk.h"

#define DISK_MIB 4u
#define PLACES   8u

static const char *const modes[] = { "data=ordered", "data=journal" };

static struct recdev *disk;
static uint8_t *image;
static struct crash_worker workers[CRASH_WORKERS];
static uint64_t seed, fails_at;
static bool for_ever;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* *allocations: by the workers and the threads below them. */
static bool work(const char *mode, uint64_t *allocations)
{
	bool well;

	recdev_load(disk, image);
	if (testdisk_mount(0, mode) != 0)
		return false;
	host_shortage(fails_at, for_ever);
	crash_work(workers, disk, seed);
	well = testdisk_unmount() == 0;
	*allocations = host_allocations();
	host_shortage(0, false);
	return well;
}

/* The mount replays, and takes care of orphans. */
static bool comes_back(void)
{
	return testdisk_mount(0, "") == 0 && testdisk_unmount() == 0 && testdisk_judge() == 0;
}

static bool try_place(const char *mode, uint64_t place)
{
	uint64_t allocations;

	fails_at = place;
	for (for_ever = false;; for_ever = true) {
		if (!work(mode, &allocations) || !comes_back()) {
			test_print("%s, allocation %llu fails %s, SHORTAGE_SEED=%llu\n", mode, (unsigned long long)place,
				   for_ever ? "and all after it" : "once", (unsigned long long)seed);
			return false;
		}
		if (for_ever)
			return true;
	}
}

static bool try_mode(const char *mode)
{
	uint64_t count, places = number_of("SHORTAGES", PLACES), only = number_of("SHORTAGE_AT", 0), step;
	bool well;

	fails_at = 0;
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
	well = image && testdisk_make("-b 1024 " DEBIAN_13, DISK_MIB, NULL) && testdisk_mount(0, "") == 0;
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
