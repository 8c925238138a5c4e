/*
 * The journal's thread: commits when somebody waits or a transaction gets old, and brings blocks
 * home when the log fills. It alone writes to the log, so commits and checkpoints never overlap.
 */
#include <core/errno.h>
#include <core/log.h>
#include <core/time.h>

#include "parts.h"

/* Of the log's blocks: below the first, home-bringing begins, and it goes on to the second. */
#define ROOM_LOW(j)  (jlog_size(&(j)->log) / 2)
#define ROOM_GOAL(j) (jlog_size(&(j)->log) / 4 * 3)

/* [j] */
static bool commit_is_due(const struct journal *j)
{
	const struct transaction *t = j->running;

	if (!t)
		return false;
	if (j->error)
		return !t->handles;
	return j->stopping || journal_tid_reached(j->commit_wanted, t->tid) ||
	       clock_ns() >= t->deadline_ns;
}

static void commit_and_make_room(struct journal *j)
{
	journal_commit_running(j);
	if (!journal_error(j) && j->room < ROOM_LOW(j))
		journal_bring_home(j, ROOM_GOAL(j));
}

static bool has_running(struct journal *j)
{
	return __atomic_load_n(&j->running, __ATOMIC_ACQUIRE);
}

/* What a running transaction keeps from going home its commit takes over. */
static void make_room(struct journal *j)
{
	while (!journal_bring_home(j, ROOM_GOAL(j)) && j->room < ROOM_LOW(j) && has_running(j))
		journal_commit_running(j);
	spin_lock(&j->lock);
	j->room_wanted = false;
	spin_unlock(&j->lock);
	waitq_wake_all(&j->changed);
}

static bool has_before(const struct journal *j, journal_tid last)
{
	return !list_is_empty(&j->checkpoints) &&
	       journal_tid_reached(last,
				   list_first(&j->checkpoints, struct transaction, link)->tid);
}

/* Everything that is committed now. */
static void bring_all_home(struct journal *j)
{
	journal_tid last = j->committed;

	while (!journal_bring_home(j, UINT32_MAX) && has_before(j, last) && has_running(j))
		journal_commit_running(j);
	if (!journal_error(j) && list_is_empty(&j->checkpoints))
		journal_mark_empty(j);
}

static void checkpoint_for_callers(struct journal *j)
{
	uint32_t asked = j->checkpoints_asked;

	bring_all_home(j);
	spin_lock(&j->lock);
	j->checkpoints_done = asked;
	spin_unlock(&j->lock);
	waitq_wake_all(&j->changed);
}

/* The next mount shall know; if the log cannot be written, it will see for itself. */
static void record_error(struct journal *j)
{
	j->error_is_recorded = true;
	jlog_set_error(&j->log, journal_error(j));
}

/* [j] What is to be done next, without the lock; NULL: nothing. */
static void (*next_work(const struct journal *j))(struct journal *)
{
	if (j->error && !j->error_is_recorded)
		return record_error;
	if (commit_is_due(j))
		return commit_and_make_room;
	if (j->error)
		return NULL;
	if (j->room_wanted)
		return make_room;
	return j->checkpoints_asked != j->checkpoints_done ? checkpoint_for_callers : NULL;
}

static void run(void *arg)
{
	struct journal *j = arg;

	spin_lock(&j->lock);
	while (j->running || !j->stopping) {
		void (*work)(struct journal *) = next_work(j);

		if (work) {
			spin_unlock(&j->lock);
			work(j);
			spin_lock(&j->lock);
		} else {
			journal_sleep(j, &j->work,
				      j->running && !j->error ? j->running->deadline_ns
							      : DEADLINE_NEVER);
		}
	}
	spin_unlock(&j->lock);
	if (!journal_error(j))
		bring_all_home(j);
	if (journal_error(j) && !j->error_is_recorded)
		record_error(j);
}

int journal_thread_start(struct journal *j)
{
	static const struct thread_attr attr = { .name = "journal",
						 .priority = THREAD_PRIORITY_KERNEL,
						 .hart = -1 };
	int error = thread_create(&attr, run, j, 0, &j->thread);

	if (!error)
		thread_start(j->thread);
	return error;
}

/* ---- waiting for it ---- */

bool journal_tid_reached(journal_tid now, journal_tid wanted)
{
	return (int32_t)(now - wanted) >= 0;
}

/* [j] Is a transaction with this number, or an older one, under way? */
static bool is_under_way(const struct journal *j, journal_tid tid)
{
	return (j->running && journal_tid_reached(tid, j->running->tid)) ||
	       (j->committing && journal_tid_reached(tid, j->committing->tid));
}

/* [j] A commit of it starts as soon as the thread is free. */
static void want_commit(struct journal *j, journal_tid tid)
{
	if (!j->running || !journal_tid_reached(tid, j->running->tid) ||
	    journal_tid_reached(j->commit_wanted, j->running->tid))
		return;
	j->commit_wanted = j->running->tid;
	waitq_wake_all(&j->work);
}

int journal_wait(struct journal *j, journal_tid tid)
{
	int error = 0;

	spin_lock(&j->lock);
	while (!journal_tid_reached(j->committed, tid) && !j->error && is_under_way(j, tid)) {
		want_commit(j, tid);
		journal_sleep(j, &j->changed, DEADLINE_NEVER);
	}
	if (!journal_tid_reached(j->committed, tid))
		error = j->error;
	spin_unlock(&j->lock);
	return error;
}

bool journal_will_flush(struct journal *j, journal_tid tid)
{
	bool will;

	spin_lock(&j->lock);
	will = is_under_way(j, tid);
	if (j->committing && journal_tid_reached(j->committing->tid, tid))
		will &= !j->committing->flushing;
	spin_unlock(&j->lock);
	return will;
}

/* [j] The newest transaction there is. */
static journal_tid newest(const struct journal *j)
{
	return j->next - 1;
}

journal_tid journal_newest(struct journal *j)
{
	journal_tid tid;

	spin_lock(&j->lock);
	tid = newest(j);
	spin_unlock(&j->lock);
	return tid;
}

void journal_commit_soon(struct journal *j)
{
	spin_lock(&j->lock);
	want_commit(j, newest(j));
	spin_unlock(&j->lock);
}

int journal_commit(struct journal *j)
{
	return journal_wait(j, journal_newest(j));
}

int journal_checkpoint(struct journal *j)
{
	int error = journal_commit(j);
	uint32_t mine;

	if (error || !j->thread)
		return error;
	spin_lock(&j->lock);
	mine = ++j->checkpoints_asked;
	waitq_wake_all(&j->work);
	while (!j->error && (int32_t)(j->checkpoints_done - mine) < 0)
		journal_sleep(j, &j->changed, DEADLINE_NEVER);
	error = j->error;
	spin_unlock(&j->lock);
	return error;
}
