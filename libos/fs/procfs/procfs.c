/*
 * procfs: the tree of /proc. See libos/procfs.h for what hangs in it.
 *
 *	/proc            the entries without "self/", self, and the process
 *	/proc/self       a link to the process's folder
 *	/proc/1          the entries "self/...", until there are more processes
 *	/proc/1/fd       numbered links, which come and go by themselves and are not remembered
 *
 * An inode is made by a lookup and goes with its last reference; two lookups may make two, of the
 * same number.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/procfs.h>

#define PROC_MAGIC 0x9fa0
#define PROCESS    "1"
#define TEXT_MAX   MIB(1)

enum { INO_ROOT = 1, INO_SELF, INO_PROCESS, INO_ENTRIES = 16, INO_NUMBERS = 4096 };

extern const struct proc_entry __start_proc_entries[] __attribute__((weak));
extern const struct proc_entry __stop_proc_entries[] __attribute__((weak));

struct proc_inode {
	struct inode inode;
	const struct proc_entry *entry;       /* [I] or NULL */
	const struct proc_numbers *numbers;   /* [I] of a numbered link */
	unsigned number;                      /* [I] */
};

static const struct inode_ops proc_ops;
static const struct file_ops proc_file_ops;

static struct proc_inode *proc_of(struct inode *inode)
{
	return container_of(inode, struct proc_inode, inode);
}

/* ---- text ---- */

void proc_append(struct proc_text *t, const char *bytes, size_t len)
{
	if (!t->failed && len > t->room - t->len) {
		size_t room = ALIGN_UP(MAX(2 * t->room, t->len + len), 512ul);
		char *more = room <= TEXT_MAX ? kmalloc(room) : NULL;

		t->failed = !more;
		if (!more)
			return;
		if (t->len)
			memcpy(more, t->bytes, t->len);
		kfree(t->bytes);
		t->bytes = more;
		t->room = room;
	}
	if (t->failed)
		return;
	memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
}

static void put(void *arg, const char *bytes, size_t len)
{
	proc_append(arg, bytes, len);
}

void proc_print(struct proc_text *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fmt_emit(put, t, fmt, args);
	va_end(args);
}

static kssize_t proc_read(struct file *f, struct uio *u)
{
	const struct proc_entry *entry = proc_of(f->object)->entry;
	struct proc_text t = { 0 };
	kssize_t n = 0;

	entry->show(&t);
	if (t.failed)
		n = -ENOMEM;
	else if (u->offset < (int64_t)t.len)
		n = uio_copy_out(u, t.bytes + u->offset, MIN(u->left, t.len - (size_t)u->offset));
	kfree(t.bytes);
	return n;
}

static int64_t proc_seek(struct file *f, int64_t offset, int whence)
{
	return whence > 1 ? -EINVAL : file_seek(f, offset, whence, 0);
}

static uint32_t proc_poll(struct file *f)
{
	(void)f;
	return POLL_IN | POLL_OUT;
}

static const struct file_ops proc_file_ops = {
	.kind = "file", .read = proc_read, .seek = proc_seek, .poll = proc_poll,
};

/* ---- inodes ---- */

static int make_inode(struct super *s, uint64_t ino, uint32_t mode, const struct proc_entry *entry,
		      struct inode **out)
{
	struct proc_inode *p = kzalloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	inode_init(&p->inode, s, NULL, mode);
	p->inode.uid = p->inode.gid = 0;
	p->inode.ops = &proc_ops;
	p->inode.file = &proc_file_ops;
	p->inode.ino = ino;
	p->inode.nlink = inode_is_dir(&p->inode) ? 2 : 1;
	p->entry = entry;
	*out = &p->inode;
	return 0;
}

static uint32_t mode_of(const struct proc_entry *e)
{
	return e->show ? S_IFREG | 0444 : e->numbers ? S_IFDIR | 0500 : S_IFLNK | 0777;
}

static int make_entry(struct super *s, const struct proc_entry *e, struct inode **out)
{
	int error = make_inode(s, INO_ENTRIES + (uint64_t)(e - __start_proc_entries), mode_of(e), e,
			       out);

	if (!error)
		(*out)->transient = e->numbers;
	return error;
}

static int make_number(struct super *s, const struct proc_numbers *numbers, unsigned number,
		       struct inode **out)
{
	int error = make_inode(s, INO_NUMBERS + number, S_IFLNK | 0700, NULL, out);

	if (!error) {
		proc_of(*out)->numbers = numbers;
		proc_of(*out)->number = number;
	}
	return error;
}

/* An entry's name in a folder, or NULL if it is in the other one. */
static const char *name_in(const struct proc_entry *e, bool process)
{
	bool of_process = str_starts_with(e->path, "self/");

	return of_process != process ? NULL : of_process ? e->path + 5 : e->path;
}

static bool is_name(const struct vfs_name *n, const char *text)
{
	return n->len == str_length(text) && !memcmp(n->text, text, n->len);
}

static int lookup_number(struct inode *dir, const struct vfs_name *n, struct inode **out)
{
	const struct proc_numbers *numbers = proc_of(dir)->entry->numbers;
	unsigned number = 0;

	if (n->len > 9 || (n->text[0] == '0' && n->len > 1))
		return -ENOENT;
	for (size_t i = 0; i < n->len; i++) {
		if (n->text[i] < '0' || n->text[i] > '9')
			return -ENOENT;
		number = 10 * number + (unsigned)(n->text[i] - '0');
	}
	if (numbers->next(number) != (int)number)
		return -ENOENT;
	return make_number(dir->super, numbers, number, out);
}

