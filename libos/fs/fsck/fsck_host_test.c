/*
 * The checker on disks in memory: a repair that is cut at every place, and damage by the handful,
 * which must neither lead it astray nor be made worse. tests/fsck holds it against e2fsck.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/fsck.h>

#include "../../dev/powercut.h"
#include "../ext4/testdisk.h"

#define DISK_MIB  3u
#define DISK_SIZE MIB(DISK_MIB)
#define TREE \
	"mkdir -p a/b; seq 1 9000 > a/f; for n in $(seq 1 90); do echo $n > a/b/a_longer_name_$n; done; ln a/f a/b/g; " \
	"ln -s a/f link"
#define OPTIONS   " -b 1024 -g 2048 -J size=1 -U 6b696c6e-0000-4000-8000-00000000f5cc"

static uint64_t sentences;

/* A second disk, and the one that testdisk.h keeps: devices stay for ever, so there are no more. */
static struct recdev *spare_disk(void)
{
	static struct recdev *spare;

	if (!spare)
		spare = recdev_create(DISK_SIZE);
	return spare;
}

static struct recdev *test_disk(void)
{
	return container_of(testdisk_dev(), struct recdev, dev);
}

static void count_sentence(void *arg, const char *sentence)
{
	(void)arg, (void)sentence;
	sentences++;
}

static int check(struct blkdev *d, bool repair, struct fsck_result *r)
{
	struct fsck_options o = { .recover = repair, .repair = repair, .say = count_sentence };

	return fsck_ext4(d, &o, r);
}

static bool is_clean(struct blkdev *d)
{
	struct fsck_result r;

	return !check(d, false, &r) && !r.damage && !r.counts && !r.recovered;
}

TEST(fsck_finds_nothing_on_disks_of_mke2fs)
{
	static const char *const kinds[] = { DEBIAN_12 OPTIONS, DEBIAN_13 OPTIONS, PLAIN OPTIONS,
					     EXT2 };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		CHECK(testdisk_make(kinds[i], DISK_MIB, TREE));
		CHECK(is_clean(testdisk_dev()));
	}
}

/* ---- a repair that is cut ---- */

/*
 * By debugfs: blocks and inodes that are in use become free and the reverse, counts become wrong.
 */
#define WRONG \
	"for c in 'freeb 900 40' 'setb 2800 70' 'freei <14>' 'seti <100>' 'ssv free_blocks_count 7'; do " \
	"debugfs -w -R \"$c\" disk >/dev/null 2>&1; done"

/*
 * What a cut has left is repaired by the next run, and then right for e2fsck, too (which is asked
 * now and then).
 */
static bool survives(struct recdev *spare, const uint8_t *cut, bool ask)
{
	struct fsck_result r;

	recdev_load(spare, cut);
	if (check(&spare->dev, true, &r) || r.damage || !is_clean(&spare->dev))
		return false;
	if (!ask)
		return true;
	memcpy(testdisk_bytes(), spare->bytes, DISK_SIZE);
	return !testdisk_judge();
}

static unsigned cut_everywhere(const struct recdev *recorded, const uint8_t *before,
			       struct recdev *spare, bool *well)
{
	uint8_t *cut = page_alloc_exact(DISK_SIZE, PAGE_KERNEL);
	struct powercut p;
	unsigned cuts = 0;

	*well = cut && powercut_begin(&p, recorded, before);
	if (!*well)
		return 0;
	while (*well && powercut_step(&p)) {
		for (uint64_t seed = 1; *well && seed <= 3; seed++, cuts++) {
			powercut_sample(&p, seed, cut);
			*well = survives(spare, cut, cuts % 16 == 0);
		}
	}
	powercut_end(&p);
	page_free_exact(cut, DISK_SIZE);
	return cuts;
}

TEST(fsck_repairs_what_a_cut_repair_has_left)
{
	struct recdev *disk, *spare = spare_disk();
	uint8_t *before = page_alloc_exact(DISK_SIZE, PAGE_KERNEL);
	struct fsck_result r;
	unsigned cuts;
	bool well;

	CHECK(spare && before);
	CHECK(testdisk_make(DEBIAN_12 OPTIONS, DISK_MIB, TREE));
	CHECK(!testdisk_shell(WRONG) && testdisk_load(DISK_MIB));
	disk = test_disk();
	memcpy(before, disk->bytes, DISK_SIZE);
	recdev_record(disk, true);
	CHECK_EQ(check(&disk->dev, true, &r), 0);
	CHECK(r.repaired && r.counts && !r.damage);
	CHECK(is_clean(&disk->dev));
	cuts = cut_everywhere(disk, before, spare, &well);
	CHECK(well);
	CHECK(cuts >= 20);
	recdev_record(disk, false);
	page_free_exact(before, DISK_SIZE);
}

/* ---- damage by the handful ---- */

/*
 * Mostly where metadata lies: the first blocks, and what inodes, directories and maps occupy behind
 * them.
 */
static void smash(uint8_t *disk, unsigned strokes)
{
	static const uint8_t values[] = { 0, 1, 2, 4, 12, 0x7f, 0x80, 0xf3, 0xfe, 0xff };

	while (strokes--) {
		uint64_t range = test_random_below(4) ? KIB(700) : DISK_SIZE;
		uint64_t at = 1024 + test_random_below(range - 1024);

		disk[at] = test_random_below(2) ? (uint8_t)test_random()
						: values[test_random_below(ARRAY_SIZE(values))];
	}
}

static bool is_answer(int error)
{
	return !error || error == -EINVAL || error == -EUCLEAN || error == -EOPNOTSUPP ||
	       error == -EIO;
}

/* Without checksums nothing keeps the checker from what is damaged. */
TEST(fsck_survives_any_damage)
{
	struct recdev *disk = spare_disk();
	struct fsck_result r;

	CHECK(disk && testdisk_make(PLAIN OPTIONS, DISK_MIB, TREE));
	test_seed(4);
	for (unsigned i = 0; i < 150; i++) {
		recdev_load(disk, testdisk_bytes());
		smash(disk->bytes, 1u << test_random_below(12));
		sentences = 0;
		recdev_record(disk, true);
		CHECK(is_answer(check(&disk->dev, false, &r)));
		CHECK_EQ(disk->count, 0);
		CHECK(sentences < 1000);
	}
	recdev_record(disk, false);
}

TEST(fsck_tells_errors_of_the_disk)
{
	struct recdev *disk = spare_disk();
	struct fsck_result r;
	uint64_t reads;

	CHECK(disk && testdisk_make(DEBIAN_12 OPTIONS, DISK_MIB, TREE));
	recdev_load(disk, testdisk_bytes());
	CHECK_EQ(check(&disk->dev, false, &r), 0);
	reads = disk->reads;
	CHECK(reads > 20);
	for (uint64_t n = 1; n <= reads; n += 1 + reads / 40) {
		recdev_load(disk, testdisk_bytes());
		disk->faults.read = n;
		disk->faults.for_ever = true;
		CHECK_EQ(check(&disk->dev, false, &r), -EIO);
	}
	recdev_load(disk, testdisk_bytes());
}
