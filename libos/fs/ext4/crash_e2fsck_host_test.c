/* Power cuts: what e2fsck says of disks. See crash_e2fsck.h. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <core/assert.h>
#include <core/crc.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/vfs.h>

#include "../../dev/powercut.h"
#include "crash_e2fsck.h"
#include "ondisk.h"
#include "testdisk.h"

#define BATCH 40u /* disks for e2fsck at a time */
#define PIECE 4096u

bool crash_complain(const struct crash_case *c, const char *what)
{
	test_print("%s: %s, event %zu, cut %llx; CRASH_SEED=%llu%s repeats it\n", what,
		   c->kind->name, c->event, (unsigned long long)c->cut, (unsigned long long)c->seed,
		   getenv("CRASH_CUTS") ? " CRASH_CUTS=1" : "");
	return false;
}

static size_t disk_bytes(const struct crash_kind *k)
{
	return (size_t)MIB(k->mib);
}

/* ---- hashes ---- */

/* Open addressing; half of the room stays free. */
static void set_put(struct crash_set *s, uint64_t hash)
{
	size_t at = hash % s->room;

	while (s->hashes[at])
		at = (at + 1) % s->room;
	s->hashes[at] = hash;
}

static void set_grow(struct crash_set *s)
{
	struct crash_set larger = { calloc(2 * s->room + 1023, sizeof(*s->hashes)), s->count,
				    2 * s->room + 1023 };

	assert(larger.hashes);
	for (size_t i = 0; i < s->room; i++) {
		if (s->hashes[i])
			set_put(&larger, s->hashes[i]);
	}
	free(s->hashes);
	*s = larger;
}

bool crash_is_new(struct crash_set *s, uint64_t hash)
{
	hash |= 1;
	if (2 * s->count >= s->room)
		set_grow(s);
	for (size_t at = hash % s->room; s->hashes[at]; at = (at + 1) % s->room) {
		if (s->hashes[at] == hash)
			return false;
	}
	set_put(s, hash);
	s->count++;
	return true;
}

/* Without its times, how often it was mounted, how much was written. */
static uint64_t super_hash(const uint8_t *bytes)
{
	struct ext4_disk_super d;

	memcpy(&d, bytes, sizeof(d));
	d.mtime = d.wtime = 0;
	d.mnt_count = 0;
	d.kbytes_written = 0;
	d.checksum = 0;
	return powercut_hash((const uint8_t *)&d, sizeof(d));
}

uint64_t crash_disk_hash(const struct crash_kind *k, const uint8_t *bytes)
{
	size_t behind_super = MAX(2048u, k->block_bytes);

	return super_hash(bytes + 1024) ^
	       powercut_hash(bytes + behind_super, k->journal_from - behind_super) * 3 ^
	       powercut_hash(bytes + k->journal_to, disk_bytes(k) - k->journal_to) * 5;
}

static uint64_t tree_hash(const struct crash_tree *t)
{
	return powercut_hash((const uint8_t *)t->name, t->count * sizeof(t->name[0]));
}

/* ---- mounting ---- */

int crash_mount(const struct crash_kind *k, struct recdev *r)
{
	struct path at;
	int error = vfs_walk(NULL, "/t", WALK_DIR, &at);

	if (error)
		return error;
	error = vfs_mount("ext4", r->dev.name, &at, 0, k->mount);
	path_put(&at);
	return error;
}

int crash_unmount(void)
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

/* ---- disks that wait ---- */

struct waiting {
	struct crash_case what;
	enum crash_question question;
	struct crash_tree tree;
};

static struct waiting waiting[BATCH];
static unsigned waiting_count;
static struct crash_set replays; /* what e2fsck has left, with the tree that was found there */

static FILE *open_disk(unsigned number, const char *mode)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/%s.%u", getenv("T"),
		 waiting[number].question == CRASH_CLEAN ? "clean" : "replay", number);
	return fopen(path, mode);
}

/*
 * A superblock of which a cut has left one sector old and one new has a wrong checksum, and e2fsck
 * then wants a backup, which disks of one group do not have. Its fields are right, each an old or a
 * new one: the checksum is made so, too.
 */
