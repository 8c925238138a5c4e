/* The first root; see rootfs.c. */
#ifndef VFS_ROOTFS_H
#define VFS_ROOTFS_H

#include <core/types.h>

/*
 * Unpacks a cpio archive into the tree: 0, -EINVAL for a damaged one, -EIO when members could not
 * be made.
 */
int rootfs_unpack(const void *bytes, size_t size);

/* Makes and mounts /dev: 0 or an errno. Once. */
int devfs_mount(void);
/*
 * Then, when all disks are known: links by what the file systems on them are called. Once; waits
 * for the disks.
 */
void devfs_name_file_systems(void);

#endif
