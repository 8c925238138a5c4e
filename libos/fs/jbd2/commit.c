/*
 * Commits: the running transaction goes into the log, and becomes durable as a whole.
 *
 *   1. It is locked: handles that start now wait for the next one, those in it come to their end.
 *      Bytes that have no blocks yet get some.
 *   2. Ordered data is written to its place.
 *   3. Revoke records, then descriptors with copies of the blocks, go into the log in any order.
 *   4. A flush: everything before is durable.
 *   5. The commit block, durable by itself. Its arrival on the disk is the commit point.
 *
 * Between 2 and 5 handles already work in the next transaction; see block.c for blocks that both
 * have.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <core/time.h>

#include "parts.h"

struct writer {
	struct journal *journal;
	struct transaction *transaction;
	struct blk_batch batch;
	uint32_t at, used;    /* the next block of the log, and how many were taken */
	uint32_t slots;       /* in use */
	int error;
};

/* ---- blocks of the log ---- */

static uint32_t log_take(struct writer *w)
{
	uint32_t index = w->at;

	w->at = jlog_next(&w->journal->log, index);
	w->used++;
	assert(w->used <= w->journal->committing_need);
	return index;
}

static void log_write_block(struct writer *w, uint32_t index, void *block)
{
	const struct jlog *l = &w->journal->log;
	uint64_t offset = 0;
	int error = jlog_offset(l, index, &offset);

	if (error)
		w->error = w->error ? w->error : error;
	else
		blk_batch_add(&w->batch, BLK_WRITE, offset, block, l->place.block_bytes, 0);
}

static void wait_for_writes(struct writer *w)
{
	int error = blk_batch_wait(&w->batch);

	w->error = w->error ? w->error : error;
	w->slots = 0;
}

static uint8_t *slot_take(struct writer *w)
{
	if (w->slots == JOURNAL_SLOTS)
		wait_for_writes(w);
	return w->journal->slots + (size_t)w->slots++ * w->journal->log.place.block_bytes;
}

/* An empty block of a kind; the one before has left it. */
static uint8_t *scratch_begin(struct writer *w, enum jbd2_type type)
{
	struct journal *j = w->journal;

	wait_for_writes(w);
	memset(j->scratch, 0, j->log.place.block_bytes);
	jlog_header_put(j->scratch, type, w->transaction->tid);
	return j->scratch;
}

/* ---- revoke records ---- */

static void write_revokes(struct writer *w)
{
	const struct jlog *l = &w->journal->log;
	struct revoke *r = revokes_next(&w->transaction->revokes, NULL);

	while (r && !w->error) {
		uint8_t *block = scratch_begin(w, JBD2_REVOKE);

		for (uint32_t n = 0; r && n < jlog_revokes_max(l); n++) {
			jlog_revoke_put(l, block, n, r->block);
			r = revokes_next(&w->transaction->revokes, r);
		}
		jlog_seal(l, block);
		log_write_block(w, log_take(w), block);
	}
}

/* ---- blocks ---- */

/* As the transaction's handles have left it; from now on others may change the buffer. */
static void copy_block(struct journal *j, struct journal_block *jb, uint8_t *out)
{
	spin_lock(&j->lock);
	memcpy(out, jb->frozen ? jb->frozen : jb->buffer->data, j->log.place.block_bytes);
	jb->is_copied = true;
	spin_unlock(&j->lock);
}

/* A block that looks like one of the log's own must not be taken for one. */
static uint32_t escape(uint8_t *block)
{
	if (be32(*(be32_t *)block) != JBD2_MAGIC || planted(JOURNAL_ESCAPE))
		return 0;
	memset(block, 0, sizeof(be32_t));
	return JBD2_TAG_ESCAPED;
}

/* Writes one block and its tag. The place behind the tag. */
static uint8_t *write_block(struct writer *w, struct journal_block *jb, uint8_t *tag,
			    uint32_t flags)
{
	const struct jlog *l = &w->journal->log;
	uint8_t *slot = slot_take(w);
	struct jlog_tag t = { .block = jb->buffer->block };

	copy_block(w->journal, jb, slot);
	t.flags = flags | escape(slot);
	t.checksum = jlog_data_checksum(l, w->transaction->tid, slot);
	log_write_block(w, log_take(w), slot);
	jlog_tag_put(l, tag, &t);
	tag += l->tag_bytes;
	if (flags & JBD2_TAG_SAME_UUID)
		return tag;
	memcpy(tag, l->place.uuid, JBD2_UUID_BYTES);
	return tag + JBD2_UUID_BYTES;
}

static struct journal_block *block_next(const struct transaction *t, struct list *link)
{
	struct journal_block *jb;

	for (; link != &t->blocks; link = link->next) {
		jb = journal_block_of_member(link, t);
		if (!jb->member[t->tid & 1].is_forgotten)
			return jb;
	}
	return NULL;
}

/* A descriptor block, and as many blocks as it can describe. The next one that is left, or NULL. */
static struct journal_block *write_group(struct writer *w, struct journal_block *jb, uint32_t count)
{
	const struct transaction *t = w->transaction;
	uint8_t *block = scratch_begin(w, JBD2_DESCRIPTOR),
		*tag = block + sizeof(struct jbd2_header);
	uint32_t index = log_take(w);

