/*
 * ext4 on a disk that fails: each read, write and flush of a history in turn, once or from then on.
 *
 * Several threads work (crash_model.h), each until something fails. Then the file system must still
 * be unmounted, what the disk has kept must mount again, hold all that was promised by fsync() and
 * sync(), and please e2fsck -fn; and memory is as it was before. What was written and not promised
 * may be there or not, and where a file's bytes could not be written its blocks hold any: only the
 * journal is aborted by its own errors.
 *
 * A test run takes a sample of the commands; FAULTS=n asks for n places of each kind (0: all),
 * FAULT_SEED=n for another sample, FAULT_AT=n for that place alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <libos/vfs.h>

#include "crash_model.h"
#include "testdisk.h"

#define DISK_MIB   4u
#define DISK_BYTES MIB(DISK_MIB)
#define BATCH      40u
#define PLACES     2u
/* objects and pages: many runs lose more than what is kept in one or two places */
#define SPARE_MEMORY 40u

enum command { READS, WRITES, FLUSHES, COMMANDS };

static const char *const command_names[] = { "read", "write", "flush" };
static const char *const modes[] = { "data=ordered", "data=writeback", "data=journal", "delalloc" };

struct fault {
	const char *mode;
	enum command command;
	uint64_t number;              /* of the command that fails; 0: none */
	bool for_ever;
	uint64_t seed;
};

static struct recdev *disk;
static uint8_t *image, *kept;
static struct crash_worker workers[CRASH_WORKERS];
static struct fault waiting[BATCH];
static unsigned waiting_count;

static bool complain(const struct fault *f, const char *what)
{
	test_print("%s: %s, %s %llu fails %s, FAULT_SEED=%llu\n", what, f->mode,
		   command_names[f->command], (unsigned long long)f->number,
		   f->for_ever ? "and all after it" : "once", (unsigned long long)f->seed);
	return false;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* ---- memory ---- */

static void add_objects(const struct kmem_stats *s, void *arg)
{
	*(size_t *)arg += s->in_use;
}

/* Objects and whole pages. Slabs come and go, and harts keep some objects. */
static size_t memory_in_use(void)
{
	struct page_stats pages;
	size_t sum = 0;

	kmem_for_each(add_objects, &sum);
	page_stats(&pages);
	return sum + pages.total_pages - pages.free_pages - pages.by_owner[PAGE_SLAB];
}

/* ---- e2fsck ---- */

static bool ask_e2fsck(void)
{
	static char said[4096];
	bool well = true;

	testdisk_output("for d in kept.*; do test -f $d || continue; e2fsck -fn $d > said 2>&1 || "
			"{ echo $d; head -c 1500 said; }; done", said, sizeof(said));
	for (unsigned i = 0; i < waiting_count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "kept.%u\n", i);
		for (const char *at = said; *at; at++) {
			if (str_starts_with(at, name))
				well = complain(&waiting[i], "e2fsck is not content");
		}
	}
	if (*said)
		test_print("%s\n", said);
	testdisk_shell("rm -f kept.*");
	waiting_count = 0;
	return well && !*said;
}

static bool show_e2fsck(const struct fault *f)
{
	char path[80];
	FILE *out;
	bool ok;

	snprintf(path, sizeof(path), "%s/kept.%u", getenv("T"), waiting_count);
	waiting[waiting_count++] = *f;
	out = fopen(path, "wb");
	ok = out && fwrite(disk->bytes, 1, DISK_BYTES, out) == DISK_BYTES;
	ok = out && !fclose(out) && ok;
	return ok && (waiting_count < BATCH || ask_e2fsck());
}

/* ---- one fault ---- */

static void arm(const struct fault *f)
{
	recdev_load(disk, image);
	disk->shuffle = f->seed * 2 + 1;
	disk->faults = (struct rec_faults){
		.read = f->command == READS ? f->number : 0,
		.write = f->command == WRITES ? f->number : 0,
		.flush = f->command == FLUSHES ? f->number : 0, .for_ever = f->for_ever,
	};
}

static bool is_struck(const struct fault *f)
{
	return (f->command == WRITES ? disk->writes : disk->flushes) >= f->number;
}

/*
 * Writes that fail for good make the file system read-only once somebody has waited for one. The
 * first sync() may still go well, if what fails is the way home of what it made durable; who waits
 * may hear of it before the file system does.
 */
