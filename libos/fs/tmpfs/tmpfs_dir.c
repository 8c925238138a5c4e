/*
 * Directories of tmpfs: names with inodes, in two trees, by name for lookups and by place for
 * reading.
 *
 * A place is given once and never again, so reading goes on behind the last entry that was seen
 * whatever is created and removed meanwhile: what was there all the time is seen exactly once.
 *
 * An entry holds a reference to its inode, which is what keeps a file that nobody has open.
 *
 * Locks: the VFS holds those of the directories. Those of the inodes that get or lose names are
 * taken here, since another name of one may be coming or going in another directory.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "tmpfs.h"

#define FIRST_PLACE 2u

struct entry {
	struct tree_node by_name, by_place;
	uint64_t place;
	struct inode *inode;
	size_t len;
	char name[];
};

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, MIN(a_len, b_len));

	return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int name_compare(const void *key, const struct tree_node *node)
{
	const struct vfs_name *n = key;
	const struct entry *e = tree_entry(node, struct entry, by_name);

	return compare_text(n->text, n->len, e->name, e->len);
}

static bool name_less(const struct tree_node *a, const struct tree_node *b)
{
	const struct entry *x = tree_entry(a, struct entry, by_name),
			   *y = tree_entry(b, struct entry, by_name);

	return compare_text(x->name, x->len, y->name, y->len) < 0;
}

static int place_compare(const void *key, const struct tree_node *node)
{
	uint64_t place = *(const uint64_t *)key,
		 at = tree_entry(node, struct entry, by_place)->place;

	return place < at ? -1 : place > at;
}

static bool place_less(const struct tree_node *a, const struct tree_node *b)
{
	return tree_entry(a, struct entry, by_place)->place <
	       tree_entry(b, struct entry, by_place)->place;
}

static struct entry *entry_find(struct inode *dir, const struct vfs_name *n)
{
	struct tree_node *node = tree_find(&tmpfs_of(dir)->dir.names, n, name_compare);

	return node ? tree_entry(node, struct entry, by_name) : NULL;
}

static int entry_add(struct inode *dir, const struct vfs_name *n, struct inode *inode)
{
	struct tmpfs_inode *d = tmpfs_of(dir);
	struct entry *e = kmalloc(sizeof(*e) + n->len);

	if (!e)
		return -ENOMEM;
	e->place = d->dir.next_place++;
	e->inode = inode_get(inode);
	e->len = n->len;
	memcpy(e->name, n->text, n->len);
	tree_node_init(&e->by_name);
	tree_node_init(&e->by_place);
	tree_insert(&d->dir.names, &e->by_name, name_less);
	tree_insert(&d->dir.places, &e->by_place, place_less);
	dir->size += 20;
	inode_touch(dir, TOUCH_M | TOUCH_C);
	return 0;
}

static void entry_remove(struct inode *dir, struct entry *e)
{
	struct tmpfs_inode *d = tmpfs_of(dir);

	tree_remove(&d->dir.names, &e->by_name);
	tree_remove(&d->dir.places, &e->by_place);
	dir->size -= 20;
	inode_touch(dir, TOUCH_M | TOUCH_C);
	inode_put(e->inode);
	kfree(e);
}

int tmpfs_lookup(struct inode *dir, const struct vfs_name *n, struct inode **out)
{
	struct entry *e = entry_find(dir, n);

	if (!e)
		return -ENOENT;
	*out = inode_get(e->inode);
	return 0;
}

/* A directory's ".." counts as a link of the directory above. */
static void adopt(struct inode *dir, struct inode *child)
{
	if (!inode_is_dir(child))
		return;
	dir->nlink++;
	tmpfs_of(child)->dir.parent_ino = dir->ino;
}

int tmpfs_link(struct inode *dir, const struct vfs_name *n, struct inode *inode)
{
	int error = entry_add(dir, n, inode);

	if (error)
		return error;
	mutex_lock(&inode->lock);
	inode->nlink += inode_is_dir(inode) ? 2 : 1;
	inode_touch(inode, TOUCH_C);
	adopt(dir, inode);
	mutex_unlock(&inode->lock);
	return 0;
}

