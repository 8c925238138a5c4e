/*
 * kiln-fs: between commands.c and copy.c, which see the disk through the VFS. Functions give 0 or a
 * negative errno, and say what is wrong on stderr. (Not in kiln-fs.h: this machine's headers and
 * the VFS's do not go together.)
 */
#ifndef KILN_FS_DISK_H
#define KILN_FS_DISK_H

#include <stdio.h>

#include <libos/vfs.h>

/* ---- commands.c ---- */

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

/* ---- copy.c ---- */

/* A file of the disk, and nothing else. */
int source_open(const char *path, struct file **out);
/*
 * `path` and `host` are what the two are called when something is wrong. Puts the file of the disk.
 */
int copy_out(struct file *f, const char *path, FILE *to, const char *host);
int copy_in(FILE *from, const char *path, uint32_t mode);
/*
 * A folder, which must not be there yet, becomes like the disk's directory; and the reverse, where
 * it may be.
 */
int copy_tree_out(const char *path, const char *folder);
int copy_tree_in(const char *folder, const char *path);

#endif
