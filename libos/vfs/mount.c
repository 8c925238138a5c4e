/*
 * Mounts: file systems put over directories, one tree for all.
 *
 * A mount holds the path it covers, so nothing under it can go first; each path holds its mount, so
 * a file system in use is not taken away (EBUSY).
 *
 * Locks: mount_lock orders those who mount and unmount; the list itself is tree_lock's.
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

static struct list mounts = LIST_INIT(mounts); /* [t] */
static struct mutex mount_lock = MUTEX_INIT(mount_lock);
static uint64_t next_dev = 0x20;               /* [mount_lock] */

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

void path_put(struct path *p)
{
	if (!p->dentry)
		return;
	dentry_put(p->dentry);
	spin_lock(&tree_lock);
	assert(p->mount->refs > 1);
	p->mount->refs--;
	spin_unlock(&tree_lock);
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
	struct path below = p->mount->at;

	if (p->dentry != p->mount->root || !below.mount)
		return false;
	path_get(&below);
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

static struct mount *mount_create(const struct fs_type *type, const char *source, uint32_t flags,
				  const char *options, int *error)
{
	struct mount *m = kzalloc(sizeof(*m));
	struct super *s = kzalloc(sizeof(*s));

	*error = -ENOMEM;
	if (m && s) {
		s->type = type;
		s->dev = next_dev++;
		s->flags = flags & MS_RDONLY;
		*error = type->mount(s, source, options);
	}
	if (!*error && !(m->root = dentry_root(s))) {
		inode_put(s->root);
		s->ops->unmount(s);
		*error = -ENOMEM;
	}
	if (*error) {
		kfree(m);
		kfree(s);
		return NULL;
	}
	m->super = s;
	m->flags = flags;
	m->refs = 1;
	return m;
}

/* The first mount becomes the root of everybody. */
static void become_root_locked(struct mount *m)
{
	struct path root = { m, m->root };

	appliance.root = appliance.cwd = root;
	m->refs += 2;
	m->root->refs += 2;
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
	m = mount_create(type, source, flags, options, &error);
	if (m && at) {
		m->at = *at;
		path_get(at);
	}
	if (m) {
		spin_lock(&tree_lock);
		if (at)
			at->dentry->covers++;
		list_push_front(&mounts, &m->link);
		if (!appliance.root.mount)
			become_root_locked(m);
		spin_unlock(&tree_lock);
	}
	mutex_unlock(&mount_lock);
	return error;
}

static bool detach(struct mount *m)
{
	bool busy;

	spin_lock(&tree_lock);
	busy = m->refs > 2 || !m->at.mount; /* the list's and the caller's path */
	if (!busy) {
		list_remove(&m->link);
		m->at.dentry->covers--;
	}
	spin_unlock(&tree_lock);
	return !busy;
}

/* `at` is a root of a mount; the caller's path to it is put here. */
static void mount_free(struct mount *m)
{
	struct super *s = m->super;

	notify_unmount(s);
	dentries_forget(s);
	dentry_put(m->root);
	path_put(&m->at);
	s->ops->unmount(s);
	kfree(s);
	kfree(m);
}

int vfs_unmount(const struct path *at)
{
	struct mount *m = at->mount;
	int error = 0;

	if (at->dentry != m->root)
		return -EINVAL;
	mutex_lock(&mount_lock);
	if (m->super->ops->sync)
		error = m->super->ops->sync(m->super);
	if (!error && !detach(m))
		error = -EBUSY;
	if (!error) {
		dentry_put(at->dentry);
		mount_free(m);
	}
	mutex_unlock(&mount_lock);
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

void vfs_statfs(const struct path *p, struct abi_statfs *st)
{
	struct super *s = p->mount->super;

	*st = (struct abi_statfs){ .name_max = VFS_NAME_MAX, .block_bytes = PAGE_SIZE,
				   .fragment_bytes = PAGE_SIZE, .fsid = { (int)s->dev } };
	st->flags = 0x20 | ((p->mount->flags | s->flags) & MS_RDONLY ? 1 : 0); /* ST_VALID, ST_RDONLY */
	s->ops->statfs(s, st);
}
