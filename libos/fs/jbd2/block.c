/*
 * Blocks of transactions: which buffers the running and the committing transaction have.
 *
 * A block may be in both. The committing one needs it as it was when its handles had ended, so the
 * first change by the running one freezes a copy, unless the commit has taken its own already. A
 * block that the running transaction has stays away from its place on the disk until that has
 * committed.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "parts.h"

/* [j] With the buffer's reference. NULL: no memory. */
static struct journal_block *block_of(struct buffer *b)
{
	struct journal_block *jb = b->journal;

	if (jb)
		return jb;
	jb = kzalloc(sizeof(*jb));
	if (!jb)
		return NULL;
	list_init(&jb->member[0].link);
	list_init(&jb->member[1].link);
	list_init(&jb->home_link);
	jb->buffer = buffer_hold(b);
	b->journal = jb;
	return jb;
}

void journal_block_release(struct journal_block *jb)
{
	if (jb->member[0].in || jb->member[1].in || jb->home)
		return;
	assert(!jb->frozen);
	jb->buffer->journal = NULL;
	buffer_put(jb->buffer);
	kfree(jb);
}

struct journal_block *journal_block_of_member(struct list *link, const struct transaction *t)
{
	struct member *m = list_entry(link, struct member, link);

	return container_of(m - (t->tid & 1), struct journal_block, member[0]);
}

/* [j] A handle whose restart failed has no transaction. */
static int why_not(const struct journal_handle *h)
{
	if (h->journal->error)
		return h->journal->error;
	return h->transaction ? 0 : -ENOSPC;
}

/* [j] Before the running transaction changes it: what the committing one has of it is kept. */
static int freeze(struct journal *j, struct journal_block *jb)
{
	uint32_t bytes = j->log.place.block_bytes;

	if (!j->committing || !member_in(jb, j->committing) || jb->is_copied || jb->frozen)
		return 0;
	jb->frozen = kmalloc(bytes);
	if (!jb->frozen)
		return -ENOMEM;
	memcpy(jb->frozen, jb->buffer->data, bytes);
	return 0;
}

/* [j] */
static int take_credit(struct journal_handle *h)
{
	if (!h->credits) {
		if (!transaction_reserve(h->journal, h->transaction, 1))
			return -ENOSPC;
		h->credits = 1;
	}
	return 0;
}

/* [j] Makes the buffer a member of the handle's transaction. */
static int become_member(struct journal_handle *h, struct buffer *b, bool is_forgotten)
{
	struct transaction *t = h->transaction;
	struct journal_block *jb;
	struct member *m;
	int error = take_credit(h);

	if (error)
		return error;
	jb = block_of(b);
	if (!jb)
		return -ENOMEM;
	error = freeze(h->journal, jb);
	if (error) {
		journal_block_release(jb);
		return error;
	}
	m = &jb->member[t->tid & 1];
	assert(!m->in);
	m->in = t;
	m->is_forgotten = is_forgotten;
	list_push_back(&t->blocks, &m->link);
	t->block_count += !is_forgotten;
	h->credits--;
	return 0;
}

/* [j] A block that is written again in the transaction that freed it is not revoked by it. */
static int write_locked(struct journal_handle *h, struct buffer *b)
{
	struct transaction *t = h->transaction;
	struct member *m = b->journal ? member_in(b->journal, t) : NULL;
	int error;

	if (m && !m->is_forgotten)
		return 0;
	if (m) {
		m->is_forgotten = false;
		t->block_count++;
	} else {
		error = become_member(h, b, false);
		if (error)
			return error;
	}
	if (t->revokes.count)
		revokes_remove(&t->revokes, b->block);
	return 0;
}

int journal_write(struct journal_handle *h, struct buffer *b)
{
	struct journal *j = h->journal;
	int error;

	spin_lock(&j->lock);
	error = why_not(h);
	if (!error && !(b->flags & BUFFER_VALID)) /* discarded */
		error = -EIO;
	if (!error)
		error = write_locked(h, b);
	spin_unlock(&j->lock);
	return error;
}

/*
 * [j] The record takes the credit of the block that is not written. A buffer of an older
 * transaction becomes a member too: until this one has committed it must not go home, and
 * afterwards never.
 */
static int forget_locked(struct journal_handle *h, uint64_t block, struct buffer *b)
{
	struct transaction *t = h->transaction;
	struct member *m = b && b->journal ? member_in(b->journal, t) : NULL;
	int error = 0;

	if (m && m->is_forgotten)
		return 0;
	if (!m)
		error = take_credit(h);
	if (!error)
		error = revokes_add(&t->revokes, block, t->tid);
	if (error)
		return error;
	if (m) {
		m->is_forgotten = true;
		t->block_count--;
	} else if (b && b->journal) {
		error = become_member(h, b, true);
		if (error) {
			revokes_remove(&t->revokes, block);
			return error;
		}
	} else {
		h->credits--;
	}
	h->journal->stats.revokes++;
	return 0;
}

int journal_forget(struct journal_handle *h, uint64_t block, struct buffer *b)
{
	struct journal *j = h->journal;
	struct buffer *found = b ? NULL : buffer_find(j->log.place.buffers, block);
	int error;

	b = b ? b : found;
	spin_lock(&j->lock);
	error = why_not(h);
	if (!error)
		error = forget_locked(h, block, b);
	spin_unlock(&j->lock);
	if (b && !error)
		buffer_discard(b);
	buffer_put(found);
	return error;
}
