/* The commands that show what there is: ls, tree, stat, df. */
#include <stdio.h>
#include <string.h>

#include <libos/vfs.h>

#include "disk.h"
#include "kiln-fs.h"

static char kind_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return 'd';
	case S_IFLNK: return 'l';
	case S_IFCHR: return 'c';
	case S_IFBLK: return 'b';
	case S_IFIFO: return 'p';
	case S_IFSOCK: return 's';
	default: return '-';
	}
}

static int print_entry(const char *path, const char *shown)
{
	char target[VFS_PATH_MAX];
	struct kstat st;
	struct path p;
	kssize_t n = 0;
	int error = disk_walk(path, 0, &p);

	if (error)
		return error;
	inode_stat(path_inode(&p), &st);
	if ((st.mode & S_IFMT) == S_IFLNK)
		n = path_inode(&p)->ops->read_link(path_inode(&p), target, sizeof(target));
	path_put(&p);
	if (n < 0)
		return complain(path, (int)n);
	printf("%c%04o %4u %5u %5u %12lld %s%s%.*s\n", kind_of(st.mode), st.mode & 07777, st.nlink,
	       st.uid, st.gid, (long long)st.size, shown, n ? " -> " : "", (int)n, target);
	return 0;
}

int do_ls(int argc, char **argv)
{
	const char *path = argc ? argv[0] : "/";

	return is_dir(path) ? each_entry(path, print_entry) : print_entry(path, path);
}

static int print_tree(const char *path, const char *name)
{
	int error = print_entry(path, path);

	(void)name;
	return error || !is_dir(path) ? error : each_entry(path, print_tree);
}

int do_tree(int argc, char **argv)
{
	return each_entry(argc ? argv[0] : "/", print_tree);
}

/* ---- what there is to know ---- */

static void print_time(const char *name, const struct abi_timespec *t)
{
	printf("%s %lld.%09lld\n", name, (long long)t->sec, (long long)t->nsec);
}

static void print_xattrs(struct inode *inode)
{
	static char names[KIB(64)];
	kssize_t n = inode->ops->xattr_list ? inode->ops->xattr_list(inode, names, sizeof(names))
					    : 0;

	for (kssize_t at = 0; at < n; at += (kssize_t)strlen(names + at) + 1)
		printf("attribute %s\n", names + at);
}

int do_stat(int argc, char **argv)
{
	struct inode *inode;
	struct kstat st;
	struct path p;
	int error = disk_walk(argv[0], 0, &p);

	(void)argc;
	if (error)
		return error;
	inode = path_inode(&p);
	inode_stat(inode, &st);
	printf("inode %llu\nmode %c%04o\nlinks %u\nowner %u:%u\nsize %lld\nblocks %lld\n",
	       (unsigned long long)st.ino, kind_of(st.mode), st.mode & 07777, st.nlink, st.uid,
	       st.gid, (long long)st.size, (long long)st.blocks);
	if (st.rdev)
		printf("device %llu:%llu\n", (unsigned long long)(st.rdev >> 8 & 0xfff),
		       (unsigned long long)((st.rdev & 0xff) | (st.rdev >> 12 & 0xffffff00)));
	print_time("accessed", &st.atime);
	print_time("modified", &st.mtime);
	print_time("changed", &st.ctime);
	print_time("born", &inode->btime);
	print_xattrs(inode);
	path_put(&p);
	return 0;
}

int do_df(int argc, char **argv)
{
	struct abi_statfs st;
	struct path p;
	int error = disk_walk("/", WALK_DIR, &p);

	(void)argc, (void)argv;
	if (error)
		return error;
	vfs_statfs(&p, &st);
	path_put(&p);
	printf("block %lld\nblocks %llu\nfree %llu\navailable %llu\ninodes %llu\nfree inodes %llu\n",
	       (long long)st.block_bytes, (unsigned long long)st.blocks,
	       (unsigned long long)st.blocks_free, (unsigned long long)st.blocks_available,
	       (unsigned long long)st.files, (unsigned long long)st.files_free);
	return 0;
}
