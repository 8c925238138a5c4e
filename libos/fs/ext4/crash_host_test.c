/*
 * ext4 and the power: random work in several threads on a recorded disk, and every disk that a cut could have left.
 *
 * Each of these is mounted (which replays and clears orphans), compared with what the workers may see
 * (crash_model.h), unmounted, and shown to e2fsck -fn. Some are replayed by e2fsck -fy instead, and must
 * then hold the same trees. Some mounts are recorded and cut as well. Disks that look the same apart from
 * their journals and times are shown to e2fsck once.
 *
 * CRASH_CUTS=n asks for more cuts than a test run has; CRASH_SEED=n repeats one history.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/assert.h>
#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/vfs.h>

#include "../../dev/powercut.h"
#include "crash_model.h"
#include "testdisk.h"

#define DISK_MIB   4u
#define DISK_BYTES MIB(DISK_MIB)
#define CUTS       400u
#define CUTS_EACH  50u    /* of one history */
#define BATCH      40u    /* disks for e2fsck at a time */
#define HASHES     (1u << 21)

/* Nothing by chance, so that a seed repeats all. */
#define SAME "-b 1024 -U 6b696c6e-0000-4000-8000-000000000001 -E hash_seed=6b696c6e-0000-4000-8000-000000000002 "

static const char *const kinds[] = { SAME DEBIAN_13, SAME DEBIAN_12, SAME PLAIN };

struct crash {
	uint64_t seed;
	const char *kind;
	struct recdev *disk;                      /* testdisk's */
	struct crash_worker workers[CRASH_WORKERS];
	uint32_t promised[CRASH_WORKERS];         /* at the walk's place */
	size_t event;                             /* the walk's place */
	uint64_t cut_seed;
	uint64_t cuts, distinct, judged;
	uint32_t journal_first, journal_last;     /* blocks of 1 KiB */
};

/* A disk that waits for e2fsck. */
struct waiting { uint64_t seed, cut_seed; const char *kind; size_t event; bool by_e2fsck; struct crash_tree tree; };

static struct recdev *spare, *again;
static uint8_t *image, *cut;
static uint64_t *cuts_seen, *disks_seen;          /* hashes: open addressing, 0 is free */
static struct waiting waiting[BATCH];
static unsigned waiting_count;

static bool set_up(void)
{
	if (spare)
		return true;
	setenv("E2FSPROGS_FAKE_TIME", "1700000000", 1);
	spare = recdev_create(DISK_BYTES);
	again = recdev_create(DISK_BYTES);
	image = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	cut = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	cuts_seen = calloc(HASHES, sizeof(*cuts_seen));
	disks_seen = calloc(HASHES, sizeof(*disks_seen));
	return spare && again && image && cut && cuts_seen && disks_seen;
}

static bool is_new(uint64_t *table, uint64_t hash)
{
	size_t at = (hash |= 1) % HASHES;

	while (table[at] && table[at] != hash)
		at = (at + 1) % HASHES;
	if (table[at])
		return false;
	table[at] = hash;
	return true;
}

static bool complain(const struct crash *c, const char *what)
{
	test_print("%s: history CRASH_SEED=%llu (%s), event %zu, cut %llu\n", what, (unsigned long long)c->seed,
		   c->kind, c->event, (unsigned long long)c->cut_seed);
	return false;
}

/* ---- mounting ---- */

static int mount_disk(struct recdev *r)
{
	struct path at;
	int error = vfs_walk(NULL, "/t", WALK_DIR, &at);

	if (error)
		return error;
	error = vfs_mount("ext4", r->dev.name, &at, 0, "");
	path_put(&at);
	return error;
}

static int unmount_disk(void)
{
	struct path at;
	int error = vfs_walk(NULL, "/t", WALK_DIR, &at);

	if (error)
		return error;
	error = vfs_unmount(&at);
	if (error)
		path_put(&at);
	return error;
}

/* ---- e2fsck ---- */

static bool store(const char *kind, unsigned number, const uint8_t *bytes)
{
	char path[80];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s.%u", getenv("T"), kind, number);
	f = fopen(path, "wb");
	ok = f && fwrite(bytes, 1, DISK_BYTES, f) == DISK_BYTES;
	return f && !fclose(f) && ok;
}

static bool load(const char *kind, unsigned number, struct recdev *r)
{
	char path[80];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s.%u", getenv("T"), kind, number);
	f = fopen(path, "rb");
	recdev_load(r, NULL);
	ok = f && fread(r->bytes, 1, DISK_BYTES, f) == DISK_BYTES;
	if (f)
		fclose(f);
	return ok;
}

