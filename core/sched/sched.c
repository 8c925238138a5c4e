/*
 * Switching, waiting and waking.
 *
 * The run-queue lock of a thread's hart (arch.hart) guards its state. It is held from the moment a
 * thread decides to leave its hart until the next thread runs, so nobody can see a thread asleep or
 * ready whose registers are not saved yet: a waker or thief takes the same lock first.
 *
 * No lost wake-up. A waiter announces itself (state SLEEPING), publishes where it waits, checks its
 * condition and blocks; a waker makes the condition true, then looks at the state. Either the
 * waiter sees the condition, or the waker sees SLEEPING. If the waiter still runs then, the waker
 * sets it back to RUNNING, and thread_block() returns at once. Full fences stand on both sides
 * where harts are many.
 *
 * A READY thread on no queue belongs to whoever took it off: a waker that moves it to another hart,
 * or a thief. Its state keeps others from waking it twice.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/errno.h>
#include <core/irq.h>
#include <core/sched.h>
#include <core/trace.h>
#include "hart_call.h"
#include "runqueue.h"

COUNTER(sched_ipis, "interrupts from other harts");
COUNTER(sched_switches, "context switches");
COUNTER(sched_wakes, "threads made runnable");

static inline void full_fence(void)
{
	if (HARTS_MAX > 1)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		__asm__ volatile("" ::: "memory");
}

/*
 * A hart that went to sleep while we queued elsewhere has not seen it: let it steal. Not from a
 * hart that is idle, which takes what is queued itself; when that begins to run something else
 * instead, it asks again.
 */
static void attract_thief(const struct runqueue *rq)
{
	hart_t thief;

	if (HARTS_MAX == 1)
		return;
	full_fence();
	if (!runqueue_is_idle(rq) && idle_find(&thief))
		arch_ipi(thief);
}

/* --- switching: irqs off, rq->lock held --- */

/* A slice runs only while somebody of the same urgency waits. */
static void start_slice(struct runqueue *rq, const struct thread *t)
{
	if (t != rq->idle && runqueue_has_urgent(rq, t->level)) {
		rq->slice_armed = true;
		ktimer_arm(&rq->slice, clock_ns() + CONFIG_TIME_SLICE_MS * NSEC_PER_MSEC);
	}
}

void sched_account(struct thread *from, struct thread *to)
{
	uint64_t now = arch_ticks();

	from->ran_ticks += now - from->since_ticks;
	to->since_ticks = now;
	trace_switch(to->id);
}

void sched_away(struct runqueue *rq)
{
	struct thread *from = rq->current, *to = runqueue_pick(rq);
	bool was_idle = runqueue_is_idle(rq);

	assert(!arch_irq_is_enabled() && from == thread_current());
	from->resched = false;
	if (IS_ENABLED(CONFIG_PREEMPT)) {
		rq->slice_over = false;
		start_slice(rq, to);
	}
	to->state = THREAD_RUNNING;
	store_relaxed(&rq->resting, false);
	if (to == from)
		return;
	rq->current = to;
	if (was_idle && rq->ready)
		attract_thief(rq);
	sched_account(from, to);
	counter_inc(sched_switches);
	arch_thread_switch(from, to);
}

void sched_finish_switch(void)
{
	struct runqueue *rq = runqueue_here();
	struct thread *dead = rq->dead;

	rq->dead = NULL;
	spin_release(&rq->lock);
	if (unlikely(dead))
		thread_bury(dead);
}

/* --- waking --- */

/* Locks the run queue of t's hart; t may move until the lock is held. Interrupts off. */
static struct runqueue *lock_home(struct thread *t)
{
	for (;;) {
		hart_t hart = HARTS_MAX > 1 ? __atomic_load_n(&t->arch.hart, __ATOMIC_RELAXED) : 0;
		struct runqueue *rq = &runqueues[hart];

		spin_acquire(&rq->lock);
		if (HARTS_MAX == 1 || t->arch.hart == hart)
			return rq;
		spin_release(&rq->lock);
	}
}

/*
 * A thread that looks at devices (thread_block_looking()) does so best on the hart that they
 * interrupt: anywhere else each of its waits costs an interrupt there and a call from there to
 * here. So when that hart is idle it does not rest in place, and is woken over there.
 */
