/* Disks for tests, made and judged by e2fsprogs. See testdisk.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>

#include "../../dev/recdev.h"
#include "ext4.h"
#include "testdisk.h"

#define SIZES 64u /* mebibytes, each with a disk of its own that is used again */

static struct recdev *disks[SIZES + 1], *disk;
static bool mounted;

static void remove_folder(void)
{
	if (system("rm -rf \"$T\""))
		return;
}

/* In memory if there is much room: e2fsck syncs what it writes. */
static const char *folder_base(void)
{
	struct statvfs st;

	return statvfs("/dev/shm", &st) == 0 && st.f_bavail >= GIB(1) / st.f_bsize ? "/dev/shm"
										   : "/tmp";
}

static bool folder(void)
{
	static char path[40];
	static bool made;

	if (made)
		return true;
	snprintf(path, sizeof(path), "%s/kiln-ext4-XXXXXX", folder_base());
	if (!mkdtemp(path) || setenv("T", path, 1))
		return false;
	made = true;
	return at_quick_exit(remove_folder) == 0; /* as the program ends: arch_poweroff() */
}

size_t testdisk_output(const char *commands, char *buf, size_t size)
{
	char line[4096];
	size_t n;
	FILE *p;

	snprintf(line, sizeof(line), "cd \"$T\" && PATH=$PATH:/sbin:/usr/sbin && { %s ; } 2>&1",
		 commands);
	p = popen(line, "r");
	if (!p)
		return 0;
	n = fread(buf, 1, size - 1, p);
	buf[n] = '\0';
	while (fread(line, 1, sizeof(line), p) > 0)
		;
	pclose(p);
	return n;
}

int testdisk_shell(const char *commands)
{
	char line[4096], out[2048];
	size_t n;
	FILE *p;
	int status;

	if (!folder())
		return -1;
	snprintf(line, sizeof(line), "cd \"$T\" && PATH=$PATH:/sbin:/usr/sbin && { %s ; } 2>&1",
		 commands);
	p = popen(line, "r");
	if (!p)
		return -1;
	n = fread(out, 1, sizeof(out) - 1, p);
	out[n] = '\0';
	while (fread(line, 1, sizeof(line), p) > 0)
		;
	status = pclose(p);
	status = status & 0x7f ? -1 : status >> 8;
	if (status)
		test_print("%s\n%s", commands, out);
	return status;
}

bool testdisk_load(unsigned mebibytes)
{
	char path[64];
	uint8_t *bytes = malloc(MIB(mebibytes));
	FILE *f;
	bool ok;

	if (mounted) /* a test that failed */
		testdisk_unmount();
	snprintf(path, sizeof(path), "%s/disk", getenv("T"));
	f = fopen(path, "rb");
	ok = f && bytes && fread(bytes, 1, MIB(mebibytes), f) == MIB(mebibytes);
	if (f)
		fclose(f);
	if (ok && !disks[mebibytes])
		disks[mebibytes] = recdev_create(MIB(mebibytes));
	disk = disks[mebibytes];
	ok = ok && disk;
	if (ok)
		recdev_load(disk, bytes);
	free(bytes);
	return ok;
}

bool testdisk_make(const char *options, unsigned mebibytes, const char *tree)
{
	char line[2048];

	snprintf(
		line, sizeof(line),
		"rm -rf tree disk; mkdir tree && ( cd tree && { %s ; } ) && truncate -s %uM disk && "
		"mke2fs -q -F -d tree %s disk",
		tree ? tree : "true", mebibytes, options);
	return mebibytes <= SIZES && !testdisk_shell(line) && testdisk_load(mebibytes);
}

struct blkdev *testdisk_dev(void)
{
	return &disk->dev;
}

uint8_t *testdisk_bytes(void)
{
	return disk->bytes;
}

bool testdisk_store(void)
{
	char path[64];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/disk", getenv("T"));
	f = fopen(path, "wb");
	ok = f && fwrite(disk->bytes, 1, disk->dev.bytes, f) == disk->dev.bytes;
	return f && !fclose(f) && ok;
}

int testdisk_judge(void)
{
	return testdisk_store() ? testdisk_shell("e2fsck -fn disk") : -1;
}

/* ---- through the VFS ---- */

int testdisk_mount(uint32_t flags, const char *options)
{
	struct path at;
	int error;

	vfs_mount("tmpfs", "", NULL, 0, NULL);
	vfs_create(NULL, "/t", S_IFDIR | 0755, 0, NULL);
	error = vfs_walk(NULL, "/t", WALK_DIR, &at);
	if (error)
		return error;
	error = vfs_mount("ext4", testdisk_dev()->name, &at, flags, options);
	path_put(&at);
	mounted = !error;
	return error;
}

int testdisk_unmount(void)
{
	struct path at;
	int error = vfs_walk(NULL, "/t", WALK_DIR, &at);

	if (error)
		return error;
	error = vfs_unmount(&at);
	mounted = error;
	if (error)
		path_put(&at);
	return error;
}

static kssize_t transfer(const char *path, int flags, void *buf, size_t size)
{
	struct uio_vec vec = { buf, size };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = size, .from_kernel = true };
	struct file *f;
	kssize_t n = vfs_open(NULL, path, flags, 0644, &f);

	if (n)
		return n;
	if (flags == O_RDONLY)
		n = f->ops->read ? f->ops->read(f, &u) : -EISDIR;
	else
		n = f->ops->write(f, &u);
	file_put(f);
	return n;
}

kssize_t testdisk_read(const char *path, void *buf, size_t size)
{
	return transfer(path, O_RDONLY, buf, size);
}

kssize_t testdisk_write(const char *path, const void *bytes, size_t size)
{
	return transfer(path, O_CREAT | O_TRUNC | O_WRONLY, (void *)(uintptr_t)bytes, size);
}

/* ---- open files ---- */

kssize_t testdisk_transfer(struct file *f, void *buf, size_t len, int64_t offset, bool reading)
{
	struct uio_vec vec = { buf, len };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = len, .offset = offset, .from_kernel = true
	};

	return reading ? f->ops->read(f, &u) : f->ops->write(f, &u);
}

int testdisk_resize(struct file *f, int64_t size)
{
	struct inode *inode = f->object;
	int error;

	mutex_lock(&inode->lock);
	error = ext4_resize(inode, size);
	mutex_unlock(&inode->lock);
	return error;
}

int testdisk_allocate(struct file *f, int mode, int64_t offset, int64_t len)
{
	struct inode *inode = f->object;
	int error;

	mutex_lock(&inode->lock);
	error = inode->ops->allocate(inode, mode, offset, len);
	mutex_unlock(&inode->lock);
	return error;
}

int testdisk_set_xattr(const char *path, const char *name, const void *value, size_t size)
{
	struct path p;
	int error = vfs_walk(NULL, path, 0, &p);

	if (error)
		return error;
	mutex_lock(&path_inode(&p)->lock);
	error = path_inode(&p)->ops->xattr_set(path_inode(&p), name, value, size, 0);
	mutex_unlock(&path_inode(&p)->lock);
	path_put(&p);
	return error;
}

uint64_t testdisk_free_blocks(void)
{
	struct abi_statfs st = { 0 };
	struct path at;

	if (vfs_walk(NULL, "/t", 0, &at))
		return 0;
	vfs_statfs(&at, &st);
	path_put(&at);
	return st.blocks_free;
}
