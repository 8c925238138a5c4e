/*
 * Disks and histories that are seldom met: what other systems leave behind, what a full disk does
 * in the middle of an operation, structures that lead to one another. Each was a way to lose
 * something.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "ext4.h"
#include "testdisk.h"

#define FEATURES "ext_attr,filetype,large_file,dir_index,extra_isize,sparse_super,has_journal"

static int remount(void)
{
	int error = testdisk_unmount();

	return error ? error : testdisk_mount(0, NULL);
}

static uint64_t number_from(const char *command)
{
	char text[64];

	return testdisk_output(command, text, sizeof(text)) ? strtoull(text, NULL, 0) : 0;
}

/* ---- block maps of old directories ---- */

/* A file that takes all that is left; its bytes say where they are. */
static size_t fill_disk(const char *path)
{
	static uint32_t words[256];
	struct file *f;
	size_t done = 0;

	if (vfs_open(NULL, path, O_CREAT | O_RDWR, 0644, &f))
		return 0;
	do {
		for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = (uint32_t)(done / 4 + i);
		done += sizeof(words);
	} while (testdisk_transfer(f, words, sizeof(words), (int64_t)(done - sizeof(words)),
				   false) == sizeof(words));
	f->ops->sync(f, false);
	file_put(f);
	return done - sizeof(words);
}

static bool is_filled(const char *path, size_t size)
{
	static uint32_t words[256];
	struct file *f;
	bool ok = true;

	if (vfs_open(NULL, path, O_RDONLY, 0, &f))
		return false;
	for (size_t at = 0; ok && at < size; at += sizeof(words)) {
		ok = testdisk_transfer(f, words, sizeof(words), (int64_t)at, true) == sizeof(words);
		for (unsigned i = 0; ok && i < ARRAY_SIZE(words); i++)
			ok = words[i] == at / 4 + i;
	}
	file_put(f);
	return ok;
}

TEST(ext4_blocks_of_old_directories_do_not_come_back)
{
	size_t size;

	CHECK(testdisk_make("-b 1024 -O none," FEATURES, 8, "mkdir d; touch d/f"));
	CHECK_EQ(testdisk_shell("tune2fs -O extents disk"), 0);
	CHECK(testdisk_load(8));
	CHECK_EQ(testdisk_mount(0, "commit=600"), 0);
	CHECK_EQ(vfs_create(NULL, "/t/d/g", S_IFREG | 0644, 0, NULL), 0);
	CHECK_EQ(vfs_sync_all(), 0);
	CHECK_EQ(vfs_unlink(NULL, "/t/d/f", false), 0);
	CHECK_EQ(vfs_unlink(NULL, "/t/d/g", false), 0);
	CHECK_EQ(vfs_unlink(NULL, "/t/d", true), 0);
	CHECK_EQ(vfs_sync_all(), 0);
	size = fill_disk("/t/large");
	CHECK(size > MIB(4));
	CHECK_EQ(remount(), 0);
	CHECK(is_filled("/t/large", size));
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* ---- read-only, and what has no name ---- */

static int set_flags(uint32_t flags)
{
	struct path p;
	int error = vfs_walk(NULL, "/t", 0, &p);

	if (error)
		return error;
	error = vfs_remount(&p, flags, "", false);
	path_put(&p);
	return error;
}

TEST(ext4_stays_writable_while_it_has_something_to_delete)
{
	struct file *f;
	uint64_t room;

	CHECK(testdisk_make(DEBIAN_13, 8, "head -c 1000000 /dev/urandom > f"));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	room = testdisk_free_blocks();
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDONLY, 0, &f), 0);
	CHECK_EQ(vfs_unlink(NULL, "/t/f", false), 0);
	CHECK_EQ(set_flags(MS_RDONLY), -EBUSY);
	CHECK_EQ(vfs_create(NULL, "/t/g", S_IFREG | 0644, 0, NULL), 0);
	file_put(f);
	CHECK_EQ(set_flags(MS_RDONLY), 0);
	CHECK(testdisk_free_blocks() > room);
	CHECK_EQ(testdisk_judge(), 0);
	CHECK_EQ(vfs_create(NULL, "/t/h", S_IFREG | 0644, 0, NULL), -EROFS);
	CHECK_EQ(set_flags(0), 0);
	CHECK_EQ(vfs_unlink(NULL, "/t/g", false), 0);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* ---- names that lead where they should not ---- */

