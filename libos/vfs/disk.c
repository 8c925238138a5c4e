/*
 * Which disk a name means: the device's own, or a path that leads to its special file, such as
 * those in /dev/disk/by-uuid.
 */
#include <core/string.h>
#include <libos/blkdev.h>
#include <libos/vfs.h>

#include "vfs.h"

static struct blkdev *by_path(const char *text)
{
	struct blkdev *d = NULL;
	struct path p;

	if (vfs_walk(NULL, text, WALK_FOLLOW, &p))
		return NULL;
	if (inode_kind(path_inode(&p)) == S_IFBLK) {
		while ((d = blkdev_next(d)) && block_number(d) != path_inode(&p)->rdev)
			;
	}
	path_put(&p);
	return d;
}

struct blkdev *vfs_disk(const char *source)
{
	static const char dev[] = "/dev/";
	struct blkdev *d = blkdev_find(str_starts_with(source, dev) ? source + sizeof(dev) - 1
								    : source);

	return d || source[0] != '/' ? d : by_path(source);
}
