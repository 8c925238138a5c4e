/*
 * The journal's life: opened with whatever it still holds replayed, aborted when it cannot be
 * trusted any more, closed empty.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>

#include "parts.h"
#include "recovery.h"

#define COMMIT_INTERVAL_MS 5000u

static void say_replayed(const struct journal_replay *r)
{
	log_info("journal: replayed transactions %u to %u, %u blocks", r->first, r->last,
		 r->blocks);
}

int journal_replay(const struct journal_place *p, struct journal_replay *out)
{
	struct jlog log;
	journal_tid next;
	int error = jlog_open(&log, p);

	if (error)
		return error;
	*out = (struct journal_replay){ 0 };
	if (!jlog_is_empty(&log))
		error = jlog_recover(&log, out, &next);
	jlog_close(&log);
	return error;
}

/* ---- opening ---- */

/* What the log holds is brought home; the next transaction's number is known then. */
static int replay_first(struct journal *j)
{
	struct journal_replay replayed;
	int error;

	j->next = be32(j->log.super->tid);
	if (jlog_is_empty(&j->log))
		return 0;
	if (j->options.read_only)
		return -EROFS;
	error = jlog_recover(&j->log, &replayed, &j->next);
	if (!error)
		say_replayed(&replayed);
	return error;
}

static void begin(struct journal *j)
{
	uint32_t features = JBD2_HAS_REVOKE | (j->options.wide ? JBD2_64BIT : 0) |
			    (j->options.checksums ? JBD2_CSUM_V3 : 0);

	if (!j->options.read_only)
		jlog_set_features(&j->log, features);
	if (!j->options.commit_interval_ms)
		j->options.commit_interval_ms = COMMIT_INTERVAL_MS;
	spin_init(&j->lock);
	waitq_init(&j->changed);
	waitq_init(&j->work);
	list_init(&j->checkpoints);
	j->committed = j->commit_wanted = j->next - 1;
	j->head = j->log.first;
	j->room = jlog_size(&j->log);
	j->credits_max = j->room / 4;
	j->log_is_empty = true;
}

static size_t slots_bytes(const struct journal *j)
{
	return (size_t)JOURNAL_SLOTS * j->log.place.block_bytes;
}

static int begin_writing(struct journal *j)
{
	if (j->options.read_only)
		return 0;
	j->slots = page_alloc_exact(slots_bytes(j), PAGE_KERNEL);
	j->scratch = page_alloc(0, PAGE_KERNEL);
	if (!j->slots || !j->scratch)
		return -ENOMEM;
	return journal_thread_start(j);
}

static void journal_free(struct journal *j)
{
	if (j->slots)
		page_free_exact(j->slots, slots_bytes(j));
	if (j->scratch)
		page_free(j->scratch, 0);
	jlog_close(&j->log);
	kfree(j);
}

int journal_open(const struct journal_place *p, const struct journal_options *o,
		 struct journal **out)
{
	struct journal *j = kzalloc(sizeof(*j));
	int error;

	if (!j)
		return -ENOMEM;
	j->options = *o;
	error = jlog_open(&j->log, p);
	if (error) {
		kfree(j);
		return error;
	}
	j->log.no_barrier = o->no_barrier;
	error = replay_first(j);
	if (!error) {
		begin(j);
		error = begin_writing(j);
	}
	if (error)
		journal_free(j);
	else
		*out = j;
	return error;
}

int journal_past_error(const struct journal *j)
{
	return (int)be32(j->log.super->error);
}

void journal_forget_past_error(struct journal *j)
{
	j->forgets_past_error = true;
}

/* ---- its end ---- */

static void set_sealed_by(struct journal *j, const struct thread *t)
{
	spin_lock(&j->lock);
	j->sealed_by = t;
	spin_unlock(&j->lock);
	waitq_wake_all(&j->changed); /* who waits for room need not any more */
}

void journal_seal(struct journal *j)
{
	set_sealed_by(j, thread_current());
}

void journal_unseal(struct journal *j)
{
	set_sealed_by(j, NULL);
}

void journal_abort(struct journal *j, int error)
{
	bool is_first;

	spin_lock(&j->lock);
	is_first = !j->error;
	if (is_first)
		j->error = error;
	spin_unlock(&j->lock);
	waitq_wake_all(&j->changed);
	waitq_wake_all(&j->work);
	if (is_first && j->options.aborted)
		j->options.aborted(j->options.arg, error);
}

int journal_error(const struct journal *j)
{
	return __atomic_load_n(&j->error, __ATOMIC_RELAXED);
}

/* After an abort: what was to be brought home never is. */
static void drop_blocks(struct transaction *t)
{
	struct list *link;

	while ((link = list_pop_front(&t->home))) {
		struct journal_block *jb = list_entry(link, struct journal_block, home_link);

		jb->home = NULL;
		journal_block_release(jb);
	}
}

int journal_close(struct journal *j)
{
	struct list *link;
	int error;

	if (j->thread) {
		spin_lock(&j->lock);
		j->stopping = true;
		spin_unlock(&j->lock);
		waitq_wake_all(&j->work);
		thread_join(j->thread);
	}
	error = j->error;
	assert(!j->running);
	while ((link = list_pop_front(&j->checkpoints))) {
		struct transaction *t = list_entry(link, struct transaction, link);

		drop_blocks(t);
		kfree(t);
	}
	journal_free(j);
	return error;
}

void journal_stats(const struct journal *j, struct journal_stats *out)
{
	*out = j->stats;
}
