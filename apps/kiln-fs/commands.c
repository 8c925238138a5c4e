/*
 * The commands of kiln-fs. Paths are those of the disk, whose root is the root of all while a
 * command runs: neither a link nor ".." leads out of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <core/errno.h>
#include <libos/blkdev.h>
#include <libos/vfs.h>

#include "disk.h"
#include "kiln-fs.h"

struct command {
	const char *name, *arguments, *what;
	int least, most;                 /* arguments */
	bool writes;
	int (*run)(int argc,
		   char **argv); /* 0 or an errno; NULL: "check", of a disk that is not mounted */
};

const char *on_disk(const char *path, char *buf)
{
	snprintf(buf, PATH_ROOM, "/%s", path);
	return buf;
}

int complain(const char *what, int error)
{
	if (error)
		fprintf(stderr, "%s: %s: %s\n", program_name, what, strerror(-error));
	return error;
}

int disk_walk(const char *path, unsigned flags, struct path *out)
{
	char buf[PATH_ROOM];

	return complain(path, vfs_walk(NULL, on_disk(path, buf), flags, out));
}

/* ---- directories ---- */

static bool add(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint32_t mode,
		uint64_t next)
{
	struct listing *l = container_of(s, struct listing, sink);

	(void)mode, (void)next;
	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return true;
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->entries = realloc(l->entries, l->room * sizeof(*l->entries));
		if (!l->entries)
			abort();
	}
	l->entries[l->count++] = (struct entry){ strndup(name, len), ino };
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

void list_free(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].name);
	free(l->entries);
}

int list_read(const char *path, struct listing *l)
{
	struct path p;
	uint64_t position = 0;
	int error = disk_walk(path, WALK_FOLLOW | WALK_DIR, &p);

	*l = (struct listing){ .sink = { add } };
	if (error)
		return error;
	mutex_lock(&path_inode(&p)->lock);
	error = path_inode(&p)->ops->iterate(path_inode(&p), &l->sink, &position);
	mutex_unlock(&path_inode(&p)->lock);
	path_put(&p);
	if (l->count)
		qsort(l->entries, l->count, sizeof(*l->entries), by_name);
	return complain(path, error);
}

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

static int each_entry(const char *path, int (*act)(const char *path, const char *name))
{
	struct listing l;
	int error = list_read(path, &l), one;

	for (size_t i = 0; i < l.count; i++) {
		char below[PATH_ROOM];

		if (snprintf(below, sizeof(below), "%s/%s", strcmp(path, "/") ? path : "",
			     l.entries[i].name) >= (int)VFS_PATH_MAX)
			one = complain(path, -ENAMETOOLONG);
		else
			one = act(below, l.entries[i].name);
		error = error ? error : one;
	}
	list_free(&l);
	return error;
}

static bool is_dir(const char *path)
{
	char buf[PATH_ROOM];
	struct path p;
	bool dir;

	if (vfs_walk(NULL, on_disk(path, buf), 0, &p))
		return false;
	dir = inode_is_dir(path_inode(&p));
	path_put(&p);
	return dir;
}

static bool is_root(const char *path)
{
	char buf[PATH_ROOM];
	struct path p;
	bool root;

	if (vfs_walk(NULL, on_disk(path, buf), 0, &p))
		return false;
	root = p.dentry == vfs_context()->root.dentry;
	path_put(&p);
	return root;
}

static int do_ls(int argc, char **argv)
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

static int do_tree(int argc, char **argv)
{
	return each_entry(argc ? argv[0] : "/", print_tree);
}

/* ---- bytes ---- */

static int do_cat(int argc, char **argv)
{
	int error = 0;

	for (int i = 0; i < argc; i++) {
		struct file *f;
		int one = source_open(argv[i], &f);

		one = one ? one : copy_out(f, argv[i], stdout, "standard output");
		error = error ? error : one;
	}
	return error;
}

static bool is_recursive(int argc, char **argv)
{
	return argc == 3 && !strcmp(argv[0], "-r");
}

