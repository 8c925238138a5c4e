/*
 * Opening files. Without a file system there are the devices (libos/vfs/devices.c), disks
 * (block_file.c), the files of an initial archive (initrd.c), the resolver's files (etc.c) and the
 * standard descriptors, which start as the console.
 */
#include <core/errno.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "../vfs/vfs.h"
#include "fd.h"
#include "open.h"
#include "syscalls.h"

#define PATH_BYTES 256
#define KEPT_FLAGS (O_ACCMODE | O_NONBLOCK | O_APPEND | O_SYNC)

/* etc.c, where there is a network. */
__attribute__((weak)) int etc_open(const char *path, uint32_t flags, struct file **out)
{
	(void)path, (void)flags, (void)out;
	return -ENOENT;
}

/* block_file.c, where there are disks. */
__attribute__((weak)) int block_open(const char *path, uint32_t flags, struct file **out)
{
	(void)path, (void)flags, (void)out;
	return -ENOENT;
}

/* initrd.c, where there may be an archive. */
__attribute__((weak)) int initrd_open(const char *path, uint32_t flags, struct file **out)
{
	(void)path, (void)flags, (void)out;
	return -ENOENT;
}

static int path_open(const char *path, uint32_t flags, struct file **out)
{
	static int (*const places[])(const char *, uint32_t, struct file **) = {
		device_open, block_open, initrd_open, etc_open,
	};
	int ret = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(places) && ret == -ENOENT; i++)
		ret = places[i](path, flags, out);
	return ret;
}

long sys_openat(int dirfd, const char *user_path, int flags, unsigned mode)
{
	char path[PATH_BYTES];
	struct file *f;
	kssize_t len = user_read_string(path, user_path, sizeof(path));
	int ret;

	(void)mode;
	if (len < 0)
		return len;
	if (path[0] != '/' && dirfd != AT_FDCWD)
		return -ENOTDIR;
	if (flags & O_DIRECTORY)
		return len ? -ENOTDIR : -ENOENT;
	ret = path_open(path, (uint32_t)flags & KEPT_FLAGS, &f);
	return ret ? ret : fd_install(f, flags & O_CLOEXEC, 0);
}

/* Attributes of what a path names, by opening it. */
long sys_newfstatat(int dirfd, const char *user_path, void *st, int flags)
{
	char path[PATH_BYTES];
	struct kstat k;
	kssize_t len = user_read_string(path, user_path, sizeof(path));
	struct file *f;
	int ret;

	if (len < 0)
		return len;
	if (!len)
		return flags & AT_EMPTY_PATH ? sys_fstat(dirfd, st) : -ENOENT;
	ret = path_open(path, O_RDONLY, &f);
	if (ret)
		return ret;
	ret = file_stat(f, &k);
	file_put(f);
	return ret ? ret : user_write(st, &k, sizeof(k));
}

long sys_umask(unsigned mask)
{
	static unsigned current = 022;

	return (long)__atomic_exchange_n(&current, mask & 0777, __ATOMIC_RELAXED);
}

long sys_sync(void)
{
	return 0;
}

struct file *open_console(void)
{
	return console_open();
}
