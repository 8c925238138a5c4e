/*
 * Paths of the disk, whose root is the root of all while a command runs: neither a link nor ".."
 * leads out of it. And what lies in its directories.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <core/errno.h>
#include <libos/vfs.h>

#include "disk.h"
#include "kiln-fs.h"

const char *on_disk(const char *path, char *buf)
{
	snprintf(buf, PATH_ROOM, "/%s", path);
	return buf;
}

int complain(const char *what, int error)
{
	if (error)
		fprintf(stderr, "%s: %s: %s\n", program_name, what, strerror(-error));
	return error;
}

int disk_walk(const char *path, unsigned flags, struct path *out)
{
	char buf[PATH_ROOM];

	return complain(path, vfs_walk(NULL, on_disk(path, buf), flags, out));
}

/* ---- directories ---- */

static bool add(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint32_t mode,
		uint64_t next)
{
	struct listing *l = container_of(s, struct listing, sink);

	(void)mode, (void)next;
	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return true;
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->entries = realloc(l->entries, l->room * sizeof(*l->entries));
		if (!l->entries)
			abort();
	}
	l->entries[l->count++] = (struct entry){ strndup(name, len), ino };
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

void list_free(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].name);
	free(l->entries);
}

int list_read(const char *path, struct listing *l)
{
	struct path p;
	uint64_t position = 0;
	int error = disk_walk(path, WALK_FOLLOW | WALK_DIR, &p);

	*l = (struct listing){ .sink = { add } };
	if (error)
		return error;
	mutex_lock(&path_inode(&p)->lock);
	error = path_inode(&p)->ops->iterate(path_inode(&p), &l->sink, &position);
	mutex_unlock(&path_inode(&p)->lock);
	path_put(&p);
	if (l->count)
		qsort(l->entries, l->count, sizeof(*l->entries), by_name);
	return complain(path, error);
}

int each_entry(const char *path, int (*act)(const char *path, const char *name))
{
	struct listing l;
	int error = list_read(path, &l), one;

	for (size_t i = 0; i < l.count; i++) {
		char below[PATH_ROOM];

		if (snprintf(below, sizeof(below), "%s/%s", strcmp(path, "/") ? path : "",
			     l.entries[i].name) >= (int)VFS_PATH_MAX)
			one = complain(path, -ENAMETOOLONG);
		else
			one = act(below, l.entries[i].name);
		error = error ? error : one;
	}
	list_free(&l);
	return error;
}

bool is_dir(const char *path)
{
	char buf[PATH_ROOM];
	struct path p;
	bool dir;

	if (vfs_walk(NULL, on_disk(path, buf), 0, &p))
		return false;
	dir = inode_is_dir(path_inode(&p));
	path_put(&p);
	return dir;
}