static int proc_lookup(struct inode *dir, const struct vfs_name *n, struct inode **out)
{
	bool process = dir->ino == INO_PROCESS;

	if (proc_of(dir)->entry)
		return lookup_number(dir, n, out);
	if (!process && is_name(n, "self"))
		return make_inode(dir->super, INO_SELF, S_IFLNK | 0777, NULL, out);
	if (!process && is_name(n, PROCESS))
		return make_inode(dir->super, INO_PROCESS, S_IFDIR | 0555, NULL, out);
	for (const struct proc_entry *e = __start_proc_entries; e < __stop_proc_entries; e++) {
		const char *name = name_in(e, process);

		if (name && is_name(n, name))
			return make_entry(dir->super, e, out);
	}
	return -ENOENT;
}

/* ---- reading folders: places 0 and 1 are the dots, then what `nth` says ---- */

static bool add_text(struct dir_sink *s, const char *name, uint64_t ino, uint32_t mode,
		     uint64_t *position)
{
	if (!s->add(s, name, str_length(name), ino, mode, *position + 1))
		return false;
	++*position;
	return true;
}

static void iterate_numbers(const struct proc_numbers *numbers, struct dir_sink *s,
			    uint64_t *position)
{
	int n;

	while ((n = numbers->next((unsigned)(*position - 2))) >= 0) {
		uint64_t at = (uint64_t)n + 2;
		char name[16];

		fmt_print(name, sizeof(name), "%d", n);
		if (!add_text(s, name, INO_NUMBERS + (uint64_t)n, S_IFLNK, &at))
			return;
		*position = at;
	}
}

static void iterate_entries(bool process, struct dir_sink *s, uint64_t *position)
{
	uint64_t count = (uint64_t)(__stop_proc_entries - __start_proc_entries);

	while (*position - 4 < count) {
		const struct proc_entry *e = &__start_proc_entries[*position - 4];
		const char *name = name_in(e, process);

		if (!name)
			++*position;
		else if (!add_text(s, name, INO_ENTRIES + (uint64_t)(e - __start_proc_entries),
				   mode_of(e), position))
			return;
	}
}

static int proc_iterate(struct inode *dir, struct dir_sink *s, uint64_t *position)
{
	bool process = dir->ino == INO_PROCESS;

	if (*position == 0 && !add_text(s, ".", dir->ino, S_IFDIR, position))
		return 0;
	if (*position == 1 && !add_text(s, "..", process ? INO_ROOT : dir->ino, S_IFDIR, position))
		return 0;
	if (proc_of(dir)->entry) {
		iterate_numbers(proc_of(dir)->entry->numbers, s, position);
		return 0;
	}
	if (process)
		*position = MAX(*position, 4u);
	if (*position == 2 && !add_text(s, "self", INO_SELF, S_IFLNK, position))
		return 0;
	if (*position == 3 && !add_text(s, PROCESS, INO_PROCESS, S_IFDIR, position))
		return 0;
	iterate_entries(process, s, position);
	return 0;
}

/* ---- links ---- */

static int proc_jump(struct inode *link, struct path *out)
{
	struct proc_inode *p = proc_of(link);

	if (p->numbers)
		return p->numbers->place(p->number, out);
	return p->entry && p->entry->place ? p->entry->place(out) : -EINVAL;
}

static kssize_t place_text(const struct proc_entry *e, char *buf, size_t size)
{
	struct path p;
	kssize_t n = e->place(&p);

	if (n)
		return n;
	n = vfs_get_path(&p, buf, size);
	path_put(&p);
	return n > 0 ? n - 1 : n;
}

static kssize_t proc_read_link(struct inode *link, char *buf, size_t size)
{
	struct proc_inode *p = proc_of(link);
	const char *text = p->entry ? p->entry->target : PROCESS;

	if (p->numbers)
		return p->numbers->text(p->number, buf, size);
	if (!text)
		return place_text(p->entry, buf, size);
	str_copy(buf, size, text);
	return (kssize_t)MIN(str_length(text), size - 1);
}

static bool proc_leads(struct inode *link)
{
	return proc_of(link)->numbers || (proc_of(link)->entry && proc_of(link)->entry->place);
}

/* As on Linux, where a name that is not there cannot be made here either. */
static int proc_create(struct inode *dir, const struct vfs_name *n, uint32_t mode, uint64_t rdev,
		       const char *target, struct inode **out)
{
	(void)dir, (void)n, (void)mode, (void)rdev, (void)target, (void)out;
	return -ENOENT;
}

static void proc_forget(struct inode *inode)
{
	kfree(proc_of(inode));
}

static const struct inode_ops proc_ops = {
	.lookup = proc_lookup, .create = proc_create, .iterate = proc_iterate,
	.read_link = proc_read_link, .leads = proc_leads, .jump = proc_jump, .forget = proc_forget,
};

/* ---- the file system ---- */

static void proc_statfs(struct super *s, struct abi_statfs *st)
{
	(void)s;
	st->type = PROC_MAGIC;
}

static void proc_unmount(struct super *s)
{
	(void)s;
}

static const struct super_ops proc_super_ops = { .statfs = proc_statfs, .unmount = proc_unmount };

static int proc_mount(struct super *s, const char *source, const char *options)
{
	(void)source, (void)options;
	s->ops = &proc_super_ops;
	return make_inode(s, INO_ROOT, S_IFDIR | 0555, NULL, &s->root);
}

static const struct fs_type proc_type = { .name = "proc", .mount = proc_mount };
FS_TYPE(proc_type);
