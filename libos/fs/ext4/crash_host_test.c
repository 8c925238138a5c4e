/*
 * ext4 and the power: random work in several threads on a recorded disk, and every disk that a cut
 * could have left.
 *
 * The places of a history that matter are those just before less is pending: before a flush, and
 * before the end of a write with FUA. What a cut may leave anywhere between two such places, it may
 * leave at the second. At each, every subset of the pending writes is tried if there are few, else
 * a sample; and some with writes torn at 512 bytes.
 *
 * Each of these disks is mounted (which replays and clears orphans), compared with what the workers
 * may see (crash_model.h), unmounted, and judged by our own checker and e2fsck -fn. Copies are
 * replayed by e2fsck -fy instead, and must then hold the same trees. Mounts are recorded and cut as
 * well. Disks that look the same apart from their journals and times are shown to e2fsck -fn once.
 *
 * CRASH_CUTS=n asks for n distinct disks, and for more at each place than a test run has;
 * CRASH_SEED=n begins with that history. What is tried depends on the history's seed and the place
 * alone, so CRASH_SEED repeats a failure, with CRASH_CUTS=1 if it came with CRASH_CUTS.
 * CRASH_HASHES=file gets a line for each distinct disk.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/fsck.h>
#include <libos/vfs.h>

#include "../../dev/powercut.h"
#include "crash_e2fsck.h"
#include "testdisk.h"

#define CUTS       2000u
#define DISKS_EACH 4u              /* of one cut, at most, for e2fsck */
#define SAMPLE     (1ull << 32)    /* in a cut's number: not a subset but a sample */
#define TORN       (1ull << 33)

/* Nothing by chance, so that a seed repeats all. */
#define SAME                                                                                       \
	"-N 128 -U 6b696c6e-0000-4000-8000-000000000001 -E hash_seed=6b696c6e-0000-4000-8000-000000000002 "
#define ONE  "-b 1024 -J size=1 " SAME
#define TWO  "-b 2048 -J size=2 " SAME
#define FOUR "-b 4096 -J size=4 " SAME

static struct crash_kind kinds[] = {
	{ .name = "as Debian 13",
	  .make = ONE DEBIAN_13,
	  .mount = "",
	  .mib = 3,
	  .block_bytes = 1024 },
	{ .name = "as Debian 12",
	  .make = ONE DEBIAN_12,
	  .mount = "",
	  .mib = 3,
	  .block_bytes = 1024 },
	{ .name = "no checksums", .make = ONE PLAIN, .mount = "", .mib = 3, .block_bytes = 1024 },
	{ .name = "data=journal",
	  .make = ONE DEBIAN_13,
	  .mount = "data=journal",
	  .bytes = CRASH_ZEROES,
	  .mib = 3,
	  .block_bytes = 1024 },
	{ .name = "data=writeback",
	  .make = ONE DEBIAN_13,
	  .mount = "data=writeback",
	  .bytes = CRASH_ANY_BYTES,
	  .mib = 3,
	  .block_bytes = 1024 },
	{ .name = "delalloc",
	  .make = ONE DEBIAN_13,
	  .mount = "delalloc",
	  .mib = 3,
	  .block_bytes = 1024 },
	{ .name = "blocks of 4 KiB",
	  .make = FOUR DEBIAN_13,
	  .mount = "",
	  .mib = 9,
	  .block_bytes = 4096 },
	{ .name = "blocks of 2 KiB",
	  .make = TWO DEBIAN_12,
	  .mount = "",
	  .mib = 5,
	  .block_bytes = 2048 },
	{ .name = "2 KiB, data=journal, no checksums",
	  .make = TWO PLAIN,
	  .mount = "data=journal",
	  .bytes = CRASH_ZEROES,
	  .mib = 5,
	  .block_bytes = 2048 },
	{ .name = "4 KiB, delalloc",
	  .make = FOUR DEBIAN_12,
	  .mount = "delalloc",
	  .mib = 9,
	  .block_bytes = 4096 },
};

