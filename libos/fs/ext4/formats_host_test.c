/*
 * Every feature that mke2fs can give a disk and that is read here: the disk is mounted and compared
 * with the tree it was made of; then it is changed in each of its groups and e2fsck asked, or it
 * refuses to be changed.
 */
#include <stdio.h>

#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "ext4.h"
#include "testdisk.h"

#define MANY      "extent,ext_attr,filetype,large_file,dir_index,extra_isize"
#define FEATURES  "-I 256 -O none," MANY
#define DISK_MIB  8u
#define NAMES     300u
#define BIG_BYTES 100000u

static const struct format {
	const char *name, *options, *prepare; /* commands that change $T/disk after mke2fs */
	bool is_written;
} formats[] = {
	{ "sparse_super", FEATURES ",sparse_super -b 1024 -g 1024", NULL, true },
	{ "no sparse_super", FEATURES ",has_journal -b 1024 -g 1024", NULL, true },
	{ "sparse_super2", FEATURES ",has_journal,sparse_super2 -b 1024 -g 1024", NULL, true },
	{ "resize_inode", FEATURES ",sparse_super,resize_inode -b 1024 -g 1024 -E resize=200000",
	  NULL, true },
	{ "meta_bg",
	  FEATURES ",sparse_super,has_journal,meta_bg,metadata_csum -b 1024 -g 256 -N 2048", NULL,
	  true },
	{ "meta_bg, 64bit",
	  FEATURES ",sparse_super,flex_bg,meta_bg,64bit,metadata_csum -b 1024 -g 256 -N 2048", NULL,
	  true },
	{ "64bit without checksums", FEATURES ",has_journal,sparse_super,64bit -b 2048", NULL,
	  true },
	{ "gdt_csum", FEATURES ",has_journal,sparse_super,uninit_bg -b 1024 -g 1024", NULL, true },
	{ "metadata_csum of 16 bits",
	  FEATURES ",has_journal,sparse_super,metadata_csum -b 1024 -g 1024", NULL, true },
	{ "metadata_csum_seed", DEBIAN_13 " -b 1024 -g 1024",
	  "tune2fs -U random disk && e2fsck -fn disk", true },
	{ "uninit groups, flex_bg", DEBIAN_12 " -b 1024 -g 1024 -E lazy_itable_init=1", NULL,
	  true },
	{ "inodes of 128 bytes", "-I 128 -O none,extent,has_journal,sparse_super,filetype -b 1024",
	  NULL, true },
	{ "inodes of 1024 bytes",
	  "-I 1024 -O none," MANY ",has_journal,sparse_super,metadata_csum -b 1024", NULL, true },
	{ "no filetype, no dir_index", "-I 256 -O none,extent,has_journal,sparse_super -b 4096",
	  NULL, true },
	/* counts its blocks, not sectors */
	{ "huge_file", FEATURES ",has_journal,sparse_super,huge_file -b 4096",
	  "debugfs -w -R 'sif a/big flags 0xc0000' disk && debugfs -w -R 'sif a/big blocks 25' disk && e2fsck -fn disk",
	  true },
	{ "large_dir", DEBIAN_12 ",large_dir -b 1024", NULL, true },
	{ "inline_data", DEBIAN_12 ",inline_data -b 1024", NULL, false },
	{ "inline_data, large inodes",
	  "-I 512 -O none," MANY ",has_journal,sparse_super,inline_data -b 4096", NULL, false },
	{ "ea_inode", DEBIAN_12 ",ea_inode -b 1024", NULL, false },
	{ "bigalloc", DEBIAN_12 ",bigalloc -b 1024 -C 16384", NULL, false },
	{ "project, quota", DEBIAN_12 ",project,quota -b 1024",
	  "{ e2fsck -fy disk; test $? -le 1; }", false },
	{ "old block maps",
	  "-I 256 -O none,ext_attr,filetype,has_journal,sparse_super,dir_index -b 1024", NULL,
	  false },
};

static const char tree[] =
	"mkdir -p a/small many; echo hello > a/f; head -c 100000 /dev/zero | tr '\\0' x > a/big; "
	"ln -s f a/link; head -c 130 /dev/zero | tr '\\0' y > a/130; touch a/small/1 a/small/2; "
	"cd many; seq 1 300 | sed 's/^/a-name-of-some-length-/' | xargs touch";

