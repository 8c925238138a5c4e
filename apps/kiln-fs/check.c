/*
 * Checking a disk: what libos/fs/fsck finds, told in sentences and as an exit status.
 *
 * When nothing is to be written to the disk, the journal is replayed and orphans are deleted in
 * memory, so what is judged is what the disk would be after a mount.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libos/fsck.h>

#include "kiln-fs.h"

/* As fsck(8) and e2fsck(8) have them. */
enum { CLEAN = 0, CORRECTED = 1, UNCORRECTED = 4, FAILED = 8 };

static void say(void *arg, const char *sentence)
{
	(void)arg;
	puts(sentence);
}

static int failed(const char *path, int error)
{
	if (log_has_told_an_error())
		printf("%s: not checked\n", path);
	else
		printf("%s: not checked: %s\n", path, strerror(-error));
	return error == -EUCLEAN ? UNCORRECTED : FAILED;
}

static int verdict(const char *path, const struct fsck_result *r, bool writes)
{
	bool wrong = r->damage || (r->counts && !r->repaired),
	     changed = r->recovered || r->repaired;

	printf("%s: %s: %u of %u inodes, %u directories, %llu of %llu blocks\n", path,
	       wrong || (changed && !writes) ? "not clean"
	       : changed                     ? "corrected"
					     : "clean",
	       r->inodes_used, r->inodes, r->directories, (unsigned long long)r->blocks_used,
	       (unsigned long long)r->blocks);
	if (r->damage)
		printf("%s: %llu faults are left to e2fsck\n", path, (unsigned long long)r->damage);
	if (wrong || (changed && !writes))
		return UNCORRECTED;
	return changed ? CORRECTED : CLEAN;
}

int check_disk(const char *path, bool writes)
{
	struct fsck_options o = { .recover = true, .repair = writes, .say = say };
	struct blkdev *d = filedisk_open(path, writes ? FILEDISK_WRITE : FILEDISK_PRIVATE);
	struct fsck_result r;
	int error = d ? fsck_ext4(d, &o, &r) : 0, status;

	if (!d)
		return FAILED;
	status = error ? failed(path, error) : verdict(path, &r, writes);
	return output_is_whole() ? status : FAILED;
}
