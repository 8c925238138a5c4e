/*
 * The command `trace`: switches the trace rings, and prints them as a JSON document for a viewer.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/trace.h>

#include "operator.h"

/* What goes on being traced overwrites what is to be printed, so it stops here. */
static int dump(struct operator_reply *r)
{
	struct trace_json *j;
	char *line = kmalloc(TRACE_JSON_LINE_MAX);
	size_t len;

	trace_enable(false);
	j = line ? trace_json_begin() : NULL;
	while (j && (len = trace_json_line(j, line)) != 0)
		r->write(r->arg, line, len);
	trace_json_end(j);
	kfree(line);
	return j ? 0 : -ENOMEM;
}

static int run_trace(struct operator_reply *r, const char *arguments)
{
	if (str_equal(arguments, "dump"))
		return dump(r);
	if (!str_equal(arguments, "on") && !str_equal(arguments, "off"))
		return -EINVAL;
	trace_enable(str_equal(arguments, "on"));
	return 0;
}
OPERATOR_COMMAND(trace, "trace on|off|dump: dump ends it and prints JSON for a trace viewer",
		 run_trace);