	for (uint32_t n = 1; n <= count && !w->error; n++) {
		uint32_t flags = (n > 1 ? JBD2_TAG_SAME_UUID : 0) |
				 (n == count ? JBD2_TAG_LAST : 0);

		tag = write_block(w, jb, tag, flags);
		jb = block_next(t, jb->member[t->tid & 1].link.next);
	}
	jlog_seal(&w->journal->log, block);
	log_write_block(w, index, block);
	return jb;
}

static void write_blocks(struct writer *w)
{
	struct journal_block *jb = block_next(w->transaction, w->transaction->blocks.next);
	uint32_t left = w->transaction->block_count, count;

	for (; left && !w->error; left -= count) {
		count = MIN(left, jlog_tags_max(&w->journal->log));
		jb = write_group(w, jb, count);
	}
}

/* ---- the order of things ---- */

/* Everything that the commit block vouches for. */
static int barrier(struct journal *j)
{
	const struct jlog *l = &j->log;
	int error = 0;

	spin_lock(&j->lock);
	j->committing->flushing = true;
	spin_unlock(&j->lock);
	if (planted(JOURNAL_BARRIER))
		return 0;
	if (l->place.dev != l->place.buffers->dev)
		error = jlog_flush_home(l); /* ordered data */
	return error ? error : jlog_flush_log(l);
}

/* The commit point. */
static int write_commit_block(struct writer *w)
{
	struct journal *j = w->journal;
	const struct jlog *l = &j->log;
	uint64_t offset = 0;
	int error = jlog_offset(l, log_take(w), &offset);

	jlog_commit_put(l, j->scratch, w->transaction->tid, clock_wall_ns());
	return error ? error : blkdev_write(l->place.dev, offset, j->scratch, l->place.block_bytes,
					    l->no_barrier ? 0 : BLK_FUA);
}

/* The superblock says where replay begins before there is something to replay. */
static int begin_log(struct journal *j, journal_tid tid)
{
	int error = j->log_is_empty ? jlog_set_start(&j->log, j->head, tid) : 0;

	j->log_is_empty &= error != 0;
	return error;
}

static int transaction_write(struct journal *j, struct transaction *t)
{
	struct writer w = { .journal = j, .transaction = t, .at = j->head };

	blk_batch_init(&w.batch, j->log.place.dev);
	transaction_write_ordered(j, t);
	w.error = journal_error(j); /* it may have been ended by whoever could not write */
	if (!w.error)
		w.error = begin_log(j, t->tid);
	if (!w.error)
		write_revokes(&w);
	if (!w.error)
		write_blocks(&w);
	wait_for_writes(&w);
	if (!w.error)
		w.error = barrier(j);
	if (!w.error)
		w.error = write_commit_block(&w);
	t->start = j->head;
	t->log_blocks = w.used;
	j->head = w.at;
	return w.error;
}

/* ---- before and after ---- */

static struct transaction *close_running(struct journal *j)
{
	struct transaction *t;

	spin_lock(&j->lock);
	t = j->running;
	t->locked = true;
	while (t->handles)
		journal_sleep(j, &j->work, DEADLINE_NEVER);
	transaction_place_delayed(j, t);
	j->running = NULL;
	j->committing = t;
	j->committing_need = journal_need(j, t->reserved);
	spin_unlock(&j->lock);
	waitq_wake_all(&j->changed);
	return t;
}

/*
 * [j] The block leaves the committing transaction: to be brought home, unless it was freed or
 * nothing is any more.
 */
static void retire_block(struct transaction *t, struct journal_block *jb, bool to_home)
{
	struct member *m = &jb->member[t->tid & 1];

	list_remove(&m->link);
	m->in = NULL;
	kfree(jb->frozen);
	jb->frozen = NULL;
	jb->is_copied = false;
	if (jb->home)
		list_remove(&jb->home_link); /* this copy is newer */
	jb->home = to_home && !m->is_forgotten ? t : NULL;
	if (jb->home)
		list_push_back(&t->home, &jb->home_link);
	journal_block_release(jb);
}

static void retire_blocks(struct journal *j, struct transaction *t, bool to_home)
{
	while (!list_is_empty(&t->blocks)) {
		spin_lock(&j->lock);
		retire_block(t, journal_block_of_member(t->blocks.next, t), to_home);
		spin_unlock(&j->lock);
	}
}

static void finish(struct journal *j, struct transaction *t, int error)
{
	if (error)
		transaction_drop_ordered(j, t);
	retire_blocks(j, t, !error);
	revokes_destroy(&t->revokes);
	transaction_call_back(t, error);
	spin_lock(&j->lock);
	j->committing = NULL;
	j->committing_need = 0;
	if (!error) {
		j->committed = t->tid;
		j->room -= t->log_blocks;
		j->stats.commits++;
		j->stats.blocks += t->block_count;
		list_push_back(&j->checkpoints, &t->link);
	}
	spin_unlock(&j->lock);
	waitq_wake_all(&j->changed);
	if (error)
		kfree(t);
}

void journal_commit_running(struct journal *j)
{
	struct transaction *t = close_running(j);
	uint64_t began = clock_ns();
	int error = journal_error(j);

	if (!error) {
		error = transaction_write(j, t);
		if (error)
			log_error("journal: transaction %u could not be written, error %d", t->tid,
				  error);
	}
	if (error)
		journal_abort(j, error);
	finish(j, t, error);
	j->stats.commit_ns += clock_ns() - began;
}
