/*
 * Pages of every monitor: what there is, and the metrics.
 */
#include "exposition.h"
#include "monitor.h"

extern const struct monitor_page *const __start_monitor_pages[];
extern const struct monitor_page *const __stop_monitor_pages[];

static void index_more(struct answer *a, struct textbuf *t)
{
	for (const struct monitor_page *const *p = __start_monitor_pages; p < __stop_monitor_pages;
	     p++) {
		textbuf_add(t, (*p)->path);
		textbuf_add(t, "  ");
		textbuf_add(t, (*p)->help);
		textbuf_add_char(t, '\n');
	}
	a->is_over = true;
}

static const struct monitor_page index_page = {
	.path = "/", .type = "text/plain", .help = "this list", .more = index_more
};
MONITOR_PAGE(index_page);

enum metrics_part { REGISTERED, SYSTEM };

/* Appends the next metric and moves on; false when there is none left in this part. */
static bool metrics_next(struct answer *a, struct textbuf *t)
{
	const struct metric *m;

	if (a->part == SYSTEM)
		return metrics_of_system(&a->at, t);
	m = metric_next(a->at);
	if (m)
		exposition_write(t, m);
	a->at = m;
	return m != NULL;
}

/* A metric that does not fit behind others comes first in the next piece; alone, it is cut. */
static void metrics_more(struct answer *a, struct textbuf *t)
{
	const struct answer was = *a;
	size_t before = t->len;

	while (t->len == before && !a->is_over) {
		if (metrics_next(a, t))
			continue;
		a->at = NULL;
		a->is_over = a->part++ == SYSTEM;
	}
	if (t->is_cut && before) {
		textbuf_take_back(t, before);
		*a = was;
	}
	t->is_cut = false;
}

static const struct monitor_page metrics_page = {
	.path = "/metrics", .type = EXPOSITION_TYPE, .help = "all numbers, for Prometheus",
	.more = metrics_more
};
MONITOR_PAGE(metrics_page);
