/*
 * The first root: a tmpfs with the files of the initial archive, and /dev with a name for each device.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/init.h>
#include <libos/blkdev.h>
#include <libos/vfs.h>

#include "cpio.h"
#include "rootfs.h"
#include "vfs.h"

static void make_disk(const struct blkdev *d)
{
	char path[64], target[32];

	fmt_print(path, sizeof(path), "/dev/%s", d->name);
	vfs_create(NULL, path, S_IFBLK | 0660, block_number(d), NULL);
	if (!d->serial[0])
		return;
	fmt_print(path, sizeof(path), "/dev/disk/by-id/virtio-%s", d->serial);
	fmt_print(target, sizeof(target), "../../%s", d->name);
	vfs_create(NULL, path, S_IFLNK | 0777, 0, target);
}

static void mount_proc(void)
{
	struct path at;

	vfs_create(NULL, "/proc", S_IFDIR | 0555, 0, NULL);
	if (vfs_walk(NULL, "/proc", WALK_DIR, &at))
		return;
	vfs_mount("proc", "proc", &at, MS_RELATIME | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	path_put(&at);
}

static int make_devices(void)
{
	struct path dev;
	int error;

	vfs_create(NULL, "/dev", S_IFDIR | 0755, 0, NULL);
	error = vfs_walk(NULL, "/dev", WALK_DIR, &dev);
	if (error)
		return error;
	error = vfs_mount("tmpfs", "devfs", &dev, 0, "size=64k");
	path_put(&dev);
	for (unsigned i = 0; !error && device_name(i); i++) {
		char path[32];

		fmt_print(path, sizeof(path), "/dev/%s", device_name(i));
		error = vfs_create(NULL, path, S_IFCHR | 0666, device_number(i), NULL);
	}
	if (IS_ENABLED(CONFIG_BLOCK)) {
		vfs_create(NULL, "/dev/disk", S_IFDIR | 0755, 0, NULL);
		vfs_create(NULL, "/dev/disk/by-id", S_IFDIR | 0755, 0, NULL);
		for (struct blkdev *d = blkdev_next(NULL); d; d = blkdev_next(d))
			make_disk(d);
	}
	return error;
}

int special_open(uint32_t kind, uint64_t rdev, uint32_t flags, struct file **out)
{
	if (kind == S_IFCHR)
		return device_open_number(rdev, flags, out);
	return IS_ENABLED(CONFIG_BLOCK) ? block_open_number(rdev, flags, out) : -ENXIO;
}

static int rootfs_init(void)
{
	size_t size = 0;
	const void *archive;
	int error = vfs_mount("tmpfs", "rootfs", NULL, MS_RELATIME, NULL);

	if (error)
		return error;
	vfs_create(NULL, "/tmp", S_IFDIR | 01777, 0, NULL);
	if (IS_ENABLED(CONFIG_INITRD)) {
		archive = initrd_archive(&size);
		if (size)
			rootfs_unpack(archive, size);
	}
	if (IS_ENABLED(CONFIG_PROCFS))
		mount_proc();
	return make_devices();
}
INIT(INIT_SERVICES, rootfs_init);
