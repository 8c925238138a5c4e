/*
 * What every image can tell of itself: harts, threads, memory, devices, and each COUNTER().
 */
#include <core/counter.h>
#include <core/hart.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/thread.h>
#include <core/time.h>
#include <libos/netdev.h>

#include "exposition.h"
#include "monitor.h"

static void uptime(struct metric_samples *out)
{
	metric_sample_ns(out, clock_ns(), NULL);
}
METRIC(kiln_uptime_seconds, METRIC_GAUGE, "time since the image started", uptime);

static void image(struct metric_samples *out)
{
	metric_sample(out, 1, METRIC_LABELS({ "application", CONFIG_APP_NAME }));
}
METRIC(kiln_image_info, METRIC_GAUGE, "the image that answers; always 1", image);

/* ---- harts and threads ---- */

static void read_instructions(void *arg)
{
	*(uint64_t *)arg = arch_instructions();
}

static void hart_instructions(struct metric_samples *out)
{
	char number[METRIC_NUMBER_MAX];

	for (hart_t h = 0; h < hart_count(); h++) {
		uint64_t count = 0;

		hart_call(h, read_instructions, &count);
		metric_sample(out, count, METRIC_LABELS({ "hart", metric_number(h, number) }));
	}
}
METRIC(kiln_hart_instructions_total, METRIC_COUNTER,
       "instructions retired, as the machine counts them (QEMU without -icount counts time)",
       hart_instructions);

static void timers_armed(struct metric_samples *out)
{
	char number[METRIC_NUMBER_MAX];

	for (hart_t h = 0; h < hart_count(); h++)
		metric_sample(out, ktimer_armed(h),
			      METRIC_LABELS({ "hart", metric_number(h, number) }));
}
METRIC(kiln_timers_armed, METRIC_GAUGE, "timers that wait for their time", timers_armed);

static bool is_idle(const struct thread_info *t)
{
	return str_starts_with(t->name, "idle/");
}

static void note_idle(const struct thread_info *t, void *out)
{
	char number[METRIC_NUMBER_MAX];

	if (is_idle(t))
		metric_sample_ns(out, t->ran_ns,
				 METRIC_LABELS({ "hart", metric_number(t->hart, number) }));
}

static void hart_idle(struct metric_samples *out)
{
	thread_for_each(note_idle, out);
}
METRIC(kiln_hart_idle_seconds_total, METRIC_COUNTER, "time in which the hart had nothing to do",
       hart_idle);

static void note_thread(const struct thread_info *t, void *out)
{
	char number[METRIC_NUMBER_MAX];

	if (!is_idle(t))
		metric_sample_ns(out, t->ran_ns,
				 METRIC_LABELS({ "thread", t->name },
					       { "id", metric_number((uint64_t)t->id, number) }));
}

static void thread_time(struct metric_samples *out)
{
	thread_for_each(note_thread, out);
}
METRIC(kiln_thread_seconds_total, METRIC_COUNTER, "processor time of each thread there is",
       thread_time);

/* ---- memory ---- */

static void memory_pages(struct metric_samples *out)
{
	struct page_stats s;

	page_stats(&s);
	for (unsigned i = 0; i < PAGE_OWNERS; i++)
		metric_sample(out, s.by_owner[i] * PAGE_SIZE,
			      METRIC_LABELS({ "owner", page_owner_names[i] }));
}
METRIC(kiln_memory_bytes, METRIC_GAUGE, "RAM by what its pages are used for", memory_pages);

static void memory_total(struct metric_samples *out)
{
	struct page_stats s;

	page_stats(&s);
	metric_sample(out, s.total_pages * PAGE_SIZE, NULL);
}
METRIC(kiln_memory_total_bytes, METRIC_GAUGE, "RAM that the image manages", memory_total);

static void note_cache_bytes(const struct kmem_stats *s, void *out)
{
	metric_sample(out, s->slabs_bytes, METRIC_LABELS({ "cache", s->name }));
}

static void cache_bytes(struct metric_samples *out)
{
	kmem_for_each(note_cache_bytes, out);
}
METRIC(kiln_heap_cache_bytes, METRIC_GAUGE, "pages held by each cache of the kernel heap",
       cache_bytes);