static inline bool belongs_elsewhere(const struct thread *t, hart_t hart)
{
	return HARTS_MAX > 1 && hart != IRQ_HART && t->look && t->pinned < 0 &&
	       runqueue_is_idle(&runqueues[IRQ_HART]);
}

/*
 * Where a woken thread should run: at home if home is idle or about to be (a kernel thread with
 * nobody behind it soon waits again), else on any sleeping hart, else at home. *claimed: the hart
 * slept, and is owed an interrupt; that may be home itself, whose thread needs no lock to go to
 * rest.
 */
static hart_t choose_hart(const struct thread *t, const struct runqueue *home, bool *claimed)
{
	hart_t hart = home->hart;
	bool soon_free = runqueue_is_idle(home) ||
			 home->current->priority <= THREAD_PRIORITY_KERNEL;

	*claimed = false;
	if (belongs_elsewhere(t, hart))
		return IRQ_HART;
	if (t->pinned < 0 && (home->levels || !soon_free))
		*claimed = idle_find(&hart);
	return hart;
}

/* What the hart should see is written: true if it sleeps and is ours to interrupt. */
static bool call_sleeper(hart_t hart)
{
	full_fence();
	return idle_claim(hart);
}

/* The hart has one more ready thread: makes it look. Interrupts off, rq->lock held. */
static void attract(struct runqueue *rq, const struct thread *t)
{
	hart_t hart = rq->hart;

	if (HARTS_MAX == 1 || hart == hart_id()) {
		if (IS_ENABLED(CONFIG_PREEMPT) && t->level < rq->current->level)
			rq->current->resched = true;
		else if (IS_ENABLED(CONFIG_PREEMPT) && !rq->slice_armed && !rq->resting)
			start_slice(rq, rq->current);
	} else if (call_sleeper(hart) ||
		   (IS_ENABLED(CONFIG_PREEMPT) && t->level <= rq->current->level)) {
		arch_ipi(hart);
	}
}

void sched_enqueue(struct thread *t)
{
	struct runqueue *rq = &runqueues[HARTS_MAX > 1 ? t->arch.hart : 0];

	spin_acquire(&rq->lock);
	runqueue_add(rq, t);
	attract(rq, t);
	attract_thief(rq);
	spin_release(&rq->lock);
}

/* home->lock held, t SLEEPING; releases the lock. */
static void make_runnable(struct runqueue *home, struct thread *t)
{
	hart_t hart;
	bool claimed;

	counter_inc(sched_wakes);
	if (home->current == t) { /* announced, but not asleep yet; or it rests in place */
		store_release(&t->state, THREAD_RUNNING);
		if (HARTS_MAX > 1 && home->hart != hart_id() && call_sleeper(home->hart))
			arch_ipi(home->hart);
		spin_release(&home->lock);
		return;
	}
	t->level = t->priority;
	if (HARTS_MAX == 1) {
		runqueue_add(home, t);
		attract(home, t);
		spin_release(&home->lock);
		return;
	}
	hart = choose_hart(t, home, &claimed);
	if (hart == home->hart) {
		runqueue_add(home, t);
		attract(home, t);
		attract_thief(home);
		spin_release(&home->lock);
	} else {
		t->state = THREAD_READY;
		t->arch.hart = hart;
		spin_release(&home->lock);
		sched_enqueue(t);
	}
	if (claimed)
		arch_ipi(hart);
}

static bool wake(struct thread *t, int result, bool interrupt)
{
	irqflags_t flags;
	struct runqueue *home;
	bool asleep;

	full_fence();
	flags = arch_irq_save();
	preempt_disable();
	home = lock_home(t);
	if (interrupt) {
		store_relaxed(&t->interrupted, true);
		full_fence();
	}
	asleep = t->state == THREAD_SLEEPING && (!interrupt || t->interruptible);
	if (asleep) {
		t->wake_result = result;
		make_runnable(home, t);
	} else {
		spin_release(&home->lock);
	}
	arch_irq_restore(flags);
	preempt_enable();
	return asleep;
}

bool thread_wake(struct thread *t)
{
	return wake(t, 0, false);
}

void thread_interrupt(struct thread *t)
{
	wake(t, -EINTR, true);
}

