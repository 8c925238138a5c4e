/*
 * Threads as objects: made, listed, ended, reclaimed.
 *
 * A thread cannot free the stack it runs on. thread_exit() notes it as its run queue's `dead` and
 * switches away for the last time; the next thread on that hart, which sees the switch completed,
 * buries it: a joinable thread is declared done, a detached one (or one with a `released` call)
 * goes to a list that the reaper, an executor task, empties, because freeing a stack may wait for a
 * mutex.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/executor.h>
#include <core/fmt.h>
#include <core/irq.h>
#include <core/kmem.h>
#include <core/sched.h>
#include <core/string.h>
#include <core/vm.h>
#include "runqueue.h"

#define ID_MAX (1 << 30) /* as Linux's FUTEX_TID_MASK */

struct thread boot_thread;

static struct spinlock list_lock = SPINLOCK_INIT;
static struct list all_threads = LIST_INIT(all_threads); /* [list_lock] */
static int last_id;                                      /* [list_lock] */
static struct kmem_cache *thread_cache;
static struct waitq join_queue = WAITQ_INIT(join_queue);

static struct spinlock dead_lock = SPINLOCK_INIT;
static struct list dead_threads = LIST_INIT(dead_threads); /* [dead_lock] by run_link */
static struct task reaper;

/* --- the list --- */

static bool id_is_taken(int id)
{
	struct thread *t;

	list_for_each(t, &all_threads, all_link) {
		if (t->id == id)
			return true;
	}
	return false;
}

/* Numbers rise until they run out, then gaps are looked for. */
static void list_add(struct thread *t)
{
	static bool wrapped; /* [list_lock] */
	irqflags_t flags = spin_lock_irq(&list_lock);

	do {
		if (++last_id == ID_MAX) {
			last_id = 1;
			wrapped = true;
		}
	} while (wrapped && id_is_taken(last_id));
	t->id = last_id;
	list_push_back(&all_threads, &t->all_link);
	spin_unlock_irq(&list_lock, flags);
}

static void list_drop(struct thread *t)
{
	irqflags_t flags = spin_lock_irq(&list_lock);

	list_remove(&t->all_link);
	spin_unlock_irq(&list_lock, flags);
}

/* Whether time goes to it just now. A hart is idle also while a thread rests in place (idle.c). */
static bool is_accounted(const struct thread *t)
{
	const struct runqueue *rq = &runqueues[t->arch.hart];

	return t == rq->idle ? runqueue_is_idle(rq) : t->state == THREAD_RUNNING;
}

static struct thread_info describe(const struct thread *t)
{
	uint64_t ticks = t->ran_ticks;

	if (is_accounted(t))
		ticks += arch_ticks() - t->since_ticks;
	return (struct thread_info){
		.id = t->id,
		.name = t->name,
		.state = t->state,
		.priority = t->priority,
		.hart = t->arch.hart,
		.ran_ns = clock_ticks_to_ns(ticks),
	};
}

void thread_for_each(void (*visit)(const struct thread_info *info, void *arg), void *arg)
{
	irqflags_t flags = spin_lock_irq(&list_lock);
	struct thread *t;

	list_for_each(t, &all_threads, all_link) {
		struct thread_info info = describe(t);

		visit(&info, arg);
	}
	spin_unlock_irq(&list_lock, flags);
}

uint64_t thread_ran_ns(const struct thread *t)
{
	return describe(t).ran_ns;
}

const char *thread_name(const struct thread *t)
{
	return t->name;
}

int thread_id(const struct thread *t)
{
	return t->id;
}

/* --- birth --- */

void thread_init(struct thread *t, const char *name, unsigned priority, int pinned)
{
	assert(priority < THREAD_PRIORITIES);
	str_copy(t->name, sizeof(t->name), name);
	t->priority = t->level = (uint8_t)priority;
	t->pinned = pinned;
	t->state = THREAD_SLEEPING;
	list_init(&t->run_link);
	ktimer_init(&t->timer, sched_deadline_passed);
	list_add(t);
}

void thread_main(void *thread)
{
	struct thread *t = thread;

	sched_finish_switch();
	arch_irq_enable();
	t->entry(t->arg);
	thread_exit();
}

static bool take_stack(struct thread *t, const struct thread_attr *attr)
{
	t->stack_bytes = attr->stack_bytes ? attr->stack_bytes : KIB(CONFIG_THREAD_STACK_KIB);
	if (attr->stack)
		return true;
	t->stack_bytes = ALIGN_UP(t->stack_bytes, PAGE_SIZE);
	t->stack = vm_stack_alloc(t->stack_bytes);
	return t->stack != NULL;
}

int thread_create(const struct thread_attr *attr, void (*entry)(void *), void *arg, uintptr_t tls,
		  struct thread **out)
{
	struct thread *t = kmem_cache_alloc_zero(thread_cache);
	uintptr_t top;

