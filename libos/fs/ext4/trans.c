/*
 * Handles: one operation's changes, with a journal or without.
 *
 * With one, this is the journal's handle. Without, buffers go home when the file system is synchronised,
 * and that must not catch an operation half-way: a buffer written between two changes of one handle would
 * be clean although it differs. So handles are counted, and ext4_write_buffers() lets nobody begin and
 * waits for those under way. That orders nothing on the disk: a crash leaves what e2fsck is for.
 */
#include <core/errno.h>

#include "ext4.h"

#define CREDITS_WITHOUT_JOURNAL 1000u

static int enter(struct ext4_super *s)
{
	for (;;) {
		mutex_lock(&s->handles_lock);
		if (!s->handles_stopped)
			break;
		mutex_unlock(&s->handles_lock);
		waitq_wait(&s->handles_wait, !__atomic_load_n(&s->handles_stopped, __ATOMIC_ACQUIRE),
			   DEADLINE_NEVER, false);
	}
	s->handles++;
	mutex_unlock(&s->handles_lock);
	return 0;
}

static void leave(struct ext4_super *s)
{
	uint32_t left;

	mutex_lock(&s->handles_lock);
	left = --s->handles;
	mutex_unlock(&s->handles_lock);
	if (!left)
		waitq_wake_all(&s->handles_wait);
}

/* While a mount turns writable it has a journal, but not open yet. */
static bool awaits_journal(const struct ext4_super *s)
{
	return !s->journal && ext4_has_compat(s, EXT4_COMPAT_HAS_JOURNAL);
}

int ext4_start(struct ext4_super *s, unsigned blocks, struct ext4_handle *h)
{
	*h = (struct ext4_handle){ .super = s };
	if (ext4_is_read_only(s) || awaits_journal(s))
		return -EROFS;
	return s->journal ? journal_start(s->journal, blocks, &h->journal) : enter(s);
}

int ext4_stop(struct ext4_handle *h)
{
	if (h->journal)
		return journal_stop(h->journal);
	leave(h->super);
	return 0;
}

/*
 * What the disk's errors, or the want of memory, leave half done must not become durable, nor can it be taken back where the
 * disk does not even let itself be read. Other errors are foreseen: an operation that is out of space has put back what it had changed.
 */
int ext4_stop_with(struct ext4_handle *h, int error)
{
	int stopped;

	if ((error == -EIO || error == -ENOMEM) && h->touched)
		ext4_abort(h->super, error);
	stopped = ext4_stop(h);
	return error ? error : stopped;
}

int ext4_touch(struct ext4_handle *h, struct buffer *b)
{
	h->touched = true;
	if (h->journal)
		return journal_write(h->journal, b);
	buffer_mark_dirty(b);
	return 0;
}

int ext4_created(struct ext4_handle *h, struct buffer *b)
{
	h->touched = true;
	if (h->journal)
		return journal_create(h->journal, b);
	buffer_mark_dirty(b);
	return 0;
}

int ext4_forget(struct ext4_handle *h, uint64_t block, struct buffer *b)
{
	h->touched = true;
	if (h->journal)
		return journal_forget(h->journal, block, b);
	b = b ? buffer_hold(b) : buffer_find(&h->super->buffers, block);
	if (b)
		buffer_discard(b);
	buffer_put(b);
	return 0;
}

bool ext4_extend(struct ext4_handle *h, unsigned blocks)
{
	return !h->journal || journal_extend(h->journal, blocks);
}

int ext4_restart(struct ext4_handle *h, unsigned blocks)
{
	h->touched = false;
	return h->journal ? journal_restart(h->journal, blocks) : 0;
}

unsigned ext4_credits(const struct ext4_handle *h)
{
	return h->journal ? journal_credits(h->journal) : CREDITS_WITHOUT_JOURNAL;
}

journal_tid ext4_tid(const struct ext4_handle *h)
{
	return h->journal ? journal_handle_tid(h->journal) : 0;
}

static void stop_handles(struct ext4_super *s, bool stop)
{
	mutex_lock(&s->handles_lock);
	__atomic_store_n(&s->handles_stopped, stop, __ATOMIC_RELEASE);
	mutex_unlock(&s->handles_lock);
	if (!stop)
		waitq_wake_all(&s->handles_wait);
}

int ext4_write_buffers(struct ext4_super *s)
{
	int error;

	mutex_lock(&s->write_lock);
	stop_handles(s, true);
	waitq_wait(&s->handles_wait, !__atomic_load_n(&s->handles, __ATOMIC_ACQUIRE), DEADLINE_NEVER, false);
	error = buffers_write(&s->buffers);
	stop_handles(s, false);
	mutex_unlock(&s->write_lock);
	return error;
}
