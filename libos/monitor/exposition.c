/*
 * Prometheus's text exposition format, version 0.0.4: for each metric a HELP and a TYPE line, then
 * one line for each sample,
 *
 *	name{label="value",...} number
 *
 * all ended by a line feed. In HELP a backslash and a line feed are escaped, in values of labels a
 * quotation mark, too. The format asks that the lines of a metric stand together, and that no two
 * samples have the same labels; both follow from METRIC(), the second if collect() plays along.
 */
#include "exposition.h"

struct metric_samples {
	struct textbuf *text;
	const struct metric *metric;
	size_t samples;
};

/* Weak: a program without a METRIC() has no such section. */
extern const struct metric __start_metrics[] __attribute__((weak));
extern const struct metric __stop_metrics[] __attribute__((weak));

const struct metric *metric_next(const struct metric *m)
{
	m = m ? m + 1 : __start_metrics;
	return m < __stop_metrics ? m : NULL;
}

static void add_escaped(struct textbuf *t, const char *s, char quote)
{
	for (; *s; s++) {
		if (*s == '\n') {
			textbuf_add(t, "\\n");
			continue;
		}
		if (*s == '\\' || *s == quote)
			textbuf_add_char(t, '\\');
		textbuf_add_char(t, *s);
	}
}

static void add_heads(struct textbuf *t, const struct metric *m)
{
	textbuf_add(t, "# HELP ");
	textbuf_add(t, m->name);
	textbuf_add_char(t, ' ');
	add_escaped(t, m->help, '\\');
	textbuf_add(t, "\n# TYPE ");
	textbuf_add(t, m->name);
	textbuf_add(t, m->type == METRIC_COUNTER ? " counter\n" : " gauge\n");
}

static void add_labels(struct textbuf *t, const struct metric_label *labels)
{
	for (const struct metric_label *l = labels; l->name; l++) {
		textbuf_add_char(t, l == labels ? '{' : ',');
		textbuf_add(t, l->name);
		textbuf_add(t, "=\"");
		add_escaped(t, l->value, '"');
		textbuf_add_char(t, '"');
	}
	if (labels->name)
		textbuf_add_char(t, '}');
}

/* Once a sample was cut off, the smaller ones behind it are left out as well. */
static void add_sample(struct metric_samples *out, uint64_t value,
		       const struct metric_label *labels,
		       void (*add_value)(struct textbuf *t, uint64_t value))
{
	struct textbuf *t = out->text;
	size_t before = t->len;

	if (t->is_cut)
		return;
	textbuf_add(t, out->metric->name);
	if (labels)
		add_labels(t, labels);
	textbuf_add_char(t, ' ');
	add_value(t, value);
	textbuf_add_char(t, '\n');
	if (t->is_cut)
		t->len = before;
	else
		out->samples++;
}

void metric_sample(struct metric_samples *out, uint64_t value, const struct metric_label *labels)
{
	add_sample(out, value, labels, textbuf_add_number);
}

void metric_sample_ns(struct metric_samples *out, uint64_t ns, const struct metric_label *labels)
{
	add_sample(out, ns, labels, textbuf_add_seconds);
}

const char *metric_number(uint64_t n, char buf[METRIC_NUMBER_MAX])
{
	struct textbuf t = { .at = buf, .room = METRIC_NUMBER_MAX - 1 };

	textbuf_add_number(&t, n);
	buf[t.len] = '\0';
	return buf;
}

void exposition_write(struct textbuf *t, const struct metric *m)
{
	struct metric_samples out = { .text = t, .metric = m };
	size_t before = t->len;

	add_heads(t, m);
	if (!t->is_cut)
		m->collect(&out);
	if (!out.samples)
		t->len = before;
}
