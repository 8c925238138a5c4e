/* Files that exist without a file system: the console, the simple devices, pipes. */
#ifndef VFS_VFS_H
#define VFS_VFS_H

#include <libos/file.h>

/* The console as a file (created once, shared); a new reference. NULL: no memory. */
struct file *console_open(void);

/* A device by its path: 0 and *out, -ENOENT, -ENXIO, -ENOMEM. */
int device_open(const char *path, uint32_t flags, struct file **out);

/* The same by the number of a special file, and what numbers there are: -ENXIO: no such device. */
int device_open_number(uint64_t rdev, uint32_t flags, struct file **out);
const char *device_name(unsigned i);   /* NULL: no more */
uint64_t device_number(unsigned i);
uint32_t device_mode(unsigned i);      /* permission */

struct blkdev;
uint64_t block_number(const struct blkdev *d);
int block_open_number(uint64_t rdev, uint32_t flags, struct file **out);

/* A block device by its path, as above; -EROFS to write to one that cannot be written to. */
int block_open(const char *path, uint32_t flags, struct file **out);

/*
 * A file of the initial archive: 0 and *out, -ENOENT, -EISDIR, -EROFS, -ELOOP (a symbolic link),
 * -ENOMEM.
 */
int initrd_open(const char *path, uint32_t flags, struct file **out);

/*
 * The pipe of a special file; waits for the other end as fifo.c says: 0 and *out, -ENXIO,
 * -ERESTARTSYS, -ENOMEM.
 */
struct inode;
int fifo_open(struct inode *inode, uint32_t flags, struct file **out);

/* Both ends of a new pipe: 0 or -ENOMEM. */
int pipe_create(uint32_t flags, struct file *ends[2]);

#endif
