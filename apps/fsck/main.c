/*
 * fsck.kiln: checks a disk with ext4, as fsck(8) is asked to. What it knows is libos/fs/fsck; the machine and the disk
 * are kiln-fs's.
 *
 * With -n nothing is written to the disk: the journal is replayed and orphans are deleted in memory, so what is judged
 * is what the disk would be after a mount.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libos/fsck.h>

#include "../kiln-fs/kiln-fs.h"

/* As fsck(8) and e2fsck(8) have them. */
enum { CLEAN = 0, CORRECTED = 1, UNCORRECTED = 4, FAILED = 8, USAGE = 16 };

static int usage(void)
{
	fputs("fsck.kiln [-n|-p|-y] DISK: check the ext4 on a disk or in a file\n"
	      "  -n  change nothing (the default)\n"
	      "  -p  replay the journal, delete orphans, put bitmaps and counts in order, without a question\n"
	      "  -y  the same\n"
	      "exit status: 0 clean, 1 corrected, 4 damage is left (e2fsck may repair it), 8 it could not be checked\n",
	      stderr);
	return USAGE;
}

static void say(void *arg, const char *sentence)
{
	(void)arg;
	puts(sentence);
}

static int failed(const char *path, int error)
{
	printf("%s: not checked: %s\n", path, strerror(-error));
	return error == -EUCLEAN ? UNCORRECTED : FAILED;
}

static int verdict(const char *path, const struct fsck_result *r, bool writes)
{
	bool wrong = r->damage || (r->counts && !r->repaired), changed = r->recovered || r->repaired;

	printf("%s: %s: %u of %u inodes, %u directories, %llu of %llu blocks\n", path,
	       wrong || (changed && !writes) ? "not clean" : changed ? "corrected" : "clean", r->inodes_used, r->inodes,
	       r->directories, (unsigned long long)r->blocks_used, (unsigned long long)r->blocks);
	if (r->damage)
		printf("%s: %llu faults are left to e2fsck\n", path, (unsigned long long)r->damage);
	if (wrong || (changed && !writes))
		return UNCORRECTED;
	return changed ? CORRECTED : CLEAN;
}

static int check(const char *path, bool writes)
{
	struct fsck_options o = { .recover = true, .repair = writes, .say = say };
	struct blkdev *d = filedisk_open(path, writes ? FILEDISK_WRITE : FILEDISK_PRIVATE);
	struct fsck_result r;
	int error = d ? fsck_ext4(d, &o, &r) : 0;

	if (!d)
		return FAILED;
	return error ? failed(path, error) : verdict(path, &r, writes);
}

int commands_run(int argc, char **argv)
{
	bool writes = argc > 2 && (!strcmp(argv[1], "-p") || !strcmp(argv[1], "-y"));

	if (argc == 2 && argv[1][0] != '-')
		return check(argv[1], false);
	if (argc != 3 || (!writes && strcmp(argv[1], "-n") != 0))
		return usage();
	return check(argv[2], writes);
}
