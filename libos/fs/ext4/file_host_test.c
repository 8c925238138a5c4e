/*
 * Bytes of files against a model in memory: random writes, truncations, holes and reservations on
 * disks of every kind, read back through the page cache, from the disk after a new mount, and by
 * debugfs; e2fsck judges the disk.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "ext4.h"
#include "testdisk.h"

static const char *const kinds[] = {
	DEBIAN_12 " -b 4096", DEBIAN_13 " -b 4096", DEBIAN_12 " -b 1024", DEBIAN_12 " -b 2048",
	PLAIN " -b 1024", DEBIAN_12 ",^has_journal -b 1024 -g 1024",
	DEBIAN_12 ",^flex_bg,^resize_inode,meta_bg -b 1024 -g 2048",
	DEBIAN_13 ",sparse_super2,^sparse_super,^resize_inode -b 1024",
};

/* ---- a file and what it should hold ---- */

#define MODEL_BYTES (3u << 20)

static uint8_t model[MODEL_BYTES] __attribute__((aligned(512))),
	seen[MODEL_BYTES] __attribute__((aligned(512)));
static size_t model_size;

static struct inode *inode_of(struct file *f)
{
	return f->object;
}

static void model_resize(size_t size)
{
	if (size > model_size)
		memset(model + model_size, 0, size - model_size);
	model_size = size;
}

static bool is_as_in_model(struct file *f)
{
	if (inode_of(f)->size != (int64_t)model_size)
		return false;
	return testdisk_transfer(f, seen, sizeof(seen), 0, true) == (kssize_t)model_size &&
	       !memcmp(seen, model, model_size);
}

/* ---- operations ---- */

static bool write_somewhere(struct file *f, size_t at, size_t len)
{
	len = MIN(len, MODEL_BYTES - at);
	if (at + len > model_size)
		model_resize(at + len);
	for (size_t n = at; n < at + len; n++)
		model[n] = (uint8_t)test_random();
	return testdisk_transfer(f, model + at, len, (int64_t)at, false) == (kssize_t)len;
}

/*
 * With O_DIRECT: whole blocks of the disk, from and to memory of whole blocks; no page of them
 * stays.
 */
static bool write_directly(struct file *f, size_t at, size_t len)
{
	bool ok;

	at = ALIGN_DOWN(at, 512ul);
	len = MIN(ALIGN_UP(len, 512ul), MODEL_BYTES - at);
	f->flags |= O_DIRECT;
	ok = write_somewhere(f, at, len) && !cache_has_page(f->ops->pages(f), at / PAGE_SIZE) &&
	     testdisk_transfer(f, seen, len, (int64_t)at, true) == (kssize_t)len &&
	     !memcmp(seen, model + at, len) &&
	     testdisk_transfer(f, seen, 511, (int64_t)at, true) == -EINVAL &&
	     testdisk_transfer(f, model + 1, 512, 0, false) == -EINVAL &&
	     testdisk_transfer(f, seen, 512, (int64_t)at + 1, true) == -EINVAL;
	f->flags &= ~(uint32_t)O_DIRECT;
	return ok;
}

static bool allocate_somewhere(struct file *f, int mode, size_t at, size_t len)
{
	len = MIN(len, MODEL_BYTES - at);
	if (mode & (2 | 16) && at < model_size)
		memset(model + at, 0, MIN(len, model_size - at));
	if (!(mode & 1) && at + len > model_size)
		model_resize(at + len);
	return !testdisk_allocate(f, mode, (int64_t)at, (int64_t)len);
}

static bool step(struct file *f)
{
	size_t at = test_random_below(MODEL_BYTES - 1),
	       len = 1 + test_random_below(test_random_below(3) ? 5000 : 200000);

	switch (test_random_below(13)) {
	case 0: case 1:
		model_resize(at);
		return !testdisk_resize(f, (int64_t)at);
	case 2: return allocate_somewhere(f, 3, at, len * 4);
	case 3: return allocate_somewhere(f, 16, at, len);
	case 4: return allocate_somewhere(f, 17, at, len);
	case 5: return allocate_somewhere(f, 0, at, len);
	case 6: return allocate_somewhere(f, 1, at, len);
	case 7: return !f->ops->sync(f, true);
	case 8:
	case 9:
		return write_somewhere(f, model_size,
				       MIN(len, MODEL_BYTES - model_size)); /* appends */
	case 10: return write_directly(f, at, len);
	default: return write_somewhere(f, at, len);
	}
}

static bool debugfs_agrees(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "debugfs -R 'cat %s' disk 2>/dev/null | cmp - model",
		 path);
	return !testdisk_shell(command);
}

