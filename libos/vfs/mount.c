/*
 * Mounts: file systems, or parts of them, put over directories, one tree for all.
 *
 * A mount holds the path it covers, so nothing under it can go first; each path holds its mount, so
 * a file system in use is not taken away (EBUSY). One that is detached leaves the tree at once and
 * ends with the last path into it. A file system may have several mounts (mount_change.c) and ends
 * with the last of them.
 *
 * Locks: mount_lock orders those who change the tree of mounts; the list itself is tree_lock's.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <libos/notify.h>

#include "namei.h"

extern const struct fs_type *const __start_fs_types[] __attribute__((weak));
extern const struct fs_type *const __stop_fs_types[] __attribute__((weak));

struct list mounts = LIST_INIT(mounts);        /* [t] */
struct mutex mount_lock = MUTEX_INIT(mount_lock);
static uint64_t next_dev = 0x20;               /* [mount_lock] */
static unsigned next_id = 1;                   /* [mount_lock] */

static struct vfs_context appliance = { .umask = 022 };

struct vfs_context *vfs_context(void)
{
	return &appliance;
}

void vfs_set_path(struct path *which, struct path *p)
{
	struct path old;

	spin_lock(&tree_lock);
	old = *which;
	*which = *p;
	*p = old;
	spin_unlock(&tree_lock);
}

void path_get(const struct path *p)
{
	dentry_get(p->dentry);
	spin_lock(&tree_lock);
	p->mount->refs++;
	spin_unlock(&tree_lock);
}

static void super_free(struct super *s)
{
	kfree(s->source);
	kfree(s->options);
	kfree(s);
}

static void super_end(struct super *s)
{
	dentries_end(s);
	if (s->ops->sync)
		s->ops->sync(s);
	s->ops->unmount(s);
	super_free(s);
}

/*
 * What is left of a mount that nobody has a path into; with the last one of its file system that
 * ends, too. Returns the mount that it covered (or NULL), whose reference is the caller's now.
 */
static struct mount *mount_free(struct mount *m)
{
	struct super *s = m->super;
	struct path at = m->at;
	bool last;

	spin_lock(&tree_lock);
	last = !--s->mounts;
	spin_unlock(&tree_lock);
	if (last)
		notify_unmount(s);
	dentry_put(m->root);
	if (at.dentry)
		dentry_put(at.dentry);
	kfree(m);
	if (last)
		super_end(s);
	return at.mount;
}

static bool put_is_last(struct mount *m)
{
	bool last;

	spin_lock(&tree_lock);
	assert(m->refs > 0);
	last = !--m->refs;
	spin_unlock(&tree_lock);
	return last;
}

/* Mounts that are out of the tree end one after the other, however deep they lie in each other. */
void mount_put(struct mount *m)
{
	while (m && put_is_last(m))
		m = mount_free(m);
}

void path_put(struct path *p)
{
	if (!p->dentry)
		return;
	dentry_put(p->dentry);
	mount_put(p->mount);
	*p = (struct path){ 0 };
}

struct inode *path_inode(const struct path *p)
{
	return p->dentry->inode;
}

bool path_is_read_only(const struct path *p)
{
	return (p->mount->flags | p->mount->super->flags) & MS_RDONLY;
}

static struct mount *mount_over_locked(const struct path *p)
{
	struct mount *m;

	list_for_each(m, &mounts, link) {
		if (m->at.dentry == p->dentry && m->at.mount == p->mount)
			return m;
	}
	return NULL;
}

void path_enter_mounts(struct path *p)
{
	while (p->dentry->covers) {
		struct path top = { 0 };

		spin_lock(&tree_lock);
		top.mount = mount_over_locked(p);
		if (top.mount)
			top.mount->refs++;
		spin_unlock(&tree_lock);
		if (!top.mount)
			return;
		top.dentry = top.mount->root;
		dentry_get(top.dentry);
		path_put(p);
		*p = top;
	}
}

bool path_leave_mount(struct path *p)
{
	struct path below;

	if (p->dentry != p->mount->root)
		return false;
	spin_lock(&tree_lock);
	below = p->mount->at;
	if (below.mount) {
		below.mount->refs++;
		below.dentry->refs++; /* held by the mount */
	}
	spin_unlock(&tree_lock);
	if (!below.mount)
		return false;
	path_put(p);
	*p = below;
	return true;
}

static const struct fs_type *type_of(const char *name)
{
	for (const struct fs_type *const *t = __start_fs_types; t < __stop_fs_types; t++) {
		if (str_equal((*t)->name, name))
			return *t;
	}
	return NULL;
}

const struct fs_type *vfs_type(unsigned i)
{
	return i < (size_t)(__stop_fs_types - __start_fs_types) ? __start_fs_types[i] : NULL;
}

static char *copy_text(const char *text)
{
	size_t len = text ? str_length(text) : 0;
	char *copy = kmalloc(len + 1);

	if (copy) {
		memcpy(copy, text ? text : "", len);
		copy[len] = '\0';
	}
	return copy;
}

struct mount *mount_new(struct super *s, struct dentry *root, uint32_t flags)
{
	struct mount *m = kzalloc(sizeof(*m));

	if (!m)
		return NULL;
	m->super = s;
	m->root = root;
	m->flags = flags & MOUNT_FLAGS;
	m->id = next_id++;
	m->refs = 1;
	list_init(&m->link);
	spin_lock(&tree_lock);
	s->mounts++;
	spin_unlock(&tree_lock);
	return m;
}

