/*
 * Changing disks that e2fsprogs made, and asking e2fsck what it thinks of the result.
 */
#include <stdio.h>

#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "dir.h"
#include "testdisk.h"

static const char *const kinds[] = {
	DEBIAN_12 " -b 4096", DEBIAN_13 " -b 4096", DEBIAN_12 " -b 1024", PLAIN " -b 2048",
	TESTDISK_COMMON ",metadata_csum,^has_journal -b 1024", DEBIAN_12 ",^dir_index -b 1024",
};

static int create(const char *path, uint32_t mode)
{
	return vfs_create(NULL, path, mode, 0, NULL);
}

static int stat_of(const char *path, struct kstat *st)
{
	struct path p;
	int error = vfs_walk(NULL, path, 0, &p);

	if (error)
		return error;
	inode_stat(path_inode(&p), st);
	path_put(&p);
	return 0;
}

static int link_names(const char *one, const char *two)
{
	struct path p;
	int error = vfs_walk(NULL, one, 0, &p);

	if (error)
		return error;
	error = vfs_link(&p, NULL, two);
	path_put(&p);
	return error;
}

static int remount(void)
{
	int error = testdisk_unmount();

	return error ? error : testdisk_mount(0, NULL);
}

TEST(ext4_changes_of_names_leave_a_clean_disk)
{
	char target[900];
	struct kstat st;

	memset(target, 'x', sizeof(target));
	target[sizeof(target) - 1] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		CHECK(testdisk_make(kinds[i], 16, "mkdir -p old/below; touch old/file"));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		CHECK_EQ(create("/t/d", S_IFDIR | 0755), 0);
		CHECK_EQ(create("/t/d/f", S_IFREG | 0640), 0);
		CHECK_EQ(create("/t/d/f", S_IFREG | 0640), -EEXIST);
		CHECK_EQ(vfs_create(NULL, "/t/short", S_IFLNK | 0777, 0, "d/f"), 0);
		CHECK_EQ(vfs_create(NULL, "/t/long", S_IFLNK | 0777, 0, target), 0);
		CHECK_EQ(vfs_create(NULL, "/t/dev", S_IFCHR | 0600, 5 << 8 | 1, NULL), 0);
		CHECK_EQ(link_names("/t/d/f", "/t/g"), 0);
		CHECK_EQ(vfs_rename(NULL, "/t/old", NULL, "/t/d/new", 0), 0);
		CHECK_EQ(vfs_rename(NULL, "/t/d/new/below", NULL, "/t/g", RENAME_EXCHANGE), 0);
		CHECK_EQ(vfs_rename(NULL, "/t/d/f", NULL, "/t/d/new/file", 0), 0);
		CHECK_EQ(vfs_unlink(NULL, "/t/d/new", true), -ENOTEMPTY);
		CHECK_EQ(remount(), 0);
		CHECK(!stat_of("/t/d/new/below", &st) && st.nlink == 2 &&
		      st.mode == (S_IFREG | 0640));
		CHECK(!stat_of("/t/d", &st) && st.nlink == 3);
		CHECK(!stat_of("/t/g", &st) && st.mode == (S_IFDIR | 0755));
		CHECK(!stat_of("/t/dev", &st) && st.rdev == (5 << 8 | 1));
		CHECK(!stat_of("/t/long", &st) && st.size == sizeof(target) - 1);
		CHECK_EQ(vfs_unlink(NULL, "/t/long", false), 0);
		CHECK_EQ(vfs_unlink(NULL, "/t/g", true), 0);
		CHECK_EQ(vfs_unlink(NULL, "/t/d/new/file", false), 0);
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
	}
}

TEST(ext4_large_directories_grow_and_shrink)
{
	static const char *const disks[] = { DEBIAN_12 " -b 1024 -N 8000", PLAIN " -b 1024 -N 8000",
					     DEBIAN_13 " -b 4096 -N 8000" };
	struct kstat st;
	char name[300];

	for (unsigned d = 0; d < ARRAY_SIZE(disks); d++) {
		CHECK(testdisk_make(disks[d], 16, NULL));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		CHECK_EQ(create("/t/d", S_IFDIR | 0755), 0);
		CHECK_EQ(create("/t/d/0", S_IFREG | 0644), 0);
		for (unsigned i = 1; i < 6000; i++) {
			snprintf(name, sizeof(name), "/t/d/%u-%0*u", i, (int)(i % 120), i);
			int error = i % 1000 ? link_names("/t/d/0", name)
					     : create(name, S_IFDIR | 0755);
			if (error)
				test_print("%s: %d\n", name, error);
			CHECK_EQ(error, 0);
		}
		CHECK_EQ(remount(), 0);
		for (unsigned i = 1; i < 6000; i++) {
			snprintf(name, sizeof(name), "/t/d/%u-%0*u", i, (int)(i % 120), i);
			CHECK_EQ(stat_of(name, &st), 0);
			if (i % 3)
				CHECK_EQ(vfs_unlink(NULL, name, !(i % 1000)), 0);
		}
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
		CHECK_EQ(
			testdisk_shell(
				"test $(debugfs -R 'ls -p /d' disk 2>/dev/null | grep -c ^/[1-9]) = 2002"),
			0);
	}
}

