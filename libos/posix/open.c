/*
 * Opening files. Without a file system there are the devices (libos/vfs/devices.c), the resolver's
 * files (etc.c) and the standard descriptors, which start as the console.
 */
#include <core/errno.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "../vfs/vfs.h"
#include "fd.h"
#include "open.h"
#include "syscalls.h"

#define PATH_BYTES 256

/* etc.c, where there is a network. */
__attribute__((weak)) int etc_open(const char *path, uint32_t flags, struct file **out)
{
	(void)path, (void)flags, (void)out;
	return -ENOENT;
}

static int path_open(const char *path, uint32_t flags, struct file **out)
{
	int ret = device_open(path, flags, out);

	return ret == -ENOENT ? etc_open(path, flags, out) : ret;
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
	ret = path_open(path, (uint32_t)flags & (O_ACCMODE | O_NONBLOCK | O_APPEND), &f);
	return ret ? ret : fd_install(f, flags & O_CLOEXEC, 0);
}

int open_standard_files(void)
{
	struct file *console = console_open();

	if (!console)
		return -ENOMEM;
	for (int fd = 0; fd < 3; fd++)
		if (fd_install(file_get(console), false, fd) < 0)
			break;
	file_put(console);
	return 0;
}
