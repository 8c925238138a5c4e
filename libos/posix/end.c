/*
 * The end of a program that still holds files without names.
 *
 * Nothing ends the program's descriptors but the end of the machine. A file that was removed while
 * open would stay on its disk's list of orphans, and the checkers of such a disk call it not clean.
 * So these files, and a working directory that was removed, are let go before the file systems end.
 * Files with names stay open: threads that still run may use them until their file system turns
 * read-only.
 */
#include <core/init.h>
#include <libos/power.h>
#include <libos/vfs.h>

#include "fd.h"

static bool has_no_name(const struct file *f)
{
	const struct path *p = file_path(f);

	return p && !path_inode(p)->nlink;
}

static void close_nameless(void)
{
	for (unsigned fd = 0; fd < fd_end(); fd++) {
		struct file *f = fd_get_any((int)fd);

		if (!f)
			continue;
		if (has_no_name(f))
			fd_close((int)fd);
		file_put(f);
	}
}

static void leave_dead_directory(void)
{
	struct vfs_context *c = vfs_context();
	struct path cwd, to;

	vfs_get_context_path(&c->cwd, &cwd);
	if (path_inode(&cwd)->dead) {
		vfs_get_context_path(&c->root, &to);
		vfs_set_path(&c->cwd, &to);
		path_put(&to);
	}
	path_put(&cwd);
}

static void let_go(struct power_hook *h)
{
	(void)h;
	close_nameless();
	leave_dead_directory();
}

static int end_init(void)
{
	static struct power_hook hook = { .level = POWER_APP, .run = let_go };

	power_hook_add(&hook);
	return 0;
}
INIT(INIT_APP, end_init);
