/*
 * The journal and the power: what disks a cut could leave are replayed and judged by a model.
 *
 * Threads change groups of blocks. Each change gives every block of one group the same number,
 * counted by thread, in one handle; now and then a thread waits for durability and notes in the
 * disk's history what it was promised. And each thread has a block that is a file's now and
 * metadata then: freed, it is written to past the journal, as file data is. After a cut and a
 * replay
 *
 *   - the blocks of a group all have the same number (all or nothing);
 *   - a group has the number that it had when its thread's newest visible number was given (a later
 *     change of a thread is there only with all earlier ones);
 *   - that newest number is at least the promised one (durability);
 *   - a file's block that was promised has its bytes, until the next change is visible.
 *
 * CRASH_CUTS=n asks for more cuts than a test run has; CRASH_SEED=n repeats one history.
 */
#include <stdlib.h>

#include <core/errno.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "../../dev/powercut.h"
#include "lab.h"

#define DISK_BYTES   KIB(192)
#define BLOCK        1024u
#define LOG_BLOCKS   96u
#define THREADS      3u
#define GROUPS       4u
#define GROUP_BLOCKS 3u
#define CHANGES      40u
#define CUTS         2000u
#define CUTS_EACH    125u /* of one history */
#define HASHES       (1u << 21)

#define FILE_BYTE 0xf1u

/* What one thread did, as known to it alone. */
struct model {
	struct crash *crash;
	struct thread *thread;
	unsigned number;
	uint64_t state;
	/* that change n changed; GROUPS: it freed the file's block, and wrote it */
	uint8_t group[CHANGES + 1];
	int error;
};

struct crash {
	struct lab lab;
	struct model models[THREADS];
	uint64_t seed;
	uint32_t promised[THREADS];  /* at the walk's place */
	uint64_t cuts, distinct;
};

static struct recdev *disk, *spare, *again;
static uint8_t *image, *cut, *before;
static uint64_t *hashes;         /* of cuts that were seen: open addressing, 0 is free */

static bool set_up(void)
{
	if (disk)
		return true;
	disk = recdev_create(DISK_BYTES);
	spare = recdev_create(DISK_BYTES);
	again = recdev_create(DISK_BYTES);
	image = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	cut = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	before = page_alloc_exact(DISK_BYTES, PAGE_KERNEL);
	hashes = calloc(HASHES, sizeof(*hashes));
	return disk && spare && again && image && cut && before && hashes;
}

/* ---- the workload ---- */

static unsigned pick(struct model *m, unsigned limit)
{
	m->state = m->state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(m->state >> 33) % limit;
}

static uint64_t group_block(unsigned thread, unsigned group)
{
	return thread * (GROUPS * GROUP_BLOCKS + 1) + group * GROUP_BLOCKS;
}

static uint64_t file_block(unsigned thread)
{
	return group_block(thread, GROUPS);
}

/* One handle: all of a group. The file's block becomes metadata with its first change. */
static int change_group(struct model *m, unsigned change, unsigned group)
{
	struct lab *l = &m->crash->lab;
	struct journal_handle *h;
	int error = journal_start(l->journal, GROUP_BLOCKS, &h), stopped;

	if (error)
		return error;
	for (unsigned i = 0; i < GROUP_BLOCKS && !error; i++) {
		error = lab_fill(l, h, group_block(m->number, group) + i, (uint8_t)change);
		if (pick(m, 8) == 0)
			thread_yield();
	}
	stopped = journal_stop(h);
	return error ? error : stopped;
}

static void promise(struct model *m, unsigned change)
{
	recdev_mark(disk, (uint64_t)m->number << 32 | change);
}

