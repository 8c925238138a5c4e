/*
 * /dev: a tmpfs with a name for each device, made when the device appears.
 *
 * Disks register whenever their drivers find them, partitions after their disk; each gets a special
 * file and links that do not depend on the order: by serial, by what the partition table says, and
 * by what the file system on it says. The folder is held by its own path, so a chroot or a file
 * system mounted over /dev changes nothing. The disks are read for the last kind of names once,
 * before the first is mounted.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <libos/blkdev.h>
#include <libos/vfs.h>

#include "rootfs.h"
#include "vfs.h"

static struct path dev; /* [I] */

/* The mode is meant as it stands, whatever umask the program has. */
static void make_special(const char *name, uint32_t mode, uint64_t number)
{
	struct attr_change a = { .mask = ATTR_MODE, .mode = mode };
	struct path p;

	if (vfs_create(&dev, name, mode, number, NULL) || vfs_walk(&dev, name, 0, &p))
		return;
	vfs_change(&p, &a);
	path_put(&p);
}

static void make_dir(const char *name, uint32_t mode)
{
	make_special(name, S_IFDIR | mode, 0);
}

static void make_link(const char *name, const char *target)
{
	vfs_create(&dev, name, S_IFLNK | 0777, 0, target);
}

/*
 * What stands in a device's serial or label may be anything: only names that are one component
 * become links.
 */
static bool is_name(const char *text)
{
	size_t len = 0;

	for (; text[len]; len++) {
		if (text[len] <= ' ' || text[len] == '/' || text[len] >= 0x7f)
			return false;
	}
	return len > 0 && len < 40;
}

static void link_disk(const struct blkdev *d, const char *dir, const char *prefix, const char *word,
		      const char *suffix)
{
	char path[96], target[32];

	if (!is_name(word))
		return;
	fmt_print(path, sizeof(path), "disk/%s/%s%s%s", dir, prefix, word, suffix);
	fmt_print(target, sizeof(target), "../../%s", d->name);
	make_link(path, target);
}

static void disk_appeared(struct blkdev *d)
{
	char suffix[16] = "";

	make_special(d->name, S_IFBLK | 0660, block_number(d));
	if (d->whole)
		fmt_print(suffix, sizeof(suffix), "-part%u", d->part);
	link_disk(d, "by-id", "virtio-", d->whole ? d->whole->serial : d->serial, suffix);
	link_disk(d, "by-partuuid", "", d->part_uuid, "");
	link_disk(d, "by-partlabel", "", d->part_label, "");
}

static void make_disks(void)
{
	make_dir("disk", 0755);
	make_dir("disk/by-id", 0755);
	make_dir("disk/by-partuuid", 0755);
	make_dir("disk/by-partlabel", 0755);
	make_dir("disk/by-uuid", 0755);
	make_dir("disk/by-label", 0755);
	blkdev_set_listener(disk_appeared); /* from now on; those in the list may come twice */
	for (struct blkdev *d = blkdev_next(NULL); d; d = blkdev_next(d))
		disk_appeared(d);
}

int devfs_mount(void)
{
	int error;

	vfs_create(NULL, "/dev", S_IFDIR | 0755, 0, NULL);
	error = vfs_walk(NULL, "/dev", WALK_DIR, &dev);
	if (!error)
		error = vfs_mount("tmpfs", "devfs", &dev, MS_RELATIME | MS_NOSUID | MS_NOEXEC,
				  "size=64k,mode=755");
	path_put(&dev);
	if (!error)
		error = vfs_walk(NULL, "/dev", WALK_DIR, &dev);
	if (error)
		return error;
	for (unsigned i = 0; device_name(i); i++)
		make_special(device_name(i), S_IFCHR | device_mode(i), device_number(i));
	make_dir("shm", 01777);
	if (IS_ENABLED(CONFIG_PROCFS)) {
		make_link("fd", "/proc/self/fd");
		make_link("stdin", "/proc/self/fd/0");
		make_link("stdout", "/proc/self/fd/1");
		make_link("stderr", "/proc/self/fd/2");
	}
	if (IS_ENABLED(CONFIG_BLOCK))
		make_disks();
	return 0;
}

static void link_file_system(struct blkdev *d)
{
	struct fs_identity id = { 0 };
	const struct fs_type *type;
	const uint8_t *u = id.uuid;
	char uuid[40];
	unsigned i = 0;

	while ((type = vfs_type(i++)) && !(type->identify && type->identify(d, &id)))
		;
	if (!type)
		return;
	fmt_print(uuid, sizeof(uuid),
		  "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
		  u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
		  u[14], u[15]);
	link_disk(d, "by-uuid", "", uuid, "");
	link_disk(d, "by-label", "", id.label, "");
}

void devfs_name_file_systems(void)
{
	for (struct blkdev *d = IS_ENABLED(CONFIG_BLOCK) ? blkdev_next(NULL) : NULL; d;
	     d = blkdev_next(d))
		link_file_system(d);
}
