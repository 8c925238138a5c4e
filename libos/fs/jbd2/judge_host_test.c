/*
 * The journal and Linux's tools: what debugfs writes into a log is replayed here, what is written
 * here e2fsck replays and debugfs prints. Disks are made by mke2fs; only free blocks of them are
 * journaled, so the file system on them stays what it is.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "../ext4/testdisk.h"
#include "lab.h"

#define DISK_MIB 9u
#define COUNT    40u    /* free blocks that the tests use */
#define LOG_MAX  4096u

struct kind {
	const char *mke2fs;
	uint32_t block_bytes;
	const char *open;       /* debugfs: the journal, and its checksums */
	bool checksums, wide;
};

static const struct kind kinds[] = {
	{ "-b 1024 " DEBIAN_12, 1024, "jo -c -v 3", true, true },
	{ "-b 2048 " DEBIAN_13, 2048, "jo -c -v 3", true, true },
	{ "-b 4096 -J size=4 " DEBIAN_12, 4096, "jo -c -v 2", true, true },
	{ "-b 1024 " PLAIN, 1024, "jo", false, false },
	{ "-b 1024 " PLAIN ",metadata_csum", 1024, "jo -c -v 2", true, false },
};

struct judge {
	struct lab lab;
	uint32_t free[COUNT];   /* blocks */
	uint32_t log[LOG_MAX];
	uint32_t log_count;
};

static struct judge judge;

/* The numbers of debugfs's answer to a command. */
static uint32_t numbers(const char *command, uint32_t *out, uint32_t max)
{
	static char text[64 * 1024];
	const char *at = text;
	uint32_t n = 0;

	testdisk_output(command, text, sizeof(text));
	while (*at && n < max) {
		char *end;
		unsigned long value = strtoul(at, &end, 10);

		if (end != at)
			out[n++] = (uint32_t)value;
		at = end != at ? end : at + 1;
	}
	return n;
}

static int map(void *arg, uint32_t index, uint64_t *block)
{
	struct judge *j = arg;

	*block = index < j->log_count ? j->log[index] : 0;
	return index < j->log_count ? 0 : -EIO;
}

/* A disk, and where its log and its free blocks are. */
static bool set_up(const struct kind *k)
{
	struct judge *j = &judge;

	*j = (struct judge){ 0 };
	if (!testdisk_make(k->mke2fs, DISK_MIB, NULL))
		return false;
	j->log_count = numbers("debugfs -R 'blocks <8>' disk 2>/dev/null", j->log, LOG_MAX);
	return j->log_count >= 1024 &&
	       numbers("debugfs -R 'ffb 40 500' disk 2>/dev/null | sed 's/.*: //'", j->free,
		       COUNT) == COUNT;
}

static void attach(const struct kind *k)
{
	struct lab *l = &judge.lab;

	*l = (struct lab){ .disk = container_of(testdisk_dev(), struct recdev, dev) };
	buffers_init(&l->buffers, testdisk_dev(), k->block_bytes, MIB(DISK_MIB) / k->block_bytes);
	l->place = (struct journal_place){ .buffers = &l->buffers, .dev = testdisk_dev(),
					   .block_bytes = k->block_bytes, .blocks = judge.log_count,
					   .map = map, .arg = &judge };
	l->options = (struct journal_options){ .checksums = k->checksums, .wide = k->wide };
}

/* The free blocks of $T/name are those of the disk in memory. */
static bool free_blocks_equal(const char *name, uint32_t block_bytes)
{
	static uint8_t bytes[4096];
	char path[64];
	bool equal = true;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", getenv("T"), name);
	f = fopen(path, "rb");
	for (unsigned i = 0; f && equal && i < COUNT; i++) {
		equal = fseek(f, (long)judge.free[i] * block_bytes, SEEK_SET) == 0 &&
			fread(bytes, 1, block_bytes, f) == block_bytes &&
			!memcmp(bytes, testdisk_bytes() + (size_t)judge.free[i] * block_bytes,
				block_bytes);
	}
	if (f)
		fclose(f);
	return f && equal;
}

/*
 * Three transactions: four blocks; one of them revoked; another one again, but without a commit
 * block.
 */
