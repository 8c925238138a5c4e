/*
 * kiln-fs: between the files that see the disk through the VFS. Functions give 0 or a
 * negative errno, and say what is wrong on stderr. (Not in kiln-fs.h: this machine's headers and
 * the VFS's do not go together.)
 */
#ifndef KILN_FS_DISK_H
#define KILN_FS_DISK_H

#include <stdio.h>

#include <libos/vfs.h>

/* ---- paths.c ---- */

#define PATH_ROOM (VFS_PATH_MAX + 8)

/* The disk's path as the VFS has it here; `buf` has PATH_ROOM bytes. */
const char *on_disk(const char *path, char *buf);
/* Says what is wrong with `what`, if something is. Returns `error`. */
int complain(const char *what, int error);
int disk_walk(const char *path, unsigned flags, struct path *out);

/* A directory's entries, sorted by name, "." and ".." left out. */
struct entry {
	char *name;
	uint64_t ino;
};
struct listing {
	struct dir_sink sink;
	struct entry *entries;
	size_t count, room;
};
int list_read(const char *path, struct listing *l);
void list_free(struct listing *l);
/* Calls `act` for each entry, with its path and its name: 0, or the first error; all are tried. */
int each_entry(const char *path, int (*act)(const char *path, const char *name));
bool is_dir(const char *path); /* and no link to one */

/* ---- the commands: arguments without the command's name; 0 or a negative errno, told ---- */

int do_ls(int argc, char **argv); /* show.c */
int do_tree(int argc, char **argv);
int do_stat(int argc, char **argv);
int do_df(int argc, char **argv);
int do_cat(int argc, char **argv); /* copy.c */
int do_get(int argc, char **argv);
int do_put(int argc, char **argv);
int do_mkdir(int argc, char **argv); /* change.c */
int do_rm(int argc, char **argv);
int do_mv(int argc, char **argv);
int do_ln(int argc, char **argv);

#endif
