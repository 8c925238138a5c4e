/*
 * Idle harts: what a hart does when nothing is ready, and how harts start.
 *
 * An idle hart looks at its own queue, then steals from the others, then sleeps in arch_idle()
 * until an interrupt. It never ticks. Before it sleeps it sets its bit in `sleeping` and looks once
 * more; who makes a thread ready first queues it, then looks for the bit. One of the two sees the
 * other. Whoever takes a bit away (idle_claim) owes that hart an interrupt, so a hart gets one and
 * not one per waker.
 *
 * Who idles? A thread that waits where nothing else is ready keeps the hart and sleeps in place, on
 * its own stack, without the two switches to the idle thread and back; as soon as another thread is
 * ready it makes room by an ordinary switch. The idle thread is left for a hart on which nobody
 * waits. A thread that rests may also look at a device by itself after the hart has slept
 * (thread_block_looking()), which saves the trap too.
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
/* atomic: firmware has started those below it; some may still be on the way */
static hart_t started_harts = 1;

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
		    !runqueue_is_idle(rq))
			return true;
	}
	return false;
}

/* Something to run here, or the thread that rests here (NULL: the idle thread) was woken. */
static inline bool is_wanted(const struct runqueue *rq, const struct thread *resting)
{
	return runqueue_looks_ready(rq) ||
	       (resting && __atomic_load_n(&resting->state, __ATOMIC_RELAXED) != THREAD_SLEEPING);
}

static void sleep_with_others(struct runqueue *rq, const struct thread *resting)
{
	uint64_t bit = 1ull << rq->hart;

	__atomic_fetch_or(&sleeping, bit, __ATOMIC_SEQ_CST);
	if (!is_wanted(rq, resting) && !anything_to_steal(rq->hart)) {
		counter_inc(sched_sleeps);
		arch_idle();
	}
	__atomic_fetch_and(&sleeping, ~bit, __ATOMIC_SEQ_CST);
}

static inline void sleep_alone(void)
{
	counter_inc(sched_sleeps);
	arch_idle();
}

/*
 * Another hart can only be started by a thread on this one, so a hart that is alone stays so while
 * it sleeps; and alone with interrupts off, what the caller has just seen still holds.
 */
static inline void sleep_once(struct runqueue *rq, const struct thread *resting)
{
	if (hart_count() > 1)
		sleep_with_others(rq, resting);
	else
		sleep_alone();
}

static inline void take_interrupts(void)
{
	arch_irq_enable();
	arch_irq_disable();
}

/* Interrupts off throughout, but for the moments in which pending ones are taken. */
static NORETURN void idle_loop(void)
{
	struct runqueue *rq = runqueue_here();

	for (;;) {
		if (runqueue_looks_ready(rq) || steal(rq->hart)) {
			spin_acquire(&rq->lock);
			sched_away(rq);
			sched_finish_switch();
		} else {
			sleep_once(rq, NULL);
		}
		take_interrupts();
	}
}

/* True: what it waits for is there, and no interrupt need be taken for it. */
static bool finds_it_by_looking(struct thread *t)
{
	return t->look && t->look(t->look_arg);
}

/* After a sleep. True: t need sleep no more. */
static inline bool is_enough(struct runqueue *rq, struct thread *t)
{
	if (finds_it_by_looking(t)) {
		store_relaxed(&t->state, THREAD_RUNNING);
		return true;
	}
	take_interrupts();
	return is_wanted(rq, t);
}

static __attribute__((noinline)) void rest_on(struct runqueue *rq, struct thread *t)
{
	do {
		if (hart_count() > 1 && steal(rq->hart))
			break;
		sleep_once(rq, t);
	} while (!is_enough(rq, t));
}

/*
 * Mostly one sleep of a hart that is alone is enough: that has no loop around it, and so few
 * registers to save.
 */
__attribute__((noinline)) void idle_in_place(struct runqueue *rq, struct thread *t)
{
	assert(rq->current == t);
	if (is_wanted(rq, t))
		return;
	sched_account(t, rq->idle);
	store_relaxed(&rq->resting, true);
	if (unlikely(hart_count() > 1)) {
		rest_on(rq, t);
	} else {
		sleep_alone();
		if (unlikely(!is_enough(rq, t)))
			rest_on(rq, t);
	}
	sched_account(rq->idle, t);
}

/* What ended before the current thread's turn began was, but for rare cases, the hart's sleep. */
bool sched_was_idle(uint64_t ticks)
{
	const struct runqueue *rq = runqueue_here();

	return runqueue_is_idle(rq) || ticks < rq->current->since_ticks;
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