static bool mend_super(FILE *f, const uint8_t *bytes)
{
	const struct ext4_disk_super *d = (const struct ext4_disk_super *)(bytes + 1024);
	uint32_t sum = crc32c(~0u, d, offsetof(struct ext4_disk_super, checksum));

	if (!(d->feature_ro_compat & EXT4_RO_METADATA_CSUM))
		return true;
	return pwrite(fileno(f), &sum, sizeof(sum),
		      1024 + offsetof(struct ext4_disk_super, checksum)) == sizeof(sum);
}

/* Where it is zeroes, the file has holes. */
static bool store(unsigned number, const uint8_t *bytes)
{
	static const uint8_t zeroes[PIECE];
	size_t size = disk_bytes(waiting[number].what.kind);
	FILE *f = open_disk(number, "wb");
	bool ok = f && ftruncate(fileno(f), (off_t)size) == 0;

	for (size_t at = 0; ok && at < size; at += PIECE) {
		if (memcmp(bytes + at, zeroes, PIECE))
			ok = pwrite(fileno(f), bytes + at, PIECE, (off_t)at) == (ssize_t)PIECE;
	}
	if (ok && waiting[number].question == CRASH_REPLAY)
		ok = mend_super(f, bytes);
	return f && !fclose(f) && ok;
}

static bool load(unsigned number, struct recdev *r)
{
	size_t size = disk_bytes(waiting[number].what.kind);
	FILE *f = open_disk(number, "rb");
	bool ok = f && (r->dev.bytes == size || recdev_resize(r, size));

	if (ok) {
		recdev_load(r, NULL);
		ok = fread(r->bytes, 1, size, f) == size;
	}
	if (f)
		fclose(f);
	return ok;
}

bool crash_show(const struct crash_case *c, enum crash_question q, const uint8_t *bytes,
		const struct crash_tree *tree)
{
	assert(waiting_count < BATCH);
	waiting[waiting_count] = (struct waiting){ *c, q, *tree };
	return store(waiting_count++, bytes);
}

/*
 * What e2fsck has replayed holds the same tree. Disks that are the same but for journal and times
 * were looked at.
 */
static bool compare(const struct waiting *w, unsigned number, struct recdev *spare)
{
	struct crash_tree theirs;
	bool seen;

	if (!load(number, spare))
		return crash_complain(&w->what, "what e2fsck replayed cannot be read");
	if (!crash_is_new(&replays,
			  crash_disk_hash(w->what.kind, spare->bytes) ^ tree_hash(&w->tree)))
		return true;
	if (crash_mount(w->what.kind, spare) != 0)
		return crash_complain(&w->what, "what e2fsck replayed cannot be mounted");
	seen = crash_look(&theirs);
	if (crash_unmount() != 0 || !seen || !crash_trees_equal_to_e2fsck(&w->tree, &theirs))
		return crash_complain(&w->what, "e2fsck's replay leaves another tree");
	return true;
}

static bool is_named(const char *said, const struct waiting *w, unsigned number)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.%u\n", w->question == CRASH_CLEAN ? "clean" : "replay",
		 number);
	for (const char *at = said; *at; at++) {
		if (str_starts_with(at, name))
			return true;
	}
	return false;
}

/* On a failure, e2fsck's words are the test's. */
bool crash_answers(struct recdev *spare)
{
	static char said[8192];
	bool well = true;

	testdisk_output("for d in clean.*; do test -f $d || continue; e2fsck -fn $d > said 2>&1 || "
			"{ echo $d; head -c 1500 said; }; done; "
			"for d in replay.*; do test -f $d || continue; e2fsck -fy $d > said 2>&1; "
			"test $? -le 1 || { echo $d; head -c 1500 said; }; done",
			said, sizeof(said));
	for (unsigned i = 0; i < waiting_count; i++) {
		if (is_named(said, &waiting[i], i))
			well = crash_complain(&waiting[i].what, "e2fsck is not content");
		else if (waiting[i].question == CRASH_REPLAY && !compare(&waiting[i], i, spare))
			well = false;
	}
	if (*said)
		test_print("%s\n", said);
	testdisk_shell("rm -f clean.* replay.*");
	waiting_count = 0;
	return well && !*said;
}

bool crash_has_room(unsigned disks)
{
	return waiting_count + disks <= BATCH;
}