TEST(ext4_a_name_of_an_inode_without_links_deletes_nothing)
{
	struct path p;

	CHECK(testdisk_make(DEBIAN_12, 8, "echo hello > f"));
	CHECK_EQ(testdisk_shell("debugfs -w -R 'sif f links_count 0' disk"), 0);
	CHECK(testdisk_load(8));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_walk(NULL, "/t/f", 0, &p), -EUCLEAN);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK(testdisk_store());
	CHECK_EQ(testdisk_shell("debugfs -R 'cat f' disk 2>/dev/null | grep -q hello"), 0);
}

/*
 * Mounts the disk with a link of the directory `of`: what a walk to `first` and then one to
 * `second` say.
 */
static bool walks_say(const char *link, const char *first, int error, const char *second, int then)
{
	struct path p;
	bool ok;

	if (!testdisk_make(DEBIAN_12, 8, "mkdir -p a/b/d c; touch a/f") || testdisk_shell(link) ||
	    !testdisk_load(8) || testdisk_mount(0, NULL))
		return false;
	ok = vfs_walk(NULL, first, 0, &p) == error;
	if (!error)
		path_put(&p);
	ok = ok && vfs_walk(NULL, second, 0, &p) == then;
	if (!then)
		path_put(&p);
	return testdisk_unmount() == 0 && ok;
}

TEST(ext4_a_directory_is_found_under_one_name)
{
	CHECK(walks_say("debugfs -w -R 'link a a/b/c' disk", "/t/a/b/c", -EUCLEAN, "/t/a/b", 0));
	CHECK(walks_say("debugfs -w -R 'link / a/root' disk", "/t/a/root", -EUCLEAN, "/t/a", 0));
	CHECK(walks_say("debugfs -w -R 'link a/b c/b' disk", "/t/a/b/d", 0, "/t/c/b", -EUCLEAN));
	CHECK(walks_say("debugfs -w -R 'link a/b c/b' disk", "/t/c/b/d", 0, "/t/a/b", -EUCLEAN));
	CHECK(walks_say("debugfs -w -R 'link a/f c/f' disk", "/t/a/f", 0, "/t/c/f", 0));
}

