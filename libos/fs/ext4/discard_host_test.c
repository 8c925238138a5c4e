/*
 * Blocks that hold nothing: the disk is told, only that, and nobody gets one meanwhile.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "testdisk.h"

#define PATTERN 0xd5
#define LEN     MIB(1)

static kssize_t put(const char *path, uint8_t byte, size_t len)
{
	static uint8_t bytes[LEN];
	struct uio_vec vec = { bytes, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .from_kernel = true };
	struct file *f;
	kssize_t n = vfs_open(NULL, path, O_CREAT | O_WRONLY, 0644, &f);

	if (n)
		return n;
	memset(bytes, byte, len);
	n = f->ops->write(f, &u);
	file_put(f);
	return n;
}

static uint64_t discarded(void)
{
	return testdisk_dev()->stats.bytes[BLK_DISCARD];
}

/* Sectors of the disk that are full of `byte`. */
static size_t sectors_of(uint8_t byte)
{
	const uint8_t *bytes = testdisk_bytes();
	size_t count = 0;

	for (size_t at = 0; at < testdisk_dev()->bytes; at += 512)
		count += bytes[at] == byte && !memcmp(bytes + at, bytes + at + 1, 511);
	return count;
}

static int trim(uint64_t from, uint64_t len, uint64_t least, uint64_t *trimmed)
{
	struct path at;
	int error = vfs_walk(NULL, "/t", WALK_DIR, &at);

	if (error)
		return error;
	error = path_inode(&at)->super->ops->trim(path_inode(&at)->super, from, len, least,
						  trimmed);
	path_put(&at);
	return error;
}

static uint64_t free_bytes(void)
{
	struct abi_statfs st = { 0 };
	struct path at;

	if (!vfs_walk(NULL, "/t", WALK_DIR, &at)) {
		vfs_statfs(&at, &st);
		path_put(&at);
	}
	return st.blocks_free * (uint64_t)st.block_bytes;
}

TEST(ext4_discards_what_was_freed)
{
	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 16, NULL));
	CHECK_EQ(testdisk_mount(0, "discard"), 0);
	uint64_t before = discarded();
	CHECK_EQ(put("/t/gone", PATTERN, LEN), LEN);
	CHECK_EQ(put("/t/kept", PATTERN + 1, LEN), LEN);
	CHECK_EQ(vfs_sync_all(), 0);
	CHECK_EQ(sectors_of(PATTERN), LEN / 512);
	CHECK_EQ(discarded(), before);
	CHECK_EQ(vfs_unlink(NULL, "/t/gone", false), 0);
	CHECK_EQ(testdisk_unmount(), 0); /* which waits for the device's answers */
	CHECK(discarded() >= before + LEN);
	CHECK_EQ(sectors_of(PATTERN), 0);
	CHECK_EQ(sectors_of(PATTERN + 1), LEN / 512);
	CHECK_EQ(testdisk_judge(), 0);
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	before = discarded();
	CHECK_EQ(vfs_unlink(NULL, "/t/kept", false), 0);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(discarded(), before);
}

/* A disk that is full gets its blocks back after the device has answered. */
TEST(ext4_discarded_blocks_serve_again)
{
	char name[32];

	CHECK(testdisk_make(DEBIAN_13 " -b 4096", 8, NULL));
	CHECK_EQ(testdisk_mount(0, "discard"), 0);
	for (unsigned i = 0; i < 20; i++) {
		fmt_print(name, sizeof(name), "/t/%u", i % 2);
		if (i > 1)
			CHECK_EQ(vfs_unlink(NULL, name, false), 0);
		CHECK_EQ(put(name, (uint8_t)i, LEN), LEN);
	}
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* A file to which a byte is appended, so that blocks are set aside for the next ones. */
static struct file *open_grown(const char *path)
{
	static char byte = 'x';
	struct file *f;

	if (vfs_open(NULL, path, O_RDWR, 0, &f))
		return NULL;
	return testdisk_transfer(f, &byte, 1, LEN, false) == 1 ? f : NULL;
}

TEST(ext4_trim_discards_all_that_is_free)
{
	struct file *f;
	uint64_t n;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 16, NULL));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(put("/t/gone", PATTERN, LEN), LEN);
	CHECK_EQ(put("/t/kept", PATTERN + 1, LEN), LEN);
	f = open_grown("/t/kept");
	CHECK(f);
	CHECK_EQ(vfs_unlink(NULL, "/t/gone", false), 0);
	CHECK_EQ(vfs_sync_all(), 0);
	uint64_t before = discarded(), room = free_bytes();
	CHECK_EQ(trim(0, UINT64_MAX, 0, &n), 0);
	CHECK_EQ(n, discarded() - before);
	CHECK_EQ(n, room);
	CHECK_EQ(free_bytes(), room);
	CHECK_EQ(sectors_of(PATTERN), 0);
	CHECK_EQ(trim(0, KIB(64), 0, &n), 0);
	CHECK(n <= KIB(64));
	CHECK_EQ(trim(0, UINT64_MAX, MIB(64), &n), -EINVAL);
	CHECK_EQ(trim(MIB(64), MIB(1), 0, &n), -EINVAL);
	CHECK_EQ(trim(0, 100, 0, &n), -EINVAL);
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(sectors_of(PATTERN + 1), LEN / 512);
	CHECK_EQ(testdisk_judge(), 0);
	CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), 0);
	CHECK_EQ(trim(0, UINT64_MAX, 0, &n), -EROFS);
	CHECK_EQ(testdisk_unmount(), 0);
}

static bool writing; /* atomic */

static void trim_on_and_on(void *arg)
{
	uint64_t n;

	while (__atomic_load_n(&writing, __ATOMIC_ACQUIRE) && !*(int *)arg) {
		*(int *)arg = trim(0, UINT64_MAX, 0, &n);
		thread_yield();
	}
}

TEST(ext4_trim_leaves_writers_alone)
{
	static const struct thread_attr attr = {
		.name = "trim", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t;
	char name[32];
	int error = 0;

	CHECK(testdisk_make(DEBIAN_13 " -b 1024", 16, NULL));
	CHECK_EQ(testdisk_mount(0, "discard"), 0);
	writing = true;
	CHECK_EQ(thread_create(&attr, trim_on_and_on, &error, 0, &t), 0);
	thread_start(t);
	for (unsigned i = 0; i < 60; i++) {
		fmt_print(name, sizeof(name), "/t/%u", i % 12);
		if (i >= 12)
			CHECK_EQ(vfs_unlink(NULL, name, false), 0);
		CHECK_EQ(put(name, (uint8_t)(100 + i), KIB(256)), KIB(256));
	}
	__atomic_store_n(&writing, false, __ATOMIC_RELEASE);
	thread_join(t);
	CHECK_EQ(error, 0);
	CHECK_EQ(testdisk_unmount(), 0);
	for (unsigned i = 48; i < 60; i++)
		CHECK_EQ(sectors_of((uint8_t)(100 + i)), KIB(256) / 512);
	CHECK_EQ(testdisk_judge(), 0);
}