bool thread_is_interrupted(const struct thread *t)
{
	return __atomic_load_n(&t->interrupted, __ATOMIC_RELAXED);
}

void thread_interrupt_clear(struct thread *t)
{
	store_relaxed(&t->interrupted, false);
}

void sched_deadline_passed(struct ktimer *timer)
{
	wake(container_of(timer, struct thread, timer), -ETIMEDOUT, false);
}

/* --- waiting --- */

void thread_prepare_wait(void)
{
	struct thread *t = thread_current();

	/* On a second queue of the same wait: a wake from the first one must not be forgotten. */
	if (t->preparing)
		return;
	preempt_disable();
	assert(t != runqueue_here()->idle);
	t->preparing = true;
	t->wake_result = 0;
	store_relaxed(&t->state, THREAD_SLEEPING);
	full_fence();
}

static void end_wait(struct thread *t)
{
	t->preparing = false;
	preempt_enable();
}

void thread_cancel_wait(void)
{
	struct thread *t = thread_current();

	if (!t->preparing)
		return;
	store_relaxed(&t->state, THREAD_RUNNING);
	end_wait(t);
}

/*
 * A thread that rested goes on. Whoever was queued here meanwhile was offered to nobody, since the
 * hart looked idle, and has no slice of time running for it. rq->lock held.
 */
static void share_queue(struct runqueue *rq, struct thread *t)
{
	if (!rq->ready)
		return;
	if (IS_ENABLED(CONFIG_PREEMPT) && !rq->slice_armed)
		start_slice(rq, t);
	attract_thief(rq);
}

/* Gives the hart to somebody else, unless a wake or interrupt has come already. Interrupts off. */
static __attribute__((noinline)) void leave_hart(struct runqueue *rq, struct thread *t)
{
	spin_acquire(&rq->lock);
	if (t->state == THREAD_SLEEPING && t->interruptible && t->interrupted) {
		t->state = THREAD_RUNNING;
		t->wake_result = -EINTR;
	}
	if (t->state == THREAD_SLEEPING) {
		sched_away(rq);
	} else {
		store_relaxed(&rq->resting, false);
		share_queue(rq, t);
	}
	sched_finish_switch();
}

/* The thread was woken where it rested: nothing is to be switched. Interrupts off. */
static inline void end_rest(struct runqueue *rq, struct thread *t)
{
	store_relaxed(&rq->resting, false);
	full_fence();
	if ((HARTS_MAX == 1 && !IS_ENABLED(CONFIG_PREEMPT)) || likely(!rq->ready))
		return;
	spin_acquire(&rq->lock);
	share_queue(rq, t);
	spin_release(&rq->lock);
}

/*
 * Most waits begin and end in place, without the lock. That misses neither a wake nor an
 * interruption: prepare_wait has announced SLEEPING, here follows whether it is interruptible, and
 * wake() looks the other way round. Returns what the wait returns.
 */
static int sleep_until_woken(struct thread *t, bool interruptible)
{
	irqflags_t flags = arch_irq_save();
	struct runqueue *rq = runqueue_here();
	int result;

	assert(flags);
	if (t->look && t->look(t->look_arg)) {
		store_relaxed(&t->state, THREAD_RUNNING);
		arch_irq_restore(flags);
		return 0;
	}
	store_relaxed(&t->interruptible, interruptible);
	full_fence();
	if ((!interruptible || !thread_is_interrupted(t)) && !belongs_elsewhere(t, rq->hart))
		idle_in_place(rq, t);
	if (__atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == THREAD_SLEEPING)
		leave_hart(rq, t);
	else
		end_rest(rq, t);
	t->interruptible = false;
	result = t->wake_result;
	arch_irq_restore(flags);
	if (unlikely(result == -EINTR && !interruptible))
		return 0; /* the late echo of an interruption that the wait before has reported */
	return result;
}

static __attribute__((noinline)) int sleep_until(struct thread *t, uint64_t deadline_ns,
						 bool interruptible)
{
	int result;

	if (deadline_ns <= clock_ns()) {
		wake(t, -ETIMEDOUT, false); /* of itself: a wake that came before it still counts */
		return sleep_until_woken(t, interruptible);
	}
	ktimer_arm(&t->timer, deadline_ns);
	result = sleep_until_woken(t, interruptible);
	ktimer_cancel(&t->timer);
	return result;
}