/* What e2fsck has replayed holds the same trees. */
static bool compare_trees(struct crash *c, unsigned number, const struct crash_tree *tree)
{
	struct crash_tree theirs;

	if (!load("replayed", number, spare) || mount_disk(spare) != 0)
		return complain(c, "what e2fsck replayed cannot be mounted");
	crash_look(&theirs);
	if (unmount_disk() != 0 || !crash_trees_equal(tree, &theirs))
		return complain(c, "e2fsck's replay leaves another tree");
	return true;
}

/* All disks that wait. On a failure, e2fsck's words are the test's. */
static bool ask_e2fsck(struct crash *c)
{
	static char said[4096];
	struct crash was = *c;
	bool well = true;

	testdisk_output("for d in clean.*; do test -f $d || continue; e2fsck -fn $d > said 2>&1 || "
			"{ echo $d; head -c 1500 said; }; done; "
			"for d in replayed.*; do test -f $d || continue; e2fsck -fy $d > said 2>&1; "
			"test $? -le 1 || { echo $d; head -c 1500 said; }; done", said, sizeof(said));
	for (unsigned i = 0; i < waiting_count; i++) {
		char name[32];

		c->seed = waiting[i].seed;
		c->cut_seed = waiting[i].cut_seed;
		c->kind = waiting[i].kind;
		c->event = waiting[i].event;
		snprintf(name, sizeof(name), "%s.%u\n", waiting[i].by_e2fsck ? "replayed" : "clean", i);
		for (const char *at = said; *said && *at; at++) {
			if (str_starts_with(at, name))
				well = complain(c, "e2fsck is not content");
		}
		if (well && waiting[i].by_e2fsck)
			well = compare_trees(c, i, &waiting[i].tree);
	}
	if (*said)
		test_print("%s\n", said);
	testdisk_shell("rm -f clean.* replayed.*");
	waiting_count = 0;
	c->seed = was.seed;
	c->cut_seed = was.cut_seed;
	c->kind = was.kind;
	c->event = was.event;
	return well && !*said;
}

static bool show_e2fsck(struct crash *c, const uint8_t *bytes, bool by_e2fsck, const struct crash_tree *tree)
{
	assert(waiting_count < BATCH);
	waiting[waiting_count] = (struct waiting){ c->seed, c->cut_seed, c->kind, c->event, by_e2fsck, *tree };
	return store(by_e2fsck ? "replayed" : "clean", waiting_count++, bytes);
}

/* Without the journal's contents, and of the superblock only sizes and counts (its first bytes). */
static uint64_t hash_of_disk(const struct crash *c, const uint8_t *bytes)
{
	uint64_t first = (uint64_t)c->journal_first * 1024, last = ((uint64_t)c->journal_last + 1) * 1024;

	return powercut_hash(bytes + 1024, 0x28) ^ powercut_hash(bytes + 2048, first - 2048) * 3 ^
	       powercut_hash(bytes + last, DISK_BYTES - last) * 5;
}

/* ---- one cut ---- */

/* Mounts the disk, looks at everything, unmounts it: what is wrong, or NULL. */
static const char *look(struct crash *c, struct recdev *r, struct crash_tree *tree)
{
	const char *wrong = NULL;

	if (mount_disk(r) != 0)
		return "it cannot be mounted";
	for (unsigned i = 0; i < CRASH_WORKERS && !wrong; i++)
		wrong = crash_judge(&c->workers[i], c->promised[i]);
	crash_look(tree);
	if (unmount_disk() != 0 && !wrong)
		wrong = "it cannot be unmounted";
	return wrong;
}

static bool judge_disk(struct crash *c, struct recdev *r, const uint8_t *bytes, struct crash_tree *tree)
{
	const char *wrong;

	recdev_load(r, bytes);
	recdev_record(r, r == spare);
	r->shuffle = c->cut_seed;
	wrong = look(c, r, tree);
	recdev_mark(r, 0);
	if (wrong)
		return complain(c, wrong);
	if (!is_new(disks_seen, hash_of_disk(c, r->bytes)))
		return true;
	c->judged++;
	return show_e2fsck(c, r->bytes, false, tree);
}

