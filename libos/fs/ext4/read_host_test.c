/*
 * Reading disks that e2fsprogs made: what is mounted, what is refused, names, inodes, attributes,
 * as debugfs and the tree that the disk was made of have them.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>

#include "dir.h"
#include "testdisk.h"

static const char *const kinds[] = {
	DEBIAN_12 " -b 4096", DEBIAN_13 " -b 4096", DEBIAN_12 " -b 1024", DEBIAN_12 " -b 2048",
	PLAIN " -b 1024", EXT2 " -b 1024",
};

/* ---- hashes ---- */

TEST(ext4_hashes_names_as_debugfs_does)
{
	static const char *const names[] = { "a",
					     "hello",
					     "lost+found",
					     "a longer name than thirty-two characters are",
					     "\xc3\xa4\xc3\xb6\xc3\xbc.txt",
					     "0123456789abcdef",
					     "0123456789abcdef0" };
	static const uint32_t seed[4] = { 0x33221100, 0x77665544, 0xbbaa9988, 0xffeeddcc };
	char command[256], out[256], want[64];

	CHECK(!testdisk_shell("true"));
	for (uint8_t v = 0; v < 3; v++) {
		for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
			for (unsigned u = 0; u < 2; u++) {
				struct dir_hash h = ext4_hash(seed, v, u, names[i],
							      str_length(names[i]));

				snprintf(command, sizeof(command),
					 "debugfs -R 'dx_hash -h %u -s "
					 "00112233-4455-6677-8899-aabbccddeeff \"%s\"' 2>/dev/null",
					 v + 3 * u, names[i]);
				testdisk_output(command, out, sizeof(out));
				snprintf(want, sizeof(want), "is 0x%x (minor 0x%x)", h.major,
					 h.minor);
				if (!__builtin_strstr(out, want))
					test_print("%s: %s, here %s\n", command, out, want);
				CHECK(__builtin_strstr(out, want) != NULL);
			}
		}
	}
}

/* ---- trees ---- */

struct names {
	struct dir_sink sink;
	unsigned count, room;            /* entries seen; how many this call takes */
	uint64_t sum;                    /* of all names, in any order */
};

static uint64_t sum_of(const char *name, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 0x100000001b3;
	return h;
}

static bool add(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint32_t mode,
		uint64_t next)
{
	struct names *n = container_of(s, struct names, sink);

	(void)ino, (void)mode, (void)next;
	if (!n->room)
		return false;
	n->room--;
	n->count++;
	n->sum += sum_of(name, len);
	return true;
}

/* Reads a directory in calls of `at_once` entries: how many, and their sum. */
static unsigned list(const char *path, unsigned at_once, uint64_t *sum)
{
	struct names n = { .sink = { add } };
	unsigned before;
	uint64_t position = 0;
	struct path p;

	if (vfs_walk(NULL, path, WALK_DIR, &p))
		return 0;
	do {
		before = n.count;
		n.room = at_once;
		mutex_lock(&path_inode(&p)->lock);
		if (path_inode(&p)->ops->iterate(path_inode(&p), &n.sink, &position))
			n.count = 0, before = 0;
		mutex_unlock(&path_inode(&p)->lock);
	} while (n.count != before);
	path_put(&p);
	*sum = n.sum;
	return n.count;
}

#define FILES 700u

static bool tree_is_there(void)
{
	uint64_t want = sum_of(".", 1) + sum_of("..", 2), sum;
	char name[64];
	struct path p;

	for (unsigned i = 1; i <= FILES; i++) {
		int n = snprintf(name, sizeof(name), "a-rather-long-name-of-file-%u", i);

		want += sum_of(name, (size_t)n);
		snprintf(name, sizeof(name), "/t/many/a-rather-long-name-of-file-%u", i);
		if (vfs_walk(NULL, name, 0, &p))
			return false;
		path_put(&p);
	}
	if (vfs_walk(NULL, "/t/many/absent", 0, &p) != -ENOENT)
		return false;
	return list("/t/many", 10000, &sum) == FILES + 2 && sum == want &&
	       list("/t/many", 7, &sum) == FILES + 2 && sum == want;
}

TEST(ext4_reads_trees_made_by_mke2fs)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t sum;

		CHECK(testdisk_make(
			kinds[i], 16,
			"mkdir -p many d/e && cd many && "
			"seq 1 700 | sed s/^/a-rather-long-name-of-file-/ | xargs touch && ln -s target ../short && "
			"ln -s $(printf %0200d 7) ../long && echo hello > ../d/e/f && ln ../d/e/f ../d/g"));
		CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), 0);
		CHECK(tree_is_there());
		CHECK_EQ(list("/t", 3, &sum), 7); /* . .. lost+found many d short long */
		CHECK_EQ(testdisk_unmount(), 0);
	}
}

TEST(ext4_indexes_of_mke2fs_are_followed)
{
	uint64_t sum;

	/* e2fsck -D builds the index that mke2fs does not. */
	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 16, "mkdir many && cd many && seq 1 700 | "
			    "sed s/^/a-rather-long-name-of-file-/ | xargs touch"));
	testdisk_output("e2fsck -fyD disk", (char[64]){ 0 }, 64);
	CHECK(testdisk_load(16));
	CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), 0);
	CHECK(tree_is_there());
	CHECK_EQ(list("/t/many", 1, &sum), FILES + 2);
	CHECK_EQ(testdisk_unmount(), 0);
}

