/*
 * Counters: named 64-bit numbers that only grow, cheap enough to be always on.
 *
 * COUNTER(net_rx_packets, "frames received"); then counter_add(net_rx_packets, n). Each hart adds
 * to its own slot without atomics (so only with preemption off or from code bound to a hart is it
 * exact; a lost increment is accepted elsewhere). counter_read() sums the slots. Any context.
 */
#ifndef CORE_COUNTER_H
#define CORE_COUNTER_H

#include <core/hart.h>
#include <core/types.h>

struct counter {
	const char *name, *help;
	uint64_t *slots;   /* [HARTS_MAX] */
};

/* The linker set: section "counters", whose name lets every linker provide the bounds. */
extern const struct counter __start_counters[], __stop_counters[];

#define COUNTER(id, text)                                                                          \
	static uint64_t counter_slots_##id[CONFIG_HARTS_MAX];                                      \
	static const struct counter counter_##id                                                   \
		__attribute__((used, section("counters"), aligned(8))) = { #id, text,              \
									   counter_slots_##id }

#define counter_add(id, n) (counter_slots_##id[hart_id()] += (n))
#define counter_inc(id)    counter_add(id, 1)

uint64_t counter_read(const struct counter *c);
void counter_for_each(void (*visit)(const struct counter *c, uint64_t value, void *arg), void *arg);

#endif
