/*
 * What goes with a transaction besides blocks: files whose bytes are to be on the disk before it is
 * committed (ordered data), blocks found for such bytes at the last moment, and calls that come
 * once it is durable.
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
	if (!list_is_linked(link)) {
		o->is_delayed[h->transaction->tid & 1] = false;
		list_push_back(&h->transaction->ordered, link);
	}
	spin_unlock(&h->journal->lock);
}

bool journal_add_delayed(struct journal_handle *h, struct journal_ordered *o, unsigned credits)
{
	struct journal *j = h->journal;
	struct transaction *t = h->transaction;
	bool *is_delayed = &o->is_delayed[t->tid & 1], fits;

	journal_add_ordered(h, o);
	spin_lock(&j->lock);
	fits = *is_delayed || (h->credits >= credits && t->kept + credits <= j->credits_max / 2);
	if (fits && !*is_delayed) {
		h->credits -= credits;
		t->kept += credits;
		*is_delayed = true;
	}
	spin_unlock(&j->lock);
	return fits;
}

bool journal_is_its_thread(const struct journal *j)
{
	return j->thread == thread_current();
}

/* [j] The committing transaction makes bytes reachable that are not on the disk yet. */
static bool is_awaited(const struct journal *j, const struct journal_ordered *o)
{
	return j->writing == o ||
	       (j->committing && list_is_linked(&o->link[j->committing->tid & 1]));
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

/* The files stay on the list, for their bytes to be written. */
void transaction_place_delayed(struct journal *j, struct transaction *t)
{
	struct journal_handle h = {
		.journal = j, .transaction = t, .tid = t->tid, .credits = t->kept
	};
	struct list done = LIST_INIT(done);

	t->handles++;
	while (!j->error && t->kept && (j->writing = ordered_next(t))) {
		list_push_back(&done, &j->writing->link[t->tid & 1]);
		if (!j->writing->is_delayed[t->tid & 1])
			continue;
		spin_unlock(&j->lock);
		j->writing->place(j->writing, &h);
		spin_lock(&j->lock);
	}
	j->writing = NULL;
	list_splice_back(&t->ordered, &done);
	t->handles--;
	t->reserved -= h.credits;
	waitq_wake_all(&j->changed);
}

/*
 * Bytes that could not be written are the file's loss: whoever owns the pages keeps the error for
 * fsync. The transaction goes on, since other files' changes depend on it.
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
