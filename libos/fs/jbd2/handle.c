/*
 * Handles: operations that join the running transaction, with credits for the blocks they may
 * change.
 *
 * A handle starts only if the log has room for everything that the running transaction may then
 * write. So a commit never lacks room, and never has to wait for anything but its own handles.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/time.h>

#include "parts.h"

void journal_sleep(struct journal *j, struct waitq *q, uint64_t deadline_ns)
{
	struct waiter w;

	waiter_begin(&w, q);
	spin_unlock(&j->lock);
	thread_block(deadline_ns, false);
	waiter_end(&w);
	spin_lock(&j->lock);
}

/*
 * A credit is a block or a revoke record. Records are smaller than blocks, and the one block that
 * they may not fill is paid for by a credit as well.
 */
uint32_t journal_need(const struct journal *j, uint32_t credits)
{
	return credits + DIV_ROUND_UP(credits, jlog_tags_max(&j->log)) + 1;
}

bool transaction_reserve(struct journal *j, struct transaction *t, uint32_t credits)
{
	uint32_t after = t->reserved + credits;

	if (after > j->credits_max || journal_need(j, after) + j->committing_need > j->room)
		return false;
	t->reserved = after;
	return true;
}

/* [j] NULL: no memory. */
static struct transaction *transaction_begin(struct journal *j)
{
	struct transaction *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->tid = j->next++;
	list_init(&t->blocks);
	list_init(&t->ordered);
	list_init(&t->callbacks);
	list_init(&t->link);
	list_init(&t->home);
	revokes_init(&t->revokes);
	t->deadline_ns = clock_ns() + j->options.commit_interval_ms * NSEC_PER_MSEC;
	j->running = t;
	waitq_wake_all(&j->work); /* it has a deadline now */
	return t;
}

/* [j] What stands in the way of a start is set in motion. */
static void ask_for_room(struct journal *j, const struct transaction *t, uint32_t blocks)
{
	if (t->reserved + blocks > j->credits_max)
		j->commit_wanted = t->tid;
	else
		j->room_wanted = true;
	waitq_wake_all(&j->work);
}

/* [j] */
static int join(struct journal *j, struct journal_handle *h, uint32_t blocks)
{
	while (!j->error) {
		struct transaction *t;

		if (j->sealed_by && j->sealed_by != thread_current())
			return -EROFS;
		t = j->running ? j->running : transaction_begin(j);
		if (!t)
			return -ENOMEM;
		if (!t->locked && transaction_reserve(j, t, blocks)) {
			t->handles++;
			h->transaction = t;
			h->tid = t->tid;
			h->credits = blocks;
			j->stats.handles++;
			return 0;
		}
		if (!t->locked)
			ask_for_room(j, t, blocks);
		journal_sleep(j, &j->changed, DEADLINE_NEVER);
	}
	return j->error;
}

/* [j] */
static void leave(struct journal *j, struct journal_handle *h)
{
	struct transaction *t = h->transaction;

	assert(t->handles && t->reserved >= h->credits);
	t->reserved -= h->credits;
	h->credits = 0;
	if (!--t->handles && (t->locked || j->error))
		waitq_wake_all(&j->work);
}

int journal_start(struct journal *j, unsigned blocks, struct journal_handle **out)
{
	struct journal_handle *h;
	int error;

	if (!j->thread)
		return -EROFS;
	if (blocks > j->credits_max)
		return -ENOSPC;
	h = kmalloc(sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->journal = j;
	spin_lock(&j->lock);
	error = join(j, h, blocks);
	spin_unlock(&j->lock);
	if (error)
		kfree(h);
	else
		*out = h;
	return error;
}

int journal_stop(struct journal_handle *h)
{
	struct journal *j = h->journal;
	int error;

	spin_lock(&j->lock);
	if (h->transaction)
		leave(j, h);
	error = j->error;
	spin_unlock(&j->lock);
	kfree(h);
	return error;
}

/* After a failure the handle has no transaction, and can only be stopped. */
int journal_restart(struct journal_handle *h, unsigned blocks)
{
	struct journal *j = h->journal;
	int error = -ENOSPC;

	spin_lock(&j->lock);
	if (h->transaction)
		leave(j, h);
	h->transaction = NULL;
	if (blocks <= j->credits_max)
		error = join(j, h, blocks);
	spin_unlock(&j->lock);
	return error;
}

bool journal_extend(struct journal_handle *h, unsigned blocks)
{
	struct journal *j = h->journal;
	bool fits;

	spin_lock(&j->lock);
	fits = !j->error && h->transaction && transaction_reserve(j, h->transaction, blocks);
	if (fits)
		h->credits += blocks;
	spin_unlock(&j->lock);
	return fits;
}

journal_tid journal_handle_tid(const struct journal_handle *h)
{
	return h->tid;
}

unsigned journal_credits(const struct journal_handle *h)
{
	return h->credits;
}
