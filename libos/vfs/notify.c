/*
 * Telling of what happens to files. See libos/notify.h.
 *
 * The watches of one inode are a chain from the inode. While an inode is watched its references are
 * put under watch_lock: when only those of its watches are left and it has no name, it has ended
 * for everybody else, the watches are told, and their references are the last. A watch that was
 * ended puts its reference later, under no lock; a file system that goes waits for that.
 */
#include <core/assert.h>

#include <libos/notify.h>

#include "namei.h"

struct spinlock watch_lock = SPINLOCK_INIT;
uint32_t watch_count;
/* [w] watches that have ended, but have their inode still */
static uint32_t leaving;
static struct waitq nobody_leaves = WAITQ_INIT(nobody_leaves);
static struct list all_watches = LIST_INIT(all_watches); /* [w] */
static uint32_t last_cookie;                             /* [w] */

/* ---- watches ---- */

void watch_add_locked(struct watch *w, struct inode *inode)
{
	assert(spin_is_held(&watch_lock));
	w->inode = inode_get(inode);
	w->next = inode->watches;
	inode->watches = w;
	list_push_back(&all_watches, &w->all);
	watch_count++;
}

void watch_remove_locked(struct watch *w, struct list *gone)
{
	struct watch **at = &w->inode->watches;

	assert(spin_is_held(&watch_lock));
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	list_remove(&w->all);
	list_push_back(gone, &w->all);
	leaving++;
}

void watches_free(struct list *gone)
{
	struct list *link;
	uint32_t n = 0;

	for (; (link = list_pop_front(gone)); n++) {
		struct watch *w = list_entry(link, struct watch, all);

		inode_put(w->inode);
		w->free(w);
	}
	if (!n)
		return;
	spin_lock(&watch_lock);
	watch_count -= n;
	leaving -= n;
	spin_unlock(&watch_lock);
	waitq_wake_all(&nobody_leaves);
}

static void end_locked(struct watch *w, struct list *gone)
{
	w->ended(w);
	watch_remove_locked(w, gone);
}

/* ---- telling ---- */

struct happening {
	uint32_t mask, cookie;
	const char *name;
	size_t len;
	bool unlinked; /* the name is not one any more */
};

static void tell_locked(struct inode *inode, const struct happening *e, struct list *gone)
{
	struct watch *next;

	for (struct watch *w = inode->watches; w; w = next) {
		next = w->next;
		if (!(w->events & e->mask & ~NOTIFY_DIR) || (e->unlinked && w->skips_unlinked))
			continue;
		if (!w->tell(w, e->mask, e->cookie, e->name, e->len))
			end_locked(w, gone);
	}
}

static uint32_t dir_bit(const struct inode *inode)
{
	return inode_is_dir(inode) ? NOTIFY_DIR : 0;
}

void notify_path_now(const struct path *p, uint32_t event)
{
	struct dentry *d = p->dentry;
	struct list gone = LIST_INIT(gone);
	struct happening e = { .mask = event | dir_bit(d->inode) }, named = e;

	spin_lock(&tree_lock); /* keeps name and parent */
	spin_lock(&watch_lock);
	if (d->parent) {
		named.name = d->name;
		named.len = d->len;
		named.unlinked = !list_is_linked(&d->hash);
		tell_locked(d->parent->inode, &named, &gone);
	}
	tell_locked(d->inode, &e, &gone);
	spin_unlock(&watch_lock);
	spin_unlock(&tree_lock);
	watches_free(&gone);
}

static void tell(struct inode *inode, const struct happening *e)
{
	struct list gone = LIST_INIT(gone);

	spin_lock(&watch_lock);
	tell_locked(inode, e, &gone);
	spin_unlock(&watch_lock);
	watches_free(&gone);
}

void notify_inode_now(struct inode *inode, uint32_t event)
{
	/* Who is told of its own move or end knows what it is. */
	bool of_itself = event & (NOTIFY_MOVE_SELF | NOTIFY_DELETE_SELF);

	tell(inode, &(struct happening){ .mask = event | (of_itself ? 0 : dir_bit(inode)) });
}

void notify_name_now(struct inode *dir, const struct vfs_name *n, uint32_t event, bool is_dir)
{
	tell(dir, &(struct happening){ .mask = event | (is_dir ? NOTIFY_DIR : 0),
				       .name = n->text,
				       .len = n->len });
}

void notify_move_now(struct inode *from, const struct vfs_name *n, struct inode *to,
		     const struct vfs_name *m, struct inode *moved, struct inode *replaced)
{
	struct happening e = {
		.mask = NOTIFY_MOVED_FROM | dir_bit(moved), .name = n->text, .len = n->len
	};

	e.cookie = __atomic_add_fetch(&last_cookie, 1, __ATOMIC_RELAXED);
	tell(from, &e);
	e.mask = NOTIFY_MOVED_TO | dir_bit(moved);
	e.name = m->text;
	e.len = m->len;
	tell(to, &e);
	if (replaced)
		notify_inode_now(replaced, NOTIFY_ATTRIB);
	notify_inode_now(moved, NOTIFY_MOVE_SELF);
}

/* ---- ends ---- */

static void end_all_locked(struct inode *inode, uint32_t event, struct list *gone)
{
	struct watch *w;

	while ((w = inode->watches)) {
		if (w->events & event)
			w->tell(w, event, 0, NULL, 0);
		end_locked(w, gone);
	}
}

static struct watch *watch_of_super(const struct super *s)
{
	struct watch *w;

	list_for_each(w, &all_watches, all) {
		if (w->inode->super == s)
			return w;
	}
	return NULL;
}

void notify_unmount_now(struct super *s)
{
	struct list gone = LIST_INIT(gone);
	struct watch *w;

	spin_lock(&watch_lock);
	while ((w = watch_of_super(s)))
		end_all_locked(w->inode, NOTIFY_UNMOUNT, &gone);
	spin_unlock(&watch_lock);
	watches_free(&gone);
	waitq_wait(&nobody_leaves, !__atomic_load_n(&leaving, __ATOMIC_ACQUIRE), DEADLINE_NEVER,
		   false);
}

static uint32_t watches_of(const struct inode *inode)
{
	uint32_t n = 0;

	for (const struct watch *w = inode->watches; w; w = w->next)
		n++;
	return n;
}

void notify_inode_put_now(struct inode *inode)
{
	struct list gone = LIST_INIT(gone);
	uint32_t left;

	spin_lock(&watch_lock);
	left = __atomic_sub_fetch(&inode->refs, 1, __ATOMIC_ACQ_REL);
	if (left && left == watches_of(inode) && !inode->nlink)
		end_all_locked(inode, NOTIFY_DELETE_SELF, &gone);
	spin_unlock(&watch_lock);
	if (left)
		watches_free(&gone);
	else
		inode_end(inode);
}