int thread_block(uint64_t deadline_ns, bool interruptible)
{
	struct thread *t = thread_current();
	int result;

	assert(t->preparing && !irq_in_handler());
	assert(!PREEMPT_IS_COUNTED || t->preempt_off == 1); /* no spinlock held */
	if (deadline_ns == DEADLINE_NEVER)
		result = sleep_until_woken(t, interruptible);
	else
		result = sleep_until(t, deadline_ns, interruptible);
	end_wait(t);
	return result;
}

int thread_block_looking(uint64_t deadline_ns, bool interruptible, bool (*look)(void *arg),
			 void *arg)
{
	struct thread *t = thread_current();
	int result;

	t->look_arg = arg;
	t->look = look;
	result = thread_block(deadline_ns, interruptible);
	t->look = NULL;
	return result;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	while (clock_ns() < deadline_ns) {
		thread_prepare_wait();
		thread_block(deadline_ns, false);
	}
}

/* --- giving way --- */

void sched_yield_at(unsigned level)
{
	struct thread *t = thread_current();
	irqflags_t flags = arch_irq_save();
	struct runqueue *rq = runqueue_here();

	assert(!irq_in_handler() && t != rq->idle);
	spin_acquire(&rq->lock);
	t->level = (uint8_t)level;
	if (runqueue_has_urgent(rq, THREAD_PRIORITIES - 1)) {
		runqueue_add(rq, t);
		sched_away(rq);
	}
	sched_finish_switch();
	arch_irq_restore(flags);
}

void thread_yield(void)
{
	sched_yield_at(thread_current()->priority);
}

/*
 * The hart's interrupts are off and its thread may be taken. To the end of its level when its slice
 * is over, else to the front: it only made way for somebody more urgent.
 */
static void preempt_current(void)
{
	struct runqueue *rq = runqueue_here();
	struct thread *t = thread_current();

	t->resched = false;
	spin_acquire(&rq->lock);
	if (rq->slice_over && runqueue_has_urgent(rq, t->level)) {
		t->level = t->priority;
		runqueue_add(rq, t);
		sched_away(rq);
	} else if (t->level > 0 && runqueue_has_urgent(rq, t->level - 1u)) {
		runqueue_add_first(rq, t);
		sched_away(rq);
	}
	sched_finish_switch();
}

void thread_preempt(void)
{
	irqflags_t flags;

	if (!arch_irq_is_enabled())
		return;
	flags = arch_irq_save();
	preempt_current();
	arch_irq_restore(flags);
}

void sched_interrupt_exit(void)
{
	struct thread *t = thread_current();

	if (IS_ENABLED(CONFIG_PREEMPT) && unlikely(t->resched) && t->preempt_off == 0)
		preempt_current();
}

/* Another hart queued something here, or let this one steal; an idle hart looks by itself. */
void sched_ipi(void)
{
	struct runqueue *rq = runqueue_here();

	counter_inc(sched_ipis);
	if (IS_ENABLED(CONFIG_HART_CALL))
		hart_call_interrupt();
	if (!IS_ENABLED(CONFIG_PREEMPT) || runqueue_is_idle(rq))
		return;
	spin_acquire(&rq->lock);
	if (rq->current->level > 0 && runqueue_has_urgent(rq, rq->current->level - 1u))
		rq->current->resched = true;
	else if (!rq->slice_armed)
		start_slice(rq, rq->current);
	spin_release(&rq->lock);
}

void thread_set_priority(struct thread *t, unsigned priority)
{
	irqflags_t flags = arch_irq_save();
	struct runqueue *rq;

	assert(priority < THREAD_PRIORITIES);
	preempt_disable();
	rq = lock_home(t);
	t->priority = (uint8_t)priority;
	if (t->queued) {
		runqueue_remove(rq, t);
		t->level = (uint8_t)priority;
		runqueue_add(rq, t);
		attract(rq, t);
	} else {
		t->level = (uint8_t)priority;
		if (rq->current == t && runqueue_has_urgent(rq, priority))
			t->resched = true;
	}
	spin_release(&rq->lock);
	arch_irq_restore(flags);
	preempt_enable();
}
