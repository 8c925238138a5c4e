/*
 * Handles: one operation's changes, with a journal or without.
 *
 * With one, this is the journal's handle. Without, buffers go home when the file system is
 * synchronised, and that must not catch an operation half-way: a buffer written between two changes
 * of one handle would be clean although it differs. So handles are counted, and
 * ext4_write_buffers() lets nobody begin and waits for those under way. That orders nothing on the
 * disk: a crash leaves what e2fsck is for.
 *
 * Memory may be wanting in the middle of an operation. What announces a change then waits a little,
 * and takes back what the page cache has at hand. If that does not help, the functions below an
 * operation leave things as they were, and the handle knows whether what it has changed is whole
 * (h->half). Only if it is not, that is an end of writing.
 */
#include <core/errno.h>
#include <core/time.h>

#include "ext4.h"

#define CREDITS_WITHOUT_JOURNAL 1000u

static int enter(struct ext4_super *s)
{
	for (;;) {
		mutex_lock(&s->handles_lock);
		if (!s->handles_stopped)
			break;
		mutex_unlock(&s->handles_lock);
		waitq_wait(&s->handles_wait,
			   !__atomic_load_n(&s->handles_stopped, __ATOMIC_ACQUIRE), DEADLINE_NEVER,
			   false);
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

#define PAGES_AT_ONCE 32u
#define MEMORY_TRIES  10u
#define MEMORY_NS     (10 * NSEC_PER_MSEC)

/* Memory was wanting: once more? The page cache may have some at hand; else it may come. */
static bool may_try_again(int error, unsigned *tries)
{
	if (error != -ENOMEM || ++*tries > MEMORY_TRIES)
		return false;
	if (!cache_reclaim(PAGES_AT_ONCE))
		thread_sleep_until(clock_ns() + MEMORY_NS);
	return true;
}

int ext4_start(struct ext4_super *s, unsigned blocks, struct ext4_handle *h)
{
	unsigned tries = 0;
	int error;

	*h = (struct ext4_handle){ .super = s };
	if (ext4_is_read_only(s) || awaits_journal(s))
		return -EROFS;
	if (!s->journal)
		return enter(s);
	do
		error = journal_start(s->journal, blocks, &h->journal);
	while (may_try_again(error, &tries));
	return error;
}

int ext4_stop(struct ext4_handle *h)
{
	if (h->journal)
		return journal_stop(h->journal);
	leave(h->super);
	return 0;
}

/*
 * What the disk's errors, or the want of memory, leave half done must not become durable, nor can
 * it be taken back where the disk does not even let itself be read. Other errors are foreseen: an
 * operation that is out of space has put back what it had changed. Without a journal the half of it
 * may be on the disk already, and to leave out the rest would make it worse, so after the want of
 * memory e2fsck is asked to look; a disk that fails is an end there, too.
 */
void ext4_judge(struct ext4_handle *h, int error)
{
	if (error == -EIO ? !h->touched : error != -ENOMEM || !h->half)
		return;
	if (error == -ENOMEM && !h->journal)
		ext4_super_doubt(h->super);
	else
		ext4_abort(h->super, error);
}

int ext4_stop_with(struct ext4_handle *h, int error)
{
	int stopped;

	ext4_judge(h, error);
	stopped = ext4_stop(h);
	return error ? error : stopped;
}

static void changes(struct ext4_handle *h)
{
	h->touched = h->half = true;
}

int ext4_touch(struct ext4_handle *h, struct buffer *b)
{
	unsigned tries = 0;
	int error = 0;

	if (!h->journal)
		error = buffer_mark_dirty(b);
	else
		do
			error = journal_write(h->journal, b);
		while (may_try_again(error, &tries));
	if (!error)
		changes(h);
	return error;
}

int ext4_buffer_make(struct ext4_handle *h, uint64_t block, struct buffer **out)
{
	int error = buffer_make(&h->super->buffers, block, out);

	if (error)
		return error;
	error = ext4_touch(h, *out);
	if (error) {
		if (!(*out)->journal) /* what it holds is not the disk's */
			buffer_discard(*out);
		buffer_put(*out);
	}
	return error;
}

static int forget_in_journal(struct ext4_handle *h, uint64_t block, struct buffer *b)
{
	unsigned tries = 0;
	int error;

	do
		error = journal_forget(h->journal, block, b);
	while (may_try_again(error, &tries));
	return error;
}

int ext4_forget(struct ext4_handle *h, uint64_t block)
{
	struct buffer *b;
	int error = 0;

	if (h->journal) {
		error = forget_in_journal(h, block, NULL);
	} else if ((b = buffer_find(&h->super->buffers, block))) {
		buffer_discard(b);
		buffer_put(b);
	}
	if (!error)
		changes(h);
	return error;
}

bool ext4_extend(struct ext4_handle *h, unsigned blocks)
{
	return !h->journal || journal_extend(h->journal, blocks);
}

int ext4_restart(struct ext4_handle *h, unsigned blocks)
{
	unsigned tries = 0;
	int error = 0;

	h->touched = h->half = false;
	if (h->journal)
		do
			error = journal_restart(h->journal, blocks);
		while (may_try_again(error, &tries));
	return error;
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
	waitq_wait(&s->handles_wait, !__atomic_load_n(&s->handles, __ATOMIC_ACQUIRE),
		   DEADLINE_NEVER, false);
	error = buffers_write(&s->buffers);
	stop_handles(s, false);
	mutex_unlock(&s->write_lock);
	return error;
}