/* Metadata, committed; freed, committed; a file's bytes, flushed. */
static int reuse_block(struct model *m, unsigned change)
{
	struct lab *l = &m->crash->lab;
	static uint8_t bytes[BLOCK];
	struct journal_handle *h;
	int error = lab_fill_one(l, file_block(m->number), (uint8_t)change);

	if (!error && pick(m, 2))
		error = journal_commit(l->journal);
	if (!error)
		error = journal_start(l->journal, 1, &h);
	if (error)
		return error;
	error = journal_forget(h, file_block(m->number), NULL);
	journal_stop(h);
	if (!error)
		error = journal_commit(l->journal);
	memset(bytes, FILE_BYTE, sizeof(bytes));
	if (!error)
		error = blkdev_write(&disk->dev, file_block(m->number) * BLOCK, bytes, BLOCK,
				     BLK_FUA);
	if (!error)
		promise(m, change);
	return error;
}

static int make_change(struct model *m, unsigned change)
{
	unsigned group = pick(m, GROUPS * 3) ? pick(m, GROUPS) : GROUPS;
	int error;

	m->group[change] = (uint8_t)group;
	if (group == GROUPS)
		return reuse_block(m, change);
	error = change_group(m, change, group);
	if (!error && pick(m, 6) == 0) {
		error = journal_commit(m->crash->lab.journal);
		promise(m, change);
	}
	if (!error && pick(m, 60) == 0)
		error = journal_checkpoint(m->crash->lab.journal);
	return error;
}

static void work(void *arg)
{
	struct model *m = arg;

	for (unsigned change = 1; change <= CHANGES && !m->error; change++)
		m->error = make_change(m, change);
}

