/*
 * Console and log on the machine. The UART's loop-back brings what is sent back as input, by interrupt.
 */
#include <core/console.h>
#include <core/log.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <core/time.h>
#include "console.h"

static volatile unsigned notified;

static void count_notify(void)
{
	notified++;
}

static size_t read_within(char *buf, size_t want, uint64_t timeout_ns)
{
	uint64_t end = clock_ns() + timeout_ns;
	size_t got = 0;

	while (got < want && clock_ns() < end) {
		got += console_read(buf + got, want - got);
		thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
	}
	return got;
}

TEST(console_input_arrives_by_interrupt)
{
	char buf[16];
	size_t got;

	while (console_read(buf, sizeof(buf)))
		;
	console_set_notify(count_notify);
	notified = 0;
	if (!ns16550_loop(true))
		return;
	console_write("knock", 5);
	got = read_within(buf, 5, NSEC_PER_SEC);
	ns16550_loop(false);
	console_set_notify(NULL);
	CHECK_EQ(got, 5);
	CHECK(memcmp(buf, "knock", 5) == 0);
	CHECK(notified > 0);
	CHECK(!console_can_read());
}

TEST(log_keeps_its_newest_lines)
{
	static char buf[200];
	enum log_level before = log_threshold;
	size_t len;

	log_threshold = LOG_DEBUG;
	log_debug("test: the last line is kept");
	log_threshold = LOG_INFO;
	log_debug("test: a line below the threshold is not");
	log_threshold = before;
	len = log_read(buf, sizeof(buf) - 1);
	CHECK(len > 0 && buf[len - 1] == '\n');
	buf[len - 1] = '\0';
	CHECK(str_equal(buf + len - 1 - 27, "test: the last line is kept"));
}
