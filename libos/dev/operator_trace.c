/*
 * The command `trace`: switches the trace rings and prints them, one record a line:
 *
 *   time_ns hart thread kind name value
 */
#include <core/errno.h>
#include <core/hart.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/trace.h>

#include "operator.h"

#define DUMP_DEFAULT 256u
#define DUMP_MAX     8192u

static void print_record(struct operator_reply *r, const struct trace_record *t)
{
	static const char *const kinds[] = { "instant", "begin", "end", "counter" };

	operator_print(r, "%llu %u %u %s %s %llu\n", (unsigned long long)t->time_ns, t->hart,
		       t->thread_id, t->kind < ARRAY_SIZE(kinds) ? kinds[t->kind] : "?", t->name,
		       (unsigned long long)t->value);
}

/* The newest `max` records of each hart, oldest first. */
static int dump(struct operator_reply *r, size_t max)
{
	struct trace_record *records = kmalloc(max * sizeof(*records));

	if (!records)
		return -ENOMEM;
	for (hart_t hart = 0; hart < hart_count(); hart++) {
		size_t count = trace_read(hart, records, max);

		for (size_t i = 0; i < count; i++)
			print_record(r, &records[i]);
	}
	kfree(records);
	return 0;
}

static int run_trace(struct operator_reply *r, const char *arguments)
{
	uint64_t max = DUMP_DEFAULT;

	if (str_equal(arguments, "on") || str_equal(arguments, "off")) {
		trace_enable(str_equal(arguments, "on"));
		return 0;
	}
	if (!str_starts_with(arguments, "dump"))
		return -EINVAL;
	arguments += 4;
	while (*arguments == ' ')
		arguments++;
	if (*arguments && (!str_parse_u64(&arguments, &max) || *arguments))
		return -EINVAL;
	return dump(r, CLAMP(max, 1u, DUMP_MAX));
}
OPERATOR_COMMAND(trace, "trace on|off|dump [N]: the newest N records of each hart", run_trace);
