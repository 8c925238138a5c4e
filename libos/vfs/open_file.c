/*
 * Open files of file systems: what open() makes of an inode, and directories to be read.
 *
 * A regular file is what its file system says (inode->file); a directory is read through iterate();
 * a character or block special file is the device; O_PATH gives a file that only names its place.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/locks.h>
#include <libos/notify.h>

#include "namei.h"
#include "vfs.h"

/* The place of an open file; f->place points to the first member. */
struct lies_at {
	struct file_place place;
	struct path path;
	uint32_t flags; /* that it was opened with */
};

/* It keeps its mount from becoming read-only. */
static bool is_writer(const struct path *p, uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH) &&
	       inode_kind(path_inode(p)) == S_IFREG;
}

/* It counts before it asks: who makes the mount read-only says so before he looks at the count. */
static int writer_begin(const struct path *p)
{
	__atomic_fetch_add(&p->mount->writers, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!super_stops(p->mount->super) && !path_is_read_only(p))
		return 0;
	__atomic_fetch_sub(&p->mount->writers, 1, __ATOMIC_RELEASE);
	return -EROFS;
}

static void writer_end(const struct path *p)
{
	__atomic_fetch_sub(&p->mount->writers, 1, __ATOMIC_RELEASE);
}

/* `was` is the file's address, the name of its locks' owner. */
static void place_release(struct file_place *place, const void *was)
{
	struct lies_at *l = container_of(place, struct lies_at, place);

	lock_forget(path_inode(&l->path), was);
	if (is_writer(&l->path, l->flags))
		writer_end(&l->path);
	if (!(l->flags & O_PATH))
		notify_path(&l->path, (l->flags & O_ACCMODE) == O_RDONLY ? NOTIFY_CLOSE_NOWRITE
									 : NOTIFY_CLOSE_WRITE);
	path_put(&l->path);
	kfree(l);
}

static int place_stat(struct file_place *place, struct kstat *st)
{
	inode_stat(path_inode(&container_of(place, struct lies_at, place)->path), st);
	return 0;
}

static const struct file_place_ops place_ops = { .stat = place_stat, .release = place_release };

const struct path *file_path(const struct file *f)
{
	return f->place ? &container_of(f->place, struct lies_at, place)->path : NULL;
}

bool file_access_is_due(const struct file *f)
{
	const struct path *p = file_path(f);
	uint32_t flags = p ? vfs_mount_flags(p) : MS_NOATIME;
	const struct inode *inode;

	if (f->flags & O_NOATIME || flags & (MS_NOATIME | MS_RDONLY))
		return false;
	inode = path_inode(p);
	if (flags & MS_NODIRATIME && inode_is_dir(inode))
		return false;
	return !(flags & MS_RELATIME) || inode_atime_is_due(inode);
}

void file_accessed(struct file *f)
{
	if (unlikely(file_access_is_due(f)))
		inode_touch(path_inode(file_path(f)), TOUCH_A_ALWAYS);
}

static kssize_t dir_read(struct file *f, struct uio *u)
{
	(void)f, (void)u;
	return -EISDIR;
}

/* Only places that iterate() gave mean anything; a seek back to 0 begins anew. */
static int64_t dir_seek(struct file *f, int64_t offset, int whence)
{
	return file_seek(f, offset, whence, INT64_MAX);
}

static uint32_t always_ready(struct file *f)
{
	(void)f;
	return POLL_IN | POLL_OUT;
}

static int node_sync(struct file *f, bool data_only)
{
	struct inode *inode = f->object;

	return inode->ops->sync ? inode->ops->sync(inode, data_only) : 0;
}

static const struct file_ops dir_ops = {
	.kind = "directory", .read = dir_read, .seek = dir_seek, .poll = always_ready,
	.sync = node_sync,
};

static const struct file_ops name_ops = { .kind = "path" };

/* rootfs.c, where there are devices. */
__attribute__((weak)) int special_open(uint32_t kind, uint64_t rdev, uint32_t flags,
				       struct file **out)
{
	(void)kind, (void)rdev, (void)flags, (void)out;
	return -ENXIO;
}

static int file_of(struct inode *inode, uint32_t flags, struct file **out)
{
	const struct file_ops *ops = flags & O_PATH ? &name_ops : NULL;
	uint32_t kind = inode_kind(inode);

	if (!ops && (kind == S_IFCHR || kind == S_IFBLK))
		return special_open(kind, inode->rdev, flags, out);
	if (!ops && IS_ENABLED(CONFIG_POSIX_PIPE) && kind == S_IFIFO)
		return fifo_open(inode, flags, out);
	if (!ops)
		ops = kind == S_IFDIR ? &dir_ops : kind == S_IFREG ? inode->file : NULL;
	if (!ops)
		return -ENXIO; /* a socket */
	*out = file_create(ops, inode, flags);
	return *out ? 0 : -ENOMEM;
}

int open_inode(const struct path *p, uint32_t flags, struct file **out)
{
	const uint32_t kept = O_ACCMODE | O_NONBLOCK | O_APPEND | O_SYNC | O_PATH | O_DIRECT |
			      O_NOATIME | O_DIRECTORY | O_NOFOLLOW;
	struct lies_at *l = kmalloc(sizeof(*l));
	int error;

	if (!l)
		return -ENOMEM;
	error = is_writer(p, flags) ? writer_begin(p) : 0;
	if (!error) {
		error = file_of(path_inode(p), flags & kept, out);
		if (error && is_writer(p, flags))
			writer_end(p);
	}
	if (error) {
		kfree(l);
		return error;
	}
	path_get(p);
	l->path = *p;
	l->flags = flags;
	l->place.ops = &place_ops;
	(*out)->place = &l->place;
	if ((*out)->ops->opened)
		(*out)->ops->opened(*out);
	return 0;
}
