/*
 * Walking paths: from text to a dentry, through mounts and symbolic links.
 *
 * One component at a time. A symbolic link replaces the component: what is left of the walk becomes
 * the link's target, a slash, and what was left before, in memory of the walker's own. Links are
 * counted, so loops end with ELOOP.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "namei.h"

struct walker {
	struct path at;         /* held */
	const char *rest;
	char *memory;           /* what `rest` lies in, after the first link; or NULL */
	unsigned links;
};

static void walker_end(struct walker *w)
{
	path_put(&w->at);
	kfree(w->memory);
}

void vfs_get_context_path(const struct path *which, struct path *out)
{
	spin_lock(&tree_lock);
	*out = *which;
	out->dentry->refs++; /* held by the context */
	out->mount->refs++;
	spin_unlock(&tree_lock);
}

static int walker_begin(struct walker *w, const struct path *base, const char *text)
{
	struct vfs_context *c = vfs_context();

	*w = (struct walker){ .rest = text };
	if (!*text || !c->root.dentry)
		return -ENOENT;
	if (*text == '/') {
		vfs_get_context_path(&c->root, &w->at);
	} else if (base) {
		path_get(base);
		w->at = *base;
	} else {
		vfs_get_context_path(&c->cwd, &w->at);
	}
	return 0;
}

/* A mount of a part of a file system does not show what was moved out of that part. */
static bool is_shown(const struct path *p)
{
	return !p->mount->root->parent || dentry_is_above(p->mount->root, p->dentry);
}

/* -ENOENT: the way up leads past the mount's root. */
static int go_up(struct walker *w)
{
	const struct path *root = &vfs_context()->root;
	struct path up;

	do {
		if (w->at.dentry == root->dentry && w->at.mount == root->mount)
			return 0;
	} while (path_leave_mount(&w->at));
	spin_lock(&tree_lock); /* a rename may give it another parent */
	up = (struct path){ w->at.mount, w->at.dentry->parent };
	if (up.dentry) {
		up.dentry->refs++; /* held by its child */
		up.mount->refs++;
	}
	spin_unlock(&tree_lock);
	if (!up.dentry)
		return is_shown(&w->at) ? 0 : -ENOENT;
	path_put(&w->at);
	w->at = up;
	if (!is_shown(&up))
		return -ENOENT;
	path_enter_mounts(&w->at);
	return 0;
}

/* The component at `rest`, which begins with no slash. */
static struct vfs_name component(const char *rest)
{
	const char *end = rest;

	while (*end && *end != '/')
		end++;
	return (struct vfs_name){ rest, (size_t)(end - rest) };
}

static const char *skip_slashes(const char *text)
{
	while (*text == '/')
		text++;
	return text;
}

static bool is_dot(const struct vfs_name *n)
{
	return n->len == 1 && n->text[0] == '.';
}

static bool is_dots(const struct vfs_name *n)
{
	return n->len == 2 && n->text[0] == '.' && n->text[1] == '.';
}

static int jump(struct walker *w, struct inode *link)
{
	struct path to;
	int error = link->ops->jump(link, &to);

	if (!error) {
		path_put(&w->at);
		w->at = to;
	}
	return error;
}

/*
 * The rest of the walk becomes the link's target and then what was left. The link is in the
 * directory w->at.
 */
static int follow(struct walker *w, struct inode *link)
{
	size_t left = str_length(w->rest);
	char *memory;
	kssize_t n;

	if (++w->links > VFS_LINKS_MAX || vfs_mount_flags(&w->at) & MS_NOSYMFOLLOW)
		return -ELOOP;
	if (link->ops->leads && link->ops->leads(link))
		return jump(w, link);
	memory = kmalloc(VFS_PATH_MAX + left + 2);
	if (!memory)
		return -ENOMEM;
	n = link->ops->read_link(link, memory, VFS_PATH_MAX);
	if (n <= 0 || n >= (kssize_t)VFS_PATH_MAX || (size_t)n + left + 2 > 2 * VFS_PATH_MAX) {
		kfree(memory);
		return n < 0 ? (int)n : n == 0 ? -ENOENT : -ENAMETOOLONG;
	}
	memcpy(memory + n, w->rest, left + 1); /* the rest begins with a slash, or is empty */
	kfree(w->memory);
	w->memory = memory;
	w->rest = memory;
	if (*memory == '/') {
		struct path root;

		vfs_get_context_path(&vfs_context()->root, &root);
		path_put(&w->at);
		w->at = root;
	}
	return 0;
}