static bool store_model(void)
{
	char path[64];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/model", getenv("T"));
	f = fopen(path, "wb");
	ok = f && fwrite(model, 1, model_size, f) == model_size;
	return f && !fclose(f) && ok;
}

static bool run(const char *kind, const char *options, unsigned steps)
{
	struct file *f;

	if (!testdisk_make(kind, 16, "touch f") || testdisk_mount(0, options))
		return false;
	model_size = 0;
	if (vfs_open(NULL, "/t/f", O_RDWR, 0, &f))
		return false;
	for (unsigned n = 0; n < steps; n++) {
		if (!step(f) || (n % 8 == 0 && !is_as_in_model(f))) {
			test_print("%s, %s: step %u\n", kind, options ? options : "", n);
			return false;
		}
	}
	if (!is_as_in_model(f))
		return false;
	file_put(f);
	if (testdisk_unmount() || testdisk_judge() || !store_model() || !debugfs_agrees("/f"))
		return false;
	if (testdisk_mount(0, NULL) || vfs_open(NULL, "/t/f", O_RDWR, 0, &f))
		return false;
	if (!is_as_in_model(f) || testdisk_resize(f, 0))
		return false;
	file_put(f);
	return !testdisk_unmount() && !testdisk_judge();
}

TEST(ext4_files_hold_what_was_written)
{
	test_seed(1);
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++)
		CHECK(run(kinds[k], NULL, 250));
}

TEST(ext4_files_hold_what_was_written_in_other_modes)
{
	static const char *const modes[] = { "data=journal", "data=writeback", "delalloc" };

	test_seed(2);
	for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
		CHECK(run(kinds[0], modes[m], 250));
		CHECK(run(kinds[2], modes[m], 250));
	}
}

/* ---- trees of many extents ---- */

#define APART 4096 /* blocks of 1 KiB, each an extent of its own: two levels below the root */

static bool write_apart(struct file *f, unsigned first)
{
	uint8_t block[1024];

	for (unsigned n = first; n < 2 * APART; n += 2) {
		memset(block, (int)(n % 251), sizeof(block));
		if (testdisk_transfer(f, block, sizeof(block), (int64_t)n * 1024, false) !=
		    sizeof(block))
			return false;
	}
	return true;
}

static bool holds(struct file *f, unsigned from, unsigned to, bool odd)
{
	static const uint8_t zeroes[1024];
	uint8_t block[1024], want[1024];

	for (unsigned n = from; n < to; n++) {
		memset(want, (int)(n % 251), sizeof(want));
		if (testdisk_transfer(f, block, sizeof(block), (int64_t)n * 1024, true) !=
			    sizeof(block) ||
		    memcmp(block, n % 2 && !odd ? zeroes : want, sizeof(block)))
			return false;
	}
	return true;
}

/* debugfs prints each extent with its level and the tree's levels. */
static bool has_depth(unsigned depth)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "debugfs -R 'ex /f' disk 2>/dev/null | grep -q '^ *%u/ *%u'", depth, depth);
	return !testdisk_shell(command);
}

TEST(ext4_extent_trees_grow_and_shrink)
{
	struct file *f;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 32, "touch f"));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDWR, 0, &f), 0);
	CHECK(write_apart(f, 0));
	CHECK(holds(f, 0, 2 * APART - 1, false));
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK(testdisk_store() && has_depth(2));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDWR, 0, &f), 0);
	CHECK(write_apart(f, 1)); /* the holes are filled */
	CHECK(holds(f, 0, 2 * APART, true));
	CHECK_EQ(testdisk_resize(f, APART * 1024), 0);
	for (unsigned n = 1; n < APART; n += 2)
		CHECK_EQ(testdisk_allocate(f, 3, (int64_t)n * 1024, 1024), 0);
	CHECK(holds(f, 0, APART, false));
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDWR, 0, &f), 0);
	CHECK(holds(f, 0, APART, false));
	CHECK_EQ(testdisk_resize(f, 0), 0);
	CHECK_EQ(inode_of(f)->blocks, 0);
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* ---- a full disk ---- */

static kssize_t fill_disk(struct file *f, size_t piece)
{
	int64_t at = inode_of(f)->size;
	kssize_t n;

	while ((n = testdisk_transfer(f, model, piece, at, false)) > 0)
		at += n;
	return n;
}

