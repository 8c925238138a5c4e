/*
 * tmpfs: files that live in memory and go with the machine.
 *
 * A regular file is its cache (libos/cache.h), whose pages have no disk behind them; a directory is
 * two trees (tmpfs_dir.c); a symbolic link is its text. All pages of one file system share a
 * budget, half of the memory unless an option says otherwise (options.c); beyond it writes are
 * ENOSPC.
 *
 * Locks: the inode's, which the VFS takes for directories and attributes; writes take it here.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "tmpfs.h"

#define TMPFS_MAGIC 0x01021994

static struct tmpfs_super *super_of(struct super *s)
{
	return s->own;
}

/* ---- regular files ---- */

static void count_blocks(struct tmpfs_inode *t)
{
	t->inode.blocks = t->bytes.count * (PAGE_SIZE / 512);
}

static kssize_t file_read(struct file *f, struct uio *u)
{
	struct tmpfs_inode *t = tmpfs_of(f->object);
	kssize_t n = cache_read(&t->bytes, u, NULL);

	if (n > 0)
		file_accessed(f);
	return n;
}

static kssize_t file_write(struct file *f, struct uio *u)
{
	struct tmpfs_inode *t = tmpfs_of(f->object);
	kssize_t n;

	mutex_lock(&t->inode.lock);
	if (f->flags & O_APPEND)
		u->offset = t->inode.size;
	if (u->offset > INT64_MAX - (int64_t)u->left)
		n = -EFBIG;
	else
		n = cache_write(&t->bytes, u);
	if (n > 0) {
		t->inode.size = MAX(t->inode.size, u->offset);
		inode_touch(&t->inode, TOUCH_M | TOUCH_C);
		count_blocks(t);
	}
	mutex_unlock(&t->inode.lock);
	return n;
}

/* SEEK_DATA (3) and SEEK_HOLE (4) look at which pages there are. */
static int64_t file_seek_tmpfs(struct file *f, int64_t offset, int whence)
{
	struct tmpfs_inode *t = tmpfs_of(f->object);
	int64_t found;

	if (whence < 3)
		return file_seek(f, offset, whence, t->inode.size);
	if (offset < 0 || offset >= t->inode.size)
		return -ENXIO;
	found = cache_seek(&t->bytes, offset, whence == 3);
	if (found >= t->inode.size && whence == 3)
		return -ENXIO;
	return file_seek(f, MIN(found, t->inode.size), 0, t->inode.size);
}

static uint32_t file_poll(struct file *f)
{
	(void)f;
	return POLL_IN | POLL_OUT;
}

static int file_sync(struct file *f, bool data_only)
{
	(void)f, (void)data_only;
	return 0;
}

static struct cache *file_pages(struct file *f)
{
	return &tmpfs_of(f->object)->bytes;
}

static const struct file_ops tmpfs_file_ops = {
	.kind = "file", .read = file_read, .write = file_write, .seek = file_seek_tmpfs,
	.poll = file_poll, .sync = file_sync, .pages = file_pages,
};

static int tmpfs_change(struct inode *inode, const struct attr_change *a)
{
	struct tmpfs_inode *t = tmpfs_of(inode);

	if (a->mask & ATTR_SIZE) {
		int64_t was = inode->size;

		/*
		 * The size goes first: who misses a page looks at it again, and takes no hole for
		 * the file's bytes.
		 */
		__atomic_store_n(&inode->size, a->size, __ATOMIC_RELEASE);
		if (a->size < was)
			cache_cut(&t->bytes, a->size, INT64_MAX);
		count_blocks(t);
		inode_touch(inode, TOUCH_M);
	}
	inode_apply(inode, a);
	return 0;
}

#define FALLOC_KEEP_SIZE  1
#define FALLOC_PUNCH_HOLE 2
#define FALLOC_ZERO_RANGE 16

