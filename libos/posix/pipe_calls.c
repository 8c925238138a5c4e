/* pipe2(). The pipe itself is libos/vfs/pipe.c. */
#include <core/errno.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "../vfs/vfs.h"
#include "fd.h"
#include "syscalls.h"

long sys_pipe2(int *ends, int flags)
{
	struct file *files[2];
	int fds[2], ret;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	ret = pipe_create((uint32_t)flags & O_NONBLOCK, files);
	if (ret)
		return ret;
	fds[0] = fd_install(files[0], flags & O_CLOEXEC, 0);
	if (fds[0] < 0) {
		file_put(files[1]);
		return fds[0];
	}
	fds[1] = fd_install(files[1], flags & O_CLOEXEC, 0);
	ret = fds[1] < 0 ? fds[1] : user_write(ends, fds, sizeof(fds));
	if (ret) {
		fd_close(fds[0]);
		if (fds[1] >= 0)
			fd_close(fds[1]);
	}
	return ret;
}
