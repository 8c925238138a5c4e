/*
 * The loops of the lwIP back end of <libos/stream.h>: rounds, waiting, posts, beginning and end.
 *
 * One round of stream_run():
 *   section (stack lock held): frames are taken from the devices, and the callbacks that they cause
 *       put streams on `ready`; the list is collected;
 *   service (no lock): loans are given back, posted calls made, timers fired, and each collected
 *       stream is served: opened, received, writable, ended, closed;
 *   section, if anybody said anything: output goes into TCP, windows are opened, closes are carried
 *       out, what was read is given back, and the devices are kicked, once.
 * So one request that finds the loop asleep costs one wake-up, one round, and one notification of
 * the device.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>
#include <core/thread.h>
#include <core/trace.h>
#include <libos/net.h>

#include "stream_lwip.h"

COUNTER(stream_wakeups, "times a loop returned from waiting");
COUNTER(stream_rounds, "rounds of loops");

#define RETRY_NS (10 * NSEC_PER_MSEC)

struct stream_post {
	struct stream_post *next;
	void (*fn)(void *arg);
	void *arg;
};

static void (*signal_hook)(void);                 /* set once at boot */
static struct stream_loop *collecting_loop;       /* [stack lock] polls the devices just now */

void net_set_signal_hook(void (*run_handlers)(void))
{
	signal_hook = run_handlers;
}

uint64_t stream_now_ns(void)
{
	return net_clock();
}

uint64_t stream_round_ns(const struct stream_loop *loop)
{
	return loop->now_ns;
}

static void loop_awaken(struct stream_loop *loop)
{
	irqflags_t flags;

	store_release(&loop->is_awake, true);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&loop->is_waiting, __ATOMIC_RELAXED))
		return;
	flags = spin_lock_irq(&loop->post_lock);
	if (loop->thread)
		thread_wake(loop->thread);
	spin_unlock_irq(&loop->post_lock, flags);
}

static void set_thread(struct stream_loop *loop, struct thread *t)
{
	irqflags_t flags = spin_lock_irq(&loop->post_lock);

	loop->thread = t;
	spin_unlock_irq(&loop->post_lock, flags);
}

/*
 * Something of the loop's is ready. What happens before its section collects needs no further
 * round.
 */
void stream_loop_mark(struct stream_loop *loop)
{
	if (likely(loop == collecting_loop))
		return;
	loop_awaken(loop);
}

/* Only a monitor's loop does. */
static bool leaves_devices(const struct stream_loop *loop)
{
	return IS_ENABLED(CONFIG_MONITOR) && loop->leaves_devices;
}

void net_leave_devices(struct stream_loop *loop)
{
	loop->leaves_devices = true;
}

/* What the servers have asked for since the last section. Stack lock. */
static __attribute__((noinline)) void carry_out(struct stream_loop *loop)
{
	if (loop->used_datagrams)
		stream_datagrams_flush(loop);
	stream_carry_out_all(loop);
	stream_packets_restock(loop);
}

static bool has_output(const struct stream_loop *loop)
{
	return !list_is_empty(&loop->touched) || loop->used_input || loop->used_datagrams;
}

/* What end_section() did not do: there was none, or somebody has to be asked again. */
static bool has_left_over(const struct stream_loop *loop)
{
	return has_output(loop) || !list_is_empty(&loop->starved) || !list_is_empty(&loop->dead);
}

/* The section that begins a round. */
static void section(struct stream_loop *loop)
{
	net_enter();
	__atomic_store_n(&loop->is_awake, false, __ATOMIC_RELEASE);
	loop->now_ns = net_now_ns;
	collecting_loop = loop;
	if (unlikely(has_left_over(loop)))
		carry_out(loop);
	if (!leaves_devices(loop))
		net_poll();
	stream_collect_all(loop);
	if (loop->has_inbox)
		stream_datagrams_collect(loop);
	collecting_loop = NULL;
	net_leave();
}

/* The section that ends a round: what the servers have said leaves. */
static void end_section(struct stream_loop *loop)
{
	net_enter_again();
	carry_out(loop);
	net_leave();
}

