/*
 * Disks for tests on the build machine: made and judged by e2fsprogs, in between a disk in memory.
 *
 * One disk at a time; its file and what belongs to it lie in a folder of their own, which shell
 * commands find as $T. Commands run in a shell with it as working folder; the disk's file is
 * $T/disk.
 */
#ifndef EXT4_TESTDISK_H
#define EXT4_TESTDISK_H

#include <libos/blkdev.h>
#include <libos/vfs.h>

/*
 * What mke2fs makes by default in Debian 12 and 13, without and with what came before; none asks
 * /etc/mke2fs.conf.
 */
#define TESTDISK_COMMON \
	"-I 256 -O none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super," \
	"large_file,huge_file,dir_nlink,extra_isize"
#define DEBIAN_12 TESTDISK_COMMON ",metadata_csum,64bit"
#define DEBIAN_13 TESTDISK_COMMON ",metadata_csum,64bit,orphan_file,metadata_csum_seed"
#define PLAIN     TESTDISK_COMMON ",uninit_bg"
#define EXT2      "-I 128 -O none,ext_attr,sparse_super,large_file"

/*
 * A tree in $T/tree by the commands `tree` (NULL: none), a disk by mke2fs with `options`; mebibytes
 * up to 64. False: it failed.
 */
bool testdisk_make(const char *options, unsigned mebibytes, const char *tree);
/* Whatever `commands` make of $T/disk. */
bool testdisk_load(unsigned mebibytes);
struct blkdev *testdisk_dev(void);
uint8_t *testdisk_bytes(void);
/* What is in memory goes to $T/disk. */
bool testdisk_store(void);
/* The exit status of the commands; their output is shown when it is not 0. */
int testdisk_shell(const char *commands);
/* The same, output kept: how many bytes. */
size_t testdisk_output(const char *commands, char *buf, size_t size);
/* Stores the disk and asks e2fsck -fn: 0 when all is well. */
int testdisk_judge(void);

/* Mounts it at /t. 0 or the errno. */
int testdisk_mount(uint32_t flags, const char *options);
int testdisk_unmount(void);
/* A file's bytes, at most `size`, or an errno. */
kssize_t testdisk_read(const char *path, void *buf, size_t size);
/* Of an open file, from and to memory of the kernel: bytes, or an errno. */
kssize_t testdisk_transfer(struct file *f, void *buf, size_t len, int64_t offset, bool reading);
/* ftruncate() and fallocate() of an open file; setxattr() of a path: 0 or an errno. */
int testdisk_resize(struct file *f, int64_t size);
int testdisk_allocate(struct file *f, int mode, int64_t offset, int64_t len);
int testdisk_set_xattr(const char *path, const char *name, const void *value, size_t size);
/* Of the mounted disk, as statfs() tells; 0: nothing is mounted. */
uint64_t testdisk_free_blocks(void);
/* A file of these bytes, made if it is not there: as many, or an errno. */
kssize_t testdisk_write(const char *path, const void *bytes, size_t size);

#endif
