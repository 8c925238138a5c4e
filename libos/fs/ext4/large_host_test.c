/*
 * Files with holes, beyond 4 GiB and up to the largest that a map of blocks can describe, on small
 * disks.
 */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "ext4.h"
#include "testdisk.h"

#define SEEK_TO_DATA 3
#define SEEK_TO_HOLE 4

static kssize_t put(struct file *f, const char *text, int64_t at)
{
	struct uio_vec vec = { (void *)(uintptr_t)text, str_length(text) };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = vec.len, .offset = at, .from_kernel = true
	};

	return f->ops->write(f, &u);
}

static bool has(struct file *f, const char *text, int64_t at)
{
	char bytes[32] = "";
	struct uio_vec vec = { bytes, str_length(text) };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = vec.len, .offset = at, .from_kernel = true
	};

	return f->ops->read(f, &u) == (kssize_t)str_length(text) &&
	       !memcmp(bytes, text, str_length(text));
}

static bool is_zero_at(struct file *f, int64_t at)
{
	uint8_t byte = 1;
	struct uio_vec vec = { &byte, 1 };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = 1, .offset = at, .from_kernel = true
	};

	return f->ops->read(f, &u) == 1 && !byte;
}

/* Each of these places gets a few bytes; between them are holes. */
static const int64_t places[] = { 0,
				  (int64_t)GIB(2) - 3,
				  (int64_t)GIB(4) - 3,
				  (int64_t)GIB(5),
				  (int64_t)GIB(1024) + 7,
				  (int64_t)GIB(3 * 1024) };

static bool write_places(struct file *f)
{
	for (unsigned n = 0; n < ARRAY_SIZE(places); n++) {
		if (put(f, "some text", places[n]) != 9)
			return false;
	}
	return true;
}

/* SEEK_DATA and SEEK_HOLE go from place to place. */
static bool finds_places(struct file *f, int64_t block)
{
	for (unsigned n = 1; n < ARRAY_SIZE(places); n++) {
		int64_t hole = ALIGN_UP(places[n - 1] + 9, block),
			data = ALIGN_DOWN(places[n], block);

		if (f->ops->seek(f, places[n - 1], SEEK_TO_HOLE) != hole ||
		    f->ops->seek(f, hole, SEEK_TO_DATA) != data)
			return false;
		if (!has(f, "some text", places[n]) || !is_zero_at(f, hole) ||
		    !is_zero_at(f, data - 1))
			return false;
	}
	return true;
}

static bool ends_at(struct file *f, int64_t max)
{
	return f->ops->seek(f, max, 0) == max && f->ops->seek(f, 1, 1) == -EINVAL &&
	       f->ops->seek(f, 0, 1) == max && put(f, "edge", max) == -EFBIG &&
	       put(f, "edge", max - 2) == 2 && put(f, "e", max + 5000) == -EFBIG &&
	       testdisk_resize(f, max + 1) == -EFBIG && ((struct inode *)f->object)->size == max &&
	       has(f, "ed", max - 2);
}

static bool is_sparse_file(const char *kind, int64_t block)
{
	int64_t max = ((1ll << 32) - 1) * block;
	struct file *f;

	if (!testdisk_make(kind, 16, "touch f") || testdisk_mount(0, NULL) ||
	    vfs_open(NULL, "/t/f", O_RDWR, 0, &f))
		return false;
	if (!write_places(f) || !finds_places(f, block) || !ends_at(f, max))
		return false;
	if (f->ops->sync(f, false) ||
	    ((struct inode *)f->object)->blocks > 40 * (uint64_t)block / 512)
		return false;
	file_put(f);
	if (testdisk_unmount() || testdisk_judge() || testdisk_mount(0, NULL))
		return false;
	if (vfs_open(NULL, "/t/f", O_RDWR, 0, &f) || !finds_places(f, block) ||
	    !has(f, "ed", max - 2))
		return false;
	if (testdisk_resize(f, (int64_t)GIB(5) + 4) || !has(f, "some", (int64_t)GIB(5)) ||
	    testdisk_resize(f, (int64_t)GIB(6)) || !is_zero_at(f, (int64_t)GIB(5) + 4))
		return false;
	file_put(f);
	return !testdisk_unmount() && !testdisk_judge();
}

TEST(ext4_files_with_holes_go_beyond_4_gib)
{
	CHECK(is_sparse_file(DEBIAN_13 " -b 4096", 4096));
	CHECK(is_sparse_file(DEBIAN_12 " -b 1024", 1024));
	CHECK(is_sparse_file(TESTDISK_COMMON ",^large_file,metadata_csum -b 2048", 2048));
}
