/*
 * The log: a line is formatted on the caller's stack, appended to the ring and printed.
 *
 * A line starts with seconds since boot. The ring keeps the newest CONFIG_LOG_RING_KIB; positions
 * run freely and the oldest bytes are overwritten.
 *
 * Lock: log_lock, then console_lock; both with interrupts off.
 */
#include <core/arch.h>
#include <core/boot.h>
#include <core/console.h>
#include <core/fmt.h>
#include <core/log.h>
#include <core/string.h>
#include <core/sync.h>
#include "../boot/boot.h"

#define LINE_MAX  256u
#define RING_SIZE KIB(CONFIG_LOG_RING_KIB)

BOOT_OPTION(loglevel, "loglevel=error|warn|info|debug: how much the console shows (default info)");

enum log_level log_threshold = LOG_INFO;

static struct spinlock log_lock = SPINLOCK_INIT;
static char ring[RING_SIZE];
static uint64_t ring_head; /* [log_lock] bytes ever written */

void log_init(void)
{
	static const char names[][6] = { "error", "warn", "info", "debug" };
	const char *wanted = boot_option("loglevel");

	if (!wanted)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (str_equal(wanted, names[i])) {
			log_threshold = (enum log_level)i;
			return;
		}
	}
	log_warn("boot: loglevel=%s is none of error, warn, info, debug", wanted);
}

static void ring_append(const char *bytes, size_t len)
{
	while (len) {
		size_t at = ring_head % RING_SIZE, n = MIN(len, RING_SIZE - at);

		memcpy(ring + at, bytes, n);
		ring_head += n;
		bytes += n;
		len -= n;
	}
}

static size_t stamp(char *line, enum log_level level)
{
	static const char marks[][8] = { "error: ", "warn: ", "", "" };
	uint64_t hz = arch_tick_hz(), ticks = arch_ticks();
	uint64_t us = hz ? ticks / hz * 1000000 + ticks % hz * 1000000 / hz : 0;

	return fmt_print(line, LINE_MAX, "[%3lu.%06lu] %s", (unsigned long)(us / 1000000),
			 (unsigned long)(us % 1000000), marks[level]);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX];
	irqflags_t flags;
	va_list args;
	size_t len = stamp(line, level);

	va_start(args, fmt);
	len += fmt_vprint(line + len, LINE_MAX - len, fmt, args);
	va_end(args);
	len = MIN(len, LINE_MAX - 1);
	line[len++] = '\n';
	flags = spin_lock_irq(&log_lock);
	ring_append(line, len);
	console_write(line, len);
	spin_unlock_irq(&log_lock, flags);
}

size_t log_read(char *buf, size_t max)
{
	irqflags_t flags = spin_lock_irq(&log_lock);
	size_t len = MIN(MIN(ring_head, RING_SIZE), max);
	uint64_t from = ring_head - len;

	for (size_t i = 0; i < len; i++)
		buf[i] = ring[(from + i) % RING_SIZE];
	spin_unlock_irq(&log_lock, flags);
	return len;
}
