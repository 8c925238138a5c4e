/*
 * The log: one line per call, to the console and to a ring that `dmesg` and /trace can read.
 *
 * The level is set by `loglevel=` in bootargs (error warn info debug; default info). A line below
 * it costs one load and a branch. Any context, harts do not interleave within a line.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <core/types.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern enum log_level log_threshold;

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_at(level, ...)                              \
	do {                                            \
		if ((level) <= log_threshold)           \
			log_write(level, __VA_ARGS__);  \
	} while (0)

/* Lines end without a newline of their own and start with the subject: "virtio-net: ..." */
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
