/*
 * A run queue: a list per level, a bit per non-empty list.
 *
 * Aging. Strict priorities starve. Each pick that leaves less urgent threads waiting is counted,
 * and every AGING_PICKS such picks the longest-waiting thread of each level moves to half its
 * level. So a thread of the least urgency reaches level 0 after five rounds and then waits its turn
 * among equals: nobody waits for more than 5 * AGING_PICKS picks plus the length of the level-0
 * queue. Counting picks needs neither a clock nor a tick. The raised level lasts until the thread
 * has run once.
 *
 * The executor's thread is special: while it is parked, waiting tasks make it ready without anybody
 * queueing it, so a thread that runs the tasks itself (executor_run_pending) costs no switch.
 */
#include <core/assert.h>
#include "runqueue.h"

#define AGING_PICKS 64

struct runqueue runqueues[HARTS_MAX];

static void slice_end(struct ktimer *timer)
{
	struct runqueue *rq = container_of(timer, struct runqueue, slice);

	rq->slice_armed = false;
	rq->slice_over = true;
	thread_current()->resched = true;
}

void runqueue_init(struct runqueue *rq, struct thread *idle)
{
	spin_init(&rq->lock);
	for (unsigned i = 0; i < THREAD_PRIORITIES; i++)
		list_init(&rq->level[i]);
	ktimer_init(&rq->slice, slice_end);
	rq->idle = rq->current = idle;
	rq->hart = (uint8_t)(rq - runqueues);
}

static inline void note_added(struct runqueue *rq, struct thread *t)
{
	assert(spin_is_held(&rq->lock) && !t->queued);
	t->queued = true;
	t->state = THREAD_READY;
	rq->levels |= 1u << t->level;
	store_relaxed(&rq->ready, rq->ready + 1);
}

void runqueue_add(struct runqueue *rq, struct thread *t)
{
	note_added(rq, t);
	list_push_back(&rq->level[t->level], &t->run_link);
}

void runqueue_add_first(struct runqueue *rq, struct thread *t)
{
	note_added(rq, t);
	list_push_front(&rq->level[t->level], &t->run_link);
}

void runqueue_remove(struct runqueue *rq, struct thread *t)
{
	assert(t->queued);
	list_remove(&t->run_link);
	t->queued = false;
	if (list_is_empty(&rq->level[t->level]))
		rq->levels &= ~(1u << t->level);
	store_relaxed(&rq->ready, rq->ready - 1);
}

/* Ascending, so that nobody is moved twice. */
static void age(struct runqueue *rq)
{
	uint32_t waiting = rq->levels & ~1u;

	while (waiting) {
		unsigned level = bit_lowest(waiting);
		struct thread *t = list_first(&rq->level[level], struct thread, run_link);

		waiting &= waiting - 1;
		runqueue_remove(rq, t);
		t->level = (uint8_t)(level / 2);
		runqueue_add(rq, t);
	}
}

static bool worker_is_ready(const struct runqueue *rq)
{
	return rq->worker_parked && runqueue_has_tasks(rq);
}

static unsigned top_level(const struct runqueue *rq)
{
	return rq->levels ? bit_lowest(rq->levels) : THREAD_PRIORITIES;
}

bool runqueue_has_urgent(const struct runqueue *rq, unsigned level)
{
	return top_level(rq) <= level ||
	       (THREAD_PRIORITY_KERNEL <= level && worker_is_ready(rq));
}

bool runqueue_looks_ready(const struct runqueue *rq)
{
	return __atomic_load_n(&rq->ready, __ATOMIC_RELAXED) || worker_is_ready(rq);
}

static struct thread *take_worker(struct runqueue *rq)
{
	rq->worker_parked = false;
	return rq->worker;
}

struct thread *runqueue_pick(struct runqueue *rq)
{
	unsigned level = top_level(rq);
	struct thread *t;

	assert(spin_is_held(&rq->lock));
	if (level >= THREAD_PRIORITY_KERNEL && worker_is_ready(rq))
		return take_worker(rq);
	if (level == THREAD_PRIORITIES)
		return rq->idle;
	t = list_first(&rq->level[level], struct thread, run_link);
	runqueue_remove(rq, t);
	if (rq->levels >> level >> 1 && ++rq->passed_over >= AGING_PICKS) {
		rq->passed_over = 0;
		age(rq);
	}
	return t;
}

/*
 * A hart that sleeps with one thread queued has been called to run it: leave it to that hart.
 */
struct thread *runqueue_take_stealable(struct runqueue *rq)
{
	uint32_t levels = rq->levels;

	assert(spin_is_held(&rq->lock));
	if (runqueue_is_idle(rq) && rq->ready < 2)
		return NULL;
	while (levels) {
		unsigned level = bit_lowest(levels);
		struct thread *t;

		levels &= levels - 1;
		list_for_each(t, &rq->level[level], run_link) {
			if (t->pinned < 0) {
				runqueue_remove(rq, t);
				return t;
			}
		}
	}
	return NULL;
}
