/* System calls about locks on files: fcntl's F_*LK* and flock. */
#include <core/errno.h>
#include <libos/abi.h>
#include <libos/locks.h>
#include <libos/uio.h>

#include "fd.h"
#include "lock_calls.h"
#include "process.h"
#include "syscalls.h"

struct abi_flock {
	int16_t type, whence;
	int64_t start, len;
	int pid;
};

enum { F_RDLCK, F_WRLCK, F_UNLCK };

static const char process_owner; /* its address stands for the process */

/* The range that a struct flock means: 0, -EINVAL, -EOVERFLOW. */
static int range_of(struct file *f, struct inode *inode, const struct abi_flock *k,
		    struct lock_range *l)
{
	int64_t base = k->whence == 0 ? 0 : k->whence == 1 ? f->position : inode->size, start, last;

	if (k->whence < 0 || k->whence > 2 || k->type < F_RDLCK || k->type > F_UNLCK)
		return -EINVAL;
	if (__builtin_add_overflow(base, k->start, &start))
		return -EOVERFLOW;
	if (__builtin_add_overflow(start, k->len - (k->len > 0), &last))
		return -EOVERFLOW;
	if (k->len < 0) { /* backwards: [start + len, start) */
		int64_t end = start - 1;

		start = last;
		last = end;
	}
	if (start < 0)
		return -EINVAL;
	l->first = (uint64_t)start;
	l->last = k->len ? (uint64_t)last : INT64_MAX;
	l->exclusive = k->type == F_WRLCK;
	return 0;
}

static long lock_get(struct inode *inode, const struct lock_range *l, struct abi_flock *k, bool ofd,
		     void *user)
{
	struct lock_range found;

	if (ofd && k->pid)
		return -EINVAL;
	if (k->type == F_UNLCK)
		return -EINVAL;
	if (!lock_find(inode, l, &found)) {
		k->type = F_UNLCK;
	} else {
		*k = (struct abi_flock){
			.type = found.exclusive ? F_WRLCK : F_RDLCK,
			.start = (int64_t)found.first,
			.len = found.last == INT64_MAX ? 0
						       : (int64_t)(found.last - found.first + 1),
			.pid = found.owner == &process_owner ? PROCESS_ID : -1,
		};
	}
	return user_write(user, k, sizeof(*k));
}

static bool may_lock(const struct file *f, int type)
{
	uint32_t mode = f->flags & O_ACCMODE;

	return type == F_UNLCK || mode == O_RDWR || mode == (type == F_RDLCK ? O_RDONLY : O_WRONLY);
}

/*
 * A lock of the process goes when a descriptor of its file is closed, and one that comes after that
 * close must go as well: nobody would give it back, and the inode that it names may end. -EBADF: it
 * has gone.
 */
static long keep_if_open(struct file *f, int fd, struct inode *inode)
{
	struct file *now = fd_get_any(fd);
	bool open = now == f;

	if (now)
		file_put(now);
	if (!open)
		lock_forget(inode, &process_owner);
	return open ? 0 : -EBADF;
}

long fcntl_lock(struct file *f, int fd, int command, void *user)
{
	const struct path *p = file_path(f);
	bool ofd = command >= F_OFD_GETLK, get = command == F_GETLK || command == F_OFD_GETLK;
	struct lock_range l = {
		.kind = LOCK_RANGE, .owner = ofd ? (const void *)f : &process_owner
	};
	struct abi_flock k;
	int error;

	if (user_read(&k, user, sizeof(k)) < 0)
		return -EFAULT;
	if (!p || !path_inode(p) || f->flags & O_PATH)
		return -EBADF;
	error = range_of(f, path_inode(p), &k, &l);
	if (error)
		return error;
	if (get)
		return lock_get(path_inode(p), &l, &k, ofd, user);
	if (!may_lock(f, k.type))
		return -EBADF;
	if (ofd && k.pid)
		return -EINVAL;
	error = lock_set(path_inode(p), &l, k.type == F_UNLCK,
			 command == F_SETLKW || command == F_OFD_SETLKW);
	return error || ofd || k.type == F_UNLCK ? error : keep_if_open(f, fd, path_inode(p));
}

enum { FLOCK_SHARED = 1, FLOCK_EXCLUSIVE = 2, FLOCK_NONBLOCK = 4, FLOCK_UNLOCK = 8 };

long sys_flock(int fd, int operation)
{
	struct file *f = fd_get(fd);
	const struct path *p = f ? file_path(f) : NULL;
	int what = operation & ~FLOCK_NONBLOCK;
	struct lock_range l = { .kind = LOCK_WHOLE,
				.exclusive = what == FLOCK_EXCLUSIVE,
				.last = INT64_MAX,
				.owner = f };
	long ret;

	if (what != FLOCK_SHARED && what != FLOCK_EXCLUSIVE && what != FLOCK_UNLOCK)
		ret = -EINVAL;
	else if (!p || f->flags & O_PATH)
		ret = -EBADF;
	else
		ret = lock_set(path_inode(p), &l, what == FLOCK_UNLOCK,
			       !(operation & FLOCK_NONBLOCK));
	if (f)
		file_put(f);
	return ret;
}

void locks_descriptor_closed(struct file *f)
{
	const struct path *p = file_path(f);

	if (p && !(f->flags & O_PATH))
		lock_forget(path_inode(p), &process_owner);
}
