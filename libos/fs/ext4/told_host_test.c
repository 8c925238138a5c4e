/*
 * Who is told of a disk's errors: fsync() and O_SYNC, once for each open file; readers, each time.
 */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/vfs.h>

#include "../../dev/recdev.h"
#include "testdisk.h"

static struct recdev *disk;
static uint8_t bytes[8192];

static bool begin(const char *options)
{
	if (!testdisk_make("-b 4096 " DEBIAN_12, 16, "yes | head -c 8192 > old; touch f") ||
	    testdisk_mount(0, options) != 0)
		return false;
	disk = container_of(testdisk_dev(), struct recdev, dev);
	memset(bytes, 'x', sizeof(bytes));
	return true;
}

static struct file *open_file(const char *path, uint32_t flags)
{
	struct file *f = NULL;

	vfs_open(NULL, path, O_RDWR | flags, 0644, &f);
	return f;
}

static kssize_t transfer(struct file *f, bool write, int64_t offset)
{
	struct uio_vec vec = { bytes, sizeof(bytes) };
	struct uio u = { .vecs = &vec,
			 .vec_count = 1,
			 .left = sizeof(bytes),
			 .offset = offset,
			 .from_kernel = true };

	return write ? f->ops->write(f, &u) : f->ops->read(f, &u);
}

static int sync_file(struct file *f)
{
	return f->ops->sync(f, false);
}

/* The next write command fails, and no other. */
static void fail_next_write(void)
{
	disk->faults.write = disk->writes + 1;
}

TEST(ext4_fsync_tells_each_open_file_once)
{
	struct file *one, *two, *late;

	CHECK(begin("data=writeback"));
	one = open_file("/t/old", 0);
	two = open_file("/t/old", 0);
	CHECK(one && two);
	CHECK_EQ(transfer(one, true, 0), sizeof(bytes));
	fail_next_write();
	CHECK_EQ(sync_file(one), -EIO);
	CHECK_EQ(sync_file(one), 0);
	late = open_file("/t/old", 0);
	CHECK_EQ(sync_file(late), 0); /* somebody knows */
	CHECK_EQ(sync_file(two), -EIO);
	CHECK_EQ(sync_file(two), 0);
	file_put(one);
	file_put(two);
	file_put(late);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

TEST(ext4_error_of_a_file_that_was_closed_is_told_to_the_next)
{
	struct file *f;

	CHECK(begin("data=writeback"));
	f = open_file("/t/old", 0);
	CHECK_EQ(transfer(f, true, 0), sizeof(bytes));
	file_put(f);
	fail_next_write();
	CHECK_EQ(vfs_sync_all(), -EIO);
	f = open_file("/t/old", 0);
	CHECK_EQ(sync_file(f), -EIO);
	CHECK_EQ(sync_file(f), 0);
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

TEST(ext4_write_with_o_sync_tells_at_once)
{
	struct file *f;

	CHECK(begin(""));
	f = open_file("/t/old", O_SYNC);
	fail_next_write();
	CHECK_EQ(transfer(f, true, 0), -EIO);
	CHECK_EQ(transfer(f, true, 0), sizeof(bytes));
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

TEST(ext4_flush_error_makes_it_read_only_and_reading_goes_on)
{
	struct file *f;

	CHECK(begin(""));
	f = open_file("/t/f", 0);
	CHECK_EQ(transfer(f, true, 0), sizeof(bytes));
	disk->faults.flush = disk->flushes + 1;
	CHECK_EQ(sync_file(f), -EIO);
	CHECK(transfer(f, true, 8192) < 0);
	CHECK_EQ(vfs_create(NULL, "/t/new", S_IFREG | 0644, 0, NULL), -EROFS);
	CHECK_EQ(transfer(f, false, 0), sizeof(bytes));
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	/* The log has told the next mount, which tells the superblock. */
	CHECK_EQ(testdisk_mount(0, ""), 0);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK(testdisk_store());
	CHECK_EQ(testdisk_shell("dumpe2fs -h $T/disk 2>&1 | grep -q 'state: *clean with errors'"),
		 0);
	CHECK_EQ(testdisk_shell("! dumpe2fs -h $T/disk 2>&1 | grep -q 'Journal errno'"), 0);
	CHECK_EQ(testdisk_shell("e2fsck -y $T/disk >/dev/null; e2fsck -fn $T/disk"), 0);
}

TEST(ext4_read_error_is_the_readers_and_the_next_reading_may_succeed)
{
	struct file *f;

	CHECK(begin(""));
	f = open_file("/t/old", 0);
	/* one alone is tried again */
	disk->faults = (struct rec_faults){ .read = disk->reads + 1, .for_ever = true };
	CHECK_EQ(transfer(f, false, 0), -EIO);
	disk->faults.read = 0;
	CHECK_EQ(transfer(f, false, 0), sizeof(bytes));
	CHECK_EQ(vfs_create(NULL, "/t/new", S_IFREG | 0644, 0, NULL), 0); /* still written to */
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}