TEST(ext4_full_disks_refuse_and_recover)
{
	struct file *f, *g;
	uint64_t before;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 8, "touch f g"));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDWR, 0, &f), 0);
	CHECK_EQ(vfs_open(NULL, "/t/g", O_RDWR, 0, &g), 0);
	before = testdisk_free_blocks();
	for (unsigned round = 0; round < 3; round++) {
		/* sets blocks aside, which the full disk takes back */
		CHECK_EQ(testdisk_transfer(g, model, 1000, 0, false), 1000);
		CHECK_EQ(fill_disk(f, 3000), -ENOSPC);
		CHECK_EQ(testdisk_allocate(f, 0, inode_of(f)->size, 1 << 20), -ENOSPC);
		CHECK(testdisk_free_blocks() < 40);
		/* what there is may be written */
		CHECK_EQ(testdisk_transfer(g, model, 1000, 0, false), 1000);
		CHECK_EQ(testdisk_resize(f, 0), 0);
		CHECK_EQ(testdisk_resize(g, 0), 0);
		CHECK_EQ(testdisk_free_blocks(), before);
	}
	CHECK_EQ(fill_disk(f, 3000), -ENOSPC);
	file_put(f);
	file_put(g);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* ---- what others have written ---- */

static bool reads_as_tree_has(const char *name)
{
	char command[128], path[64], out[64];
	struct file *f;
	uint32_t sum = 0;
	int64_t at = 0;
	kssize_t n;

	snprintf(path, sizeof(path), "/t/%s", name);
	if (vfs_open(NULL, path, O_RDONLY, 0, &f))
		return false;
	for (; (n = testdisk_transfer(f, seen, sizeof(seen), at, true)) > 0; at += n) {
		for (kssize_t k = 0; k < n; k++)
			sum = sum * 31 + seen[k];
	}
	file_put(f);
	snprintf(command, sizeof(command), "$T/sum tree/%s", name);
	testdisk_output(command, out, sizeof(out));
	return !n && strtoul(out, NULL, 10) == sum;
}

/* A program that adds a file up in the same way. */
static bool make_sum(void)
{
	return !testdisk_shell(
		"printf '#include <stdio.h>\nint main(int c,char**v){FILE*f=fopen(v[c-1],\"rb\");unsigned s=0;"
		"int b;while((b=getc(f))!=EOF)s=s*31+b;printf(\"%%u\",s);}' > sum.c && cc -O2 -o sum sum.c");
}

#define FILES                                                                                      \
	"yes one | head -c 100 > small; yes two | head -c 300000 > middle; : > empty; "            \
	"seq 1 400000 | head -c 2500000 > large; truncate -s 40M sparse; "                         \
	"for n in 3 70 300 20000 39000; do echo $n | dd of=sparse bs=1K seek=$n conv=notrunc 2>/dev/null; done"

TEST(ext4_reads_files_that_mke2fs_has_written)
{
	static const char *const more[] = { EXT2 " -b 1024", EXT2 " -b 4096",
					    EXT2 ",^sparse_super -b 2048" };

	CHECK(!testdisk_shell("true") && make_sum());
	for (unsigned k = 0; k < ARRAY_SIZE(kinds) + ARRAY_SIZE(more); k++) {
		const char *kind = k < ARRAY_SIZE(kinds) ? kinds[k] : more[k - ARRAY_SIZE(kinds)];

		CHECK(testdisk_make(kind, 48, FILES));
		CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), 0);
		CHECK(reads_as_tree_has("small") && reads_as_tree_has("middle") &&
		      reads_as_tree_has("large"));
		CHECK(reads_as_tree_has("empty") && reads_as_tree_has("sparse"));
		CHECK_EQ(testdisk_unmount(), 0);
	}
}

/* ---- orphans ---- */

/*
 * debugfs makes what a crash leaves: an inode without a name, one to be truncated, both on the
 * list.
 */
#define MAKE_ORPHANS \
	"I=$(debugfs -R 'stat /gone' disk 2>/dev/null | sed -n 's/^Inode: \\([0-9]*\\).*/\\1/p'); " \
	"J=$(debugfs -R 'stat /cut' disk 2>/dev/null | sed -n 's/^Inode: \\([0-9]*\\).*/\\1/p'); " \
	"printf \"unlink /gone\\nsif <$I> links_count 0\\nsif <$I> dtime $J\\nsif <$J> size 1000\\n" \
	"ssv last_orphan $I\\n\" | debugfs -w -f - disk >/dev/null 2>&1"

TEST(ext4_orphans_are_seen_to_when_mounting)
{
	char bytes[2000];

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		CHECK(testdisk_make(
			kinds[k], 16,
			"yes gone | head -c 200000 > gone; yes cut | head -c 200000 > cut"));
		CHECK(!testdisk_shell(MAKE_ORPHANS) && testdisk_load(16));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		CHECK_EQ(testdisk_read("/t/cut", bytes, sizeof(bytes)), 1000);
		CHECK_EQ(testdisk_read("/t/gone", bytes, sizeof(bytes)), -ENOENT);
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
	}
}

