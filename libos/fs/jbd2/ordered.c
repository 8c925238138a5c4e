/*
 * What goes with a transaction besides blocks: files whose bytes are to be on the disk before it is
 * committed (ordered data), and calls that come once it is.
 */
#include "parts.h"

void journal_ordered_init(struct journal_ordered *o, int (*write)(struct journal_ordered *o))
{
	list_init(&o->link[0]);
	list_init(&o->link[1]);
	o->write = write;
}

void journal_add_ordered(struct journal_handle *h, struct journal_ordered *o)
{
	struct list *link = &o->link[h->transaction->tid & 1];

	spin_lock(&h->journal->lock);
	if (!list_is_linked(link))
		list_push_back(&h->transaction->ordered, link);
	spin_unlock(&h->journal->lock);
}

/* [j] The committing transaction makes bytes reachable that are not on the disk yet. */
static bool is_awaited(const struct journal *j, const struct journal_ordered *o)
{
	return j->writing == o || (j->committing && list_is_linked(&o->link[j->committing->tid & 1]));
}

static void settle_locked(struct journal *j, const struct journal_ordered *o)
{
	while (is_awaited(j, o))
		journal_sleep(j, &j->changed, DEADLINE_NEVER);
}

void journal_settle_ordered(struct journal *j, struct journal_ordered *o)
{
	spin_lock(&j->lock);
	settle_locked(j, o);
	spin_unlock(&j->lock);
}

void journal_drop_ordered(struct journal *j, struct journal_ordered *o)
{
	spin_lock(&j->lock);
	settle_locked(j, o);
	list_remove(&o->link[0]);
	list_remove(&o->link[1]);
	spin_unlock(&j->lock);
}

/* [j] */
static struct journal_ordered *ordered_next(struct transaction *t)
{
	struct list *link = list_pop_front(&t->ordered);

	return link ? container_of(link - (t->tid & 1), struct journal_ordered, link[0]) : NULL;
}

/*
 * Bytes that could not be written are the file's loss: whoever owns the pages keeps the error for fsync. The
 * transaction goes on, since other files' changes depend on it.
 */
void transaction_write_ordered(struct journal *j, struct transaction *t)
{
	spin_lock(&j->lock);
	while ((j->writing = ordered_next(t))) {
		spin_unlock(&j->lock);
		j->writing->write(j->writing);
		spin_lock(&j->lock);
		j->writing = NULL;
		waitq_wake_all(&j->changed);
	}
	spin_unlock(&j->lock);
}

/* It will never be committed: nobody need wait for its files. */
void transaction_drop_ordered(struct journal *j, struct transaction *t)
{
	spin_lock(&j->lock);
	while (ordered_next(t))
		;
	spin_unlock(&j->lock);
	waitq_wake_all(&j->changed);
}

void journal_on_commit(struct journal_handle *h, struct journal_callback *c)
{
	spin_lock(&h->journal->lock);
	list_push_back(&h->transaction->callbacks, &c->link);
	spin_unlock(&h->journal->lock);
}

/* No handle is in it any more: the list is the thread's. */
void transaction_call_back(struct transaction *t, int error)
{
	struct list *link;

	while ((link = list_pop_front(&t->callbacks))) {
		struct journal_callback *c = list_entry(link, struct journal_callback, link);

		c->committed(c, error);
	}
}
