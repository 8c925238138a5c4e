/*
 * The page /trace?ms=N: traces that long, then shows it as JSON. With ms=0, what was traced already
 * since the operator switched it on.
 */
#include <core/trace.h>
#include <core/types.h>

#include "monitor.h"

#define MS_DEFAULT 100
#define MS_MAX     60000

static struct trace_json *document;  /* of the one who traces, else NULL */
static bool was_on;
static char line[TRACE_JSON_LINE_MAX];

static unsigned begin(struct answer *a, struct http_word query, uint64_t *patience_ns)
{
	uint64_t ms = MS_DEFAULT;

	http_query_has(query, "ms", &ms);
	if (ms > MS_MAX)
		return 400;
	if (document)
		return 503;
	document = trace_json_begin();
	if (!document)
		return 503;
	was_on = trace_is_on;
	if (ms)
		trace_enable(true);
	*patience_ns = ms * NSEC_PER_MSEC;
	a->until_ns = stream_now_ns() + *patience_ns;
	return 0;
}

static void more(struct answer *a, struct textbuf *t)
{
	size_t len;

	if (stream_now_ns() < a->until_ns)
		return;
	trace_enable(false);         /* what goes on being traced would overwrite what is shown */
	len = trace_json_line(document, line);
	textbuf_add_bytes(t, line, len);
	a->is_over = !len;
}

static void end(struct answer *a)
{
	(void)a;
	trace_json_end(document);
	document = NULL;
	trace_enable(was_on);
}

static const struct monitor_page trace_page = {
	.path = "/trace", .type = "application/json",
	.help = "what happened in ?ms=100, for Perfetto's viewer", .begin = begin, .more = more,
	.end = end
};
MONITOR_PAGE(trace_page);