static int tmpfs_allocate(struct inode *inode, int mode, int64_t offset, int64_t len)
{
	struct tmpfs_inode *t = tmpfs_of(inode);
	int64_t end = offset + len;
	int error = 0;

	if (mode == (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE)) {
		cache_cut(&t->bytes, offset, end);
	} else if (mode & ~(FALLOC_KEEP_SIZE | FALLOC_ZERO_RANGE)) {
		return -EOPNOTSUPP;
	} else {
		if (mode & FALLOC_ZERO_RANGE)
			cache_cut(&t->bytes, offset, end);
		error = cache_reserve(&t->bytes, offset, end);
		if (!error && !(mode & FALLOC_KEEP_SIZE))
			inode->size = MAX(inode->size, end);
	}
	count_blocks(t);
	inode_touch(inode, TOUCH_M | TOUCH_C);
	return error;
}

static kssize_t tmpfs_read_link(struct inode *inode, char *buf, size_t size)
{
	size_t n = MIN(size, (size_t)inode->size);

	memcpy(buf, tmpfs_of(inode)->target, n);
	return (kssize_t)n;
}

/* ---- inodes ---- */

static int prepare(struct tmpfs_inode *t, const char *target)
{
	switch (inode_kind(&t->inode)) {
	case S_IFREG:
		cache_init(&t->bytes, &t->inode.size, &super_of(t->inode.super)->budget);
		t->inode.file = &tmpfs_file_ops;
		return 0;
	case S_IFDIR:
		tree_init(&t->dir.names);
		tree_init(&t->dir.places);
		t->dir.next_place = 2;
		t->dir.parent_ino = t->inode.ino;
		return 0;
	case S_IFLNK:
		t->inode.size = (int64_t)str_length(target);
		t->target = kmalloc((size_t)t->inode.size + 1);
		if (!t->target)
			return -ENOMEM;
		memcpy(t->target, target, (size_t)t->inode.size + 1);
		return 0;
	default:
		return 0;
	}
}

static const struct inode_ops tmpfs_inode_ops;

static bool count_inode(struct tmpfs_super *ts)
{
	uint64_t max = __atomic_load_n(&ts->inodes_max, __ATOMIC_RELAXED);

	if (__atomic_fetch_add(&ts->inodes, 1, __ATOMIC_RELAXED) < max)
		return true;
	__atomic_fetch_sub(&ts->inodes, 1, __ATOMIC_RELAXED);
	return false;
}

/* The inode, counted already, is not made. */
static int give_up(struct tmpfs_super *ts, struct tmpfs_inode *t, int error)
{
	__atomic_fetch_sub(&ts->inodes, 1, __ATOMIC_RELAXED);
	kfree(t);
	return error;
}

static int inode_create(struct super *s, const struct inode *dir, uint32_t mode, uint64_t rdev,
			const char *target, struct inode **out)
{
	struct tmpfs_super *ts = super_of(s);
	struct tmpfs_inode *t;
	int error;

	if (!count_inode(ts))
		return -ENOSPC;
	t = kzalloc(sizeof(*t));
	if (!t)
		return give_up(ts, NULL, -ENOMEM);
	inode_init(&t->inode, s, dir, mode);
	t->inode.ops = &tmpfs_inode_ops;
	t->inode.ino = __atomic_fetch_add(&ts->next_ino, 1, __ATOMIC_RELAXED);
	t->inode.rdev = rdev;
	list_init(&t->xattrs);
	error = prepare(t, target);
	if (error)
		return give_up(ts, t, error);
	*out = &t->inode;
	return 0;
}

static int tmpfs_make(struct inode *dir, uint32_t mode, uint64_t rdev, const char *target,
		      struct inode **out)
{
	return inode_create(dir->super, dir, mode, rdev, target, out);
}

static int tmpfs_create(struct inode *dir, const struct vfs_name *n, uint32_t mode, uint64_t rdev,
			const char *target, struct inode **out)
{
	int error = tmpfs_make(dir, mode, rdev, target, out);

	if (error)
		return error;
	error = tmpfs_link(dir, n, *out);
	if (error)
		inode_put(*out);
	return error;
}

