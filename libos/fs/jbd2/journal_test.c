/*
 * The journal at work: handles, room, ordered data, many threads, and errors that reach who waits.
 */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>

#include "lab.h"

TEST(journal_brings_changes_home_when_it_is_closed)
{
	struct lab l;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(lab_fill_one(&l, 5, 0x11), 0);
	CHECK_EQ(lab_fill_one(&l, 6, 0x22), 0);
	CHECK(lab_is_filled(&l, 5, 0));
	CHECK_EQ(lab_close(&l), 0);
	CHECK(lab_is_filled(&l, 5, 0x11) && lab_is_filled(&l, 6, 0x22));
	lab_attach(&l, l.disk, &l);
	CHECK_EQ(be32(((struct jbd2_super *)lab_home(&l, l.home_blocks))->start), 0);
	CHECK_EQ(lab_open(&l), 0);
	CHECK_EQ(lab_close(&l), 0);
}

/* ---- room ---- */

TEST(journal_has_room_for_ever)
{
	struct lab l;
	struct journal_stats s;

	CHECK(lab_set_up(&l, LAB_BOTH));
	for (unsigned i = 0; i < 3000; i++)
		CHECK_EQ(lab_fill_one(&l, (i * 7) % 300, (uint8_t)i), 0);
	journal_stats(l.journal, &s);
	CHECK(s.checkpoints > 1 && s.commits > 10 && s.handles == 3000);
	CHECK_EQ(lab_close(&l), 0);
	for (unsigned i = 2700; i < 3000; i++)
		CHECK(lab_is_filled(&l, (i * 7) % 300, (uint8_t)i));
}

TEST(journal_refuses_more_than_the_log_can_hold)
{
	struct lab l;
	struct journal_handle *h;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(journal_start(l.journal, LAB_LOG_BLOCKS, &h), -ENOSPC);
	CHECK_EQ(journal_start(l.journal, LAB_LOG_BLOCKS / 4 - 1, &h), 0);
	CHECK(!journal_extend(h, LAB_LOG_BLOCKS));
	CHECK_EQ(journal_stop(h), 0);
	CHECK_EQ(lab_close(&l), 0);
}

TEST(journal_handle_goes_on_in_the_next_transaction)
{
	struct lab l;
	struct journal_handle *h;
	journal_tid before;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(journal_start(l.journal, 20, &h), 0);
	before = journal_handle_tid(h);
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(lab_fill(&l, h, i, 1), 0);
	CHECK_EQ(journal_credits(h), 0);
	CHECK(!journal_extend(h, 20));
	CHECK_EQ(journal_restart(h, 20), 0);
	CHECK(journal_handle_tid(h) == before + 1);
	CHECK_EQ(lab_fill(&l, h, 0, 2), 0);
	CHECK_EQ(journal_stop(h), 0);
	CHECK_EQ(lab_close(&l), 0);
	CHECK(lab_is_filled(&l, 0, 2) && lab_is_filled(&l, 19, 1));
}

TEST(journal_checkpoint_empties_the_log)
{
	struct lab l;
	struct journal_replay found;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(lab_fill_one(&l, 40, 0x40), 0);
	CHECK_EQ(journal_checkpoint(l.journal), 0);
	CHECK(lab_is_filled(&l, 40, 0x40));
	CHECK_EQ(journal_replay(&l.place, &found), 0);
	CHECK_EQ(found.transactions, 0);
	CHECK_EQ(lab_fill_one(&l, 41, 0x41), 0);
	CHECK_EQ(lab_close(&l), 0);
	CHECK(lab_is_filled(&l, 41, 0x41));
}

/* ---- damaged disks ---- */

TEST(journal_takes_no_change_of_a_block_that_another_owner_has_freed)
{
	struct lab l;
	struct journal_handle *h;
	struct buffer *b;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(buffer_read(&l.buffers, 8, &b), 0);
	CHECK_EQ(journal_start(l.journal, 2, &h), 0);
	CHECK_EQ(journal_forget(h, 8, NULL), 0);
	CHECK_EQ(journal_write(h, b), -EIO);
	buffer_put(b);
	CHECK_EQ(journal_stop(h), 0);
	CHECK_EQ(lab_close(&l), 0);
}

