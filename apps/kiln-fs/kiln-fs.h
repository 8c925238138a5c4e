/* kiln-fs: between main.c (the machine that it is), filedisk.c (the disk) and commands.c. */
#ifndef KILN_FS_H
#define KILN_FS_H

#include <stdbool.h>

struct blkdev;

/* What may become of writes: they fail, reach the file, or stay in memory. */
enum filedisk_mode { FILEDISK_READ, FILEDISK_WRITE, FILEDISK_PRIVATE };

/* A file of the build machine as a disk, once: NULL with a sentence on stderr. */
struct blkdev *filedisk_open(const char *path, enum filedisk_mode mode);

/* What the command line asks for, in a thread: the program's exit status. */
int commands_run(int argc, char **argv);

#endif
