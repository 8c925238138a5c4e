/*
 * kiln-fs: between main.c (the machine that it is), filedisk.c (the disk), hostfile.c, and
 * commands.c; disk.h has the rest.
 */
#ifndef KILN_FS_H
#define KILN_FS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct blkdev;

/* main.c: kiln-fs or fsck.kiln, as it was called. */
extern const char *program_name;
/*
 * Whether the system has said in a sentence of its own (log_error()) what is wrong, so that an
 * errno adds nothing.
 */
bool log_has_told_an_error(void);
/* Whether all that was printed has arrived; else a sentence says why not. */
bool output_is_whole(void);

/* What may become of writes: they fail, reach the file, or stay in memory. */
enum filedisk_mode { FILEDISK_READ, FILEDISK_WRITE, FILEDISK_PRIVATE };

/* A file of the build machine as a disk, once: NULL with a sentence on stderr. */
struct blkdev *filedisk_open(const char *path, enum filedisk_mode mode);

/*
 * Says on standard output what is wrong with an ext4, and with `writes` repairs what a crash
 * leaves. An exit status as fsck(8) has it: 0 clean, 1 corrected, 4 damage is left, 8 it could not
 * be checked.
 */
int check_disk(const char *path, bool writes);

/* What the command line asks for, in a thread: the program's exit status. */
int commands_run(int argc, char **argv);

/* ---- hostfile.c: files of this machine; 0 or a negative errno ---- */

enum host_kind { HOST_FOLDER, HOST_FILE, HOST_LINK, HOST_OTHER };

int host_look(const char *path, enum host_kind *kind, uint32_t *mode); /* the latter: permissions */
/* The target, with a 0 behind it. */
int host_read_link(const char *path, char *buf, size_t size);
/* These make something that was not there. */
int host_make_link(const char *target, const char *path);
int host_make_folder(const char *path, uint32_t mode);
int host_make_file(const char *path, uint32_t mode, FILE **out);
/* Calls `each` with every name in a folder but "." and "..": 0, or the first of its errors. */
int host_each(const char *path, int (*each)(void *arg, const char *name), void *arg);

#endif