static int super_create(const struct fs_type *type, const char *source, uint32_t flags,
			const char *options, struct super **out)
{
	struct super *s = kzalloc(sizeof(*s));
	int error = -ENOMEM;

	if (s) {
		s->type = type;
		s->dev = next_dev++;
		s->flags = flags & SUPER_FLAGS;
		s->source = copy_text(source);
		s->options = copy_text(options);
	}
	if (s && s->source && s->options)
		error = type->mount(s, source, options);
	if (error && s)
		super_free(s);
	*out = s;
	return error;
}

static int mount_create(const struct fs_type *type, const char *source, uint32_t flags,
			const char *options, struct mount **out)
{
	struct dentry *root;
	struct super *s;
	int error = super_create(type, source, flags, options, &s);

	if (error)
		return error;
	root = dentry_root(s);
	if (!root)
		inode_put(s->root);
	*out = root ? mount_new(s, root, flags) : NULL;
	if (*out)
		return 0;
	if (root)
		dentry_put(root);
	s->ops->unmount(s);
	super_free(s);
	return -ENOMEM;
}

/* The first mount becomes the root of everybody. */
static void become_root_locked(struct mount *m)
{
	struct path root = { m, m->root };

	appliance.root = appliance.cwd = root;
	m->refs += 2;
	m->root->refs += 2;
}

void mount_attach(struct mount *m, const struct path *at)
{
	if (at) {
		m->at = *at;
		path_get(at);
	}
	spin_lock(&tree_lock);
	if (at)
		at->dentry->covers++;
	list_push_front(&mounts, &m->link);
	if (!appliance.root.mount)
		become_root_locked(m);
	spin_unlock(&tree_lock);
}

int vfs_mount(const char *type_name, const char *source, const struct path *at, uint32_t flags,
	      const char *options)
{
	const struct fs_type *type = type_of(type_name);
	struct mount *m;
	int error;

	if (!type)
		return -ENODEV;
	if (at && !inode_is_dir(path_inode(at)))
		return -ENOTDIR;
	if (!at && appliance.root.mount)
		return -EBUSY;
	mutex_lock(&mount_lock);
	error = at && path_inode(at)->dead ? -ENOENT
					   : mount_create(type, source, flags, options, &m);
	if (!error)
		mount_attach(m, at);
	mutex_unlock(&mount_lock);
	return error;
}

void mount_leave_locked(struct mount *m)
{
	list_remove(&m->link);
	m->at.dentry->covers--;
}

/*
 * Takes a mount out of the tree if nobody but the caller's path uses it: 0, -EBUSY, -EINVAL
 * (somebody else has).
 */
static int leave_if_unused(struct mount *m)
{
	int error = 0;

	spin_lock(&tree_lock);
	if (!list_is_linked(&m->link))
		error = -EINVAL;
	else if (m->refs > 2 || !m->at.mount) /* the list's and the caller's path */
		error = -EBUSY;
	else
		mount_leave_locked(m);
	spin_unlock(&tree_lock);
	return error;
}

/*
 * A disk that cannot be written is no reason to keep it: who wants to know of its bytes has asked
 * fsync().
 */
int vfs_unmount(const struct path *at)
{
	struct path p = *at;
	struct mount *m = at->mount;
	int error = 0;

	if (at->dentry != m->root || !list_is_linked(&m->link))
		return -EINVAL;
	mutex_lock(&mount_lock);
	if (m->super->ops->sync)
		error = m->super->ops->sync(m->super);
	if (error)
		log_error("vfs: what is mounted from %s could not be written (error %d)",
			  m->super->source, -error);
	error = leave_if_unused(m);
	mutex_unlock(&mount_lock);
	if (!error) {
		mount_put(m); /* the list's */
		path_put(&p);
	}
	return error;
}

static struct mount *mount_after(struct mount *m)
{
	struct list *next;

	spin_lock(&tree_lock);
	next = m ? m->link.next : mounts.next;
	spin_unlock(&tree_lock);
	return next == &mounts ? NULL : list_entry(next, struct mount, link);
}

void vfs_end(void)
{
	struct mount *m = NULL;

	mutex_lock(&mount_lock);
	while ((m = mount_after(m))) {
		struct super *s = m->super;
		int error = s->flags & MS_RDONLY ? 0 : s->ops->sync ? s->ops->sync(s) : 0;

		if (!error && !(s->flags & MS_RDONLY) && s->ops->remount)
			error = s->ops->remount(s, MS_RDONLY, "");
		if (error)
			log_error("vfs: what is mounted from %s could not be written (error %d)",
				  s->source, -error);
		s->flags |= MS_RDONLY;
	}
	mutex_unlock(&mount_lock);
}

int vfs_sync_all(void)
{
	struct mount *m = NULL;
	int error = 0;

	mutex_lock(&mount_lock);
	while ((m = mount_after(m))) {
		int one = m->super->ops->sync ? m->super->ops->sync(m->super) : 0;

		error = error ? error : one;
	}
	mutex_unlock(&mount_lock);
	return error;
}

/* What statfs() says of a mount's flags: Linux's ST_*, most of which are those of mount(). */
static int64_t statfs_flags(const struct mount *m)
{
	const uint32_t same = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS |
			      MS_NOATIME | MS_NODIRATIME;
	uint32_t flags = m->flags | m->super->flags;

	return 0x20 | (flags & same) | (flags & MS_RELATIME ? 0x1000 : 0) |
	       (flags & MS_NOSYMFOLLOW ? 0x2000 : 0);
}

void vfs_statfs(const struct path *p, struct abi_statfs *st)
{
	struct super *s = p->mount->super;

	*st = (struct abi_statfs){ .name_max = VFS_NAME_MAX, .block_bytes = PAGE_SIZE,
				   .fragment_bytes = PAGE_SIZE, .fsid = { (int)s->dev } };
	st->flags = statfs_flags(p->mount);
	s->ops->statfs(s, st);
}