static bool is_read_only_now(const struct fault *f)
{
	int error;

	vfs_sync_all();
	if (!is_struck(f))
		return true;
	if (!vfs_sync_all())
		return false;
	while ((error = vfs_create(NULL, "/t/late", S_IFREG | 0644, 0, NULL)) == -EIO)
		thread_yield();
	return error == -EROFS;
}

static bool work_and_fail(const struct fault *f)
{
	bool well = true;

	arm(f);
	memset(workers, 0, sizeof(workers));
	for (unsigned i = 0; i < CRASH_WORKERS; i++)
		workers[i].states[0].growing = -1;
	if (testdisk_mount(0, f->mode) != 0)
		return f->number || complain(f, "it cannot be mounted");
	if (crash_work(workers, disk, f->seed) && !f->number)
		well = complain(f, "an operation fails for nothing");
	if (f->number && f->for_ever && f->command != READS && !is_read_only_now(f))
		well = complain(f, "it is not read-only");
	if (testdisk_unmount() != 0)
		well = complain(f, "it cannot be unmounted");
	return well;
}

/*
 * sync() tells of what fails while it writes, not of bytes that write-back has lost before: those
 * are told by the fsync() of their file, so only of that they are promised.
 */
static const char *judge_worker(const struct fault *f, const struct crash_worker *w)
{
	struct crash_promise promise = w->promise;

	if (!f->number)
		return crash_judge(w, &promise, CRASH_OWN_BYTES);
	promise.all = 0;
	return crash_judge(w, &promise, CRASH_ANY_BYTES);
}

/* What the disk has kept, against what was promised. */
static bool judge(const struct fault *f)
{
	const char *wrong = NULL;

	memcpy(kept, disk->bytes, DISK_BYTES);
	recdev_load(disk, kept);
	if (testdisk_mount(0, f->mode) != 0)
		return complain(f, "what is left cannot be mounted");
	for (unsigned i = 0; i < CRASH_WORKERS && !wrong; i++)
		wrong = judge_worker(f, &workers[i]);
	if (testdisk_unmount() != 0 && !wrong)
		wrong = "what is left cannot be unmounted";
	return wrong ? complain(f, wrong) : show_e2fsck(f);
}

static bool try_fault(const struct fault *f)
{
	return work_and_fail(f) && judge(f);
}

/* ---- all of them ---- */

/* How many commands of each kind a run without faults gives. */
static bool count_commands(struct fault f, uint64_t counts[COMMANDS])
{
	f.number = 0;
	if (!work_and_fail(&f))
		return false;
	counts[READS] = disk->reads;
	counts[WRITES] = disk->writes;
	counts[FLUSHES] = disk->flushes;
	return judge(&f);
}

static bool try_places(struct fault f, uint64_t count)
{
	uint64_t places = number_of("FAULTS", PLACES), step = places ? MAX(count / places, 1u) : 1;
	uint64_t only = number_of("FAULT_AT", 0);
	bool well = true;

	for (f.number = 1 + f.seed * 7 % step; well && f.number <= count; f.number += step) {
		if (only && f.number != only)
			continue;
		for (unsigned twice = 0; well && twice < 2; twice++) {
			f.for_ever = twice;
			well = try_fault(&f);
		}
	}
	return well;
}

static bool try_mode(struct fault f)
{
	uint64_t counts[COMMANDS];
	bool well = count_commands(f, counts);
	size_t before = memory_in_use(), after;

	for (f.command = READS; well && f.command < COMMANDS; f.command++)
		well = try_places(f, counts[f.command]);
	after = memory_in_use();
	if (after > before + SPARE_MEMORY)
		well = complain(&f, "memory is lost");
	return well;
}

static bool make_image(void)
{
	if (!testdisk_make("-b 1024 " DEBIAN_13, DISK_MIB, NULL) || testdisk_mount(0, "") != 0)
		return false;
	disk = container_of(testdisk_dev(), struct recdev, dev);
	if (crash_prepare() != 0 || testdisk_unmount() != 0)
		return false;
	memcpy(image, disk->bytes, DISK_BYTES);
	return true;
}

TEST(ext4_loses_nothing_that_was_synced_when_its_disk_fails)
{
	struct fault f = { .seed = number_of("FAULT_SEED", 1) };
	bool well;

	image = malloc(DISK_BYTES);
	kept = malloc(DISK_BYTES);
	well = image && kept && make_image();
	for (unsigned i = 0; well && i < ARRAY_SIZE(modes); i++) {
		f.mode = modes[i];
		well = try_mode(f);
	}
	well = well && ask_e2fsck();
	free(image);
	free(kept);
	CHECK(well);
}
