/* The system calls of descriptors as such: close, dup, fcntl. */
#include <core/errno.h>
#include <core/string.h>
#include <libos/abi.h>
#include <libos/vfs.h>

#include "fd.h"
#include "lock_calls.h"
#include "syscalls.h"

#define F_DUPFD         0
#define F_GETFD         1
#define F_SETFD         2
#define F_GETFL         3
#define F_SETFL         4
#define F_DUPFD_CLOEXEC 1030
#define F_SETPIPE_SZ    1031
#define F_GETPIPE_SZ    1032
#define FD_CLOEXEC      1

#define SETTABLE_FLAGS (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

/* lock_calls.c, where there are file systems. */
__attribute__((weak)) long fcntl_lock(struct file *f, int fd, int command, void *user)
{
	(void)f, (void)fd, (void)command, (void)user;
	return -EINVAL;
}

long sys_close(int fd)
{
	return fd_close(fd);
}

long sys_dup(int fd)
{
	struct file *f = fd_get_any(fd);

	return f ? fd_install(f, false, 0) : -EBADF;
}

long sys_dup3(int from, int to, int flags)
{
	struct file *f;

	if (from == to || (flags & ~O_CLOEXEC))
		return -EINVAL;
	f = fd_get_any(from);
	return f ? fd_replace(to, f, flags & O_CLOEXEC) : -EBADF;
}

/* Whether a file is being read is its owner's business. */
static bool may_hide_access(const struct file *f)
{
	const struct path *p = IS_ENABLED(CONFIG_VFS) ? file_path(f) : NULL;

	return !p || vfs_owns(path_inode(p));
}

static long file_set_flags(struct file *f, uint32_t flags)
{
	uint32_t old = __atomic_load_n(&f->flags, __ATOMIC_RELAXED), new;

	if (flags & ~old & O_NOATIME && !may_hide_access(f))
		return -EPERM;
	if (!f->ops->pages) /* it has none to go past */
		flags = (flags & ~(uint32_t)O_DIRECT) | (old & O_DIRECT);
	do
		new = (old & ~SETTABLE_FLAGS) | (flags & SETTABLE_FLAGS);
	while (!__atomic_compare_exchange_n(&f->flags, &old, new, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
	return 0;
}

static long fcntl_dup(struct file *f, unsigned long lowest, bool close_on_exec)
{
	if (lowest >= fd_limit())
		return -EINVAL;
	return fd_install(file_get(f), close_on_exec, (int)lowest);
}

/* A pipe's size is fixed: to ask for as much or less changes nothing. */
static long pipe_size(const struct file *f, unsigned long wanted)
{
	const unsigned long size = KIB(64);

	if (!str_equal(f->ops->kind, "pipe"))
		return -EBADF;
	return wanted > size ? -EPERM : (long)size;
}

static long fcntl_file(struct file *f, int fd, int command, unsigned long arg)
{
	bool close_on_exec = false;

	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return fcntl_dup(f, arg, command == F_DUPFD_CLOEXEC);
	case F_GETFD:
		fd_flags(fd, &close_on_exec);
		return close_on_exec ? FD_CLOEXEC : 0;
	case F_SETFD:
		return fd_set_flags(fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return f->flags & ~(uint32_t)O_CLOEXEC;
	case F_SETPIPE_SZ:
	case F_GETPIPE_SZ:
		return pipe_size(f, command == F_SETPIPE_SZ ? arg : 0);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return fcntl_lock(f, fd, command, (void *)arg);
	case F_SETFL:
		return file_set_flags(f, (uint32_t)arg);
	default:
		return -EINVAL;
	}
}

static bool is_about_descriptor(int command)
{
	return command <= F_GETFL || command == F_DUPFD_CLOEXEC;
}

long sys_fcntl(int fd, int command, unsigned long arg)
{
	struct file *f = is_about_descriptor(command) ? fd_get_any(fd) : fd_get(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = fcntl_file(f, fd, command, arg);
	file_put(f);
	return ret;
}

long sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	const unsigned cloexec_only = 4;

	if (first > last || (flags & ~cloexec_only))
		return -EINVAL;
	for (unsigned fd = first; fd <= last && fd < fd_end(); fd++) {
		if (flags & cloexec_only)
			fd_set_flags((int)fd, true);
		else
			fd_close((int)fd);
	}
	return 0;
}
