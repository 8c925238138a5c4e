/*
 * fsck.kiln: checks a disk with ext4, as fsck(8) is asked to. What it knows is libos/fs/fsck; the
 * machine, the disk and the verdict (check.c) are kiln-fs's.
 */
#include <stdio.h>
#include <string.h>

#include "../kiln-fs/kiln-fs.h"

static int usage(void)
{
	fputs("fsck.kiln [-n|-p|-y] DISK: check the ext4 on a disk or in a file\n"
	      "  -n  change nothing (the default)\n"
	      "  -p  replay the journal, delete orphans, put bitmaps and counts in order, without a question\n"
	      "  -y  the same\n"
	      "exit status: 0 clean, 1 corrected, 4 damage is left (e2fsck may repair it), 8 it could not be checked\n",
	      stderr);
	return 16;
}

int commands_run(int argc, char **argv)
{
	bool writes = argc > 2 && (!strcmp(argv[1], "-p") || !strcmp(argv[1], "-y"));

	if (argc == 2 && argv[1][0] != '-')
		return check_disk(argv[1], false);
	if (argc != 3 || (!writes && strcmp(argv[1], "-n") != 0))
		return usage();
	return check_disk(argv[2], writes);
}
