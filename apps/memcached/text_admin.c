/*
 * Commands about the server rather than about items.
 */
#include <signal.h>

#include "number.h"
#include "settings.h"
#include "stats.h"
#include "text.h"
#include "tls.h"

enum { VERBOSITY_MAX = 2 };

void text_flush_all(struct conn *c, struct words *w)
{
	int32_t delay = 0;

	text_take_noreply(c, w);
	stats.cmd_flush++;
	if (!settings.flush_enabled) {
		conn_reply(c, "CLIENT_ERROR flush_all not allowed\r\n");
		return;
	}
	if (w->count != (c->noreply ? 2 : 1) &&
	    !number_parse_i32(w->word[1].text, w->word[1].len, &delay)) {
		conn_reply(c, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	cache_flush(delay);
	conn_reply(c, "OK\r\n");
}

void text_verbosity(struct conn *c, struct words *w)
{
	uint32_t level;

	text_take_noreply(c, w);
	if (!number_parse_u32(w->word[1].text, w->word[1].len, &level)) {
		conn_reply(c, "CLIENT_ERROR bad command line format\r\n");
		return;
	}
	settings.verbose = level > VERBOSITY_MAX ? VERBOSITY_MAX : level;
	conn_reply(c, "OK\r\n");
}

void text_version(struct conn *c, struct words *w)
{
	(void)w;
	conn_reply(c, "VERSION " MEMCACHED_VERSION "\r\n");
}

void text_quit(struct conn *c, struct words *w)
{
	(void)w;
	conn_quit(c);
}

void text_refresh_certs(struct conn *c, struct words *w)
{
	const char *problem;

	text_take_noreply(c, w);
	problem = tls_refresh();
	conn_reply(c, problem ? problem : "OK\r\n");
}

void text_shutdown(struct conn *c, struct words *w)
{
	if (!settings.shutdown_command) {
		conn_reply(c, "ERROR: shutdown not enabled\r\n");
	} else if (w->count == 1 || (w->count == 2 && word_is(w->word[1], "graceful"))) {
		conn_quit(c);
		raise(SIGTERM);
	} else {
		conn_reply(c, "CLIENT_ERROR invalid shutdown mode\r\n");
	}
}