/* How thorough a run is. */
struct effort {
	unsigned stride;       /* one place in so many */
	unsigned each, torn;   /* cuts at a place, at most, and as many more that are torn */
	unsigned replays;      /* one cut in so many is shown to e2fsck -fy */
	unsigned mounts;       /* and of one in so many the mount is cut */
};

static const struct effort some = { 7, 8, 3, 6, 6 }, thorough = { 1, 64, 16, 1, 4 };

struct crash {
	struct crash_case what;
	struct crash_kind *kind;
	const struct effort *effort;
	struct recdev *disk;                      /* testdisk's */
	struct crash_worker workers[CRASH_WORKERS];
	struct crash_promise promises[CRASH_WORKERS]; /* at the walk's place */
	uint64_t tried, places, replayed, mounts_cut;
	struct crash_set distinct, judged, outcomes;
	FILE *hashes;
};

static struct recdev *spare, *again;
static uint8_t *image, *cut;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static size_t disk_bytes(const struct crash *c)
{
	return (size_t)MIB(c->kind->mib);
}

/* ---- one cut ---- */

static void show_sentence(void *arg, const char *sentence)
{
	(void)arg;
	test_print("fsck: %s\n", sentence);
}

static bool is_clean(struct recdev *r)
{
	static const struct fsck_options options = { .say = show_sentence };
	struct fsck_result found = { 0 };

	return fsck_ext4(&r->dev, &options, &found) == 0 && !found.damage && !found.counts;
}

/* Mounts the disk, looks at everything, unmounts it: what is wrong, or NULL. */
static const char *look(struct crash *c, struct recdev *r, struct crash_tree *tree)
{
	const char *wrong = NULL;
	bool seen;

	if (crash_mount(c->kind, r) != 0)
		return "it cannot be mounted";
	for (unsigned i = 0; i < CRASH_WORKERS && !wrong; i++)
		wrong = crash_judge(&c->workers[i], &c->promises[i], c->kind->bytes);
	seen = crash_look(tree);
	if (crash_unmount() != 0 && !wrong)
		wrong = "it cannot be unmounted";
	return wrong ? wrong : seen ? NULL : "its tree cannot be walked";
}

static bool judge_disk(struct crash *c, struct recdev *r, const uint8_t *bytes,
		       struct crash_tree *tree)
{
	const char *wrong;

	recdev_load(r, bytes);
	recdev_record(r, r == spare);
	r->shuffle = c->what.seed ^ c->what.cut;
	wrong = look(c, r, tree);
	recdev_record(r, false);
	if (wrong)
		return crash_complain(&c->what, wrong);
	if (!crash_is_new(&c->outcomes, crash_disk_hash(c->kind, r->bytes)))
		return true;
	if (!is_clean(r))
		return crash_complain(&c->what, "our own checker is not content");
	return crash_show(&c->what, CRASH_CLEAN, r->bytes, tree);
}

/* One in `share` of the cuts, by chance. */
static bool is_chosen(const struct crash *c, unsigned share)
{
	uint64_t of[] = { c->what.seed, c->what.event, c->what.cut };

	return (powercut_hash((const uint8_t *)of, sizeof(of)) >> 20) % share == 0;
}

/*
 * The mount that `spare` has recorded is cut too. In the end there is what there would have been
 * without.
 */
static bool cut_the_mount(struct crash *c, const struct crash_tree *tree)
{
	struct powercut p;
	struct crash_tree theirs;
	uint64_t seed = c->what.seed * 31 + c->what.event * 1009 + c->what.cut;
	bool well = powercut_begin(&p, spare, cut);

	for (size_t n = seed % (spare->count + 1); well && n; n--)
		powercut_step(&p);
	if (well)
		powercut_sample(&p, seed, cut);
	powercut_end(&p);
	c->mounts_cut++;
	if (!well)
		return crash_complain(&c->what, "no memory for cuts of its replay");
	if (!judge_disk(c, again, cut, &theirs))
		return false;
	return crash_trees_equal(tree, &theirs) ||
	       crash_complain(&c->what, "a replay that was cut leaves another tree");
}

