/*
 * Console and log on the machine. The UART's loop-back brings what is sent back as input, by
 * interrupt.
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

/* Reads until `word` has come; what other threads log meanwhile comes back as well. */
static bool word_arrives(const char *word, uint64_t timeout_ns)
{
	uint64_t end = clock_ns() + timeout_ns;
	size_t matched = 0;
	char c;

	while (clock_ns() < end) {
		if (!console_read(&c, 1)) {
			thread_sleep_until(clock_ns() + NSEC_PER_MSEC);
			continue;
		}
		matched = c == word[matched] ? matched + 1 : c == word[0];
		if (!word[matched])
			return true;
	}
	return false;
}

TEST(console_input_arrives_by_interrupt)
{
	bool arrived;
	char c;

	while (console_read(&c, 1))
		;
	console_set_notify(count_notify);
	notified = 0;
	if (!ns16550_loop(true))
		return;
	console_write("knock", 5);
	arrived = word_arrives("knock", NSEC_PER_SEC);
	ns16550_loop(false);
	console_set_notify(NULL);
	CHECK(arrived);
	CHECK(notified > 0);
}

static bool has_text(const char *text, const char *part)
{
	for (; *text; text++) {
		if (str_starts_with(text, part))
			return true;
	}
	return false;
}

TEST(log_keeps_its_newest_lines)
{
	static char buf[1000];
	enum log_level before = log_threshold;
	size_t len;

	log_threshold = LOG_DEBUG;
	log_debug("test: the last line is kept");
	log_threshold = LOG_INFO;
	log_debug("test: a line below the threshold is not");
	log_threshold = before;
	len = log_read(buf, sizeof(buf) - 1);
	CHECK(len > 0 && buf[len - 1] == '\n');
	CHECK(has_text(buf, "test: the last line is kept\n"));
	CHECK(!has_text(buf, "below the threshold"));
}
