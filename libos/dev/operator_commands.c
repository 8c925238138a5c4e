/*
 * Commands that every image with a door has: stop, stats, threads, memory, net, log.
 *
 * Walks that hold a lock of core's must not sleep, and printing may; so those commands take a
 * snapshot first.
 */
#include <core/counter.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>
#include <core/thread.h>
#include <core/time.h>
#include <libos/netdev.h>
#include <libos/power.h>

#include "operator.h"

#define SNAPSHOT_MAX 128u

static void (*stop_hook)(void); /* atomic */

void operator_on_stop(void (*stop)(void))
{
	__atomic_store_n(&stop_hook, stop, __ATOMIC_RELEASE);
}

static void stop_now(void)
{
	void (*hook)(void) = __atomic_load_n(&stop_hook, __ATOMIC_ACQUIRE);

	log_info("operator: stop");
	if (hook)
		hook();
	else
		system_poweroff(0);
}

static int run_stop(struct operator_reply *r, const char *arguments)
{
	(void)arguments;
	r->after = stop_now;
	return 0;
}
OPERATOR_COMMAND(stop, "ends the application, then the machine", run_stop);

static void print_counter(const struct counter *c, uint64_t value, void *arg)
{
	operator_print(arg, "%s %llu\n", c->name, (unsigned long long)value);
}

static void print_net(struct operator_reply *r, const struct netdev *d)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "rx_packets", d->rx_packets }, { "rx_bytes", d->rx_bytes },
		{ "rx_dropped", d->rx_dropped }, { "tx_packets", d->tx_packets },
		{ "tx_bytes", d->tx_bytes },     { "tx_dropped", d->tx_dropped },
		{ "kicks", d->kicks },           { "irqs", d->irqs },
		{ "polls", d->polls },           { "resets", d->resets },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		operator_print(r, "%s_%s %llu\n", d->name, rows[i].name,
			       (unsigned long long)rows[i].value);
}

static void print_pages(struct operator_reply *r)
{
	struct page_stats s;

	page_stats(&s);
	operator_print(r, "pages_total %zu\npages_free %zu\npages_largest_free_order %zu\n",
		       s.total_pages, s.free_pages, s.largest_free_order);
	for (unsigned i = PAGE_RESERVED; i < PAGE_OWNERS; i++)
		operator_print(r, "pages_%s %zu\n", page_owner_names[i], s.by_owner[i]);
}

struct kmem_snapshot {
	unsigned count;
	struct kmem_stats rows[SNAPSHOT_MAX];
};

static void note_cache(const struct kmem_stats *s, void *arg)
{
	struct kmem_snapshot *snapshot = arg;

	if (snapshot->count < SNAPSHOT_MAX)
		snapshot->rows[snapshot->count++] = *s;
}

/* Caches live for ever in practice, and so do their names. */
static int print_caches(struct operator_reply *r)
{
	struct kmem_snapshot *snapshot = kzalloc(sizeof(*snapshot));

	if (!snapshot)
		return -ENOMEM;
	kmem_for_each(note_cache, snapshot);
	for (unsigned i = 0; i < snapshot->count; i++) {
		const struct kmem_stats *s = &snapshot->rows[i];

		operator_print(r, "kmem_%s %zu objects of %zu bytes, %zu bytes of slabs\n", s->name,
			       s->in_use, s->object_bytes, s->slabs_bytes);
	}
	kfree(snapshot);
	return 0;
}

static int run_memory(struct operator_reply *r, const char *arguments)
{
	(void)arguments;
	print_pages(r);
	return print_caches(r);
}
OPERATOR_COMMAND(memory, "frames by owner, and the kernel heap's caches", run_memory);

static int run_stats(struct operator_reply *r, const char *arguments)
{
	struct netdev *d = NULL;

	operator_print(r, "uptime_ns %llu\n", (unsigned long long)clock_ns());
	counter_for_each(print_counter, r);
	while ((d = netdev_next(d)) != NULL)
		print_net(r, d);
	return run_memory(r, arguments);
}
OPERATOR_COMMAND(stats, "every counter, network device and memory figure", run_stats);

struct thread_row {
	struct thread_info info;
	char name[16];
};

struct thread_snapshot {
	unsigned count, missed;
	struct thread_row rows[SNAPSHOT_MAX];
};

static void note_thread(const struct thread_info *info, void *arg)
{
	struct thread_snapshot *s = arg;

	if (s->count == SNAPSHOT_MAX) {
		s->missed++;
		return;
	}
	s->rows[s->count].info = *info;
	str_copy(s->rows[s->count++].name, sizeof(s->rows[0].name), info->name);
}

static int run_threads(struct operator_reply *r, const char *arguments)
{
	static const char *const states[] = { "sleeping", "ready", "running", "dead" };
	struct thread_snapshot *s = kzalloc(sizeof(*s));

	(void)arguments;
	if (!s)
		return -ENOMEM;
	thread_for_each(note_thread, s);
	for (unsigned i = 0; i < s->count; i++) {
		const struct thread_info *t = &s->rows[i].info;

		operator_print(r, "%d %s %s priority %u hart %u ran_us %llu\n", t->id,
			       s->rows[i].name, states[t->state], t->priority, t->hart,
			       (unsigned long long)(t->ran_ns / 1000));
	}
	if (s->missed)
		operator_print(r, "and %u more\n", s->missed);
	kfree(s);
	return 0;
}
OPERATOR_COMMAND(threads, "every thread, its state and the time it ran", run_threads);

static int run_log(struct operator_reply *r, const char *arguments)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };

	if (!*arguments) {
		operator_print(r, "%s\n", levels[log_threshold]);
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		if (str_equal(arguments, levels[i])) {
			log_threshold = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}
OPERATOR_COMMAND(log, "log [error|warn|info|debug]: shows or sets what the log lets through",
		 run_log);