/*
 * A file that is there already is only emptied when there is something to take its place; so below.
 */
static int get_file(const char *path, const char *host)
{
	struct file *f;
	FILE *to;
	int error = source_open(path, &f);

	if (error)
		return error;
	to = fopen(host, "wb");
	if (!to) {
		error = complain(host, -errno);
		file_put(f);
		return error;
	}
	error = copy_out(f, path, to, host);
	return fclose(to) && !error ? complain(host, -errno) : error;
}

static int do_get(int argc, char **argv)
{
	if (is_recursive(argc, argv))
		return copy_tree_out(argv[1], argv[2]);
	return argc == 3 ? complain(argv[0], -EINVAL) : get_file(argv[0], argv[1]);
}

static bool can_be_read(FILE *from)
{
	int c = getc(from);

	if (c == EOF)
		return !ferror(from);
	ungetc(c, from);
	return true;
}

static int do_put(int argc, char **argv)
{
	FILE *from;
	int error;

	if (is_recursive(argc, argv))
		return copy_tree_in(argv[1], argv[2]);
	if (argc == 3)
		return complain(argv[0], -EINVAL);
	from = strcmp(argv[0], "-") ? fopen(argv[0], "rb") : stdin;
	if (!from)
		return complain(argv[0], -errno);
	error = can_be_read(from) ? copy_in(from, argv[1], 0644) : complain(argv[0], -errno);
	fclose(from);
	return error;
}

/* ---- names ---- */

static int do_mkdir(int argc, char **argv)
{
	int error = 0;

	for (int i = 0; i < argc && !error; i++) {
		char buf[PATH_ROOM];

		error = complain(argv[i],
				 vfs_create(NULL, on_disk(argv[i], buf), S_IFDIR | 0755, 0, NULL));
	}
	return error;
}

static int remove_tree(const char *path, const char *name)
{
	char buf[PATH_ROOM];
	bool dir = is_dir(path);
	int error = dir ? each_entry(path, remove_tree) : 0;

	(void)name;
	return error ? error : complain(path, vfs_unlink(NULL, on_disk(path, buf), dir));
}

static int do_rm(int argc, char **argv)
{
	bool deep = argc > 1 && !strcmp(argv[0], "-r");
	int error = 0;

	for (int i = deep; i < argc && !error; i++) {
		char buf[PATH_ROOM];

		if (deep && is_root(argv[i]))
			error = complain(argv[i], -EBUSY);
		else if (deep)
			error = remove_tree(argv[i], argv[i]);
		else
			error = complain(argv[i], vfs_unlink(NULL, on_disk(argv[i], buf), false));
	}
	return error;
}

static int do_mv(int argc, char **argv)
{
	char from[PATH_ROOM], to[PATH_ROOM];

	(void)argc;
	return complain(argv[0],
			vfs_rename(NULL, on_disk(argv[0], from), NULL, on_disk(argv[1], to), 0));
}

