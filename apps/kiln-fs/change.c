/* The commands that change names: mkdir, rm, mv, ln. */
#include <stdio.h>
#include <string.h>

#include <core/errno.h>
#include <libos/vfs.h>

#include "disk.h"
#include "kiln-fs.h"

static bool is_root(const char *path)
{
	char buf[PATH_ROOM];
	struct path p;
	bool root;

	if (vfs_walk(NULL, on_disk(path, buf), 0, &p))
		return false;
	root = p.dentry == vfs_context()->root.dentry;
	path_put(&p);
	return root;
}

int do_mkdir(int argc, char **argv)
{
	int error = 0;

	for (int i = 0; i < argc && !error; i++) {
		char buf[PATH_ROOM];

		error = complain(argv[i],
				 vfs_create(NULL, on_disk(argv[i], buf), S_IFDIR | 0755, 0, NULL));
	}
	return error;
}

static int remove_tree(const char *path, const char *name)
{
	char buf[PATH_ROOM];
	bool dir = is_dir(path);
	int error = dir ? each_entry(path, remove_tree) : 0;

	(void)name;
	return error ? error : complain(path, vfs_unlink(NULL, on_disk(path, buf), dir));
}

int do_rm(int argc, char **argv)
{
	bool deep = argc > 1 && !strcmp(argv[0], "-r");
	int error = 0;

	for (int i = deep; i < argc && !error; i++) {
		char buf[PATH_ROOM];

		if (deep && is_root(argv[i]))
			error = complain(argv[i], -EBUSY);
		else if (deep)
			error = remove_tree(argv[i], argv[i]);
		else
			error = complain(argv[i], vfs_unlink(NULL, on_disk(argv[i], buf), false));
	}
	return error;
}

int do_mv(int argc, char **argv)
{
	char from[PATH_ROOM], to[PATH_ROOM];

	(void)argc;
	return complain(argv[0],
			vfs_rename(NULL, on_disk(argv[0], from), NULL, on_disk(argv[1], to), 0));
}

int do_ln(int argc, char **argv)
{
	char buf[PATH_ROOM];
	struct path p;
	int error;

	if (argc == 3 && strcmp(argv[0], "-s"))
		return complain(argv[0], -EINVAL);
	if (argc == 3)
		return complain(argv[2], vfs_create(NULL, on_disk(argv[2], buf), S_IFLNK | 0777, 0,
						    argv[1]));
	error = disk_walk(argv[0], 0, &p);
	if (error)
		return error;
	error = complain(argv[1], vfs_link(&p, NULL, on_disk(argv[1], buf)));
	path_put(&p);
	return error;
}
