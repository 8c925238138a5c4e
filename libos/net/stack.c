/*
 * The stack lock, the batch, and who runs the stack.
 *
 * lwIP has no locks of its own: every call into it happens between net_enter() and net_leave(),
 * which hold one mutex with preemption off, so that the holder is never descheduled while others
 * wait for the network. Work is done in batches: frames are taken in, the callbacks they cause
 * queue their consequences, output is gathered, and net_leave() kicks each device once.
 *
 * Frames are taken in by a runner. Devices, timers and other threads call net_wake(), which picks
 *   (1) a thread that waits in stream_run(): it polls the devices itself, so that between the
 *       interrupt and the server's code lies one wake-up and no further switch; else
 *   (2) nobody, when such a thread is busy: it polls before it waits; else
 *   (3) the executor task below.
 *
 * Locks: net_mutex, then anything else; runners_lock is a leaf, taken with interrupts off.
 */
#include <core/counter.h>
#include <core/executor.h>
#include <core/init.h>
#include <core/log.h>
#include <core/thread.h>

#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/stats.h"
#include "stack.h"

COUNTER(net_batches, "sections under the stack lock");
COUNTER(net_wakes, "requests to run the stack");
COUNTER(net_polls, "device polls that found frames");
COUNTER(net_rx_frames, "frames received");

#define POLL_BUDGET 64

static struct mutex net_mutex = MUTEX_INIT(net_mutex);
static struct spinlock runners_lock = SPINLOCK_INIT;
static struct list runners = LIST_INIT(runners);
static struct task net_task;
static bool has_missed_wake; /* [atomic] all runners were busy */
static bool is_started;

uint64_t (*net_clock)(void) = clock_ns;

uint64_t net_now_ns;

bool net_is_entered(void)
{
	return mutex_is_held(&net_mutex);
}

void net_enter_again(void)
{
	mutex_lock(&net_mutex);
	preempt_disable();
}

void net_enter(void)
{
	net_enter_again();
	net_now_ns = net_clock();
	net_timers_advance();
}

/* [stack lock] lwip_stats.link.xmit when what was looped back was last delivered */
static STAT_COUNTER delivered;

static __attribute__((noinline)) void deliver_looped_back(void)
{
	do {
		delivered = lwip_stats.link.xmit;
		netif_poll_all();
	} while (lwip_stats.link.xmit != delivered);
}

void net_leave(void)
{
	counter_inc(net_batches);
	/*
	 * Packets to ourselves wait in their netif; lwIP's statistics tell whether there are any.
	 */
	if (unlikely(lwip_stats.link.xmit != delivered))
		deliver_looped_back();
	net_interfaces_kick();
	net_timers_settle();
	preempt_enable();
	mutex_unlock(&net_mutex);
}

bool net_poll(void)
{
	unsigned frames = net_interfaces_poll(POLL_BUDGET);

	if (!frames)
		return false;
	counter_inc(net_polls);
	counter_add(net_rx_frames, frames);
	return true;
}

void net_runner_add(struct net_runner *r)
{
	irqflags_t flags = spin_lock_irq(&runners_lock);

	r->waiting = false;
	list_push_back(&runners, &r->link);
	spin_unlock_irq(&runners_lock, flags);
}

/* A runner that leaves may have been chosen for work it did not do: the task looks after it. */
void net_runner_remove(struct net_runner *r)
{
	irqflags_t flags = spin_lock_irq(&runners_lock);

	list_remove(&r->link);
	spin_unlock_irq(&runners_lock, flags);
	net_wake();
}

bool net_runner_begin_wait(struct net_runner *r)
{
	store_relaxed(&r->waiting, true);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&has_missed_wake, __ATOMIC_RELAXED)))
		return true;
	store_relaxed(&has_missed_wake, false);
	store_relaxed(&r->waiting, false);
	return false;
}

void net_runner_end_wait(struct net_runner *r)
{
	store_relaxed(&r->waiting, false);
}

/* True when some runner has been, or will be, the one to do it. */
static bool runners_take_wake(void)
{
	struct net_runner *r;

	if (list_is_empty(&runners))
		return false;
	/* A runner says that it waits, then looks for this; we the other way round. */
	store_relaxed(&has_missed_wake, true);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	list_for_each(r, &runners, link) {
		if (!__atomic_load_n(&r->waiting, __ATOMIC_RELAXED))
			continue;
		store_relaxed(&has_missed_wake, false);
		store_relaxed(&r->waiting, false);
		r->wake(r);
		break;
	}
	return true;
}

void net_wake(void)
{
	irqflags_t flags;
	bool is_taken;

	if (!is_started)
		return;
	counter_inc(net_wakes);
	flags = spin_lock_irq(&runners_lock);
	is_taken = runners_take_wake();
	spin_unlock_irq(&runners_lock, flags);
	if (!is_taken)
		task_wake(&net_task);
}

static void run_stack(struct task *task)
{
	bool again;

	net_enter();
	again = net_poll();
	net_leave();
	if (again || net_look())
		task_wake(task);
}

int net_start(void)
{
	if (is_started)
		return 0;
	task_init(&net_task, "net", run_stack);
	net_memory_set_limit(0);
	is_started = true;
	mutex_lock(&net_mutex);
	preempt_disable();
	net_now_ns = net_clock();
	net_timers_init();
	lwip_init();
	net_interfaces_attach();
	net_configure();
	net_leave();
	net_wake();
	return 0;
}

INIT(INIT_SERVICES, net_start);