/* The mount that `spare` has recorded is cut too. */
static bool cut_the_mount(struct crash *c)
{
	struct powercut p;
	struct crash_tree tree;
	bool well = powercut_begin(&p, spare, cut);

	for (size_t n = c->cut_seed % (spare->count + 1); well && n; n--)
		powercut_step(&p);
	if (well)
		powercut_sample(&p, c->cut_seed, cut);
	powercut_end(&p);
	return well && judge_disk(c, again, cut, &tree);
}

/* Up to three disks come of it for e2fsck. */
static bool judge_cut(struct crash *c, const struct powercut *p)
{
	struct crash_tree tree;

	if (waiting_count + 3 > BATCH && !ask_e2fsck(c))
		return false;
	powercut_sample(p, c->cut_seed, cut);
	c->event = p->at;
	c->cuts++;
	c->distinct += is_new(cuts_seen, powercut_hash(cut, DISK_BYTES));
	if (!judge_disk(c, spare, cut, &tree))
		return false;
	if (c->cut_seed % 8 == 0)
		return cut_the_mount(c);
	return c->cut_seed % 8 != 1 || show_e2fsck(c, cut, true, &tree);
}

/* ---- histories ---- */

static bool find_journal(struct crash *c)
{
	char text[64];

	testdisk_output("debugfs -R 'blocks <8>' disk 2>/dev/null | tr -s ' ' '\\n' | sed -n '1p;$p'", text, sizeof(text));
	c->journal_first = (uint32_t)strtoul(text, NULL, 10);
	testdisk_output("debugfs -R 'blocks <8>' disk 2>/dev/null | tr -s ' ' '\\n' | tail -1", text, sizeof(text));
	c->journal_last = (uint32_t)strtoul(text, NULL, 10);
	return c->journal_first > 2 && c->journal_last > c->journal_first &&
	       c->journal_last < DISK_BYTES / 1024 - 1;
}

/* The workers' folders are there before the history begins. */
static bool prepare(struct crash *c)
{
	if (!testdisk_make(c->kind, DISK_MIB, NULL) || !find_journal(c))
		return false;
	c->disk = container_of(testdisk_dev(), struct recdev, dev);
	if (testdisk_mount(0, "") != 0)
		return false;
	return crash_prepare() == 0 && testdisk_unmount() == 0;
}

static bool record(struct crash *c)
{
	const char *wrong = NULL;
	int error;

	memcpy(image, c->disk->bytes, DISK_BYTES);
	recdev_record(c->disk, true);
	c->disk->shuffle = c->seed;
	if (mount_disk(c->disk) != 0)
		return false;
	error = crash_work(c->workers, c->disk, c->seed);
	if (error)
		test_print("history CRASH_SEED=%llu: error %d\n", (unsigned long long)c->seed, error);
	for (unsigned i = 0; i < CRASH_WORKERS && !wrong; i++)
		wrong = crash_judge(&c->workers[i], c->workers[i].last);
	if (wrong)
		complain(c, wrong);
	return unmount_disk() == 0 && !error && !wrong;
}

static bool cut_history(struct crash *c)
{
	const struct rec_event *e;
	struct powercut p;
	uint64_t done = 0;
	bool well = powercut_begin(&p, c->disk, image);

	memset(c->promised, 0, sizeof(c->promised));
	while (well && (e = powercut_step(&p))) {
		if (e->kind == REC_MARK)
			c->promised[e->of >> 32] = MAX(c->promised[e->of >> 32], (uint32_t)e->of);
		for (; well && done < CUTS_EACH * p.at / c->disk->count; done++) {
			c->cut_seed = c->seed * 1000003 + done;
			well = judge_cut(c, &p);
		}
	}
	powercut_end(&p);
	return well;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

TEST(ext4_survives_power_cuts)
{
	static struct crash c;
	uint64_t wanted = number_of("CRASH_CUTS", CUTS);

	CHECK(set_up());
	c.cuts = c.distinct = c.judged = 0;
	for (c.seed = number_of("CRASH_SEED", 1); c.cuts < wanted; c.seed++) {
		c.kind = kinds[c.seed % ARRAY_SIZE(kinds)];
		CHECK(prepare(&c));
		CHECK(record(&c));
		CHECK(cut_history(&c));
	}
	CHECK(ask_e2fsck(&c));
	if (wanted > CUTS)
		test_print("%llu cuts, %llu distinct, %llu disks judged by e2fsck\n", (unsigned long long)c.cuts,
			   (unsigned long long)c.distinct, (unsigned long long)c.judged);
}
