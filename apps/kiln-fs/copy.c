/*
 * Bytes between the disk and the machine that kiln-fs runs on, of a file or of a whole tree: the
 * commands cat, get and put.
 *
 * A tree takes with it folders, files, symbolic links, and permissions; what else there is is left
 * out with a sentence. The disk may be hostile: a name that would lead out of the folder is left
 * out, too, and nothing is written that was there before, so no link can lead astray what is copied
 * after it.
 */
#include <errno.h>
#include <string.h>

#include <core/errno.h>

#include "disk.h"
#include "kiln-fs.h"

#define CHUNK     KIB(256)
#define DEPTH_MAX 250u       /* of folders: each takes some of the stack */

/* ---- files ---- */

static kssize_t transfer(struct file *f, void *buf, size_t len, int64_t offset, bool reading)
{
	struct uio_vec vec = { buf, len };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = len, .offset = offset, .from_kernel = true
	};

	if (reading)
		return f->ops->read ? f->ops->read(f, &u) : -EINVAL;
	return f->ops->write ? f->ops->write(f, &u) : -EINVAL;
}

/* A file of the disk, and nothing else. */
static int source_open(const char *path, struct file **out)
{
	char name[PATH_ROOM];
	struct path p;
	int error = disk_walk(path, WALK_FOLLOW, &p);

	if (error)
		return error;
	if (inode_is_dir(path_inode(&p)))
		error = -EISDIR;
	else if (inode_kind(path_inode(&p)) != S_IFREG)
		error = -EINVAL;
	path_put(&p);
	return complain(path,
			error ? error
			      : vfs_open(NULL, on_disk(path, name), O_RDONLY | O_NOATIME, 0, out));
}

/*
 * `path` and `host` are what the two are called when something is wrong. Puts the file of the disk.
 */
static int copy_out(struct file *f, const char *path, FILE *to, const char *host)
{
	static char buf[CHUNK];
	int64_t at = 0;
	int error = 0;
	kssize_t n;

	while (!error && (n = transfer(f, buf, sizeof(buf), at, true)) > 0) {
		if (fwrite(buf, 1, (size_t)n, to) != (size_t)n)
			error = complain(host, -errno);
		at += n;
	}
	file_put(f);
	return error ? error : complain(path, (int)n);
}

static int copy_in(FILE *from, const char *path, uint32_t mode)
{
	static char buf[CHUNK];
	char name[PATH_ROOM];
	int64_t at = 0;
	struct file *f;
	kssize_t n = vfs_open(NULL, on_disk(path, name), O_CREAT | O_TRUNC | O_WRONLY, mode, &f);
	size_t len;

	if (n)
		return complain(path, (int)n);
	while (n >= 0 && (len = fread(buf, 1, sizeof(buf), from)) > 0) {
		for (size_t done = 0; done < len && n >= 0; done += (size_t)MAX(n, 0))
			n = transfer(f, buf + done, len - done, at + (int64_t)done, false);
		at += (int64_t)len;
	}
	file_put(f);
	return n < 0 || ferror(from) ? complain(path, n < 0 ? (int)n : -EIO) : 0;
}

/* ---- trees: both sides' paths grow and shrink by one name at a time ---- */

struct place {
	char text[PATH_ROOM];
	size_t len;
};

static struct place here, there; /* this machine's, the disk's */

static bool place_set(struct place *p, const char *path)
{
	p->len = strlen(path);
	if (p->len >= VFS_PATH_MAX)
		return false;
	memcpy(p->text, path, p->len + 1);
	return true;
}

static bool place_push(struct place *p, const char *name)
{
	size_t len = strlen(name);

	if (p->len + 1 + len >= VFS_PATH_MAX)
		return false;
	p->text[p->len] = '/';
	memcpy(p->text + p->len + 1, name, len + 1);
	p->len += 1 + len;
	return true;
}

static void place_pop(struct place *p, size_t len)
{
	p->len = len;
	p->text[len] = '\0';
}

static int tree(unsigned depth, int (*copy)(unsigned depth), const char *name)
{
	size_t here_len = here.len, there_len = there.len;
	int error = -ENAMETOOLONG;

	if (depth < DEPTH_MAX && place_push(&here, name) && place_push(&there, name))
		error = copy(depth + 1);
	else
		complain(name, error);
	place_pop(&here, here_len);
	place_pop(&there, there_len);
	return error;
}