static void note_cache_objects(const struct kmem_stats *s, void *out)
{
	metric_sample(out, s->in_use, METRIC_LABELS({ "cache", s->name }));
}

static void cache_objects(struct metric_samples *out)
{
	kmem_for_each(note_cache_objects, out);
}
METRIC(kiln_heap_cache_objects, METRIC_GAUGE, "objects in use of each cache of the kernel heap",
       cache_objects);

/* ---- network devices ---- */

static void each_netdev(struct metric_samples *out, size_t field)
{
	struct netdev *d = NULL;

	while ((d = netdev_next(d)) != NULL)
		metric_sample(out, *(const uint64_t *)((const char *)d + field),
			      METRIC_LABELS({ "device", d->name }));
}

#define NETDEV_METRIC(field, name, text)                             \
	static void netdev_##field(struct metric_samples *out)       \
	{                                                            \
		each_netdev(out, offsetof(struct netdev, field));    \
	}                                                            \
	METRIC(name, METRIC_COUNTER, text, netdev_##field)

NETDEV_METRIC(rx_packets, kiln_netdev_received_packets_total, "frames received");
NETDEV_METRIC(rx_bytes, kiln_netdev_received_bytes_total, "bytes of frames received");
NETDEV_METRIC(rx_dropped, kiln_netdev_received_dropped_total,
	      "frames received and dropped by the driver");
NETDEV_METRIC(tx_packets, kiln_netdev_sent_packets_total, "frames given to the device");
NETDEV_METRIC(tx_bytes, kiln_netdev_sent_bytes_total, "bytes of frames given to the device");
NETDEV_METRIC(tx_dropped, kiln_netdev_sent_dropped_total, "frames the driver could not send");
NETDEV_METRIC(kicks, kiln_netdev_kicks_total, "notifications of the device");
NETDEV_METRIC(irqs, kiln_netdev_interrupts_total, "interrupts of the device");
NETDEV_METRIC(polls, kiln_netdev_polls_total, "times the device was polled");
NETDEV_METRIC(resets, kiln_netdev_resets_total,
	      "times the device was reset for breaking its contract");

/* ---- what was thrown away: the counters named <part>_drop_<reason> ---- */

/* Where the reason begins in the name of such a counter, or NULL. */
static const char *drop_reason(const struct counter *c)
{
	for (const char *at = c->name; *at; at++) {
		if (str_starts_with(at, "_drop_"))
			return at + str_length("_drop_");
	}
	return NULL;
}

static void drops(struct metric_samples *out)
{
	for (const struct counter *c = __start_counters; c < __stop_counters; c++) {
		const char *reason = drop_reason(c);
		struct textbuf part = { .at = (char[16]){ 0 }, .room = 15 };

		if (!reason)
			continue;
		textbuf_add_bytes(&part, c->name,
				  (size_t)(reason - c->name) - str_length("_drop_"));
		metric_sample(out, counter_read(c),
			      METRIC_LABELS({ "part", part.at }, { "reason", reason }));
	}
}
METRIC(kiln_drops_total, METRIC_COUNTER,
       "frames, segments, connections and allocations given up, by reason", drops);

/* ---- the other counters: metrics whose names are made here ---- */

static const struct counter *shown; /* monitor's thread */

static void counter_by_hart(struct metric_samples *out)
{
	char number[METRIC_NUMBER_MAX];

	for (hart_t h = 0; h < hart_count(); h++)
		metric_sample(out, __atomic_load_n(&shown->slots[h], __ATOMIC_RELAXED),
			      METRIC_LABELS({ "hart", metric_number(h, number) }));
}

bool metrics_of_system(const void **at, struct textbuf *t)
{
	const struct counter *c = *at ? *at : __start_counters;
	char name[64];
	struct textbuf text = { .at = name, .room = sizeof(name) - 1 };
	struct metric m = { name, c->help, counter_by_hart, METRIC_COUNTER };

	if (c >= __stop_counters)
		return false;
	*at = c + 1;
	if (drop_reason(c))
		return true;
	textbuf_add(&text, "kiln_");
	textbuf_add(&text, c->name);
	textbuf_add(&text, "_total");
	name[text.len] = '\0';
	shown = c;
	exposition_write(t, &m);
	return true;
}