/*
 * Lists that lead astray: to themselves, to inodes that are in use, to numbers that there are not.
 */
TEST(ext4_orphan_lists_that_lead_astray_end)
{
	static const char *const commands[] = {
		"printf 'ssv last_orphan 12\\nsif <12> dtime 12\\n' | debugfs -w -f - disk >/dev/null 2>&1",
		"printf 'ssv last_orphan 2\\nsif <2> dtime 12\\nsif <12> dtime 2\\n' | debugfs -w -f - disk >/dev/null 2>&1",
		"printf 'ssv last_orphan 4000000000\\n' | debugfs -w -f - disk >/dev/null 2>&1",
		"printf 'ssv last_orphan 7\\n' | debugfs -w -f - disk >/dev/null 2>&1",
		"printf 'ssv last_orphan 1000\\n' | debugfs -w -f - disk >/dev/null 2>&1",
	};

	for (unsigned k = 0; k < ARRAY_SIZE(commands); k++) {
		CHECK(testdisk_make(DEBIAN_12 " -b 4096", 16, "echo f > f"));
		CHECK(!testdisk_shell(commands[k]) && testdisk_load(16));
		if (!testdisk_mount(0, NULL))
			CHECK_EQ(testdisk_unmount(), 0);
	}
}

/* The orphan file: as above, two numbers being written into its first block by hand. */
static struct ext4_disk_super *super_of_disk(void)
{
	return (struct ext4_disk_super *)(void *)(testdisk_bytes() + EXT4_SUPER_OFFSET);
}

/* Its first block; NULL: it could not be made. */
static uint32_t *make_orphan_file(const char *kind)
{
	static const char *const setup =
		"I=$(debugfs -R 'stat /gone' disk 2>/dev/null | sed -n 's/^Inode: \\([0-9]*\\).*/\\1/p'); "
		"J=$(debugfs -R 'stat /cut' disk 2>/dev/null | sed -n 's/^Inode: \\([0-9]*\\).*/\\1/p'); "
		"printf \"unlink /gone\\nsif <$I> links_count 0\\nsif <$J> size 1000\\n\" | "
		"debugfs -w -f - disk >/dev/null 2>&1; echo $I $J > numbers";
	char out[64], *end;
	uint32_t *entries;
	unsigned block;

	if (!testdisk_make(kind, 16,
			   "yes gone | head -c 200000 > gone; yes cut | head -c 200000 > cut"))
		return NULL;
	if (testdisk_shell(setup) || !testdisk_load(16))
		return NULL;
	testdisk_output(
		"debugfs -R \"bmap <$(dumpe2fs -h disk 2>/dev/null | sed -n 's/^Orphan file inode: *//p')> 0\" disk "
		"2>/dev/null; cat numbers",
		out, sizeof(out));
	block = (unsigned)strtoul(out, &end, 10);
	if (!block || block >= 4096)
		return NULL;
	super_of_disk()->feature_ro_compat |= EXT4_RO_ORPHAN_PRESENT;
	entries = (uint32_t *)(void *)(testdisk_bytes() + (size_t)block * 4096);
	entries[5] = (uint32_t)strtoul(end, &end, 10);
	entries[900] = (uint32_t)strtoul(end, &end, 10);
	return entries[1022] == EXT4_ORPHAN_MAGIC && entries[5] && entries[900] ? entries : NULL;
}

TEST(ext4_orphan_files_are_emptied_when_mounting)
{
	char bytes[2000];

	CHECK(make_orphan_file(TESTDISK_COMMON ",64bit,orphan_file -b 4096") != NULL);
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(testdisk_read("/t/cut", bytes, sizeof(bytes)), 1000);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* As a crash leaves it between a file's deletion and the taking out of its number. */
TEST(ext4_numbers_in_orphan_files_of_what_is_deleted_already_are_taken_out)
{
	uint32_t *entries = make_orphan_file(TESTDISK_COMMON ",64bit,orphan_file -b 4096"), gone;

	CHECK(entries != NULL);
	gone = entries[5];
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(entries[5], 0);
	entries[5] = gone;
	super_of_disk()->feature_ro_compat |= EXT4_RO_ORPHAN_PRESENT;
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_create(NULL, "/t/new", S_IFREG | 0644, 0, NULL), 0);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(entries[5], 0);
	CHECK_EQ(testdisk_judge(), 0);
}