static int do_ln(int argc, char **argv)
{
	char buf[PATH_ROOM];
	struct path p;
	int error;

	if (argc == 3 && strcmp(argv[0], "-s"))
		return complain(argv[0], -EINVAL);
	if (argc == 3)
		return complain(argv[2], vfs_create(NULL, on_disk(argv[2], buf), S_IFLNK | 0777, 0,
						    argv[1]));
	error = disk_walk(argv[0], 0, &p);
	if (error)
		return error;
	error = complain(argv[1], vfs_link(&p, NULL, on_disk(argv[1], buf)));
	path_put(&p);
	return error;
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

static int do_stat(int argc, char **argv)
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

static int do_df(int argc, char **argv)
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

/* Mounting has replayed the journal and seen to the orphans; unmounting leaves the disk clean. */
static int do_replay(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}

static const struct command commands[] = {
	{ "ls", "[PATH]", "list a directory", 0, 1, false, do_ls },
	{ "tree", "[PATH]", "list everything below a directory", 0, 1, false, do_tree },
	{ "cat", "PATH...", "print files", 1, 1000, false, do_cat },
	{ "get", "[-r] PATH FILE",
	  "copy a file of the disk to one of this machine, or a tree to a new folder", 2, 3, false,
	  do_get },
	{ "put", "[-r] FILE PATH",
	  "copy a file of this machine (-: standard input) to the disk, or a folder", 2, 3, true,
	  do_put },
	{ "mkdir", "PATH...", "make directories", 1, 1000, true, do_mkdir },
	{ "rm", "[-r] PATH...", "remove files, or whole trees", 1, 1000, true, do_rm },
	{ "mv", "FROM TO", "rename", 2, 2, true, do_mv },
	{ "ln", "[-s] FROM TO", "give a file another name, or make a symbolic link", 2, 3, true,
	  do_ln },
	{ "stat", "PATH", "what is known of a file", 1, 1, false, do_stat },
	{ "df", "", "how much room there is", 0, 0, false, do_df },
	{ "check", "", "look for damage; nothing is written", 0, 0, false, NULL },
	{ "replay", "", "replay the journal, so that the disk is clean", 0, 0, true, do_replay },
};

static int usage(void)
{
	fprintf(stderr,
		"kiln-fs DISK COMMAND ...: a file with ext4 on it, through the code of Kiln's images\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "  %-7s %-14s %s\n", commands[i].name, commands[i].arguments,
			commands[i].what);
	return 2;
}

static const struct command *command_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static int mount(const struct command *c, const struct blkdev *disk)
{
	struct path at;
	int error;

	vfs_mount("tmpfs", "", NULL, 0, NULL);
	vfs_create(NULL, "/disk", S_IFDIR | 0755, 0, NULL);
	error = vfs_walk(NULL, "/disk", WALK_DIR, &at);
	if (!error)
		error = vfs_mount("ext4", disk->name, &at, c->writes ? 0 : MS_RDONLY, NULL);
	if (error == -EROFS && !c->writes) {
		fprintf(stderr,
			"kiln-fs: reading the disk without what its journal holds (\"replay\" brings it home)\n");
		error = vfs_mount("ext4", disk->name, &at, MS_RDONLY, "noload");
	}
	path_put(&at);
	return error;
}

static int unmount(void)
{
	struct path at;
	int error = vfs_walk(NULL, "/disk", WALK_DIR, &at);

	if (!error)
		error = vfs_unmount(&at);
	return complain("unmounting", error);
}

static int run_at(struct path *root, const struct command *c, int argc, char **argv)
{
	int error;

	if (c->writes && c->run != do_replay && path_is_read_only(root))
		return complain("the disk", -EROFS);
	vfs_context()->umask = 0;
	vfs_set_path(&vfs_context()->root, root);
	error = c->run(argc, argv);
	vfs_set_path(&vfs_context()->root, root); /* as it was, so that the disk can be unmounted */
	return error;
}

static int run_mounted(const struct command *c, const struct blkdev *disk, int argc, char **argv)
{
	struct path root;
	int error = mount(c, disk), ended;

	if (error)
		return log_has_told_an_error() ? error : complain("mounting", error);
	error = vfs_walk(NULL, "/disk", WALK_DIR, &root);
	if (!error) {
		error = run_at(&root, c, argc, argv);
		path_put(&root);
	}
	ended = unmount();
	return error ? error : ended;
}

int commands_run(int argc, char **argv)
{
	const struct command *c = argc > 2 ? command_of(argv[2]) : NULL;
	const struct blkdev *disk;

	if (!c || argc - 3 < c->least || argc - 3 > c->most)
		return usage();
	if (!c->run)
		return check_disk(argv[1], false);
	disk = filedisk_open(argv[1], c->writes ? FILEDISK_WRITE : FILEDISK_READ);
	return !disk || run_mounted(c, disk, argc - 3, argv + 3) || !output_is_whole() ? 1 : 0;
}