static void tmpfs_forget(struct inode *inode)
{
	struct tmpfs_inode *t = tmpfs_of(inode);

	if (inode_kind(inode) == S_IFREG)
		cache_destroy(&t->bytes);
	else if (inode_kind(inode) == S_IFLNK)
		kfree(t->target);
	else if (inode_is_dir(inode))
		assert(tree_is_empty(&t->dir.names));
	tmpfs_xattr_forget(t);
	__atomic_fetch_sub(&super_of(inode->super)->inodes, 1, __ATOMIC_RELAXED);
	kfree(t);
}

/*
 * When the last reference to the root goes, so does the tree, whose entries hold references of
 * their own.
 */
static void root_forget(struct inode *inode)
{
	tmpfs_dir_empty(inode);
	tmpfs_forget(inode);
}

#define TMPFS_OPS                                                                                  \
	.lookup = tmpfs_lookup, .create = tmpfs_create, .make = tmpfs_make, .link = tmpfs_link,    \
	.unlink = tmpfs_unlink, .is_empty = tmpfs_is_empty, .rename = tmpfs_rename,                \
	.iterate = tmpfs_iterate, .change = tmpfs_change, .read_link = tmpfs_read_link,            \
	.allocate = tmpfs_allocate, .xattr_get = tmpfs_xattr_get, .xattr_set = tmpfs_xattr_set,    \
	.xattr_list = tmpfs_xattr_list

static const struct inode_ops tmpfs_inode_ops = { TMPFS_OPS, .forget = tmpfs_forget };
static const struct inode_ops tmpfs_root_ops = { TMPFS_OPS, .forget = root_forget };

/* ---- the file system ---- */

static void tmpfs_statfs(struct super *s, struct abi_statfs *st)
{
	struct tmpfs_super *ts = super_of(s);

	st->type = TMPFS_MAGIC;
	st->blocks = ts->budget.max;
	st->blocks_free = st->blocks_available = ts->budget.max -
						 MIN(ts->budget.max, ts->budget.used);
	st->files = ts->inodes_max;
	st->files_free = ts->inodes_max - MIN(ts->inodes_max, ts->inodes);
}

static void tmpfs_unmount(struct super *s)
{
	assert(super_of(s)->inodes == 0);
	kfree(s->own);
}

/* What is not said stays; who owns the root, and its mode, are said at mounting only. */
static int tmpfs_remount(struct super *s, uint32_t flags, const char *options)
{
	struct tmpfs_super *ts = super_of(s);
	struct tmpfs_options o = { .pages = ts->budget.max, .inodes = ts->inodes_max };
	int error = tmpfs_options_parse(&o, options);

	(void)flags;
	if (error)
		return error;
	if (o.pages < ts->budget.used || o.inodes < __atomic_load_n(&ts->inodes, __ATOMIC_RELAXED))
		return -EINVAL;
	ts->budget.max = o.pages;
	__atomic_store_n(&ts->inodes_max, o.inodes, __ATOMIC_RELAXED);
	return 0;
}

static const struct super_ops tmpfs_super_ops = {
	.statfs = tmpfs_statfs, .remount = tmpfs_remount, .unmount = tmpfs_unmount,
};

static int make_root(struct super *s, const struct tmpfs_options *o)
{
	int error = inode_create(s, NULL, S_IFDIR | o->mode, 0, NULL, &s->root);

	if (error)
		return error;
	s->root->ops = &tmpfs_root_ops;
	s->root->nlink = 2;
	s->root->uid = o->uid;
	s->root->gid = o->gid;
	return 0;
}

static int tmpfs_mount(struct super *s, const char *source, const char *options)
{
	struct tmpfs_super *ts;
	struct tmpfs_options o;
	int error;

	(void)source;
	tmpfs_options_default(&o);
	error = tmpfs_options_parse(&o, options);
	if (error)
		return error;
	ts = kzalloc(sizeof(*ts));
	if (!ts)
		return -ENOMEM;
	ts->budget.max = o.pages;
	ts->inodes_max = o.inodes;
	ts->next_ino = 1;
	s->own = ts;
	s->ops = &tmpfs_super_ops;
	error = make_root(s, &o);
	if (error)
		kfree(ts);
	return error;
}

static const struct fs_type tmpfs_type = { .name = "tmpfs", .mount = tmpfs_mount };
FS_TYPE(tmpfs_type);
