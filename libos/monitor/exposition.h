/*
 * The registered metrics as text.
 */
#ifndef MONITOR_EXPOSITION_H
#define MONITOR_EXPOSITION_H

#include <libos/metrics.h>

#include "textbuf.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * Appends one metric: two comments and its samples, or nothing when it has no samples just now.
 * When the text has no room for all samples, those that fit are there and is_cut is set.
 */
void exposition_write(struct textbuf *t, const struct metric *m);

/* The metric behind m in the linked program, NULL behind the last; the first behind NULL. */
const struct metric *metric_next(const struct metric *m);

#endif
