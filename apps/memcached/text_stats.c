/*
 * stats, the command: which section, and what else begins with this word.
 */
#include "report.h"
#include "stats.h"

void text_stats(struct conn *c, struct words *w)
{
	struct word name = w->word[1];

	if (w->count == 1) {
		stats_show_general(c);
		stat_end(c);
	} else if (word_is(name, "reset")) {
		stats_reset();
		conn_reply(c, "RESET\r\n");
	} else if (stats_show(c, name.text, name.len)) {
		stat_end(c);
	} else {
		conn_reply(c, "ERROR\r\n");
	}
}