static int leave_out(const char *path)
{
	fprintf(stderr, "kiln-fs: %s: neither a folder nor a file nor a link, left out\n", path);
	return 0;
}

/* ---- to the disk ---- */

static int one_in(unsigned depth);

static int link_in(void)
{
	char target[VFS_PATH_MAX], name[PATH_ROOM];
	int error = host_read_link(here.text, target, sizeof(target));

	if (error)
		return complain(here.text, error);
	return complain(there.text,
			vfs_create(NULL, on_disk(there.text, name), S_IFLNK | 0777, 0, target));
}

static int file_in(uint32_t mode)
{
	FILE *from = fopen(here.text, "rb");
	int error;

	if (!from)
		return complain(here.text, -errno);
	error = copy_in(from, there.text, mode);
	fclose(from);
	return error;
}

static int entry_in(void *depth, const char *name)
{
	return tree(*(unsigned *)depth, one_in, name);
}

static int folder_in(unsigned depth, uint32_t mode)
{
	char name[PATH_ROOM];
	int error = vfs_create(NULL, on_disk(there.text, name), S_IFDIR | mode, 0, NULL);

	if (error && error != -EEXIST)
		return complain(there.text, error);
	return host_each(here.text, entry_in, &depth);
}

static int one_in(unsigned depth)
{
	enum host_kind kind;
	uint32_t mode;
	int error = host_look(here.text, &kind, &mode);

	if (error)
		return complain(here.text, error);
	switch (kind) {
	case HOST_FOLDER: return folder_in(depth, mode);
	case HOST_FILE: return file_in(mode);
	case HOST_LINK: return link_in();
	default: return leave_out(here.text);
	}
}

/* The disk may have the directory already. */
static int copy_tree_in(const char *folder, const char *path)
{
	if (!place_set(&here, folder) || !place_set(&there, path))
		return complain(folder, -ENAMETOOLONG);
	return one_in(0);
}

/* ---- from the disk ---- */

static int one_out(unsigned depth);

static int link_out(struct inode *inode)
{
	char target[VFS_PATH_MAX];
	kssize_t n = inode->ops->read_link(inode, target, sizeof(target) - 1);

	if (n < 0)
		return complain(there.text, (int)n);
	target[n] = '\0';
	return complain(here.text, host_make_link(target, here.text));
}

static int file_out(uint32_t mode)
{
	struct file *f;
	FILE *to;
	int error = source_open(there.text, &f);

	if (error)
		return error;
	error = host_make_file(here.text, mode, &to);
	if (error) {
		file_put(f);
		return complain(here.text, error);
	}
	error = copy_out(f, there.text, to, here.text);
	return fclose(to) && !error ? complain(here.text, -errno) : error;
}

static int folder_out(unsigned depth, uint32_t mode)
{
	struct listing l;
	int error = complain(here.text, host_make_folder(here.text, mode)), one;

	if (error)
		return error;
	error = list_read(there.text, &l);
	for (size_t i = 0; i < l.count; i++) {
		one = strchr(l.entries[i].name, '/') ? complain(l.entries[i].name, -EINVAL)
						     : tree(depth, one_out, l.entries[i].name);
		error = error ? error : one;
	}
	list_free(&l);
	return error;
}

static int one_out(unsigned depth)
{
	struct path p;
	uint32_t mode;
	int error = disk_walk(there.text, 0, &p);

	if (error)
		return error;
	mode = path_inode(&p)->mode;
	if ((mode & S_IFMT) == S_IFDIR)
		error = folder_out(depth, mode & 07777);
	else if ((mode & S_IFMT) == S_IFREG)
		error = file_out(mode & 07777);
	else
		error = (mode & S_IFMT) == S_IFLNK ? link_out(path_inode(&p))
						   : leave_out(there.text);
	path_put(&p);
	return error;
}

/* A folder, which must not be there yet, becomes like the disk's directory. */
static int copy_tree_out(const char *path, const char *folder)
{
	if (!place_set(&here, folder) || !place_set(&there, strcmp(path, "/") ? path : ""))
		return complain(path, -ENAMETOOLONG);
	return one_out(0);
}

/* ---- the commands ---- */

int do_cat(int argc, char **argv)
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

int do_get(int argc, char **argv)
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

int do_put(int argc, char **argv)
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