static bool write_with_debugfs(const struct kind *k)
{
	const uint32_t *b = judge.free;
	char script[1024];

	snprintf(
		script, sizeof(script),
		"head -c %u /dev/urandom > bytes; tail -c %u bytes > other; "
		"printf '%s\\njw -b %u,%u,%u,%u bytes\\njw -r %u\\njw -b %u -c other\\njc\\n' > script; "
		"debugfs -w -f script disk && cp disk theirs && { e2fsck -fy theirs || test $? = 1; }",
		4 * k->block_bytes, k->block_bytes, k->open, b[0], b[1], b[2], b[3], b[1], b[3]);
	return testdisk_shell(script) == 0;
}

TEST(journal_replays_what_debugfs_wrote)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct journal_replay found;

		CHECK(set_up(&kinds[i]));
		CHECK(write_with_debugfs(&kinds[i]));
		CHECK(testdisk_load(DISK_MIB));
		attach(&kinds[i]);
		CHECK(!free_blocks_equal("theirs", kinds[i].block_bytes));
		CHECK_EQ(journal_replay(&judge.lab.place, &found), 0);
		CHECK_EQ(found.transactions, 2);
		CHECK_EQ(found.blocks, 3);
		CHECK_EQ(found.revoked, 1);
		CHECK_EQ(lab_close(&judge.lab), 0);
		CHECK(free_blocks_equal("theirs", kinds[i].block_bytes));
	}
}

/* ---- the other way ---- */

static int change(unsigned n, uint8_t byte)
{
	struct lab *l = &judge.lab;
	struct journal_handle *h;
	struct buffer *b;
	int error = journal_start(l->journal, 1, &h);

	if (error)
		return error;
	if (byte == 0xff) {
		error = journal_forget(h, judge.free[n], NULL);
		return journal_stop(h) + error;
	}
	error = buffer_make(&l->buffers, judge.free[n], &b);
	if (error)
		return error;
	error = journal_write(h, b);
	memset(b->data, byte, l->place.block_bytes);
	if (byte % 4 == 0)
		*(be32_t *)b->data = to_be32(JBD2_MAGIC);
	buffer_put(b);
	return journal_stop(h) + error;
}

/*
 * A log with some of everything, not brought home, and the block that was revoked is a file's now.
 */
static int write_with_us(void)
{
	struct lab *l = &judge.lab;
	int error = 0;

	for (unsigned i = 0; i < 120 && !error; i++) {
		error = change(i % COUNT, (uint8_t)(i + 1));
		if (!error && i % 7 == 0)
			error = journal_commit(l->journal);
	}
	for (unsigned i = 0; i < 3 && !error; i++)
		error = change(i, 0xff);
	error = error ? error : journal_commit(l->journal);
	for (unsigned i = 0; i < 3; i++)
		memset(lab_home(l, judge.free[i]), 0xda, l->place.block_bytes);
	return error;
}

static bool tools_are_content(void)
{
	static const char *const commands[] = {
		"debugfs -w -R 'feature needs_recovery' disk",
		"debugfs -R 'logdump -a' disk > dump",
		"grep -q 'type 2 (commit block)' dump && grep -q 'Revoke FS block' dump",
		"test $(grep -c 'logged at journal block' dump) -gt 100",
		"! grep -iE 'invalid|corrupt|unexpected|not found' dump",
		"cp disk theirs && { e2fsck -fy theirs > said || test $? = 1; }",
		"grep -q 'recovering journal' said && ! grep -iE 'checksum|corrupt|error' said",
		"e2fsck -fn theirs",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		if (testdisk_shell(commands[i]) != 0)
			return false;
	}
	return true;
}

TEST(journal_is_replayed_by_e2fsck_and_printed_by_debugfs)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		CHECK(set_up(&kinds[i]));
		attach(&kinds[i]);
		CHECK_EQ(lab_open(&judge.lab), 0);
		CHECK_EQ(write_with_us(), 0);
		CHECK(testdisk_store());
		CHECK(tools_are_content());
		CHECK_EQ(lab_close(&judge.lab), 0);
		CHECK(free_blocks_equal("theirs", kinds[i].block_bytes));
	}
}
