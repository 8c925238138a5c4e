/* Unpacking archives: what is in the tree afterwards, and damaged ones. */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/vfs.h>

#include "rootfs.h"

struct archive {
	uint8_t bytes[8192];
	size_t size;
};

static void pad(struct archive *a)
{
	while (a->size % 4)
		a->bytes[a->size++] = 0;
}

static void add(struct archive *a, const char *name, unsigned mode, unsigned ino, unsigned links,
		const char *data)
{
	size_t name_bytes = str_length(name) + 1, len = str_length(data);

	a->size += fmt_print((char *)a->bytes + a->size, 111,
			     "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino,
			     mode, 5, 6, links, 1234, (unsigned)len, 0, 0, 1, 3,
			     (unsigned)name_bytes, 0);
	memcpy(a->bytes + a->size, name, name_bytes);
	a->size += name_bytes;
	pad(a);
	memcpy(a->bytes + a->size, data, len);
	a->size += len;
	pad(a);
}

static int look(const char *path, struct kstat *st, unsigned flags)
{
	struct path p;
	int error = vfs_walk(NULL, path, flags, &p);

	if (error)
		return error;
	inode_stat(path_inode(&p), st);
	path_put(&p);
	return 0;
}

/* A tmpfs of the test's own at /NAME, or as the root where there is none yet. */
static bool begin(void)
{
	struct path at;

	vfs_mount("tmpfs", "", NULL, 0, NULL);
	vfs_create(NULL, "/unpacked", S_IFDIR | 0755, 0, NULL);
	if (vfs_walk(NULL, "/unpacked", WALK_DIR, &at))
		return false;
	return vfs_mount("tmpfs", "", &at, 0, "size=1m") == 0 && (path_put(&at), true);
}

static bool end(void)
{
	struct path at;

	return vfs_walk(NULL, "/unpacked", WALK_DIR, &at) == 0 && vfs_unmount(&at) == 0;
}

TEST(unpack_makes_what_the_archive_names)
{
	static struct archive a;
	struct kstat st, other;

	a.size = 0;
	add(&a, "/unpacked/etc", 040750, 1, 2, "");
	add(&a, "/unpacked/etc/motd", 0100640, 2, 1, "hello");
	add(&a, "/unpacked/deep/in/here", 0100600, 3, 1, "x");
	add(&a, "/unpacked/link", 0120777, 4, 1, "etc/motd");
	add(&a, "/unpacked/one", 0104755, 5, 2, "");
	add(&a, "/unpacked/two", 0104755, 5, 2, "twins");
	add(&a, "/unpacked/null", 020666, 6, 1, "");
	CHECK(begin());
	CHECK_EQ(rootfs_unpack(a.bytes, a.size), 0);
	CHECK(!look("/unpacked/etc", &st, 0) && st.mode == 040750 && st.uid == 5 && st.gid == 6);
	CHECK(!look("/unpacked/link", &st, WALK_FOLLOW) && st.size == 5 && st.mode == 0100640 &&
	      st.mtime.sec == 1234);
	CHECK(!look("/unpacked/deep/in/here", &st, 0) && st.size == 1);
	CHECK(!look("/unpacked/deep", &st, 0) && st.mode == 040755);
	CHECK(!look("/unpacked/one", &st, 0) && !look("/unpacked/two", &other, 0));
	CHECK(st.ino == other.ino && st.nlink == 2 && st.size == 5 && st.mode == 0104755);
	CHECK(!look("/unpacked/null", &st, 0) && st.mode == 020666 && st.rdev == (1 << 8 | 3));
	CHECK(end());
}

TEST(unpack_survives_archives_that_are_not_well)
{
	static struct archive sound, a;

	sound.size = 0;
	add(&sound, "/unpacked/d/../../../unpacked/f", 0100644, 1, 1, "up and up");
	add(&sound, "/unpacked/d", 0100644, 2, 1, "a file where a folder is");
	add(&sound, "/unpacked/s", 0120777, 3, 1, "s");
	add(&sound, "/unpacked/s/t", 0100644, 4, 1, "through a loop");
	add(&sound, "/unpacked/////", 040755, 5, 2, "");
	add(&sound, ".", 040755, 6, 2, "");
	for (int round = 0; round < 300; round++) {
		a = sound;
		for (uint64_t n = test_random_below(5); n; n--)
			a.bytes[test_random_below(a.size)] =
				(uint8_t) "0fF8\0\xff/."[test_random_below(8)];
		CHECK(begin());
		rootfs_unpack(a.bytes, test_random_below(4) ? a.size : test_random_below(a.size));
		CHECK(end());
	}
}