static bool stat_of(const char *path, struct kstat *st)
{
	struct path p;

	if (vfs_walk(NULL, path, 0, &p))
		return false;
	inode_stat(path_inode(&p), st);
	path_put(&p);
	return true;
}

TEST(ext4_reads_inodes_as_they_were_made)
{
	struct kstat st;
	char buf[300];
	struct path p;

	CHECK(testdisk_make(
		DEBIAN_13, 16,
		"echo hello > f; ln f g; chmod 4751 f; touch -d '2200-01-02 03:04:05.678901234Z' f;"
		"touch -d '1950-01-01 00:00:00.5Z' old; ln -s $(printf %059d 7) fast; ln -s $(printf %060d 7) slow;"
		"mknod dev b 8 300; mknod pipe p; chown 70000:80000 old"));
	CHECK(!testdisk_shell(
		"debugfs -w -R 'ea_set f user.k value' disk; debugfs -w -R 'sif f mtime @7258215845' disk;"
		"debugfs -w -R 'sif f mtime_extra 2715604938' disk"));
	CHECK(testdisk_load(16));
	CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), 0);
	CHECK(stat_of("/t/f", &st));
	CHECK(st.nlink == 2 && st.mode == (S_IFREG | 04751) && st.size == 6);
	CHECK(st.mtime.sec == 7258215845 && st.mtime.nsec == 678901234);
	CHECK(stat_of("/t/old", &st) && st.mtime.sec == -631152000);
	CHECK(st.uid == 70000 && st.gid == 80000);
	CHECK(stat_of("/t/dev", &st) && st.mode >> 12 == S_IFBLK >> 12 &&
	      st.rdev == (8 << 8 | 44 | 1 << 20));
	CHECK(stat_of("/t/pipe", &st) && st.mode >> 12 == S_IFIFO >> 12);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(vfs_walk(NULL, i ? "/t/slow" : "/t/fast", 0, &p), 0);
		CHECK_EQ(path_inode(&p)->ops->read_link(path_inode(&p), buf, sizeof(buf)),
			 i ? 60 : 59);
		CHECK_EQ(buf[i ? 59 : 58], '7');
		path_put(&p);
	}
	CHECK_EQ(vfs_walk(NULL, "/t/f", 0, &p), 0);
	CHECK_EQ(path_inode(&p)->ops->xattr_get(path_inode(&p), "user.k", buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "value", 5));
	CHECK_EQ(path_inode(&p)->ops->xattr_list(path_inode(&p), buf, sizeof(buf)), 7);
	path_put(&p);
	CHECK_EQ(testdisk_unmount(), 0);
}

/* ---- what is refused ---- */

TEST(ext4_refuses_what_is_no_ext4)
{
	CHECK(testdisk_make(DEBIAN_12, 16, NULL));
	CHECK_EQ(testdisk_mount(MS_RDONLY, "data=sometimes"), -EINVAL);
	CHECK_EQ(testdisk_mount(MS_RDONLY, "errors=continue"), -EINVAL);
	memset(testdisk_bytes(), 0, MIB(1));
	CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), -EINVAL);
	memcpy(testdisk_bytes(), "XFSB", 4);
	CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), -EINVAL);
	CHECK(testdisk_make(DEBIAN_12 ",encrypt", 16, NULL));
	CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), -EOPNOTSUPP);
	CHECK(testdisk_make(DEBIAN_12 ",quota", 16, NULL));
	CHECK_EQ(testdisk_mount(0, NULL), 0); /* read-only */
	CHECK_EQ(vfs_create(NULL, "/t/x", S_IFREG | 0644, 0, NULL), -EROFS);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_mount(MS_RDONLY, "data=ordered,errors=panic,commit=7,barrier=0"), 0);
	CHECK_EQ(testdisk_unmount(), 0);
}

/*
 * Each field of the superblock in turn becomes nonsense: nothing worse than a refusal comes of it.
 */
TEST(ext4_survives_hostile_superblocks)
{
	static uint8_t saved[EXT4_SUPER_BYTES];
	static const uint32_t values[] = { 0, 0x7fffffff, 0xffffffff };
	uint64_t sum;

	CHECK(testdisk_make(PLAIN, 8, "mkdir d; touch d/f"));
	uint8_t *super = testdisk_bytes() + EXT4_SUPER_OFFSET;
	memcpy(saved, super, sizeof(saved));
	for (unsigned field = 0; field < offsetof(struct ext4_disk_super, reserved); field += 4) {
		for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
			memcpy(super + field, &values[v], 4);
			if (!testdisk_mount(MS_RDONLY, NULL)) {
				list("/t/d", 100, &sum);
				CHECK_EQ(testdisk_unmount(), 0);
			}
			memcpy(super, saved, sizeof(saved));
		}
	}
	CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), 0);
	CHECK_EQ(testdisk_unmount(), 0);
}
