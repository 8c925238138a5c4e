/*
 * corebench: what the hot operations of core cost. Run with one hart under `-icount shift=0`, where
 * a nanosecond of the guest is one instruction: the figures are then instructions, and the same
 * each time. The cost of the empty loop is taken off.
 */
#include <core/arch.h>
#include <core/executor.h>
#include <core/fmt.h>
#include <core/init.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/sync.h>

#define TURNS 20000

static void put(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	arch_console_put(bytes, len);
}

static void print(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fmt_emit(put, NULL, fmt, args);
	va_end(args);
}

static void do_nothing(void)
{
	__asm__ volatile("");
}

static uint64_t time_of(void (*operation)(void))
{
	uint64_t start;

	for (int i = 0; i < 100; i++)
		operation(); /* fill magazines and translations */
	start = clock_ns();
	for (int i = 0; i < TURNS; i++)
		operation();
	return clock_ns() - start;
}

static void measure(const char *name, void (*operation)(void))
{
	uint64_t tenths = (time_of(operation) - time_of(do_nothing)) * 10 / TURNS;

	print("%-28s %5lu.%lu\n", name, (unsigned long)(tenths / 10), (unsigned long)(tenths % 10));
}

static void heap_small(void)
{
	kfree(kmalloc(100));
}

static struct kmem_cache *cache;
static void heap_cache(void)
{
	kmem_cache_free(cache, kmem_cache_alloc(cache));
}

static void frame(void)
{
	page_free(page_alloc(0, PAGE_KERNEL), 0);
}

static struct spinlock spin = SPINLOCK_INIT;
static void spin_pair(void)
{
	spin_lock(&spin);
	spin_unlock(&spin);
}

static void spin_irq_pair(void)
{
	spin_unlock_irq(&spin, spin_lock_irq(&spin));
}

static struct mutex mutex = MUTEX_INIT(mutex);
static void mutex_pair(void)
{
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
}

static char from[1536], to[1536];
static void copy_100(void)
{
	memcpy(to + 1, from + 2, 100);
}

static void copy_1460(void)
{
	memcpy(to + 1, from + 2, 1460);
}

static void zero_page(void)
{
	static char page[4096] __attribute__((aligned(64)));

	memset(page, 0, sizeof(page));
}

static void read_clock(void)
{
	clock_ns();
}

static struct ktimer timer;
static void arm_and_cancel(void)
{
	ktimer_arm(&timer, clock_ns() + NSEC_PER_SEC);
	ktimer_cancel(&timer);
}

static void no_fire(struct ktimer *t)
{
	(void)t;
}

static void arm_and_fire(void)
{
	ktimer_arm(&timer, 0); /* due at once: the interrupt comes before the next line */
}

/* --- threads: a partner that answers each wake --- */

static struct thread *self, *partner;
static bool asked, answered;

static void answer(void *unused)
{
	(void)unused;
	for (;;) {
		thread_prepare_wait();
		if (!asked)
			thread_block(DEADLINE_NEVER, false);
		else
			thread_cancel_wait();
		asked = false;
		answered = true;
		thread_wake(self);
	}
}

static void wait_for_answer(void)
{
	answered = false;
	for (;;) {
		thread_prepare_wait();
		if (answered)
			break;
		thread_block(DEADLINE_NEVER, false);
	}
	thread_cancel_wait();
}

/* Two wakes and two switches: there and back. */
static void round_trip(void)
{
	asked = true;
	thread_wake(partner);
	wait_for_answer();
}

static void wake_self_task(struct task *t)
{
	(void)t;
	answered = true;
	thread_wake(self);
}

/* From a thread through the worker to the thread again. */
static struct task task;
static void task_round_trip(void)
{
	task_wake(&task);
	wait_for_answer();
}

static void count_task(struct task *t)
{
	(void)t;
}

static struct task quiet;
static void task_run_by_waiter(void)
{
	task_wake(&quiet);
	executor_run_pending();
}

/* Asleep in an idle hart, woken by a timer interrupt: firmware and wfi included. */
static void fire_and_wake(struct ktimer *t)
{
	(void)t;
	answered = true;
	thread_wake(self);
}

static struct ktimer waker;
static void interrupt_to_thread(void)
{
	irqflags_t flags = arch_irq_save();

	ktimer_arm(&waker, 0);
	answered = false;
	thread_prepare_wait();
	arch_irq_restore(flags); /* it fires here, or in the idle thread */
	thread_block(DEADLINE_NEVER, false);
}

static void yield(void)
{
	thread_yield();
}

static void create_and_join(void)
{
	static const struct thread_attr attr = {
		.name = "short", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t;

	if (thread_create(&attr, (void (*)(void *))do_nothing, NULL, 0, &t) != 0)
		return;
	thread_start(t);
	thread_join(t);
}

static void run_to_end(void *done)
{
	static const struct thread_attr attr = {
		.name = "partner", .priority = THREAD_PRIORITY_APP, .hart = 0
	};

	self = thread_current();
	cache = kmem_cache_create("bench", 100, 16);
	ktimer_init(&timer, no_fire);
	ktimer_init(&waker, fire_and_wake);
	task_init(&task, "wake", wake_self_task);
	task_init(&quiet, "quiet", count_task);
	if (!cache || thread_create(&attr, answer, NULL, 0, &partner) != 0)
		return;
	thread_start(partner);

	print("operation                    instructions\n");
	measure("kmalloc + kfree, 100 bytes", heap_small);
	measure("cache alloc + free", heap_cache);
	measure("page_alloc + page_free", frame);
	measure("spin lock + unlock", spin_pair);
	measure("spin lock + unlock, irq", spin_irq_pair);
	measure("mutex lock + unlock", mutex_pair);
	measure("memcpy 100 bytes", copy_100);
	measure("memcpy 1460 bytes", copy_1460);
	measure("memset 4096 bytes", zero_page);
	measure("clock_ns", read_clock);
	measure("timer arm + cancel", arm_and_cancel);
	measure("timer arm + fire", arm_and_fire);
	measure("thread_yield, alone", yield);
	measure("wake + switch, there and back", round_trip);
	measure("task wake + run by waiter", task_run_by_waiter);
	measure("task wakes its thread", task_round_trip);
	measure("interrupt wakes a thread", interrupt_to_thread);
	measure("thread create + run + join", create_and_join);
	*(bool *)done = true;
}

static int corebench_run(void)
{
	bool done = false;

	run_to_end(&done);
	arch_poweroff(done ? 0 : 1);
}
INIT(INIT_APP, corebench_run);