/* The same disk may come of several cuts, and is judged once, but anew when more was promised. */
static bool was_judged(struct crash *c)
{
	uint64_t hash = powercut_hash(cut, disk_bytes(c));
	uint64_t promised = powercut_hash((const uint8_t *)c->promises, sizeof(c->promises));

	if (crash_is_new(&c->distinct, hash) && c->hashes)
		fprintf(c->hashes, "%016llx\n", (unsigned long long)hash);
	return !crash_is_new(&c->judged, hash * 3 ^ promised);
}

/* The disk in `cut`. */
static bool judge_cut(struct crash *c)
{
	struct crash_tree tree;

	if (!crash_has_room(DISKS_EACH) && !crash_answers(spare))
		return false;
	c->tried++;
	if (was_judged(c))
		return true;
	if (!judge_disk(c, spare, cut, &tree))
		return false;
	if (is_chosen(c, c->effort->replays)) {
		c->replayed++;
		if (!crash_show(&c->what, CRASH_REPLAY, cut, &tree))
			return crash_complain(&c->what, "it cannot be stored for e2fsck");
	}
	return !is_chosen(c, c->effort->mounts) || cut_the_mount(c, &tree);
}

/* ---- one place ---- */

static bool judge_number(struct crash *c, const struct powercut *p, uint64_t number)
{
	c->what.event = p->at;
	c->what.cut = number;
	if (number < SAMPLE)
		powercut_subset(p, number, cut);
	else
		powercut_sample(p, c->what.seed * 1000003 + number, cut);
	return judge_cut(c);
}

static bool judge_place(struct crash *c, const struct powercut *p)
{
	uint64_t subsets = powercut_subsets(p);
	bool all = subsets && subsets <= c->effort->each, well = true;

	c->places++;
	for (uint64_t n = 0; well && n < (all ? subsets : c->effort->each); n++)
		well = judge_number(c, p, all ? n : SAMPLE + n);
	for (uint64_t n = 0; well && p->pending_count && n < c->effort->torn; n++)
		well = judge_number(c, p, TORN + n);
	return well;
}

/* Will less be pending after the next event? */
static bool is_place(const struct powercut *p)
{
	const struct rec_event *events = p->recorded->events, *e = &events[p->at];

	if (p->at == p->recorded->count)
		return true;
	return e->kind == REC_FLUSH || (e->kind == REC_ENDED && events[e->of].fua);
}

static bool cut_history(struct crash *c)
{
	const struct rec_event *e;
	struct powercut p;
	uint64_t place = c->what.seed;
	bool well = powercut_begin(&p, c->disk, image) ||
		    crash_complain(&c->what, "no memory for its cuts");

	memset(c->promises, 0, sizeof(c->promises));
	do {
		if (well && is_place(&p) && place++ % c->effort->stride == 0)
			well = judge_place(c, &p);
		e = powercut_step(&p);
		if (e && e->kind == REC_MARK)
			crash_promised(c->promises, e->of);
	} while (well && e);
	powercut_end(&p);
	return well && crash_answers(spare);
}

/* ---- histories ---- */

static bool find_journal(struct crash_kind *k)
{
	char text[64], *rest;

	testdisk_output(
		"debugfs -R 'blocks <8>' disk 2>/dev/null | tr -s ' ' '\\n' | grep . | sed -n '1p;$p' | tr '\\n' ' '",
		text, sizeof(text));
	k->journal_from = strtoull(text, &rest, 10) * k->block_bytes;
	k->journal_to = (strtoull(rest, NULL, 10) + 1) * k->block_bytes;
	return k->journal_from > 2048 && k->journal_to > k->journal_from &&
	       k->journal_to < MIB(k->mib);
}

/*
 * A kind's disk is made once and copied. The workers' folders are there before the history begins.
 */
