/* System calls about file systems: statfs, mount, umount. */
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/abi.h>
#include <libos/uio.h>
#include <libos/vfs.h>

#include "fd.h"
#include "io.h"
#include "syscalls.h"
#include "where.h"

static long statfs_out(int error, struct path *p, void *out)
{
	struct abi_statfs st;

	if (error)
		return error;
	vfs_statfs(p, &st);
	path_put(p);
	return user_write(out, &st, sizeof(st));
}

long sys_statfs(const char *path, void *out)
{
	struct path p;

	return statfs_out(where_find(AT_FDCWD, path, 0, &p), &p, out);
}

long sys_fstatfs(int fd, void *out)
{
	struct path p;

	return statfs_out(where_of_any(fd, &p), &p, out);
}

#define MOUNT_TEXT 1024u

/* What fstrim(8) asks; the range's length becomes what was trimmed. */
long file_trim(struct file *f, void *user)
{
	struct { uint64_t start, len, least; } range;
	const struct path *p = file_path(f);
	struct super *s = p ? path_inode(p)->super : NULL;
	int error;

	if (!s || !s->ops->trim ||
	    (!inode_is_dir(path_inode(p)) && inode_kind(path_inode(p)) != S_IFREG))
		return -ENOTTY;
	if (vfs_context()->uid)
		return -EPERM;
	if (user_read(&range, user, sizeof(range)) < 0)
		return -EFAULT;
	error = s->ops->trim(s, range.start, range.len, range.least, &range.len);
	return error ? error : user_write(user, &range, sizeof(range));
}

struct mount_texts {
	char source[MOUNT_TEXT], type[MOUNT_TEXT], options[MOUNT_TEXT];
};

static int optional_text(char *text, const char *user)
{
	kssize_t n = user ? user_read_string(text, user, MOUNT_TEXT) : 0;

	if (!user)
		text[0] = '\0';
	return n < 0 ? (int)n : 0;
}

static int read_texts(struct mount_texts *t, const char *source, const char *type,
		      const void *options)
{
	int error = optional_text(t->source, source);

	if (!error)
		error = optional_text(t->type, type);
	return error ? error : optional_text(t->options, options);
}

/*
 * Times of access are relative unless the caller says otherwise; the upper half may be an old magic
 * number.
 */
static uint32_t mount_flags(unsigned long flags)
{
	const unsigned long magic = 0xc0ed0000, mask = 0xffff0000;

	if ((flags & mask) == magic)
		flags &= ~mask;
	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		flags |= MS_RELATIME;
	else
		flags &= ~(unsigned long)MS_RELATIME;
	return (uint32_t)flags;
}

/* With a second place as the source: bind or move. */
static int mount_place(const char *source, const struct path *at, uint32_t flags)
{
	struct path from;
	int error;

	if (!source || !*source)
		return -EINVAL;
	error = vfs_walk(NULL, source, WALK_FOLLOW, &from);
	if (error)
		return error;
	if (flags & MS_BIND)
		error = vfs_bind(&from, at, flags & MS_REC);
	else
		error = vfs_move_mount(&from, at);
	path_put(&from);
	return error;
}

static int mount_at(const struct mount_texts *t, const char *source, const struct path *at,
		    uint32_t flags)
{
	const uint32_t propagation = 0x1a0000; /* unbindable, slave, shared */

	if (flags & MS_REMOUNT)
		return vfs_remount(at, flags, t->options, flags & MS_BIND);
	if (flags & (MS_BIND | MS_MOVE))
		return mount_place(source ? t->source : NULL, at, flags);
	if (flags & propagation)
		return -EINVAL;
	if (flags & MS_PRIVATE)
		return 0; /* as they all are */
	return *t->type ? vfs_mount(t->type, t->source, at, flags, t->options) : -EINVAL;
}

long sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
	       const void *data)
{
	struct mount_texts *t = kmalloc(sizeof(*t));
	struct path at = { 0 };
	int error = t ? read_texts(t, source, type, data) : -ENOMEM;

	if (!error && vfs_context()->uid)
		error = -EPERM;
	if (!error)
		error = where_find(AT_FDCWD, target, 0, &at);
	if (!error)
		error = mount_at(t, source, &at, mount_flags(flags));
	path_put(&at);
	kfree(t);
	return error;
}

long sys_umount2(const char *target, int flags)
{
	const int force = 1, detach = 2, nofollow = 8;
	struct path at;
	int error;

	if (flags & ~(force | detach | nofollow))
		return -EINVAL;
	error = where_find(AT_FDCWD, target, flags & nofollow ? AT_SYMLINK_NOFOLLOW : 0, &at);
	if (error)
		return error;
	error = vfs_context()->uid ? -EPERM : flags & detach ? vfs_detach(&at) : vfs_unmount(&at);
	if (error)
		path_put(&at);
	return error;
}
