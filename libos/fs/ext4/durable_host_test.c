/*
 * What fsync() and fdatasync() cost: commands of the disk, counted. And that they keep their
 * promise for inodes that have left memory since they were changed.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/string.h>
#include <core/test.h>

#include "../../dev/recdev.h"
#include "ext4.h"
#include "testdisk.h"

#define BLOCK 4096

static uint64_t flushes, writes;

static struct recdev *disk(void)
{
	return container_of(testdisk_dev(), struct recdev, dev);
}

static bool write_blocks(struct file *f, int64_t at, unsigned count)
{
	static uint8_t bytes[4 * BLOCK];
	struct uio_vec vec = { bytes, (size_t)count * BLOCK };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = vec.len, .offset = at, .from_kernel = true
	};

	memset(bytes, (int)(1 + at % 251), sizeof(bytes));
	return f->ops->write(f, &u) == (kssize_t)vec.len;
}

static void count_from_here(void)
{
	flushes = disk()->flushes;
	writes = disk()->writes;
}

static bool took(uint64_t least_writes, uint64_t most_writes, uint64_t flushed)
{
	uint64_t w = disk()->writes - writes, n = disk()->flushes - flushes;

	if (w >= least_writes && w <= most_writes && n == flushed)
		return true;
	test_print("%u writes, %u flushes\n", (unsigned)w, (unsigned)n);
	return false;
}

TEST(ext4_fsync_flushes_once)
{
	struct file *f;

	CHECK(testdisk_make(DEBIAN_12 " -b 4096", 16, "touch f"));
	CHECK_EQ(testdisk_mount(0, "commit=600"), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDWR, 0, &f), 0);
	CHECK(write_blocks(f, 0, 4));
	CHECK_EQ(f->ops->sync(f, false), 0);
	for (unsigned round = 0; round < 3; round++) {
		count_from_here();
		CHECK(write_blocks(f, BLOCK, 1)); /* nothing but bytes */
		CHECK_EQ(f->ops->sync(f, true), 0);
		CHECK(took(1, 1, 1));
		count_from_here();
		/* the map and the size */
		CHECK(write_blocks(f, ((struct inode *)f->object)->size, 2));
		CHECK_EQ(f->ops->sync(f, true), 0);
		CHECK(took(4, 9, 1));
		count_from_here();
		/* nothing, but the disk may have bytes of others */
		CHECK_EQ(f->ops->sync(f, false), 0);
		CHECK(took(0, 0, 1));
	}
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* So many names are asked for that the name cache lets go of all others, and so of their inodes. */
static void forget_names(void)
{
	char path[32];
	struct path at;

	for (unsigned n = 0; n < 8300; n++) {
		fmt_print(path, sizeof(path), "/t/%u", n);
		if (!vfs_walk(NULL, path, 0, &at))
			path_put(&at);
	}
}

TEST(ext4_fsync_knows_changes_from_before_the_inode_was_read)
{
	struct file *f;

	CHECK(testdisk_make(DEBIAN_12 " -b 4096", 16, "touch f"));
	CHECK_EQ(testdisk_mount(0, "commit=600"), 0);
	for (unsigned data_only = 0; data_only < 2; data_only++) {
		CHECK_EQ(vfs_open(NULL, "/t/f", O_RDWR, 0, &f), 0);
		CHECK(write_blocks(f, ((struct inode *)f->object)->size, 1));
		file_put(f);
		forget_names();
		CHECK_EQ(vfs_open(NULL, "/t/f", O_RDWR, 0, &f), 0);
		count_from_here();
		CHECK_EQ(f->ops->sync(f, data_only), 0);
		CHECK(took(3, 9, 1));
		file_put(f);
	}
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}
