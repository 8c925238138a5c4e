/*
 * Idle threads: what a hart does when nothing is ready, and how harts start.
 *
 * An idle hart looks at its own queue, then steals from the others, then sleeps in arch_idle() until an
 * interrupt. It never ticks. Before it sleeps it sets its bit in `sleeping` and looks once more; who makes a
 * thread ready first queues it, then looks for the bit. One of the two sees the other. Whoever takes a bit
 * away (idle_claim) owes that hart an interrupt, so a hart gets one and not one per waker.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/log.h>
#include <core/sched.h>
#include "runqueue.h"

COUNTER(sched_steals, "threads taken from another hart");
COUNTER(sched_sleeps, "times an idle hart went to sleep");

_Static_assert(HARTS_MAX <= 64, "one bit per hart");

static uint64_t sleeping;         /* atomic: bit per hart */
static hart_t started_harts = 1;  /* atomic: firmware has started those below it; some may still be on the way */

hart_t hart_count(void)
{
	return HARTS_MAX > 1 ? __atomic_load_n(&started_harts, __ATOMIC_ACQUIRE) : 1;
}

bool idle_claim(hart_t hart)
{
	uint64_t bit = 1ull << hart;

	if (!(__atomic_load_n(&sleeping, __ATOMIC_RELAXED) & bit))
		return false;
	return __atomic_fetch_and(&sleeping, ~bit, __ATOMIC_SEQ_CST) & bit;
}

bool idle_find(hart_t *hart)
{
	uint64_t candidates;

	while ((candidates = __atomic_load_n(&sleeping, __ATOMIC_RELAXED))) {
		hart_t h = (hart_t)__builtin_ctzll(candidates);

		if (idle_claim(h)) {
			*hart = h;
			return true;
		}
	}
	return false;
}

/* Takes a thread from the queue of another hart, if that hart does not need it for itself. */
static struct thread *steal_from(struct runqueue *victim, hart_t thief)
{
	struct thread *t;

	if (!__atomic_load_n(&victim->ready, __ATOMIC_RELAXED))
		return NULL;
	spin_acquire(&victim->lock);
	t = runqueue_take_stealable(victim);
	if (t)
		t->arch.hart = thief; /* still READY, on no queue: ours alone */
	spin_release(&victim->lock);
	return t;
}

static bool steal(hart_t thief)
{
	hart_t harts = hart_count();

	for (hart_t i = 1; i < harts; i++) {
		hart_t victim = (thief + i) % harts;
		struct thread *t = steal_from(&runqueues[victim], thief);

		if (t) {
			counter_inc(sched_steals);
			sched_enqueue(t);
			return true;
		}
	}
	return false;
}

static bool anything_to_steal(hart_t thief)
{
	for (hart_t h = 0; h < hart_count(); h++) {
		const struct runqueue *rq = &runqueues[h];

		if (h != thief && __atomic_load_n(&rq->ready, __ATOMIC_RELAXED) &&
		    (__atomic_load_n(&rq->current, __ATOMIC_RELAXED) != rq->idle))
			return true;
	}
	return false;
}

static void sleep_with_others(struct runqueue *rq, hart_t hart)
{
	__atomic_fetch_or(&sleeping, 1ull << hart, __ATOMIC_SEQ_CST);
	if (!runqueue_looks_ready(rq) && !anything_to_steal(hart)) {
		counter_inc(sched_sleeps);
		arch_idle();
	}
	__atomic_fetch_and(&sleeping, ~(1ull << hart), __ATOMIC_SEQ_CST);
}

static void sleep_alone(const struct runqueue *rq)
{
	if (runqueue_looks_ready(rq))
		return;
	counter_inc(sched_sleeps);
	arch_idle();
}

/* Interrupts off throughout, but for the moment in which pending ones are taken. */
static NORETURN void idle_loop(void)
{
	hart_t hart = HARTS_MAX > 1 ? hart_id() : 0;
	struct runqueue *rq = &runqueues[hart];

	for (;;) {
		if (runqueue_looks_ready(rq) || (HARTS_MAX > 1 && steal(hart))) {
			spin_acquire(&rq->lock);
			sched_away(rq);
			sched_finish_switch();
		} else if (HARTS_MAX > 1) {
			sleep_with_others(rq, hart);
		} else {
			sleep_alone(rq);
		}
		arch_irq_enable();
		arch_irq_disable();
	}
}

void sched_hart_main(void)
{
	arch_irq_disable();
	assert(thread_current() == runqueue_here()->idle);
	idle_loop();
}

/* Where the idle thread of a started hart begins. */
void idle_main(void *thread)
{
	struct thread *t = thread;
	hart_t hart = hart_id();

	assert(t == thread_current() && t == runqueues[hart].idle);
	t->since_ticks = arch_ticks();
	idle_loop();
}

static bool start_hart(hart_t hart)
{
	struct thread *idle = thread_new_idle(hart);
	int err;

	if (!idle) {
		log_warn("sched: no memory to start hart %u", hart);
		return false;
	}
	runqueue_init(&runqueues[hart], idle);
	executor_start(&runqueues[hart], hart);
	err = arch_hart_start(hart, idle);
	if (err)
		log_warn("sched: hart %u did not start: error %d", hart, -err);
	else
		store_release(&started_harts, hart + 1);
	return err == 0;
}

/* In order, since harts are counted, not listed: the first that fails is the last that is tried. */
void sched_start_harts(void)
{
	hart_t harts = MIN(arch_hart_count(), (hart_t)HARTS_MAX);

	for (hart_t h = 1; h < harts && start_hart(h); h++)
		;
}
