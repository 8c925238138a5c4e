/*
 * The trace: fixed-size records in a ring per hart, written without locks, read while running.
 *
 * A point costs one load and a predictable branch when tracing is off, nothing without
 * CONFIG_TRACE. Names are string literals, kept by address.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <core/types.h>

/*
 * BEGIN and END are the current thread's and nest in it; HART_BEGIN and HART_END are the hart's,
 * for what interrupts whatever thread there is. SWITCH: from now on the thread with the id in
 * `value` has the hart.
 */
enum trace_kind {
	TRACE_INSTANT, TRACE_BEGIN, TRACE_END, TRACE_COUNTER, TRACE_HART_BEGIN, TRACE_HART_END,
	TRACE_SWITCH
};

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
#define trace_counter(name, value) trace_point(TRACE_COUNTER, name, value)
#define trace_hart_begin(name, value) trace_point(TRACE_HART_BEGIN, name, value)
#define trace_hart_end(name)       trace_point(TRACE_HART_END, name, 0)
#define trace_switch(thread_id)    trace_point(TRACE_SWITCH, "switch", thread_id)

/* The same for points that every request passes: nothing without CONFIG_TRACE_DETAIL. */
#define trace_detail_begin(name, value)                    \
	do {                                               \
		if (IS_ENABLED(CONFIG_TRACE_DETAIL))       \
			trace_begin(name, value);          \
	} while (0)
#define trace_detail_end(name)                             \
	do {                                               \
		if (IS_ENABLED(CONFIG_TRACE_DETAIL))       \
			trace_end(name);                   \
	} while (0)

/*
 * Copies up to `max` records of a hart, oldest first, from number *position on (or the oldest there
 * still is), and moves it behind them; returns how many. Start with 0. Threads.
 */
size_t trace_read(hart_t hart, uint64_t *position, struct trace_record *out, size_t max);
/* When tracing was last switched on, as clock_ns(). */
uint64_t trace_since_ns(void);

/*
 * The trace as a JSON document in the Trace Event Format, which Perfetto's and Chrome's viewers
 * open: a track for each hart, showing its threads and interrupts, and one for each thread. Records
 * of all harts come in order of time; each end has its begin. Read while tracing is off, or what is
 * overwritten meanwhile is missing. Threads.
 */
struct trace_json;
struct trace_json *trace_json_begin(void);       /* NULL: no memory */
#define TRACE_JSON_LINE_MAX 512
/*
 * Writes the next line or two, ends included and no zero, and returns their length; 0 behind the
 * last.
 */
size_t trace_json_line(struct trace_json *j, char line[TRACE_JSON_LINE_MAX]);
void trace_json_end(struct trace_json *j);

#endif