int stream_post(struct stream_loop *loop, void (*fn)(void *arg), void *arg)
{
	struct stream_post *post = kmalloc(sizeof(*post));
	irqflags_t flags;

	if (!post)
		return -ENOMEM;
	*post = (struct stream_post){ NULL, fn, arg };
	flags = spin_lock_irq(&loop->post_lock);
	*loop->posts_end = post;
	loop->posts_end = &post->next;
	spin_unlock_irq(&loop->post_lock, flags);
	loop_awaken(loop);
	return 0;
}

static void serve_posts(struct stream_loop *loop)
{
	struct stream_post *post, *next;
	irqflags_t flags;

	if (likely(!__atomic_load_n(&loop->posts, __ATOMIC_ACQUIRE)))
		return;
	flags = spin_lock_irq(&loop->post_lock);
	post = loop->posts;
	loop->posts = NULL;
	loop->posts_end = &loop->posts;
	spin_unlock_irq(&loop->post_lock, flags);
	for (; post; post = next) {
		next = post->next;
		post->fn(post->arg);
		kfree(post);
	}
}

static void service(struct stream_loop *loop)
{
	stream_output_run_releases(loop);
	serve_posts(loop);
	if (timer_heap_first(&loop->timers))
		stream_timers_run(loop, loop->now_ns);
	if (loop->has_datagrams)
		stream_datagrams_serve(loop);
	while (!list_is_empty(&loop->work))
		stream_serve(list_first(&loop->work, struct stream, work));
	stream_turns_run(&loop->head);
}

static bool has_work(const struct stream_loop *loop)
{
	return __atomic_load_n(&loop->is_awake, __ATOMIC_ACQUIRE) || has_output(loop) ||
	       !list_is_empty(&loop->released) || stream_turns_are_due(&loop->head);
}

static void run_signal_handlers(void)
{
	if (signal_hook)
		signal_hook();
	else
		thread_interrupt_clear(thread_current());
}

/* Loans that a device still names, and output without memory, are looked after on a short timer. */
static uint64_t wait_deadline(const struct stream_loop *loop)
{
	uint64_t deadline = stream_timers_deadline(loop);

	if (!list_is_empty(&loop->releasing) || stream_output_is_starved(loop))
		deadline = MIN(deadline, net_clock() + RETRY_NS);
	return deadline;
}

static void alarm_fires(struct ktimer *t)
{
	struct stream_loop *loop = container_of(t, struct stream_loop, alarm);

	store_relaxed(&loop->alarm_ns, DEADLINE_NEVER);
	loop_awaken(loop);
}

/*
 * The loop's timers wake it by an alarm of its own rather than by a deadline of each wait, which
 * would be set and cancelled with every request. One that is set too early costs a round, so it is
 * only moved forward.
 */
static void set_alarm(struct stream_loop *loop)
{
	uint64_t deadline = wait_deadline(loop);

	if (likely(deadline >= loop->alarm_ns))
		return;
	loop->alarm_ns = deadline;
	ktimer_arm(&loop->alarm, deadline);
}

/*
 * Devices are asked for interrupts only here; frames that come while the hart sleeps are taken
 * without one.
 */
static bool look(void *unused)
{
	(void)unused;
	return net_look();
}

/* A wake is not tied to a reason: who returns from here does a round. */
static int block(struct stream_loop *loop)
{
	int err = 0;

	set_alarm(loop);
	store_relaxed(&loop->is_waiting, true);
	thread_prepare_wait();
	if (unlikely(__atomic_load_n(&loop->is_awake, __ATOMIC_ACQUIRE)))
		thread_cancel_wait();
	else
		err = thread_block_looking(DEADLINE_NEVER, true,
					   leaves_devices(loop) ? NULL : look, NULL);
	store_relaxed(&loop->is_waiting, false);
	return err;
}

static void loop_wait(struct stream_loop *loop)
{
	int err = 0;

	if (leaves_devices(loop)) {
		err = block(loop);
	} else if (net_runner_begin_wait(&loop->runner)) {
		err = block(loop);
		net_runner_end_wait(&loop->runner);
	}
	loop->stats.wakeups++;
	counter_inc(stream_wakeups);
	if (unlikely(err == -EINTR))
		run_signal_handlers();
}