static uint8_t bytes[BIG_BYTES + 1], seen[BIG_BYTES + 1];

static bool holds(const char *path, char c, size_t size)
{
	memset(bytes, c, size);
	return testdisk_read(path, seen, sizeof(seen)) == (kssize_t)size &&
	       !memcmp(seen, bytes, size);
}

static bool is_there(const char *path)
{
	struct path p;

	if (vfs_walk(NULL, path, 0, &p))
		return false;
	path_put(&p);
	return true;
}

static bool names_are_there(const char *folder, unsigned count)
{
	char path[64];

	for (unsigned i = 1; i <= count; i++) {
		snprintf(path, sizeof(path), "%s/a-name-of-some-length-%u", folder, i);
		if (!is_there(path))
			return false;
	}
	return true;
}

static bool tree_is_read(void)
{
	return testdisk_read("/t/a/f", seen, sizeof(seen)) == 6 && !memcmp(seen, "hello\n", 6) &&
	       testdisk_read("/t/a/link", seen, sizeof(seen)) == 6 &&
	       holds("/t/a/big", 'x', BIG_BYTES) && holds("/t/a/130", 'y', 130) &&
	       is_there("/t/a/small/1") && is_there("/t/a/small/2") && !is_there("/t/a/small/3") &&
	       names_are_there("/t/many", NAMES);
}

/* Folders in the root go to different groups; each gets a file there. */
static bool change_every_group(void)
{
	char path[64];

	memset(bytes, 'z', 3000);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "/t/folder-%u", i);
		if (vfs_create(NULL, path, S_IFDIR | 0755, 0, NULL))
			return false;
		snprintf(path, sizeof(path), "/t/folder-%u/file", i);
		if (testdisk_write(path, bytes, 3000) != 3000)
			return false;
	}
	return true;
}

static bool change_names(void)
{
	char path[64], other[64];

	for (unsigned i = 1; i <= NAMES; i++) {
		snprintf(path, sizeof(path), "/t/many/a-name-of-some-length-%u", i);
		snprintf(other, sizeof(other), "/t/folder-7/a-name-of-some-length-%u", i);
		if (i % 2 ? vfs_unlink(NULL, path, false) : vfs_rename(NULL, path, NULL, other, 0))
			return false;
	}
	return testdisk_write("/t/a/big", bytes, 3000) == 3000 &&
	       !vfs_unlink(NULL, "/t/a/130", false);
}

static bool is_changed(void)
{
	if (!change_every_group() || !change_names() || testdisk_unmount() || testdisk_judge())
		return false;
	return !testdisk_shell(
		       "test $(debugfs -R 'cat /folder-39/file' disk 2>/dev/null | tr -d z | wc -c) = 0 && "
		       "test $(debugfs -R 'ls -p /folder-7' disk 2>/dev/null | grep -c a-name) = 150") &&
	       !testdisk_mount(0, NULL) && holds("/t/a/big", 'z', 3000) &&
	       holds("/t/folder-21/file", 'z', 3000);
}

static bool refuses_changes(void)
{
	return vfs_create(NULL, "/t/x", S_IFREG | 0644, 0, NULL) == -EROFS &&
	       vfs_unlink(NULL, "/t/a/f", false) == -EROFS;
}

static bool is_right(const struct format *f)
{
	if (!testdisk_make(f->options, DISK_MIB, tree) ||
	    (f->prepare && (testdisk_shell(f->prepare) || !testdisk_load(DISK_MIB))))
		return false;
	if (testdisk_mount(0, NULL) || !tree_is_read())
		return false;
	if (f->is_written ? !is_changed() : !refuses_changes())
		return false;
	return !testdisk_unmount() && !testdisk_judge();
}

TEST(ext4_reads_and_writes_what_each_feature_makes_of_a_disk)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		if (is_right(&formats[i]))
			continue;
		test_print("wrong: %s\n", formats[i].name);
		wrong++;
	}
	CHECK_EQ(wrong, 0);
}