TEST(ext4_a_directory_that_lies_in_itself_is_not_moved)
{
	static const struct { const char *from, *to; } moves[] = {
		{ "/t/a/b/c", "/t/a/d" }, { "/t/a/b", "/t/a/b/c" }, { "/t/a/f", "/t/a/b/c" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(moves); i++) {
		CHECK(testdisk_make(DEBIAN_12, 8, "mkdir -p a/b; touch a/f"));
		CHECK_EQ(testdisk_shell("debugfs -w -R 'link a a/b/c' disk"), 0);
		CHECK(testdisk_load(8));
		CHECK_EQ(testdisk_mount(0, NULL), 0);
		CHECK_EQ(vfs_rename(NULL, moves[i].from, NULL, moves[i].to, 0), -EUCLEAN);
		CHECK_EQ(vfs_unlink(NULL, "/t/a/b/c", true), -EUCLEAN);
		CHECK_EQ(testdisk_unmount(), 0);
	}
}

/* ---- attributes ---- */

static kssize_t get_xattr(const char *path, const char *name, void *buf, size_t size)
{
	struct path p;
	kssize_t n = vfs_walk(NULL, path, 0, &p);

	if (n)
		return n;
	n = path_inode(&p)->ops->xattr_get(path_inode(&p), name, buf, size);
	path_put(&p);
	return n;
}

#define XATTR_BLOCK "debugfs -R 'stat a' disk 2>/dev/null | sed -n 's/.*File ACL: //p'"

/* Two files with one block of attributes, as Linux lets them have. */
static bool make_shared_block(void)
{
	uint64_t block;

	if (!testdisk_make("-b 1024 -I 128 -O none,extent," FEATURES, 8,
			   "touch a b; head -c 500 /dev/zero | tr '\\0' v > ../value") ||
	    testdisk_shell("debugfs -w -R 'ea_set -f value a user.large' disk"))
		return false;
	block = number_from(XATTR_BLOCK);
	if (!block ||
	    testdisk_shell("n=$(" XATTR_BLOCK "); debugfs -w -R \"sif b file_acl $n\" disk && "
			   "debugfs -w -R 'sif b blocks 2' disk") ||
	    !testdisk_load(8))
		return false;
	testdisk_bytes()[block * 1024 + 4] = 2; /* references */
	return !testdisk_judge();
}

TEST(ext4_a_full_disk_takes_no_attributes_away)
{
	static uint8_t value[700];
	size_t size;

	memset(value, 'v', sizeof(value));
	CHECK(make_shared_block());
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	size = fill_disk("/t/large");
	CHECK(size > MIB(4));
	CHECK_EQ(testdisk_set_xattr("/t/b", "user.more", "x", 1), -ENOSPC);
	CHECK_EQ(get_xattr("/t/b", "user.large", value, sizeof(value)), 500);
	CHECK_EQ(vfs_unlink(NULL, "/t/large", false), 0);
	CHECK_EQ(vfs_sync_all(), 0);
	CHECK_EQ(testdisk_set_xattr("/t/b", "user.more", "x", 1), 0);
	CHECK_EQ(remount(), 0);
	CHECK_EQ(get_xattr("/t/b", "user.large", value, sizeof(value)), 500);
	CHECK_EQ(get_xattr("/t/a", "user.large", value, sizeof(value)), 500);
	CHECK_EQ(get_xattr("/t/a", "user.more", value, sizeof(value)), -ENODATA);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

TEST(ext4_a_value_that_lies_elsewhere_is_not_copied)
{
	uint8_t *entry;

	CHECK(make_shared_block());
	entry = testdisk_bytes() + number_from(XATTR_BLOCK) * 1024 + 32;
	entry[2] = entry[3] = 0xff; /* where the value lies */
	entry[4] = 12;              /* in an inode of its own */
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(testdisk_set_xattr("/t/b", "user.more", "x", 1), -EUCLEAN);
	CHECK_EQ(testdisk_unmount(), 0);
}

/* ---- full disks ---- */

TEST(ext4_room_that_was_promised_can_be_written_on_a_full_disk)
{
	static uint8_t bytes[1024];
	unsigned refused = 0, blocks = 0;
	int64_t size = MIB(8);
	struct file *f;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 8, NULL));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_CREAT | O_RDWR, 0644, &f), 0);
	while (size > 3 << 20 && testdisk_allocate(f, 0, 0, size))
		size -= 1024;
	fill_disk("/t/rest");
	blocks = (unsigned)(size / 1024);
	for (unsigned n = 1; n < blocks; n += 2) {
		memset(bytes, (int)(n % 251 + 1), sizeof(bytes));
		if (testdisk_transfer(f, bytes, sizeof(bytes), (int64_t)n * 1024, false) !=
		    sizeof(bytes))
			refused = refused ? refused : n;
	}
	f->ops->sync(f, false);
	file_put(f);
	CHECK_EQ(remount(), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_RDONLY, 0, &f), 0);
	CHECK_EQ(((struct inode *)f->object)->size, size);
	for (unsigned n = 1; n < (refused ? refused : blocks); n += 2) {
		CHECK_EQ(testdisk_transfer(f, bytes, sizeof(bytes), (int64_t)n * 1024, true),
			 sizeof(bytes));
		CHECK_EQ(bytes[0], n % 251 + 1);
	}
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* ---- what a truncation leaves ---- */

static int cut_power(void)
{
	static uint8_t kept[MIB(8)];
	int error;

	memcpy(kept, testdisk_bytes(), sizeof(kept));
	error = testdisk_unmount();
	if (error)
		return error;
	memcpy(testdisk_bytes(), kept, sizeof(kept));
	return testdisk_mount(0, NULL);
}