static void wake_runner(struct net_runner *r)
{
	loop_awaken(container_of(r, struct stream_loop, runner));
}

/* One round without waiting; for stream_run(), and for tests that run the world step by step. */
bool stream_round(struct stream_loop *loop)
{
	counter_inc(stream_rounds);
	trace_detail_begin("stack", 0);
	section(loop);
	trace_detail_end("stack");
	if (IS_ENABLED(CONFIG_TRACE_DETAIL))
		trace_counter("network memory", net_memory_used());
	service(loop);
	if (likely(has_output(loop)))
		end_section(loop);
	return has_work(loop);
}

int stream_run(struct stream_loop *loop)
{
	struct thread *self = thread_current();

	assert(!loop->is_running);
	loop->is_running = true;
	set_thread(loop, self);
	if (!leaves_devices(loop))
		net_runner_add(&loop->runner);
	while (!__atomic_load_n(&loop->must_stop, __ATOMIC_ACQUIRE)) {
		bool again = stream_round(loop);

		if (unlikely(thread_is_interrupted(self)))
			run_signal_handlers();
		if (!again && !__atomic_load_n(&loop->must_stop, __ATOMIC_ACQUIRE))
			loop_wait(loop);
	}
	section(loop);
	if (!leaves_devices(loop))
		net_runner_remove(&loop->runner);
	set_thread(loop, NULL);
	__atomic_store_n(&loop->must_stop, false, __ATOMIC_RELEASE);
	loop->is_running = false;
	return 0;
}

void stream_stop(struct stream_loop *loop)
{
	__atomic_store_n(&loop->must_stop, true, __ATOMIC_RELEASE);
	loop_awaken(loop);
}

int stream_loop_create(struct stream_loop **out)
{
	struct stream_loop *loop = kzalloc(sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->runner.wake = wake_runner;
	spin_init(&loop->post_lock);
	loop->posts_end = &loop->posts;
	ktimer_init(&loop->alarm, alarm_fires);
	loop->alarm_ns = DEADLINE_NEVER;
	list_init(&loop->streams);
	list_init(&loop->listeners);
	list_init(&loop->datagrams);
	loop->answers_end = &loop->answers;
	loop->short_answers_end = &loop->short_answers;
	loop->used_datagrams_end = &loop->used_datagrams;
	list_init(&loop->ready);
	list_init(&loop->work);
	list_init(&loop->touched);
	list_init(&loop->starved);
	list_init(&loop->releasing);
	list_init(&loop->released);
	list_init(&loop->dead);
	*out = loop;
	return 0;
}

static void end_all_streams(struct stream_loop *loop)
{
	struct stream *s;

	net_enter();
	list_for_each(s, &loop->streams, all) {
		if (s->pcb && !s->is_dead) {
			s->is_closing = true;
			if (!s->out_first && list_is_empty(&s->in_flight))
				stream_do_close(s);
			else
				stream_do_abort(s);
			s->close_error = 0;
		}
	}
	net_leave();
}

/* Loans are given back only when no device names them; the wait ends with the devices' batches. */
static void wait_for_releases(struct stream_loop *loop)
{
	while (!list_is_empty(&loop->releasing)) {
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
		section(loop);
		service(loop);
	}
}

void stream_loop_destroy(struct stream_loop *loop)
{
	struct stream_listener *l, *next;

	assert(!loop->is_running);
	list_for_each_safe(l, next, &loop->listeners, link)
		stream_listener_close(l);
	stream_datagrams_close_all(loop);
	section(loop);
	end_all_streams(loop);
	section(loop);
	service(loop);
	section(loop);
	service(loop);
	wait_for_releases(loop);
	net_enter();
	stream_packets_drop(loop);
	net_leave();
	ktimer_cancel(&loop->alarm);
	kfree(loop->aside);
	kfree(loop);
}

void stream_loop_stats(const struct stream_loop *loop, struct stream_stats *out)
{
	*out = loop->stats;
	net_enter();
	net_interfaces_count(&out->packets_in, &out->packets_out, &out->kicks, &out->interrupts);
	net_leave();
}
