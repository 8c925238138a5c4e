/*
 * Checkpoints: committed blocks go to their places, and their part of the log becomes free.
 *
 * A block belongs to the newest committed transaction that has it. It goes home only while no
 * running transaction has it, since its buffer then holds what is committed and nothing else;
 * otherwise that one's commit takes it over. It is copied first, so that a change which comes now
 * does not get on the disk half-way.
 *
 * The log's superblock moves on only when the blocks are durable in their places, and the room is
 * used again only when the superblock is durable: at each moment a replay from where it says is
 * whole.
 *
 * All in the journal's thread, so that no commit takes place meanwhile.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>

#include "parts.h"

/* [j] The block is free to go home: its copy. */
static bool copy_if_free(struct journal *j, struct journal_block *jb, uint8_t *out)
{
	if (jb->member[0].in || jb->member[1].in)
		return false;
	memcpy(out, jb->buffer->data, j->log.place.block_bytes);
	return true;
}

/* Starts writing as many as there are slots; those that cannot go yet are kept apart. */
static void write_some(struct journal *j, struct blk_batch *batch, struct list *from,
		       struct list *written, struct list *kept)
{
	uint32_t bytes = j->log.place.block_bytes;
	struct list *link;

	for (uint32_t n = 0; n < JOURNAL_SLOTS && (link = list_pop_front(from));) {
		struct journal_block *jb = list_entry(link, struct journal_block, home_link);
		uint8_t *slot = j->slots + (size_t)n * bytes;
		bool is_free;

		spin_lock(&j->lock);
		is_free = copy_if_free(j, jb, slot);
		spin_unlock(&j->lock);
		list_push_back(is_free ? written : kept, link);
		if (is_free) {
			blk_batch_add(batch, BLK_WRITE, jb->buffer->block * bytes, slot, bytes,
				      BLK_BACKGROUND);
			n++;
		}
	}
}

static void release_written(struct journal *j, struct list *written)
{
	struct list *link;

	while ((link = list_pop_front(written))) {
		struct journal_block *jb = list_entry(link, struct journal_block, home_link);

		spin_lock(&j->lock);
		jb->home = NULL;
		journal_block_release(jb);
		spin_unlock(&j->lock);
	}
}

/* All blocks of one transaction that can go. */
static int bring_transaction(struct journal *j, struct transaction *t)
{
	struct list written = LIST_INIT(written), kept = LIST_INIT(kept);
	struct blk_batch batch;
	int error = 0;

	blk_batch_init(&batch, j->log.place.buffers->dev);
	while (!error && !list_is_empty(&t->home)) {
		write_some(j, &batch, &t->home, &written, &kept);
		error = blk_batch_wait(&batch);
		if (!error)
			release_written(j, &written);
	}
	list_splice_back(&t->home, &written);
	list_splice_back(&t->home, &kept);
	return error;
}

/* The transactions up to `last` are home: the log begins behind them. */
static int move_tail(struct journal *j, struct list *home_list)
{
	struct transaction *t;
	bool none_left = list_is_empty(&j->checkpoints);
	struct transaction *first =
		none_left ? NULL : list_first(&j->checkpoints, struct transaction, link);
	int error = planted(JOURNAL_TAIL_BARRIER) ? 0 : jlog_flush_home(&j->log);

	if (!error)
		error = jlog_set_start(&j->log, first ? first->start : j->head,
				       first ? first->tid : j->committed + 1);
	if (error)
		return error;
	spin_lock(&j->lock);
	j->stats.checkpoints++;
	while (!list_is_empty(home_list)) {
		t = list_entry(list_pop_front(home_list), struct transaction, link);
		j->room += t->log_blocks;
		kfree(t);
	}
	spin_unlock(&j->lock);
	waitq_wake_all(&j->changed);
	return 0;
}

static int bring_oldest(struct journal *j, uint32_t room_goal, struct list *done)
{
	uint32_t room = j->room;
	int error = 0;

	while (!error && room < room_goal && !list_is_empty(&j->checkpoints)) {
		struct transaction *t = list_first(&j->checkpoints, struct transaction, link);

		error = bring_transaction(j, t);
		if (error || !list_is_empty(&t->home))
			break;
		list_remove(&t->link);
		list_push_back(done, &t->link);
		room += t->log_blocks;
	}
	return error;
}

static void put_back(struct journal *j, struct list *done)
{
	list_splice_back(done, &j->checkpoints);
	list_splice_back(&j->checkpoints, done);
}

int journal_bring_home(struct journal *j, uint32_t room_goal)
{
	struct list done = LIST_INIT(done);
	int error = bring_oldest(j, room_goal, &done);

	if (!error && !list_is_empty(&done))
		error = move_tail(j, &done);
	put_back(j, &done);
	if (error) {
		log_error("journal: blocks cannot be brought to their places, error %d", error);
		journal_abort(j, error);
	}
	return error;
}

int journal_mark_empty(struct journal *j)
{
	int error = 0;

	assert(list_is_empty(&j->checkpoints));
	if (j->forgets_past_error)
		j->log.super->error = to_be32(0);
	if (!j->log_is_empty)
		error = jlog_set_start(&j->log, 0, j->committed + 1);
	if (error)
		journal_abort(j, error);
	else
		j->log_is_empty = true;
	return error;
}