#define LONG_NAMES 30000u

/* In a block of 1 KiB there is room for three of these, and half a block has one. */
static const char *long_name(unsigned i)
{
	static char name[300];

	snprintf(name, sizeof(name), "/t/d/%0255u", i * 2654435761u);
	return name;
}

/* How many there is room for. */
static unsigned fill_with_long_names(void)
{
	unsigned i = 0;

	while (i < LONG_NAMES && !link_names("/t/f", long_name(i)))
		i++;
	return i;
}

static bool long_names_are_there(unsigned count)
{
	struct kstat st;

	for (unsigned i = 0; i < count; i++) {
		if (stat_of(long_name(i), &st))
			return false;
	}
	return stat_of(long_name(count), &st) == -ENOENT;
}

TEST(ext4_index_of_two_levels_is_full_and_one_of_three_goes_on)
{
	for (unsigned large = 0; large < 2; large++) {
		unsigned count;

		CHECK(testdisk_make(large ? DEBIAN_12 ",large_dir -b 1024" : DEBIAN_12 " -b 1024",
				    32, "touch f; mkdir d"));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		count = fill_with_long_names();
		CHECK(large ? count == LONG_NAMES : count > 12000 && count < LONG_NAMES);
		if (!large) {
			CHECK_EQ(link_names("/t/f", long_name(count)), -ENOSPC);
			CHECK_EQ(vfs_unlink(NULL, long_name(7), false), 0);
			CHECK_EQ(link_names("/t/f", long_name(7)), 0);
		}
		CHECK_EQ(remount(), 0);
		CHECK(long_names_are_there(count));
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
	}
}

/* ---- random ones ---- */

static void random_name(char *buf)
{
	unsigned depth = (unsigned)test_random_below(3);
	unsigned a = (unsigned)test_random_below(5), b = (unsigned)test_random_below(5),
		 c = (unsigned)test_random_below(40);

	if (depth == 0)
		snprintf(buf, 64, "/t/%c", 'a' + (char)a);
	else if (depth == 1)
		snprintf(buf, 64, "/t/%c/%c", 'a' + (char)a, 'a' + (char)b);
	else
		snprintf(buf, 64, "/t/%c/%c/some-longer-name-%u", 'a' + (char)a, 'a' + (char)b, c);
}

static int random_change(void)
{
	char one[64], two[64];

	random_name(one);
	random_name(two);
	switch (test_random_below(9)) {
	case 0: return create(one, S_IFDIR | 0755);
	case 1: case 2: return create(one, S_IFREG | 0644);
	case 3: return vfs_create(NULL, one, S_IFLNK | 0777, 0, "where/ever");
	case 4: return link_names(one, two);
	case 5: return vfs_unlink(NULL, one, test_random_below(2));
	case 6: return vfs_rename(NULL, one, NULL, two, RENAME_EXCHANGE);
	case 7: return vfs_unlink(NULL, one, false);
	default: return vfs_rename(NULL, one, NULL, two, 0);
	}
}

static bool is_expected(int error)
{
	switch (error) {
	case 0:
	case -ENOENT:
	case -EEXIST:
	case -ENOTDIR:
	case -EISDIR:
	case -ENOTEMPTY:
	case -EINVAL:
	case -EPERM:
	case -ELOOP:
		return true;
	default:
		return false;
	}
}

TEST(ext4_random_changes_leave_a_clean_disk)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		CHECK(testdisk_make(kinds[i], 16, NULL));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		for (unsigned n = 0; n < 1500; n++) {
			int error = random_change();

			CHECK(is_expected(error));
			if (n % 500 == 499)
				CHECK_EQ(remount(), 0);
		}
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
	}
}

TEST(ext4_inodes_run_out_and_come_back)
{
	char name[64];
	unsigned made = 0;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024 -N 64", 8, NULL));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	for (int error = 0; !error && made < 100; made += !error) {
		snprintf(name, sizeof(name), "/t/%u", made);
		error = create(name, S_IFREG | 0644);
		CHECK(!error || error == -ENOSPC);
	}
	CHECK(made > 40 && made < 64);
	CHECK_EQ(vfs_unlink(NULL, "/t/7", false), 0);
	CHECK_EQ(create("/t/again", S_IFDIR | 0755), 0);
	CHECK_EQ(create("/t/more", S_IFREG | 0644), -ENOSPC);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

