/*
 * Changing mounts that there are: the same files at a second place, another place, other flags; and
 * telling what is mounted. See libos/vfs.h and mount.c.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "namei.h"

/* What a path leads to is the topmost root of a mount in the tree. */
static bool is_mounted(const struct path *p)
{
	return p->dentry == p->mount->root && list_is_linked(&p->mount->link);
}

static bool kinds_differ(const struct path *a, const struct path *b)
{
	return inode_is_dir(path_inode(a)) != inode_is_dir(path_inode(b));
}

/* ---- a second place ---- */

static struct mount *copy_mount(const struct mount *of, struct dentry *root)
{
	struct mount *m;

	dentry_get(root);
	m = mount_new(of->super, root, of->flags);
	if (!m)
		dentry_put(root);
	return m;
}

/* The first mount from `link` on that covers something of `below` at or under `root`; or NULL. */
static struct mount *next_below(const struct mount *below, struct dentry *root, struct list *link)
{
	for (; link != &mounts; link = link->next) {
		struct mount *m = list_entry(link, struct mount, link);

		if (m->at.mount == below && dentry_is_above(root, m->at.dentry))
			return m;
	}
	return NULL;
}

/*
 * Copies what is mounted below `top` at or under `root`, each mount before those in it. Copies come
 * to the front of the list, so from `first` on there is only what there was before, also when the
 * copy itself lies below `root`.
 */
static int copy_below(struct mount *top, struct dentry *root, struct mount *copy,
		      struct list *first)
{
	struct mount *of = top, *m;
	struct list *next = first;

	for (;;) {
		m = next_below(of, of == top ? root : of->root, next);
		if (m) {
			struct path at = { copy, m->at.dentry };

			copy = copy_mount(m, m->root);
			if (!copy)
				return -ENOMEM;
			mount_attach(copy, &at);
			of = m;
			next = first;
		} else if (of == top) {
			return 0;
		} else {
			next = of->link.next;
			of = of->at.mount;
			copy = copy->at.mount;
		}
	}
}

int vfs_bind(const struct path *from, const struct path *at, bool recursive)
{
	struct mount *m = NULL;
	struct list *first;
	int error = 0;

	if (kinds_differ(from, at))
		return -ENOTDIR;
	mutex_lock(&mount_lock);
	if (inode_is_dir(path_inode(at)) && path_inode(at)->dead)
		error = -ENOENT;
	else if (!(m = copy_mount(from->mount, from->dentry)))
		error = -ENOMEM;
	if (!error) {
		first = mounts.next;
		mount_attach(m, at);
		error = recursive ? copy_below(from->mount, from->dentry, m, first) : 0;
	}
	mutex_unlock(&mount_lock);
	return error;
}

/* ---- another place ---- */

static bool lies_in_locked(const struct path *p, const struct mount *m)
{
	const struct mount *at = p->mount;

	while (at && at != m)
		at = at->at.mount;
	return at;
}

int vfs_move_mount(const struct path *from, const struct path *at)
{
	struct mount *m = from->mount;
	struct path old = { 0 };
	int error = 0;

	mutex_lock(&mount_lock);
	spin_lock(&tree_lock);
	if (!is_mounted(from) || !m->at.mount || kinds_differ(from, at))
		error = -EINVAL;
	else if (lies_in_locked(at, m))
		error = -ELOOP;
	if (!error) {
		old = m->at;
		old.dentry->covers--;
		m->at = *at;
		at->dentry->covers++;
		at->dentry->refs++; /* held by the caller */
		at->mount->refs++;
	}
	spin_unlock(&tree_lock);
	mutex_unlock(&mount_lock);
	path_put(&old);
	return error;
}

/* ---- other flags ---- */

static uint32_t writers_of(const struct super *s)
{
	uint32_t writers = 0;
	struct mount *m;

	list_for_each(m, &mounts, link) {
		if (m->super == s)
			writers += __atomic_load_n(&m->writers, __ATOMIC_SEQ_CST);
	}
	return writers;
}

/* Open files that may be written to, and inodes that are to be deleted at their end. */
static bool is_in_use(const struct super *s)
{
	return writers_of(s) || __atomic_load_n(&s->nameless, __ATOMIC_SEQ_CST);
}

/*
 * Who opens a file for writing, or takes a name away, at the same time is seen here, or sees that
 * it turns (inode.c).
 */
static int remount_super(struct super *s, uint32_t flags, const char *options)
{
	bool turns = flags & MS_RDONLY && !(s->flags & MS_RDONLY);
	int error;

	if (turns && is_in_use(s)) /* as a rule that is all, and nobody else is bothered */
		return -EBUSY;
	__atomic_store_n(&s->turns, turns, __ATOMIC_SEQ_CST);
	error = turns && is_in_use(s) ? -EBUSY : 0;
	if (!error && turns && s->ops->sync)
		error = s->ops->sync(s);
	if (!error && s->ops->remount)
		error = s->ops->remount(s, flags & SUPER_FLAGS, options);
	if (!error)
		s->flags = flags & SUPER_FLAGS;
	__atomic_store_n(&s->turns, 0, __ATOMIC_SEQ_CST);
	return error;
}

/* For this view alone: only its own open files count. */
static int remount_view(struct mount *m, uint32_t flags)
{
	uint32_t old = __atomic_exchange_n(&m->flags, flags & MOUNT_FLAGS, __ATOMIC_SEQ_CST);

	if (!(flags & ~old & MS_RDONLY) || !__atomic_load_n(&m->writers, __ATOMIC_SEQ_CST))
		return 0;
	__atomic_store_n(&m->flags, old, __ATOMIC_SEQ_CST);
	return -EBUSY;
}

