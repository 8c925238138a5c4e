/*
 * debugtime, of builds for tests (CONFIG_MEMCACHED_DEBUG): "p" stops the clock, "r" lets it run, a
 * number moves it as clock_debug_add() says.
 */
#include "number.h"
#include "text.h"

void text_debugtime(struct conn *c, struct words *w)
{
	struct word what = w->word[1];
	int32_t seconds;

	if (word_is(what, "p")) {
		clock_debug_pause();
	} else if (word_is(what, "r")) {
		clock_debug_resume();
	} else if (number_parse_i32(what.text, what.len, &seconds)) {
		clock_debug_add(seconds);
	} else {
		conn_reply(c, "ERROR\r\n");
		return;
	}
	conn_reply(c, "OK\r\n");
}
