/*
 * The trace: fixed-size records in a ring per hart, written without locks, read while running.
 *
 * A point costs one load and a predictable branch when tracing is off, nothing without
 * CONFIG_TRACE. Names are string literals, kept by address.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <core/types.h>

enum trace_kind { TRACE_INSTANT, TRACE_BEGIN, TRACE_END, TRACE_COUNTER };

struct trace_record {
	uint64_t time_ns;
	const char *name;
	uint64_t value;
	uint32_t thread_id;
	uint8_t kind, hart;
};

extern bool trace_is_on;
void trace_write(enum trace_kind kind, const char *name, uint64_t value);
void trace_enable(bool on);

#define trace_point(kind, name, value)                                              \
	do {                                                                        \
		if (IS_ENABLED(CONFIG_TRACE) && unlikely(trace_is_on))              \
			trace_write(kind, name, (uint64_t)(value));                 \
	} while (0)
#define trace_instant(name, value) trace_point(TRACE_INSTANT, name, value)
#define trace_begin(name, value)   trace_point(TRACE_BEGIN, name, value)
#define trace_end(name)            trace_point(TRACE_END, name, 0)

/* Copies the newest records of a hart's ring, oldest first; returns how many. Threads. */
size_t trace_read(hart_t hart, struct trace_record *out, size_t max);

#endif