/* A directory loses its only name. */
static void lose_name(struct inode *inode)
{
	mutex_lock(&inode->lock);
	inode->nlink -= inode_is_dir(inode) ? 2 : 1;
	inode_touch(inode, TOUCH_C);
	mutex_unlock(&inode->lock);
}

int tmpfs_unlink(struct inode *dir, const struct vfs_name *n, struct inode *inode)
{
	struct entry *e = entry_find(dir, n);

	assert(e && e->inode == inode);
	dir->nlink -= inode_is_dir(inode);
	lose_name(inode);
	entry_remove(dir, e);
	return 0;
}

bool tmpfs_is_empty(struct inode *dir)
{
	return tree_is_empty(&tmpfs_of(dir)->dir.names);
}

static void swap_entries(struct inode *from, struct entry *a, struct inode *to, struct entry *b)
{
	struct inode *inode = a->inode;

	from->nlink -= inode_is_dir(a->inode);
	to->nlink -= inode_is_dir(b->inode);
	a->inode = b->inode;
	b->inode = inode;
	adopt(from, a->inode);
	adopt(to, b->inode);
	inode_touch(a->inode, TOUCH_C);
	inode_touch(b->inode, TOUCH_C);
	inode_touch(from, TOUCH_M | TOUCH_C);
	inode_touch(to, TOUCH_M | TOUCH_C);
}

int tmpfs_rename(struct inode *from, const struct vfs_name *n, struct inode *inode,
		 struct inode *to, const struct vfs_name *m, struct inode *replaced, bool exchange)
{
	struct entry *source = entry_find(from, n);
	int error;

	assert(source && source->inode == inode);
	if (exchange) {
		swap_entries(from, source, to, entry_find(to, m));
		return 0;
	}
	if (!replaced) {
		error = entry_add(to, m, inode);
		if (error)
			return error;
	} else {
		struct entry *target = entry_find(to, m);

		to->nlink -= inode_is_dir(replaced);
		lose_name(replaced);
		inode_touch(to, TOUCH_M | TOUCH_C);
		target->inode = inode_get(inode);
		inode_put(replaced);
	}
	from->nlink -= inode_is_dir(inode);
	inode_touch(inode, TOUCH_C);
	adopt(to, inode);
	entry_remove(from, source);
	return 0;
}

static bool emit_dots(struct inode *dir, struct dir_sink *s, uint64_t *position)
{
	if (*position == 0) {
		if (!s->add(s, ".", 1, dir->ino, S_IFDIR, 1))
			return false;
		*position = 1;
	}
	if (*position == 1) {
		if (!s->add(s, "..", 2, tmpfs_of(dir)->dir.parent_ino, S_IFDIR, FIRST_PLACE))
			return false;
		*position = FIRST_PLACE;
	}
	return true;
}

int tmpfs_iterate(struct inode *dir, struct dir_sink *s, uint64_t *position)
{
	struct tree_node *node;

	if (!emit_dots(dir, s, position))
		return 0;
	node = tree_find_at_or_after(&tmpfs_of(dir)->dir.places, position, place_compare);
	for (; node; node = tree_next(node)) {
		struct entry *e = tree_entry(node, struct entry, by_place);

		if (!s->add(s, e->name, e->len, e->inode->ino, e->inode->mode, e->place + 1))
			return 0;
		*position = e->place + 1;
	}
	return 0;
}

void tmpfs_dir_empty(struct inode *dir)
{
	struct tree_node *node;

	while ((node = tree_first(&tmpfs_of(dir)->dir.names))) {
		struct entry *e = tree_entry(node, struct entry, by_name);

		if (inode_is_dir(e->inode))
			tmpfs_dir_empty(e->inode);
		entry_remove(dir, e);
	}
}