static bool prepare(struct crash *c)
{
	char copy[64];
	bool known = c->kind->journal_to;

	snprintf(copy, sizeof(copy), known ? "cp kind.%zu disk" : "cp disk kind.%zu",
		 (size_t)(c->kind - kinds));
	if (!known && (!testdisk_make(c->kind->make, c->kind->mib, NULL) || !find_journal(c->kind)))
		return false;
	if (testdisk_shell(copy) != 0 || !testdisk_load(c->kind->mib))
		return false;
	c->disk = container_of(testdisk_dev(), struct recdev, dev);
	if (!recdev_resize(spare, disk_bytes(c)) || !recdev_resize(again, disk_bytes(c)))
		return false;
	return testdisk_mount(0, "") == 0 && crash_prepare() == 0 && testdisk_unmount() == 0;
}

/* In the end everything is as the workers left it. */
static bool record(struct crash *c)
{
	const char *wrong = NULL;
	int error;

	memcpy(image, c->disk->bytes, disk_bytes(c));
	recdev_record(c->disk, true);
	c->disk->shuffle = c->what.seed;
	if (crash_mount(c->kind, c->disk) != 0)
		return crash_complain(&c->what, "it cannot be mounted");
	error = crash_work(c->workers, c->disk, c->what.seed);
	if (error)
		test_print("history CRASH_SEED=%llu: error %d\n", (unsigned long long)c->what.seed,
			   error);
	for (unsigned i = 0; i < CRASH_WORKERS && !wrong; i++) {
		c->promises[i] = (struct crash_promise){ .state = (uint16_t)c->workers[i].last };
		c->promises[i].all = c->promises[i].state;
		wrong = crash_judge(&c->workers[i], &c->promises[i], CRASH_OWN_BYTES);
	}
	if (wrong)
		crash_complain(&c->what, wrong);
	return crash_unmount() == 0 && !error && !wrong;
}

static bool judge_history(struct crash *c, uint64_t seed)
{
	c->kind = &kinds[seed % ARRAY_SIZE(kinds)];
	c->what = (struct crash_case){ .seed = seed, .kind = c->kind };
	if (!prepare(c))
		return crash_complain(&c->what, "its disk cannot be made");
	if (!record(c) || !cut_history(c))
		return false;
	if (c->hashes)
		fflush(c->hashes);
	return true;
}

static bool set_up(struct crash *c)
{
	const char *hashes = getenv("CRASH_HASHES");
	size_t largest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		largest = MAX(largest, (size_t)MIB(kinds[i].mib));
	setenv("E2FSPROGS_FAKE_TIME", "1700000000", 1);
	spare = recdev_create(PAGE_SIZE);
	again = recdev_create(PAGE_SIZE);
	image = malloc(largest);
	cut = malloc(largest);
	c->effort = getenv("CRASH_CUTS") ? &thorough : &some;
	c->hashes = hashes ? fopen(hashes, "a") : NULL;
	return spare && again && image && cut && (!hashes || c->hashes);
}

/* Memory is short in the program of all tests. */
static void tear_down(struct crash *c)
{
	free(image);
	free(cut);
	recdev_resize(spare, PAGE_SIZE);
	recdev_resize(again, PAGE_SIZE);
	free(c->distinct.hashes);
	free(c->judged.hashes);
	free(c->outcomes.hashes);
	if (c->hashes)
		fclose(c->hashes);
}

TEST(ext4_survives_power_cuts)
{
	static struct crash c;
	uint64_t wanted = number_of("CRASH_CUTS", CUTS), first = number_of("CRASH_SEED", 1),
		 seed = first;

	CHECK(set_up(&c));
	while (c.distinct.count < wanted)
		CHECK(judge_history(&c, seed++));
	if (getenv("CRASH_CUTS"))
		test_print(
			"%llu histories, %llu places, %llu cuts tried, %zu distinct, %zu outcomes judged by e2fsck, "
			"%llu replayed by it, %llu mounts cut\n",
			(unsigned long long)(seed - first), (unsigned long long)c.places,
			(unsigned long long)c.tried, c.distinct.count, c.outcomes.count,
			(unsigned long long)c.replayed, (unsigned long long)c.mounts_cut);
	tear_down(&c);
}