/* ---- ordered data, callbacks ---- */

struct order {
	struct journal_ordered ordered;
	struct journal_callback callback;
	unsigned written, called;
	int error;
};

static int order_write(struct journal_ordered *o)
{
	struct order *r = container_of(o, struct order, ordered);

	r->written++;
	return r->called ? -EIO : 0;
}

static void order_called(struct journal_callback *c, int error)
{
	struct order *r = container_of(c, struct order, callback);

	r->called++;
	r->error = error;
}

TEST(journal_writes_ordered_data_before_it_commits_and_calls_back_after)
{
	struct lab l;
	struct journal_handle *h;
	struct order r[2] = { 0 };

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(journal_start(l.journal, 1, &h), 0);
	for (unsigned i = 0; i < 2; i++) {
		journal_ordered_init(&r[i].ordered, order_write);
		journal_add_ordered(h, &r[i].ordered);
		journal_add_ordered(h, &r[i].ordered);
		r[i].callback.committed = order_called;
	}
	journal_on_commit(h, &r[0].callback);
	CHECK_EQ(lab_fill(&l, h, 1, 1), 0);
	CHECK_EQ(journal_stop(h), 0);
	journal_drop_ordered(l.journal, &r[1].ordered);
	CHECK(!r[0].written);
	CHECK_EQ(journal_commit(l.journal), 0);
	CHECK(r[0].written == 1 && r[0].called == 1 && !r[0].error && !r[1].written);
	CHECK_EQ(lab_close(&l), 0);
}

/* ---- many threads ---- */

#define WRITERS 4u
#define ROUNDS  300u

struct writer {
	struct lab *lab;
	struct thread *thread;
	uint64_t state;
	unsigned number;
	int error;
};

static unsigned writer_random(struct writer *w, unsigned limit)
{
	w->state = w->state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(w->state >> 33) % limit;
}

/* Each writer has blocks of its own, whose bytes are all its round; and all count in block 0. */
static int write_round(struct writer *w, unsigned round)
{
	struct lab *l = w->lab;
	struct journal_handle *h;
	struct buffer *b;
	int error = journal_start(l->journal, 6, &h);

	if (error)
		return error;
	for (unsigned i = 0; i < 4 && !error; i++)
		error = lab_fill(l, h, 1 + w->number * 4 + i, (uint8_t)round);
	if (!error)
		error = buffer_read(&l->buffers, 0, &b);
	if (error)
		return error;
	error = journal_write(h, b);
	__atomic_fetch_add((uint32_t *)b->data, 1, __ATOMIC_RELAXED);
	buffer_put(b);
	if (writer_random(w, 4) == 0)
		thread_yield();
	journal_stop(h);
	if (!error && writer_random(w, 20) == 0)
		error = journal_commit(l->journal);
	return error;
}

static void writer_run(void *arg)
{
	struct writer *w = arg;

	for (unsigned r = 1; r <= ROUNDS && !w->error; r++)
		w->error = write_round(w, r);
}

static bool start_writers(struct lab *l, struct writer *w)
{
	static const struct thread_attr attr = {
		.name = "writer", .priority = THREAD_PRIORITY_APP, .hart = -1
	};

	for (unsigned i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){ .lab = l, .number = i, .state = test_random() };
		if (thread_create(&attr, writer_run, &w[i], 0, &w[i].thread) != 0)
			return false;
		thread_start(w[i].thread);
	}
	return true;
}

TEST(journal_takes_changes_of_many_threads)
{
	struct lab l;
	struct writer w[WRITERS];
	uint32_t count;

	CHECK(lab_set_up(&l, LAB_BOTH));
	l.disk->shuffle = 1;
	CHECK(start_writers(&l, w));
	for (unsigned i = 0; i < WRITERS; i++) {
		thread_join(w[i].thread);
		CHECK_EQ(w[i].error, 0);
	}
	CHECK_EQ(lab_close(&l), 0);
	memcpy(&count, lab_home(&l, 0), sizeof(count));
	CHECK_EQ(count, WRITERS * ROUNDS);
	for (unsigned i = 1; i <= WRITERS * 4; i++)
		CHECK(lab_is_filled(&l, i, (uint8_t)ROUNDS));
}

