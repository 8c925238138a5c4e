/*
 * Delayed allocation: files that grow side by side lie in one piece each, promises count as used,
 * and what is gone before it is written costs no block.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "ext4.h"
#include "testdisk.h"

#define PIECE  4096u
#define PIECES 64u
#define DISK_MIB 4u /* of a small disk */

static kssize_t append(struct file *f)
{
	static uint8_t bytes[PIECE];
	struct uio_vec vec = { bytes, PIECE };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = PIECE, .from_kernel = true };

	u.offset = ((struct inode *)f->object)->size;
	memset(bytes, (int)(1 + u.offset / PIECE), PIECE);
	return f->ops->write(f, &u);
}

static bool is_in_one_piece(const char *path)
{
	char command[128], out[64];

	snprintf(command, sizeof(command),
		 "debugfs -R 'ex %s' disk 2>/dev/null | tail -n +2 | wc -l", path);
	testdisk_output(command, out, sizeof(out));
	return strtoul(out, NULL, 10) == 1;
}

static bool open_both(struct file **f, struct file **g)
{
	return !vfs_open(NULL, "/t/f", O_RDWR | O_CREAT, 0644, f) &&
	       !vfs_open(NULL, "/t/g", O_RDWR | O_CREAT, 0644, g);
}

TEST(ext4_delayed_blocks_lie_together)
{
	struct file *f, *g;
	uint64_t before;

	CHECK(testdisk_make(DEBIAN_12 " -b 4096", 16, NULL));
	CHECK_EQ(testdisk_mount(0, "delalloc,commit=600"), 0);
	CHECK(open_both(&f, &g));
	before = testdisk_free_blocks();
	for (unsigned n = 0; n < PIECES; n++) {
		CHECK_EQ(append(f), PIECE);
		CHECK_EQ(append(g), PIECE);
	}
	CHECK_EQ(before - testdisk_free_blocks(), 2 * PIECES);
	CHECK_EQ(((struct inode *)f->object)->blocks, PIECES * PIECE / 512);
	CHECK_EQ(ext4_of(f->object)->disk_size, 0);
	CHECK_EQ(f->ops->seek(f, 0, 4), PIECES * PIECE); /* SEEK_HOLE */
	CHECK_EQ(f->ops->sync(f, true), 0);
	CHECK_EQ(ext4_of(f->object)->disk_size, PIECES * PIECE);
	CHECK_EQ(before - testdisk_free_blocks(), 2 * PIECES);
	file_put(f);
	file_put(g);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
	CHECK(is_in_one_piece("/f") && is_in_one_piece("/g"));
}

TEST(ext4_delayed_blocks_of_files_that_go_are_never_taken)
{
	struct file *f;
	uint64_t before;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 16, NULL));
	CHECK_EQ(testdisk_mount(0, "delalloc,commit=600"), 0);
	before = testdisk_free_blocks();
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDWR | O_CREAT, 0644, &f), 0);
	for (unsigned n = 0; n < PIECES; n++)
		CHECK_EQ(append(f), PIECE);
	CHECK_EQ(before - testdisk_free_blocks(), PIECES * PIECE / 1024);
	CHECK_EQ(vfs_unlink(NULL, "/t/f", false), 0);
	file_put(f);
	CHECK_EQ(testdisk_free_blocks(), before);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* The promises of a disk that fills up are kept, and who comes too late is told at once. */
TEST(ext4_delayed_blocks_of_a_full_disk)
{
	struct file *f, *g;
	kssize_t n;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 8, NULL));
	CHECK_EQ(testdisk_mount(0, "delalloc,commit=600"), 0);
	CHECK(open_both(&f, &g));
	do {
		n = append(f);
		n = n == PIECE ? append(g) : n;
	} while (n == PIECE);
	CHECK(n == -ENOSPC || n > 0);
	CHECK(testdisk_free_blocks() < 64);
	CHECK_EQ(f->ops->sync(f, false), 0);
	CHECK_EQ(g->ops->sync(g, false), 0);
	file_put(f);
	file_put(g);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* ---- what was accepted is there ---- */

/*
 * Is the file, as the disk has it after a new mount, as append() and then a cut or a growth to
 * `size` have made it?
 */