/* Into the name: w->at moves, or `rest` changes for a link that is to be followed. */
static int step(struct walker *w, const struct vfs_name *n, bool follow_link)
{
	struct path to = { w->at.mount, NULL };
	struct inode *inode;
	int error = dentry_lookup(w->at.dentry, n, &to.dentry);

	if (error)
		return error;
	inode = __atomic_load_n(&to.dentry->inode, __ATOMIC_ACQUIRE); /* it may come just now */
	if (!inode || (inode_kind(inode) == S_IFLNK && follow_link)) {
		error = inode ? follow(w, inode) : -ENOENT;
		dentry_put(to.dentry);
		return error;
	}
	spin_lock(&tree_lock);
	to.mount->refs++;
	spin_unlock(&tree_lock);
	path_put(&w->at);
	w->at = to;
	path_enter_mounts(&w->at);
	return 0;
}

static int may_search(const struct walker *w)
{
	struct inode *dir = path_inode(&w->at);

	return inode_is_dir(dir) ? inode_permission(dir, 1) : -ENOTDIR;
}

int vfs_walk(const struct path *base, const char *text, unsigned flags, struct path *out)
{
	bool want_dir = flags & WALK_DIR;
	struct walker w;
	int error = walker_begin(&w, base, text);

	if (error)
		return error;
	while (!error && *(w.rest = skip_slashes(w.rest))) {
		struct vfs_name n = component(w.rest);
		bool last = !n.text[n.len];

		error = n.len > VFS_NAME_MAX ? -ENAMETOOLONG : may_search(&w);
		if (error)
			break;
		w.rest += n.len;
		if (is_dots(&n))
			error = go_up(&w);
		else if (!is_dot(&n))
			error = step(&w, &n, !last || flags & WALK_FOLLOW);
		want_dir = flags & WALK_DIR || *w.rest == '/';
	}
	if (!error && want_dir && !inode_is_dir(path_inode(&w.at)))
		error = -ENOTDIR;
	if (error) {
		walker_end(&w);
		return error;
	}
	*out = w.at;
	kfree(w.memory);
	return 0;
}

int vfs_walk_parent(const struct path *base, const char *text, struct path *parent,
		    struct vfs_name *last, bool *slash, char **memory)
{
	struct walker w;
	int error = walker_begin(&w, base, text);

	if (error)
		return error;
	for (;;) {
		w.rest = skip_slashes(w.rest);
		*last = component(w.rest);
		if (!last->len)
			error = -EEXIST; /* the text was only slashes */
		else
			error = last->len > VFS_NAME_MAX ? -ENAMETOOLONG : may_search(&w);
		if (error)
			break;
		*slash = last->text[last->len] == '/';
		if (!*skip_slashes(last->text + last->len))
			break;
		w.rest += last->len;
		if (is_dots(last))
			error = go_up(&w);
		else if (!is_dot(last))
			error = step(&w, last, true);
		if (error)
			break;
	}
	if (error) {
		walker_end(&w);
		return error;
	}
	*parent = w.at;
	*memory = w.memory;
	return 0;
}

/* Puts a name in front of what is there; false: no room. */
static bool prepend(char *buf, size_t *at, const char *text, size_t len)
{
	if (len > *at)
		return false;
	*at -= len;
	memcpy(buf + *at, text, len);
	return true;
}

kssize_t vfs_get_path(const struct path *p, char *buf, size_t size)
{
	struct vfs_context *c = vfs_context();
	struct path at = *p;
	size_t from = size;
	bool fits = prepend(buf, &from, "", 1), gone = false;

	spin_lock(&tree_lock);
	while (fits && (at.dentry != c->root.dentry || at.mount != c->root.mount)) {
		if (at.dentry == at.mount->root) {
			if (!at.mount->at.mount)
				break;
			at = at.mount->at;
			continue;
		}
		gone = gone || !list_is_linked(&at.dentry->hash);
		fits = prepend(buf, &from, at.dentry->name, at.dentry->len) &&
		       prepend(buf, &from, "/", 1);
		at.dentry = at.dentry->parent;
		if (!at.dentry) { /* it was moved out of what the mount shows */
			gone = true;
			break;
		}
	}
	spin_unlock(&tree_lock);
	if (fits && from == size - 1)
		fits = prepend(buf, &from, "/", 1);
	if (gone || !fits)
		return gone ? -ENOENT : -ERANGE;
	memmove(buf, buf + from, size - from);
	return (kssize_t)(size - from);
}
