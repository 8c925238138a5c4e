/*
 * The first root: a tmpfs with the files of the initial archive, and over it /proc and /dev.
 */
#include <core/errno.h>
#include <core/init.h>
#include <libos/vfs.h>

#include "cpio.h"
#include "rootfs.h"
#include "vfs.h"

static void mount_proc(void)
{
	struct path at;

	vfs_create(NULL, "/proc", S_IFDIR | 0555, 0, NULL);
	if (vfs_walk(NULL, "/proc", WALK_DIR, &at))
		return;
	vfs_mount("proc", "proc", &at, MS_RELATIME | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	path_put(&at);
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
	int error = vfs_mount("tmpfs", "rootfs", NULL, MS_RELATIME, "mode=755");

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
	return devfs_mount();
}
INIT(INIT_SERVICES, rootfs_init);
