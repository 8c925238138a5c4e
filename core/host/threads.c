/*
 * Threads, harts and interrupts of the machine contract, played by POSIX threads.
 *
 * A Kiln thread is a POSIX thread that waits on its semaphore until a hart is handed to it; a
 * switch hands the hart on. So the sanitizers see ordinary threads, and several harts run truly in
 * parallel.
 *
 * Time is virtual: it moves a little with each reading, and when every hart sleeps it jumps to the
 * earliest timer. Sleeping costs nothing, and if there is no timer either, the run has lost a
 * wake-up and aborts.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <core/arch.h>
#include <core/hart.h>
#include <core/thread.h>
#include "host.h"

#define TICK_HZ 10000000ull
#define RELAX_TICKS 100
#define STACK_BYTES (1u << 20)

struct host_context {
	pthread_t pthread;
	sem_t go;
	struct thread *thread;
	void (*entry)(void *);
	void *arg;
	bool ending;
};

struct host_hart {
	uint64_t timer;  /* atomic: deadline in ticks */
	bool ipi;        /* atomic */
	bool asleep;     /* [mutex] */
	bool in_handler; /* own hart */
	pthread_t starter;
};

__thread struct thread *host_current = &boot_thread;
__thread bool host_irq_on;

static struct host_hart harts[HARTS_MAX];
static hart_t configured = 1, present = 1; /* present: [mutex] */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t now; /* atomic: ticks */
static struct host_context boot_context;

void host_set_harts(hart_t count)
{
	configured = count;
	sem_init(&boot_context.go, 0, 0);
	boot_thread.arch.context = &boot_context;
	for (hart_t h = 0; h < HARTS_MAX; h++)
		harts[h].timer = UINT64_MAX;
}

/* --- threads --- */

static void wait_for_hart(struct host_context *c)
{
	while (sem_wait(&c->go) != 0)
		;
	if (c->ending)
		pthread_exit(NULL);
}

static void *start(void *arg)
{
	struct host_context *c = arg;

	host_current = c->thread;
	host_irq_on = false;
	wait_for_hart(c);
	c->entry(c->arg);
	return NULL;
}

int arch_thread_init(struct thread *t, void *stack_top, void (*entry)(void *), void *arg,
		     uintptr_t tls)
{
	struct host_context *c = calloc(1, sizeof(*c));
	pthread_attr_t attr;
	int err;

	(void)stack_top;
	(void)tls;
	if (!c)
		return -12;
	*c = (struct host_context){ .thread = t, .entry = entry, .arg = arg };
	sem_init(&c->go, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	err = pthread_create(&c->pthread, &attr, start, c);
	pthread_attr_destroy(&attr);
	if (err) {
		free(c);
		return -12;
	}
	t->arch.context = c;
	return 0;
}

void arch_thread_release(struct thread *t)
{
	struct host_context *c = t->arch.context;

	c->ending = true;
	sem_post(&c->go);
	pthread_join(c->pthread, NULL);
	sem_destroy(&c->go);
	free(c);
}

void arch_thread_switch(struct thread *from, struct thread *to)
{
	struct host_context *mine = from->arch.context;

	to->arch.hart = from->arch.hart;
	sem_post(&to->arch.context->go);
	wait_for_hart(mine);
}

/* --- harts --- */

hart_t arch_hart_count(void)
{
	return configured;
}

int arch_hart_start(hart_t hart, struct thread *first)
{
	(void)hart;
	pthread_mutex_lock(&mutex);
	present++;
	pthread_mutex_unlock(&mutex);
	sem_post(&first->arch.context->go);
	return 0;
}

/*
 * Waiting takes time: code that spins until a deadline should not have to yield ten million times
 * on a busy host. With one hart there is nobody to yield to but other programs, which may take
 * minutes of such a second.
 */
void arch_relax(void)
{
	__atomic_add_fetch(&now, RELAX_TICKS, __ATOMIC_SEQ_CST);
	if (configured > 1)
		sched_yield();
}

uint64_t arch_tick_hz(void)
{
	return TICK_HZ;
}

uint64_t arch_ticks(void)
{
	return __atomic_add_fetch(&now, 1, __ATOMIC_SEQ_CST);
}

void arch_timer_set(uint64_t deadline_ticks)
{
	__atomic_store_n(&harts[hart_id()].timer, deadline_ticks, __ATOMIC_SEQ_CST);
}

void arch_ipi(hart_t hart)
{
	pthread_mutex_lock(&mutex);
	__atomic_store_n(&harts[hart].ipi, true, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static bool timer_is_due(const struct host_hart *h)
{
	return __atomic_load_n(&h->timer, __ATOMIC_SEQ_CST) <=
	       __atomic_load_n(&now, __ATOMIC_SEQ_CST);
}

static bool is_pending(const struct host_hart *h)
{
	return __atomic_load_n(&h->ipi, __ATOMIC_SEQ_CST) || timer_is_due(h);
}

static void print_thread(const struct thread_info *t, void *unused)
{
	static const char *const states[] = { "sleeping", "ready", "running", "dead" };

	(void)unused;
	fprintf(stderr, "  %s: %s on hart %u\n", t->name, states[t->state], t->hart);
}

/*
 * A thread that is ready was forgotten by the scheduler, one that sleeps by whoever should have
 * woken it.
 */
static NORETURN void say_lost_wakeup(void)
{
	fprintf(stderr, "every hart sleeps and no timer is armed: a wake-up was lost\n");
	thread_for_each(print_thread, NULL);
	abort();
}

/* All harts sleep: time goes to the earliest timer. [mutex] */
static void jump(void)
{
	uint64_t earliest = UINT64_MAX;

	for (hart_t h = 0; h < present; h++) {
		if (!harts[h].asleep || is_pending(&harts[h]))
			return;
		earliest = earliest < harts[h].timer ? earliest : harts[h].timer;
	}
	if (earliest == UINT64_MAX)
		say_lost_wakeup();
	__atomic_store_n(&now, earliest, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&changed);
}

void arch_idle(void)
{
	struct host_hart *h = &harts[hart_id()];
	struct timespec until;

	pthread_mutex_lock(&mutex);
	h->asleep = true;
	jump();
	while (!is_pending(h)) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 200000; /* other harts' readings move the time without a signal */
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&changed, &mutex, &until);
		if (!is_pending(h))
			jump();
	}
	h->asleep = false;
	pthread_mutex_unlock(&mutex);
}

/* --- interrupts --- */

bool irq_in_handler(void)
{
	return harts[hart_id()].in_handler;
}

static void handle(struct host_hart *h)
{
	h->in_handler = true;
	if (__atomic_exchange_n(&h->ipi, false, __ATOMIC_SEQ_CST))
		sched_ipi();
	if (timer_is_due(h))
		sched_timer_interrupt();
	h->in_handler = false;
	sched_interrupt_exit();
}

void host_deliver(void)
{
	/* The hart may be another one after each round: handle() may switch threads. */
	while (host_irq_on && is_pending(&harts[hart_id()])) {
		host_irq_on = false;
		handle(&harts[hart_id()]);
		host_irq_on = true;
	}
}