/* ---- errors ---- */

static int sealed_answer;

static void remember_abort(void *arg, int error)
{
	*(int *)arg = error;
}

static void start_one(void *arg)
{
	struct lab *l = arg;
	struct journal_handle *h;
	int error = journal_start(l->journal, 1, &h);

	if (!error)
		journal_stop(h);
	sealed_answer = error;
}

static int start_elsewhere(struct lab *l)
{
	static const struct thread_attr attr = {
		.name = "other", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t;

	if (thread_create(&attr, start_one, l, 0, &t) != 0)
		return -ENOMEM;
	thread_start(t);
	thread_join(t);
	return sealed_answer;
}

TEST(journal_that_is_sealed_takes_changes_of_one_thread)
{
	struct lab l;

	CHECK(lab_set_up(&l, LAB_BOTH));
	journal_seal(l.journal);
	CHECK_EQ(start_elsewhere(&l), -EROFS);
	CHECK_EQ(lab_fill_one(&l, 3, 3), 0);
	CHECK_EQ(journal_checkpoint(l.journal), 0);
	CHECK(lab_is_filled(&l, 3, 3));
	journal_unseal(l.journal);
	CHECK_EQ(start_elsewhere(&l), 0);
	CHECK_EQ(lab_close(&l), 0);
}

/*
 * Who goes on in the next transaction, and is told that there is none, still knows which one it was
 * in.
 */
TEST(journal_handles_know_their_transaction_when_they_cannot_go_on)
{
	struct journal_handle *h;
	journal_tid tid;
	struct lab l;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(journal_start(l.journal, 1, &h), 0);
	tid = journal_handle_tid(h);
	journal_abort(l.journal, -EIO);
	CHECK_EQ(journal_restart(h, 2), -EIO);
	CHECK_EQ(journal_handle_tid(h), tid);
	CHECK_EQ(journal_stop(h), -EIO);
	CHECK_EQ(lab_close(&l), -EIO);
}

/* Each write of a run fails in turn: whoever waits is told, and nothing hangs. */
TEST(journal_tells_write_errors_to_who_waits)
{
	bool went_well = false;

	for (unsigned n = 1; n < 200 && !went_well; n++) {
		struct lab l;
		int aborted = 0, error, closed;

		CHECK(lab_set_up(&l, LAB_BOTH));
		CHECK_EQ(lab_close(&l), 0);
		lab_make(&l, l.disk, LAB_BLOCK, LAB_LOG_BLOCKS, LAB_BOTH);
		l.options.aborted = remember_abort;
		l.options.arg = &aborted;
		CHECK_EQ(lab_open(&l), 0);
		l.disk->faults = (struct rec_faults){ .write = n, .for_ever = n & 1 };
		error = lab_fill_one(&l, 3, 3);
		for (unsigned i = 0; i < 40 && !error; i++) {
			error = lab_fill_one(&l, i, (uint8_t)i);
			if (!error && i % 4 == 0)
				error = journal_commit(l.journal);
		}
		if (!error)
			error = journal_checkpoint(l.journal);
		/* who waits may hear of the error before aborted() has been called */
		closed = lab_close(&l);
		CHECK_EQ(error, aborted);
		CHECK_EQ(closed, aborted);
		went_well = l.disk->writes < n;
		CHECK(went_well == !aborted);
	}
	CHECK(went_well);
}

TEST(journal_flush_errors_are_errors_too)
{
	struct lab l;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(lab_fill_one(&l, 3, 3), 0);
	l.disk->faults.flush = l.disk->flushes + 1;
	CHECK_EQ(journal_commit(l.journal), -EIO);
	CHECK_EQ(journal_error(l.journal), -EIO);
	CHECK_EQ(lab_fill_one(&l, 3, 3), -EIO);
	CHECK_EQ(lab_close(&l), -EIO);
}