	if (!t)
		return -ENOMEM;
	if (!take_stack(t, attr))
		goto no_stack;
	top = (uintptr_t)(attr->stack ? attr->stack : t->stack) + t->stack_bytes;
	t->entry = entry;
	t->arg = arg;
	t->detached = attr->detached;
	t->released = attr->released;
	if (arch_thread_init(t, (void *)ALIGN_DOWN(top, 16), thread_main, t, tls) != 0)
		goto no_context;
	t->arch.hart = attr->hart >= 0 ? (hart_t)attr->hart : hart_id();
	assert(t->arch.hart < HARTS_MAX && runqueues[t->arch.hart].idle);
	thread_init(t, attr->name, attr->priority, attr->hart);
	*out = t;
	return 0;

no_context:
	if (t->stack)
		vm_stack_free(t->stack, t->stack_bytes);
no_stack:
	kmem_cache_free(thread_cache, t);
	return -ENOMEM;
}

void thread_start(struct thread *t)
{
	thread_wake(t);
}

/* --- death --- */

static void reclaim(struct thread *t)
{
	list_drop(t);
	arch_thread_release(t);
	if (t->stack)
		vm_stack_free(t->stack, t->stack_bytes);
	kmem_cache_free(thread_cache, t);
}

static void declare_done(struct thread *t)
{
	store_release(&t->done, true);
	waitq_wake_all(&join_queue);
}

static struct thread *next_dead(void)
{
	irqflags_t flags = spin_lock_irq(&dead_lock);
	struct list *link = list_pop_front(&dead_threads);

	spin_unlock_irq(&dead_lock, flags);
	return link ? list_entry(link, struct thread, run_link) : NULL;
}

static void reap(struct task *task)
{
	struct thread *t;

	(void)task;
	while ((t = next_dead())) {
		if (t->released)
			t->released(t->user);
		if (t->detached)
			reclaim(t);
		else
			declare_done(t);
	}
}

void thread_bury(struct thread *t)
{
	irqflags_t flags;

	assert(t->state == THREAD_DEAD && t != thread_current());
	if (!t->detached && !t->released) {
		declare_done(t);
		return;
	}
	flags = spin_lock_irq(&dead_lock);
	list_push_back(&dead_threads, &t->run_link);
	spin_unlock_irq(&dead_lock, flags);
	task_wake(&reaper);
}

void thread_exit(void)
{
	struct thread *t = thread_current();
	struct runqueue *rq;

	assert(!irq_in_handler() && !t->preparing);
	assert(!PREEMPT_IS_COUNTED || t->preempt_off == 0);
	arch_irq_disable();
	rq = runqueue_here();
	assert(t != rq->idle);
	spin_acquire(&rq->lock);
	t->state = THREAD_DEAD;
	rq->dead = t;
	sched_away(rq);
	panic("a dead thread ran");
}

int thread_join(struct thread *t)
{
	assert(!t->detached && t != thread_current());
	waitq_wait(&join_queue, __atomic_load_n(&t->done, __ATOMIC_ACQUIRE), DEADLINE_NEVER, false);
	reclaim(t);
	return 0;
}

/* --- boot --- */

void sched_init(void)
{
	thread_cache = kmem_cache_create("thread", sizeof(struct thread), CACHE_LINE);
	assert(thread_cache);
	task_init(&reaper, "reaper", reap);
	boot_thread.preempt_off = 1; /* idle threads give way by themselves */
	thread_init(&boot_thread, "idle/0", THREAD_PRIORITIES - 1, 0);
	boot_thread.state = THREAD_RUNNING;
	boot_thread.since_ticks = arch_ticks();
	runqueue_init(&runqueues[0], &boot_thread);
	executor_start(&runqueues[0], 0);
}

struct thread *thread_new_idle(hart_t hart)
{
	struct thread *t = kmem_cache_alloc_zero(thread_cache);
	char name[THREAD_NAME_SIZE];

	if (!t)
		return NULL;
	t->stack_bytes = IDLE_STACK_BYTES;
	t->stack = vm_stack_alloc(t->stack_bytes);
	if (!t->stack ||
	    arch_thread_init(t, (char *)t->stack + t->stack_bytes, idle_main, t, 0) != 0) {
		if (t->stack)
			vm_stack_free(t->stack, t->stack_bytes);
		kmem_cache_free(thread_cache, t);
		return NULL;
	}
	fmt_print(name, sizeof(name), "idle/%u", hart);
	t->preempt_off = 1;
	t->arch.hart = hart;
	thread_init(t, name, THREAD_PRIORITIES - 1, (int)hart);
	t->state = THREAD_RUNNING;
	return t;
}