TEST(ext4_bytes_that_were_cut_off_do_not_come_back)
{
	static uint8_t bytes[1024];
	struct file *f, *g;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 8, "touch g"));
	CHECK_EQ(testdisk_mount(0, "commit=600"), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_CREAT | O_RDWR, 0644, &f), 0);
	CHECK_EQ(vfs_open(NULL, "/t/g", O_RDWR, 0644, &g), 0);
	memset(bytes, 'x', sizeof(bytes));
	CHECK_EQ(testdisk_transfer(f, bytes, sizeof(bytes), 0, false), sizeof(bytes));
	CHECK_EQ(f->ops->sync(f, false), 0);
	CHECK_EQ(testdisk_transfer(f, bytes, 1, 0, false), 1);
	CHECK_EQ(f->ops->sync(f, false), 0);
	CHECK_EQ(testdisk_resize(f, 100), 0);
	CHECK_EQ(testdisk_resize(f, 1024), 0);
	CHECK_EQ(testdisk_transfer(g, bytes, 1, 0, false), 1);
	CHECK_EQ(g->ops->sync(g, false), 0); /* commits */
	file_put(f);
	file_put(g);
	CHECK_EQ(cut_power(), 0);
	CHECK_EQ(testdisk_read("/t/f", bytes, sizeof(bytes)), 1024);
	CHECK(bytes[99] == 'x' && !bytes[100] && !bytes[1023]);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

TEST(ext4_truncation_gives_back_what_was_set_aside_behind_the_end)
{
	struct inode *inode;
	struct file *f;

	CHECK(testdisk_make(DEBIAN_12 " -b 1024", 8, NULL));
	CHECK_EQ(testdisk_mount(0, NULL), 0);
	CHECK_EQ(vfs_open(NULL, "/t/f", O_CREAT | O_RDWR, 0644, &f), 0);
	inode = f->object;
	CHECK_EQ(testdisk_transfer(f, (uint8_t[]){ 1, 2, 3 }, 3, 0, false), 3);
	CHECK_EQ(testdisk_allocate(f, 1, 0, 100000), 0); /* FALLOC_FL_KEEP_SIZE */
	CHECK(inode->size == 3 && inode->blocks >= 196);
	CHECK_EQ(testdisk_resize(f, 3), 0);
	CHECK(inode->size == 3 && inode->blocks == 2);
	file_put(f);
	CHECK_EQ(testdisk_unmount(), 0);
	CHECK_EQ(testdisk_judge(), 0);
}

/* ---- times ---- */

static bool keeps_time(const char *kind, int64_t set, int64_t got)
{
	struct attr_change a = { .mask = ATTR_MTIME, .mtime = { set, 123456789 } };
	struct path p;
	int64_t now, later;

	if (!testdisk_make(kind, 8, "touch f") || testdisk_mount(0, NULL) ||
	    vfs_walk(NULL, "/t/f", 0, &p))
		return false;
	now = vfs_change(&p, &a) ? 0 : path_inode(&p)->mtime.sec;
	path_put(&p);
	if (remount() || vfs_walk(NULL, "/t/f", 0, &p))
		return false;
	later = path_inode(&p)->mtime.sec;
	path_put(&p);
	if (now != got || later != got)
		test_print("%lld became %lld, and %lld later\n", (long long)set, (long long)now,
			   (long long)later);
	return !testdisk_unmount() && now == got && later == got;
}

TEST(ext4_times_that_do_not_fit_are_the_nearest_that_do)
{
	static const char small[] = "-b 1024 -I 128 -O none,extent," FEATURES;

	CHECK(keeps_time(DEBIAN_12, 0x37fffffffll, 0x37fffffffll));
	CHECK(keeps_time(DEBIAN_12, 0x380000000ll, 0x37fffffffll));
	CHECK(keeps_time(DEBIAN_12, -0x80000000ll, -0x80000000ll));
	CHECK(keeps_time(DEBIAN_12, -0x80000001ll, -0x80000000ll));
	CHECK(keeps_time(small, 0x80000000ll, 0x7fffffff));
}