static bool has_its_bytes(const char *path, size_t written, size_t size)
{
	static uint8_t bytes[DISK_MIB << 20];

	if (testdisk_read(path, bytes, sizeof(bytes)) != (kssize_t)size)
		return false;
	for (size_t at = 0; at < size; at++) {
		if (bytes[at] != (at < written ? (uint8_t)(1 + at / PIECE) : 0))
			return false;
	}
	return true;
}

TEST(ext4_delayed_blocks_are_found_before_the_end)
{
	struct file *f, *g;
	struct path at;

	CHECK(testdisk_make(DEBIAN_13 " -b 1024", 16, NULL));
	CHECK_EQ(testdisk_mount(0, "delalloc,commit=600"), 0);
	CHECK(open_both(&f, &g));
	for (unsigned n = 0; n < PIECES; n++) {
		CHECK_EQ(append(f), PIECE);
		CHECK_EQ(append(g), PIECE);
	}
	CHECK_EQ(testdisk_resize(f, 5 * PIECE + 77), 0);
	CHECK_EQ(testdisk_resize(f, 9 * PIECE), 0);
	CHECK_EQ(testdisk_resize(g, 100 * PIECE), 0);
	CHECK_EQ(ext4_of(f->object)->disk_size, 9 * PIECE);
	CHECK_EQ(ext4_of(g->object)->disk_size, 0);
	file_put(f);
	file_put(g);
	CHECK_EQ(vfs_walk(NULL, "/t", WALK_DIR, &at), 0);
	CHECK_EQ(vfs_remount(&at, MS_RDONLY, "", false), 0);
	path_put(&at);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
	CHECK_EQ(testdisk_mount(MS_RDONLY, ""), 0);
	CHECK(has_its_bytes("/t/f", 5 * PIECE + 77, 9 * PIECE));
	CHECK(has_its_bytes("/t/g", PIECES * PIECE, 100 * PIECE));
	CHECK_EQ(testdisk_unmount(), 0);
}

/* ---- several want the last blocks ---- */

#define TAKERS 3u

struct taker {
	struct thread *thread;
	struct file *file;
	bool appends;
	size_t size;                  /* of the file in the end */
};

/* One appends, the others reserve; each until the disk is full. */
static void take_all(void *arg)
{
	struct taker *t = arg;
	struct inode *inode = t->file->object;
	int64_t end = 0;
	int error = 0;

	while (t->appends && append(t->file) == PIECE)
		;
	while (!t->appends && !error) {
		mutex_lock(&inode->lock);
		error = inode->ops->allocate(inode, 1, end, 150 << 10);
		mutex_unlock(&inode->lock);
		end += 150 << 10;
	}
}

static bool run_takers(struct taker *takers)
{
	static const struct thread_attr attr = {
		.name = "taker", .priority = THREAD_PRIORITY_APP, .hart = -1
	};

	for (unsigned n = 0; n < TAKERS; n++) {
		char path[] = { '/', 't', '/', (char)('0' + n), 0 };

		takers[n].appends = !n;
		if (vfs_open(NULL, path, O_RDWR | O_CREAT, 0644, &takers[n].file))
			return false;
		if (thread_create(&attr, take_all, &takers[n], 0, &takers[n].thread))
			return false;
	}
	for (unsigned n = 0; n < TAKERS; n++)
		thread_start(takers[n].thread);
	for (unsigned n = 0; n < TAKERS; n++) {
		thread_join(takers[n].thread);
		takers[n].size = (size_t)((struct inode *)takers[n].file->object)->size;
		file_put(takers[n].file);
	}
	return true;
}

TEST(ext4_delayed_blocks_are_left_by_others)
{
	struct taker takers[TAKERS];

	CHECK(testdisk_make(DEBIAN_13 " -b 1024 -m 0", DISK_MIB, NULL));
	for (unsigned round = 0; round < 8; round++) {
		CHECK_EQ(testdisk_mount(0, "delalloc,commit=600"), 0);
		CHECK(run_takers(takers));
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_mount(0, ""), 0);
		CHECK(has_its_bytes("/t/0", takers[0].size, takers[0].size));
		for (unsigned n = 0; n < TAKERS; n++)
			CHECK_EQ(vfs_unlink(NULL,
					    n == 0   ? "/t/0"
					    : n == 1 ? "/t/1"
						     : "/t/2",
					    false),
				 0);
		CHECK_EQ(testdisk_unmount(), 0);
	}
	CHECK_EQ(testdisk_judge(), 0);
}
