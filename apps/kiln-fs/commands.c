/*
 * What kiln-fs can be asked for, and the disk mounted around it. Paths are those of the disk
 * (paths.c).
 */
#include <stdio.h>
#include <string.h>

#include <core/errno.h>
#include <libos/blkdev.h>
#include <libos/vfs.h>

#include "disk.h"
#include "kiln-fs.h"

struct command {
	const char *name, *arguments, *what;
	int least, most;                 /* arguments */
	bool writes;
	/* 0 or an errno; NULL: "check", of a disk that is not mounted */
	int (*run)(int argc, char **argv);
};

/* Mounting has replayed the journal and seen to the orphans; unmounting leaves the disk clean. */
static int do_replay(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}

static const struct command commands[] = {
	{ "ls", "[PATH]", "list a directory", 0, 1, false, do_ls },
	{ "tree", "[PATH]", "list everything below a directory", 0, 1, false, do_tree },
	{ "cat", "PATH...", "print files", 1, 1000, false, do_cat },
	{ "get", "[-r] PATH FILE",
	  "copy a file of the disk to one of this machine, or a tree to a new folder", 2, 3, false,
	  do_get },
	{ "put", "[-r] FILE PATH",
	  "copy a file of this machine (-: standard input) to the disk, or a folder", 2, 3, true,
	  do_put },
	{ "mkdir", "PATH...", "make directories", 1, 1000, true, do_mkdir },
	{ "rm", "[-r] PATH...", "remove files, or whole trees", 1, 1000, true, do_rm },
	{ "mv", "FROM TO", "rename", 2, 2, true, do_mv },
	{ "ln", "[-s] FROM TO", "give a file another name, or make a symbolic link", 2, 3, true,
	  do_ln },
	{ "stat", "PATH", "what is known of a file", 1, 1, false, do_stat },
	{ "df", "", "how much room there is", 0, 0, false, do_df },
	{ "check", "", "look for damage; nothing is written", 0, 0, false, NULL },
	{ "replay", "", "replay the journal, so that the disk is clean", 0, 0, true, do_replay },
};

static int usage(void)
{
	fprintf(stderr,
		"kiln-fs DISK COMMAND ...: a file with ext4 on it, through the code of Kiln's images\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "  %-7s %-14s %s\n", commands[i].name, commands[i].arguments,
			commands[i].what);
	return 2;
}

static const struct command *command_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static int mount(const struct command *c, const struct blkdev *disk)
{
	struct path at;
	int error;

	vfs_mount("tmpfs", "", NULL, 0, NULL);
	vfs_create(NULL, "/disk", S_IFDIR | 0755, 0, NULL);
	error = vfs_walk(NULL, "/disk", WALK_DIR, &at);
	if (!error)
		error = vfs_mount("ext4", disk->name, &at, c->writes ? 0 : MS_RDONLY, NULL);
	if (error == -EROFS && !c->writes) {
		fprintf(stderr,
			"kiln-fs: reading the disk without what its journal holds (\"replay\" brings it home)\n");
		error = vfs_mount("ext4", disk->name, &at, MS_RDONLY, "noload");
	}
	path_put(&at);
	return error;
}

static int unmount(void)
{
	struct path at;
	int error = vfs_walk(NULL, "/disk", WALK_DIR, &at);

	if (!error)
		error = vfs_unmount(&at);
	return complain("unmounting", error);
}

static int run_at(struct path *root, const struct command *c, int argc, char **argv)
{
	int error;

	if (c->writes && c->run != do_replay && path_is_read_only(root))
		return complain("the disk", -EROFS);
	vfs_context()->umask = 0;
	vfs_set_path(&vfs_context()->root, root);
	error = c->run(argc, argv);
	vfs_set_path(&vfs_context()->root, root); /* as it was, so that the disk can be unmounted */
	return error;
}

static int run_mounted(const struct command *c, const struct blkdev *disk, int argc, char **argv)
{
	struct path root;
	int error = mount(c, disk), ended;

	if (error)
		return log_has_told_an_error() ? error : complain("mounting", error);
	error = vfs_walk(NULL, "/disk", WALK_DIR, &root);
	if (!error) {
		error = run_at(&root, c, argc, argv);
		path_put(&root);
	}
	ended = unmount();
	return error ? error : ended;
}

int commands_run(int argc, char **argv)
{
	const struct command *c = argc > 2 ? command_of(argv[2]) : NULL;
	const struct blkdev *disk;

	if (!c || argc - 3 < c->least || argc - 3 > c->most)
		return usage();
	if (!c->run)
		return check_disk(argv[1], false);
	disk = filedisk_open(argv[1], c->writes ? FILEDISK_WRITE : FILEDISK_READ);
	return !disk || run_mounted(c, disk, argc - 3, argv + 3) || !output_is_whole() ? 1 : 0;
}