int vfs_remount(const struct path *at, uint32_t flags, const char *options, bool mount_only)
{
	struct mount *m = at->mount;
	int error = 0;

	mutex_lock(&mount_lock);
	if (!is_mounted(at))
		error = -EINVAL;
	else if (mount_only)
		error = remount_view(m, flags);
	else
		error = remount_super(m->super, flags, options);
	if (!error && !mount_only)
		__atomic_store_n(&m->flags, flags & MOUNT_FLAGS, __ATOMIC_RELAXED);
	mutex_unlock(&mount_lock);
	return error;
}

/* ---- out of the tree ---- */

static struct mount *mount_in(const struct mount *m)
{
	struct mount *other;

	list_for_each(other, &mounts, link) {
		if (other->at.mount == m)
			return other;
	}
	return NULL;
}

/* One mount at the end of those that lie in m, m itself last. mount_lock keeps the list. */
static struct mount *leaf_of(struct mount *m)
{
	struct mount *in;

	while ((in = mount_in(m)))
		m = in;
	return m;
}

/* All mounts in `top`, and itself, leave the tree, leaves first: a chain with their references. */
static struct mount *take_out(struct mount *top)
{
	struct mount *chain = NULL, *m = top;

	do {
		m = leaf_of(chain ? chain->at.mount : top);
		spin_lock(&tree_lock);
		mount_leave_locked(m);
		spin_unlock(&tree_lock);
		m->next_gone = chain;
		chain = m;
	} while (m != top);
	return chain;
}

int vfs_detach(const struct path *at)
{
	struct mount *gone = NULL, *next;
	struct path p = *at;
	int error = 0;

	mutex_lock(&mount_lock);
	if (!is_mounted(at))
		error = -EINVAL;
	else if (!at->mount->at.mount)
		error = -EBUSY;
	else
		gone = take_out(at->mount);
	mutex_unlock(&mount_lock);
	if (error)
		return error;
	for (; gone; gone = next) {
		next = gone->next_gone;
		mount_put(gone);
	}
	path_put(&p);
	return 0;
}

/* ---- telling ---- */

unsigned vfs_mount_id(const struct path *p)
{
	return p->mount->id;
}

uint32_t vfs_mount_flags(const struct path *p)
{
	return __atomic_load_n(&p->mount->flags, __ATOMIC_RELAXED) | p->mount->super->flags;
}

bool vfs_is_mount_root(const struct path *p)
{
	return p->dentry == p->mount->root;
}

#define OPTIONS_TEXT 96u

struct telling {
	char at[VFS_PATH_MAX], root[VFS_PATH_MAX], options[OPTIONS_TEXT],
		super_options[OPTIONS_TEXT];
};

static void flags_text(uint32_t flags, char *buf)
{
	static const struct { uint32_t flag; const char *word; } words[] = {
		{ MS_NOSUID, ",nosuid" }, { MS_NODEV, ",nodev" }, { MS_NOEXEC, ",noexec" },
		{ MS_NOATIME, ",noatime" }, { MS_NODIRATIME, ",nodiratime" },
		{ MS_RELATIME, ",relatime" }, { MS_NOSYMFOLLOW, ",nosymfollow" },
		{ MS_SYNCHRONOUS, ",sync" }, { MS_DIRSYNC, ",dirsync" },
	};

	str_copy(buf, OPTIONS_TEXT, flags & MS_RDONLY ? "ro" : "rw");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = str_length(buf);

		if (flags & words[i].flag)
			str_copy(buf + len, OPTIONS_TEXT - len, words[i].word);
	}
}

/* The way from the file system's own root to the mount's. */
static void root_text(const struct mount *m, char *buf)
{
	struct dentry *d = m->root;
	size_t at = VFS_PATH_MAX - 1;

	buf[at] = '\0';
	spin_lock(&tree_lock);
	for (; d->parent && at > d->len; d = d->parent) {
		at -= d->len;
		memcpy(buf + at, d->name, d->len);
		buf[--at] = '/';
	}
	spin_unlock(&tree_lock);
	if (at == VFS_PATH_MAX - 1)
		buf[--at] = '/';
	memmove(buf, buf + at, VFS_PATH_MAX - at);
}

static void tell_mount(struct mount *m, struct telling *t,
		       void (*visit)(const struct mount_info *, void *), void *arg)
{
	struct super *s = m->super;
	struct path root = { m, m->root };

	if (vfs_get_path(&root, t->at, sizeof(t->at)) < 0)
		return;
	root_text(m, t->root);
	flags_text(m->flags | s->flags, t->options);
	t->super_options[0] = *s->options ? ',' : '\0';
	str_copy(t->super_options + 1, OPTIONS_TEXT - 1, s->options);
	visit(&(struct mount_info){
		.id = m->id, .parent_id = m->at.mount ? m->at.mount->id : 0, .dev = s->dev,
		.root = t->root, .at = t->at, .type = s->type->name, .source = s->source,
		.options = t->options, .super_options = *s->options ? t->super_options : "",
		.read_only_super = s->flags & MS_RDONLY,
	}, arg);
}

int vfs_for_each_mount(void (*visit)(const struct mount_info *m, void *arg), void *arg)
{
	struct telling *t = kmalloc(sizeof(*t));
	struct list *link;

	if (!t)
		return -ENOMEM;
	mutex_lock(&mount_lock);
	for (link = mounts.prev; link != &mounts; link = link->prev) /* the oldest first */
		tell_mount(list_entry(link, struct mount, link), t, visit, arg);
	mutex_unlock(&mount_lock);
	kfree(t);
	return 0;
}