/* A history on `disk`, recorded. False: something failed that should not. */
static bool record(struct crash *c, uint32_t features)
{
	static const struct thread_attr attr = {
		.name = "worker", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	bool well = true;

	lab_make(&c->lab, disk, BLOCK, LOG_BLOCKS, features);
	memcpy(image, disk->bytes, DISK_BYTES);
	recdev_record(disk, true);
	disk->shuffle = c->seed;
	if (lab_open(&c->lab) != 0)
		return false;
	for (unsigned i = 0; i < THREADS; i++) {
		c->models[i] = (struct model){ .crash = c, .number = i, .state = c->seed * 31 + i };
		if (thread_create(&attr, work, &c->models[i], 0, &c->models[i].thread) != 0)
			return false;
		thread_start(c->models[i].thread);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		thread_join(c->models[i].thread);
		well &= !c->models[i].error;
	}
	return lab_close(&c->lab) == 0 && well;
}

/* ---- the judge ---- */

/* The byte that fills the block, or -1. */
static int filled_with(const uint8_t *bytes, uint64_t block)
{
	const uint8_t *p = bytes + block * BLOCK;

	for (unsigned i = 1; i < BLOCK; i++) {
		if (p[i] != p[0])
			return -1;
	}
	return p[0];
}

static int group_value(const uint8_t *bytes, unsigned thread, unsigned group)
{
	int value = filled_with(bytes, group_block(thread, group));

	for (unsigned i = 1; i < GROUP_BLOCKS; i++) {
		if (filled_with(bytes, group_block(thread, group) + i) != value)
			return -1;
	}
	return value;
}

/* The last change of a group up to change `newest`; 0: none. */
static unsigned last_change(const struct model *m, unsigned group, unsigned newest)
{
	while (newest && m->group[newest] != group)
		newest--;
	return newest;
}

static const char *judge_thread(const struct crash *c, const struct model *m, const uint8_t *bytes)
{
	unsigned promised = c->promised[m->number], newest = promised, freed;

	for (unsigned g = 0; g < GROUPS; g++) {
		int value = group_value(bytes, m->number, g);

		if (value < 0)
			return "half of a change is there";
		newest = MAX(newest, (unsigned)value);
	}
	for (unsigned g = 0; g < GROUPS; g++) {
		if (group_value(bytes, m->number, g) != (int)last_change(m, g, newest))
			return "a change is missing";
	}
	freed = last_change(m, GROUPS, CHANGES);
	if (freed && freed <= promised && filled_with(bytes, file_block(m->number)) != FILE_BYTE)
		return "a file's bytes are lost";
	return NULL;
}

static const char *judge(const struct crash *c, const uint8_t *bytes)
{
	const char *wrong = NULL;

	for (unsigned i = 0; i < THREADS && !wrong; i++)
		wrong = judge_thread(c, &c->models[i], bytes);
	return wrong;
}

static int replay(const struct crash *c, struct recdev *on, const uint8_t *bytes, bool record_it)
{
	struct journal_replay found;
	struct lab l;
	int error;

	recdev_load(on, bytes);
	recdev_record(on, record_it);
	on->shuffle = record_it ? c->seed : 0;
	lab_attach(&l, on, &c->lab);
	error = journal_replay(&l.place, &found);
	lab_close(&l);
	return error;
}

/*
 * The replay that `spare` has recorded is cut as well, at a place that a seed chooses, and replayed
 * again.
 */
static const char *cut_the_replay(const struct crash *c, uint64_t seed)
{
	struct powercut p;
	const char *wrong = NULL;

	memcpy(before, cut, DISK_BYTES);
	if (!powercut_begin(&p, spare, before))
		return "no memory";
	for (size_t n = seed % (spare->count + 1); n; n--)
		powercut_step(&p);
	powercut_sample(&p, seed, cut);
	if (replay(c, again, cut, false) != 0)
		wrong = "a replay that was cut cannot be replayed";
	powercut_end(&p);
	return wrong ? wrong : judge(c, again->bytes);
}

static bool is_new(uint64_t hash)
{
	size_t at = hash % HASHES;

	while (hashes[at] && hashes[at] != hash)
		at = (at + 1) % HASHES;
	if (hashes[at])
		return false;
	hashes[at] = hash;
	return true;
}

/* True: it was judged to be well. */
static bool judge_cut(struct crash *c, const struct powercut *p, uint64_t seed)
{
	const char *wrong = NULL;

	powercut_sample(p, seed, cut);
	c->cuts++;
	c->distinct += is_new(powercut_hash(cut, DISK_BYTES) | 1);
	if (replay(c, spare, cut, true) != 0)
		wrong = "the replay fails";
	if (!wrong)
		wrong = judge(c, spare->bytes);
	if (!wrong && seed % 4 == 0)
		wrong = cut_the_replay(c, seed);
	if (wrong)
		test_print("%s: history CRASH_SEED=%llu, event %zu of %zu, cut %llu\n", wrong,
			   (unsigned long long)c->seed, p->at, disk->count,
			   (unsigned long long)seed);
	return !wrong;
}

/* Cuts everywhere in the history, `count` of them. */
static bool cut_history(struct crash *c, unsigned count)
{
	const struct rec_event *e;
	struct powercut p;
	uint64_t done = 0;
	bool well = powercut_begin(&p, disk, image);

	memset(c->promised, 0, sizeof(c->promised));
	while (well && (e = powercut_step(&p))) {
		if (e->kind == REC_MARK)
			c->promised[e->of >> 32] = (uint32_t)e->of;
		for (; well && done < count * p.at / disk->count; done++)
			well = judge_cut(c, &p, c->seed * 1000003 + done);
	}
	powercut_end(&p);
	return well;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

TEST(journal_survives_power_cuts)
{
	static const uint32_t kinds[] = { JBD2_CSUM_V3 | JBD2_64BIT, 0, JBD2_CSUM_V3, JBD2_64BIT };
	static struct crash c;
	uint64_t wanted = number_of("CRASH_CUTS", CUTS), first = number_of("CRASH_SEED", 1);

	CHECK(set_up());
	for (c.seed = first, c.cuts = 0; c.cuts < wanted; c.seed++) {
		CHECK(record(&c, kinds[c.seed % ARRAY_SIZE(kinds)]));
		CHECK(cut_history(&c, CUTS_EACH));
	}
	if (wanted > CUTS)
		test_print("%llu cuts, %llu distinct\n", (unsigned long long)c.cuts,
			   (unsigned long long)c.distinct);
}
