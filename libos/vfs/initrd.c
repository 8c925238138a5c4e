/*
 * The files of an initial archive, read-only, where they lie.
 *
 * The archive (cpio.h) is what the loader left in RAM (QEMU's -initrd), or else what was linked
 * into the image. A path is looked up by walking the archive, once for each open: it is meant for a
 * few configuration files. Regular files and directories can be opened, the latter to be looked at
 * with fstat(); names are compared without leading "/" and "./", and of two members of one name the
 * later counts.
 */
#include <core/errno.h>
#include <core/init.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <libos/abi.h>

#include "cpio.h"
#include "vfs.h"

static struct { const void *bytes; size_t size; } archive; /* [I] after INIT_SERVICES */

static const char *plain_name(const char *name)
{
	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	return name;
}

static bool find_member(const char *path, struct cpio_entry *found)
{
	const char *wanted = plain_name(path);
	struct cpio_entry e;
	struct cpio a;
	bool any = false;

	cpio_open(&a, archive.bytes, archive.size);
	while (cpio_next(&a, &e) == 1) {
		if (!str_equal(plain_name(e.name), wanted))
			continue;
		*found = e;
		any = true;
	}
	return any;
}

static kssize_t initrd_read(struct file *f, struct uio *u)
{
	const struct cpio_entry *e = f->object;

	if ((e->mode & S_IFMT) == S_IFDIR)
		return -EISDIR;
	if ((uint64_t)u->offset >= e->size)
		return 0;
	return uio_copy_out(u, e->data + u->offset, e->size - (size_t)u->offset);
}

static int64_t initrd_seek(struct file *f, int64_t offset, int whence)
{
	const struct cpio_entry *e = f->object;

	return file_seek(f, offset, whence, (int64_t)e->size);
}

static uint32_t initrd_poll(struct file *f)
{
	(void)f;
	return POLL_IN | POLL_OUT;
}

static int initrd_stat(struct file *f, struct kstat *st)
{
	const struct cpio_entry *e = f->object;

	st->ino = e->ino;
	st->mode = e->mode;
	st->uid = e->uid;
	st->gid = e->gid;
	st->size = (int64_t)e->size;
	st->blocks = (int64_t)DIV_ROUND_UP(e->size, 512);
	st->atime.sec = st->mtime.sec = st->ctime.sec = e->mtime;
	return 0;
}

static int initrd_sync(struct file *f, bool data_only)
{
	(void)f, (void)data_only;
	return 0;
}

static void initrd_release(struct file *f)
{
	kfree(f->object);
	kfree(f);
}

static const struct file_ops initrd_ops = {
	.kind = "initial file",
	.read = initrd_read,
	.poll = initrd_poll,
	.seek = initrd_seek,
	.stat = initrd_stat,
	.sync = initrd_sync,
	.release = initrd_release,
};

int initrd_open(const char *path, uint32_t flags, struct file **out)
{
	struct cpio_entry *e;
	uint32_t kind;

	if (!archive.size)
		return -ENOENT;
	e = kmalloc(sizeof(*e));
	*out = e ? file_create(&initrd_ops, e, flags) : NULL;
	if (!*out) {
		kfree(e);
		return -ENOMEM;
	}
	if (!find_member(path, e)) {
		file_put(*out);
		return -ENOENT;
	}
	kind = e->mode & S_IFMT;
	if ((kind == S_IFREG || kind == S_IFDIR) && (flags & O_ACCMODE) == O_RDONLY)
		return 0;
	file_put(*out);
	return kind == S_IFDIR ? -EISDIR : kind == S_IFREG ? -EROFS : -ELOOP;
}

static int initrd_init(void)
{
	struct cpio_entry e;
	struct cpio a;
	unsigned members = 0;
	int ret;

	archive.bytes = initrd_archive(&archive.size);
	if (!archive.size)
		return 0;
	cpio_open(&a, archive.bytes, archive.size);
	while ((ret = cpio_next(&a, &e)) == 1)
		members++;
	if (ret < 0)
		log_warn(
			"initrd: not a cpio archive (newc form) from byte %lu on; %u members are usable",
			(unsigned long)a.at, members);
	else
		log_info("initrd: %u members in %lu bytes", members, (unsigned long)archive.size);
	return 0;
}
INIT(INIT_SERVICES, initrd_init);
