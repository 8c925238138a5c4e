/*
 * File workloads for power cuts: what files hold, by their numbers, and the calls of the VFS, by
 * path. Which of them a worker makes is in crash_work_host_test.c.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/vfs.h>

#include "crash_acts.h"

uint8_t crash_byte(unsigned worker, unsigned file, unsigned at)
{
	return (uint8_t)(1 + (worker * 83 + file * 29 + at * 3 + (at >> 8) * 7) % 251);
}

/* Small ones lie in the inode, large ones in a block of their own. */
size_t crash_label(unsigned label, uint8_t *value)
{
	size_t len = label % 3 ? 12 : CRASH_LABEL_MAX;

	memset(value, (int)label, len);
	return len;
}

/* Short ones lie in the inode, long ones in a block. */
size_t crash_target(unsigned worker, unsigned file, char *out)
{
	size_t len = file % 2 ? 20 : 200;

	for (size_t i = 0; i < len; i++)
		out[i] = (char)('a' + crash_byte(worker, file, (unsigned)i) % 26);
	out[len] = '\0';
	return len;
}

/* Half of the names lie in a folder below. */
const char *crash_slot_path(char *out, unsigned worker, unsigned slot)
{
	fmt_print(out, CRASH_PATH_MAX, slot % 2 ? "/t/w%u/s/a-rather-long-n%u" : "/t/w%u/f%u",
		  worker, slot);
	return out;
}

/* ---- operations of the VFS, by path ---- */

int crash_make_folder(const char *path)
{
	return vfs_create(NULL, path, S_IFDIR | 0755, 0, NULL);
}

int crash_prepare(void)
{
	char path[CRASH_PATH_MAX];
	int error = 0;

	for (unsigned i = 0; i < CRASH_WORKERS && !error; i++) {
		fmt_print(path, sizeof(path), "/t/w%u", i);
		error = crash_make_folder(path);
		fmt_print(path, sizeof(path), "/t/w%u/s", i);
		error = error ? error : crash_make_folder(path);
	}
	return error;
}

int crash_sync_file(struct file *f)
{
	return f->ops->sync ? f->ops->sync(f, false) : -EINVAL;
}

/* Writes [from, to) of the file's bytes. */
int crash_write_bytes(struct file *f, unsigned worker, unsigned file, unsigned from, unsigned to)
{
	uint8_t *bytes = kmalloc(CRASH_FILE_MAX);
	struct uio_vec vec = { bytes, to - from };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = to - from, .offset = from, .from_kernel = true
	};
	kssize_t n = -ENOMEM;

	for (unsigned at = from; bytes && at < to; at++)
		bytes[at - from] = crash_byte(worker, file, at);
	if (bytes)
		n = f->ops->write(f, &u);
	kfree(bytes);
	return n < 0 ? (int)n : n == (kssize_t)(to - from) ? 0 : -EIO;
}

int crash_change_size(const char *path, unsigned size)
{
	struct attr_change a = { .mask = ATTR_SIZE, .size = size };
	struct path at;
	int error = vfs_walk(NULL, path, 0, &at);

	if (error)
		return error;
	error = vfs_change(&at, &a);
	path_put(&at);
	return error;
}

int crash_allocate(struct file *f, int mode, unsigned from, unsigned to)
{
	struct inode *inode = f->object;
	int error;

	mutex_lock(&inode->lock);
	error = inode->ops->allocate(inode, mode, from, (int64_t)to - from);
	mutex_unlock(&inode->lock);
	return error;
}

/* 0: none any more. */
int crash_set_label(const char *path, unsigned label)
{
	uint8_t value[CRASH_LABEL_MAX];
	size_t len = crash_label(label, value);
	struct inode *inode;
	struct path at;
	int error = vfs_walk(NULL, path, 0, &at);

	if (error)
		return error;
	inode = path_inode(&at);
	mutex_lock(&inode->lock);
	error = inode->ops->xattr_set(inode, "user.label", label ? value : NULL, len, 0);
	mutex_unlock(&inode->lock);
	path_put(&at);
	return error;
}

int crash_link_file(const char *from, const char *to)
{
	struct path at;
	int error = vfs_walk(NULL, from, 0, &at);

	if (error)
		return error;
	error = vfs_link(&at, NULL, to);
	path_put(&at);
	return error;
}