TEST(ext4_files_without_a_name_go_with_their_last_user)
{
	struct file *f, *g;
	struct path p;

	CHECK(testdisk_make(DEBIAN_12, 16, "echo hello > f"));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDONLY, 0, &f), 0);
	CHECK_EQ(vfs_unlink(NULL, "/t/f", false), 0);
	CHECK_EQ(vfs_open(NULL, "/t", O_TMPFILE | O_RDWR, 0600, &g), 0);
	p = *file_path(g);
	CHECK_EQ(vfs_link(&p, NULL, "/t/named"), 0);
	file_put(f);
	file_put(g);
	CHECK_EQ(vfs_open(NULL, "/t", O_TMPFILE | O_RDWR, 0600, &g), 0);
	file_put(g);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
	CHECK_EQ(testdisk_shell("debugfs -R 'ls -p /' disk 2>/dev/null | grep -q named"), 0);
}

static int remount_with(uint32_t flags)
{
	struct path at;
	int error = vfs_walk(NULL, "/t", WALK_DIR, &at);

	if (error)
		return error;
	error = vfs_remount(&at, flags, "", false);
	path_put(&at);
	return error;
}

TEST(ext4_turns_read_only_and_back)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		CHECK(testdisk_make(kinds[i], 16, NULL));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		CHECK_EQ(create("/t/one", S_IFREG | 0644), 0);
		CHECK_EQ(remount_with(MS_RDONLY), 0);
		CHECK_EQ(testdisk_judge(), 0);
		CHECK_EQ(create("/t/two", S_IFREG | 0644), -EROFS);
		CHECK_EQ(remount_with(0), 0);
		CHECK_EQ(create("/t/two", S_IFREG | 0644), 0);
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
		CHECK_EQ(testdisk_mount(MS_RDONLY, NULL), 0);
		CHECK_EQ(remount_with(0), 0);
		CHECK_EQ(vfs_unlink(NULL, "/t/two", false), 0);
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
	}
}

/* ---- attributes ---- */

static bool xattr_is(const char *path, const char *name, const void *value, size_t size)
{
	static uint8_t got[4096];
	struct path p;
	kssize_t n;

	if (vfs_walk(NULL, path, 0, &p))
		return false;
	n = path_inode(&p)->ops->xattr_get(path_inode(&p), name, got, sizeof(got));
	path_put(&p);
	return n == (kssize_t)size && !memcmp(got, value, size);
}

TEST(ext4_attributes_are_set_replaced_and_removed)
{
	uint8_t large[700];

	memset(large, 7, sizeof(large));
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		CHECK(testdisk_make(kinds[i], 16, "touch a b"));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		CHECK_EQ(testdisk_set_xattr("/t/a", "user.small", "v", 1), 0);
		CHECK_EQ(testdisk_set_xattr("/t/a", "user.large", large, sizeof(large)), 0);
		CHECK_EQ(testdisk_set_xattr("/t/a", "trusted.empty", "", 0), 0);
		CHECK_EQ(testdisk_set_xattr("/t/a", "user.grows", "x", 1), 0);
		/* from the inode to the block */
		CHECK_EQ(testdisk_set_xattr("/t/a", "user.grows", large, 120), 0);
		CHECK_EQ(testdisk_set_xattr("/t/a", "user.huge", large, 60000), -ENOSPC);
		CHECK_EQ(testdisk_set_xattr("/t/a", "nonsense", "x", 1), -EOPNOTSUPP);
		CHECK_EQ(testdisk_set_xattr("/t/a", "user.absent", NULL, 0), -ENODATA);
		CHECK_EQ(testdisk_set_xattr("/t/b", "user.large", large, sizeof(large)), 0);
		CHECK_EQ(testdisk_set_xattr("/t/b", "user.large", NULL, 0), 0); /* its block goes */
		CHECK_EQ(remount(), 0);
		CHECK(xattr_is("/t/a", "user.small", "v", 1) &&
		      xattr_is("/t/a", "user.large", large, sizeof(large)));
		CHECK(xattr_is("/t/a", "user.grows", large, 120) &&
		      xattr_is("/t/a", "trusted.empty", "", 0));
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
		CHECK_EQ(testdisk_shell(
				 "debugfs -R 'ea_get a user.small' disk 2>/dev/null | grep -q v"),
			 0);
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		CHECK_EQ(vfs_unlink(NULL, "/t/a", false), 0);
		CHECK_EQ(testdisk_unmount(), 0);
		CHECK_EQ(testdisk_judge(), 0);
	}
}
