/*
 * Metrics: numbers that a program or a part of the image shows at /metrics.
 *
 *	static void items(struct metric_samples *out)
 *	{
 *		metric_sample(out, table_items(), NULL);
 *	}
 *	METRIC(cache_items, METRIC_GAUGE, "items in the cache", items);
 *
 * joins by linker set: a file of METRIC()s that is linked is shown, one that is left out costs
 * nothing, and no start-up code is needed. Names are Prometheus's: lower case and underscores, the
 * unit at the end, and `_total` behind it where the number only grows.
 *
 * collect() runs in the monitor's thread while the program works: it reads single words (which
 * never tear) or takes the lock that guards what it reads, must not wait long, and makes at most a
 * few hundred samples. A METRIC_TEXT_MAX of text is shown of one metric.
 *
 * This header needs only the compiler's own, so that applications can include it everywhere.
 */
#ifndef LIBOS_METRICS_H
#define LIBOS_METRICS_H

#include <stddef.h>
#include <stdint.h>

#define METRIC_TEXT_MAX 16384

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metric_samples;

struct metric {
	const char *name, *help;
	void (*collect)(struct metric_samples *out);
	enum metric_type type;
};

#define METRIC(id, kind, text, function)                                             \
	static const struct metric metric_##id                                       \
	    __attribute__((used, section("metrics"), aligned(8))) = { #id, text, function, kind }

struct metric_label {
	const char *name, *value;   /* the value is any UTF-8 text */
};

/* Labels of one sample: METRIC_LABELS({ "hart", "0" }, { "kind", "timer" }). */
#define METRIC_LABELS(...) ((const struct metric_label[]){ __VA_ARGS__, { NULL, NULL } })

/* One sample of the metric being collected; `labels` end with a NULL name, or are NULL. */
void metric_sample(struct metric_samples *out, uint64_t value, const struct metric_label *labels);
/* The same for a length of time: shown in seconds. */
void metric_sample_ns(struct metric_samples *out, uint64_t ns, const struct metric_label *labels);

/* A number as the value of a label. The text lasts until the next call with the same buffer. */
#define METRIC_NUMBER_MAX 21
const char *metric_number(uint64_t n, char buf[METRIC_NUMBER_MAX]);

#endif
