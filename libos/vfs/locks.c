/*
 * Locks on files. See libos/locks.h.
 *
 * All locks of all files are in one list of few: a file that is locked is the exception. Whoever
 * waits sleeps on one queue and looks again when any lock goes.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/list.h>
#include <core/sync.h>
#include <libos/locks.h>

struct held {
	struct list link;
	struct inode *inode;
	struct lock_range range;
};

static struct list held = LIST_INIT(held);            /* [held_lock] */
static struct spinlock held_lock = SPINLOCK_INIT;
static struct waitq changed = WAITQ_INIT(changed);

static bool overlap(const struct lock_range *a, const struct lock_range *b)
{
	return a->kind == b->kind && a->first <= b->last && b->first <= a->last;
}

static struct held *conflict_locked(const struct inode *inode, const struct lock_range *l)
{
	struct held *h;

	list_for_each(h, &held, link) {
		if (h->inode == inode && h->range.owner != l->owner && overlap(&h->range, l) &&
		    (h->range.exclusive || l->exclusive))
			return h;
	}
	return NULL;
}

/*
 * Takes [l.first, l.last] away from the owner's locks; one that reaches beyond both ends is cut in
 * two, the second half being *spare. Locks that are empty go to `gone`.
 */
static void carve_locked(const struct inode *inode, const struct lock_range *l, struct held **spare,
			 struct list *gone)
{
	struct held *h, *next;

	list_for_each_safe(h, next, &held, link) {
		struct lock_range *r = &h->range;

		if (h->inode != inode || r->owner != l->owner || !overlap(r, l))
			continue;
		if (r->first < l->first && r->last > l->last) {
			**spare = (struct held){ .inode = h->inode, .range = *r };
			(*spare)->range.first = l->last + 1;
			list_push_back(&held, &(*spare)->link);
			*spare = NULL;
			r->last = l->first - 1;
		} else if (r->first < l->first) {
			r->last = l->first - 1;
		} else if (r->last > l->last) {
			r->first = l->last + 1;
		} else {
			list_remove(&h->link);
			list_push_back(gone, &h->link);
		}
	}
}

static void free_all(struct list *gone)
{
	struct list *link;

	while ((link = list_pop_front(gone)))
		kfree(list_entry(link, struct held, link));
}

/*
 * One attempt; *spares are two objects for what is new, and NULL where they have been used. A
 * whole-file lock that cannot be changed at once is given back (flock(2), "Converting a lock"):
 * else two who both share it and both want it alone would wait for each other.
 */
static int try_set(struct inode *inode, const struct lock_range *l, bool unlock,
		   struct held *spares[2], struct list *gone)
{
	int error = 0;

	spin_lock(&held_lock);
	if (!unlock && conflict_locked(inode, l)) {
		error = -EAGAIN;
		if (l->kind == LOCK_WHOLE)
			carve_locked(inode, l, &spares[0], gone); /* never in two */
	} else {
		carve_locked(inode, l, &spares[0], gone);
		if (!unlock) {
			*spares[1] = (struct held){ .inode = inode, .range = *l };
			list_push_back(&held, &spares[1]->link);
			spares[1] = NULL;
		}
	}
	spin_unlock(&held_lock);
	return error;
}

static bool is_free(struct inode *inode, const struct lock_range *l)
{
	bool is;

	spin_lock(&held_lock);
	is = !conflict_locked(inode, l);
	spin_unlock(&held_lock);
	return is;
}

int lock_set(struct inode *inode, const struct lock_range *l, bool unlock, bool wait)
{
	struct held *spares[2] = { kmalloc(sizeof(struct held)), kmalloc(sizeof(struct held)) };
	struct list gone = LIST_INIT(gone);
	int error = -ENOMEM;

	if (spares[0] && spares[1]) {
		while ((error = try_set(inode, l, unlock, spares, &gone)) == -EAGAIN) {
			if (!list_is_empty(&gone))
				waitq_wake_all(&changed);
			if (!wait)
				break;
			error = waitq_wait(&changed, is_free(inode, l), DEADLINE_NEVER, true);
			if (error)
				break;
		}
	}
	kfree(spares[0]);
	kfree(spares[1]);
	free_all(&gone);
	if (!error)
		waitq_wake_all(&changed); /* a lock may have become less */
	return error;
}

bool lock_find(struct inode *inode, const struct lock_range *l, struct lock_range *found)
{
	struct held *h;

	spin_lock(&held_lock);
	h = conflict_locked(inode, l);
	if (h)
		*found = h->range;
	spin_unlock(&held_lock);
	return h;
}

void lock_forget(struct inode *inode, const void *owner)
{
	struct list gone = LIST_INIT(gone);
	struct held *h, *next;

	if (list_is_empty(&held)) /* as a rule */
		return;
	spin_lock(&held_lock);
	list_for_each_safe(h, next, &held, link) {
		if (h->inode == inode && h->range.owner == owner) {
			list_remove(&h->link);
			list_push_back(&gone, &h->link);
		}
	}
	spin_unlock(&held_lock);
	free_all(&gone);
	waitq_wake_all(&changed);
}
