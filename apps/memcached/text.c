/*
 * The text protocol: lines, words, and which command they name.
 *
 * A line is parsed where it lies. It ends with LF; a CR before it belongs to the end (but not in a
 * line of a CR alone: memcached calls that an error, too), and a NUL ends it early. Words are
 * separated by blanks and by nothing else.
 *
 * The commonest, get and set in their plain form, do not come here: text_command() (text_fast.c)
 * looks first.
 */
#include "text.h"

#include <stdio.h>

#include "meta.h"
#include "settings.h"
#include "watch.h"

/* without an LF by then, it is a long get, or nothing sensible */
enum { LINE_MAX_BYTES = 2048 };

struct command {
	const char *name;
	uint8_t len, words_min, words_max;    /* words with the command itself */
	void (*run)(struct conn *c, struct words *w);
};

#define COMMAND(name, min, max, run) { name, sizeof(name) - 1, min, max, run }

static const struct command commands[] = {
	COMMAND("get", 2, WORDS_MAX, text_get),
	COMMAND("set", 5, 6, text_set),
	COMMAND("gets", 2, WORDS_MAX, text_get),
	COMMAND("delete", 2, 4, text_delete),
	COMMAND("incr", 3, 4, text_incr),
	COMMAND("decr", 3, 4, text_decr),
	COMMAND("mult", 3, 4, text_mult),
	COMMAND("div", 3, 4, text_div),
	COMMAND("add", 5, 6, text_add),
	COMMAND("cas", 6, 7, text_cas),
	COMMAND("touch", 3, 4, text_touch),
	COMMAND("gat", 2, WORDS_MAX, text_get),
	COMMAND("gats", 2, WORDS_MAX, text_get),
	COMMAND("append", 5, 6, text_append),
	COMMAND("prepend", 5, 6, text_prepend),
	COMMAND("replace", 5, 6, text_replace),
	COMMAND("bget", 2, WORDS_MAX, text_get),
	COMMAND("stats", 1, WORDS_MAX, text_stats),
	COMMAND("version", 1, WORDS_MAX, text_version),
	COMMAND("quit", 1, WORDS_MAX, text_quit),
	COMMAND("verbosity", 2, 3, text_verbosity),
	COMMAND("flush_all", 1, 3, text_flush_all),
	COMMAND("refresh_certs", 1, WORDS_MAX, text_refresh_certs),
	COMMAND("watch", 1, WORDS_MAX, text_watch),
	COMMAND("slabs", 1, WORDS_MAX, text_slabs),
	COMMAND("lru", 2, WORDS_MAX, text_lru),
	COMMAND("lru_crawler", 2, WORDS_MAX, text_lru_crawler),
	COMMAND("cache_memlimit", 2, 3, text_cache_memlimit),
	COMMAND("debugtime", 2, 2, text_debugtime),
	COMMAND("shutdown", 1, WORDS_MAX, text_shutdown),
	COMMAND("mg", 2, WORDS_MAX, meta_get),
	COMMAND("ms", 2, WORDS_MAX, meta_set),
	COMMAND("md", 2, WORDS_MAX, meta_delete),
	COMMAND("ma", 2, WORDS_MAX, meta_arithmetic),
	COMMAND("me", 1, WORDS_MAX, meta_debug),
	COMMAND("mn", 1, WORDS_MAX, meta_noop),
};

bool word_is(struct word w, const char *text)
{
	return strlen(text) == w.len && memcmp(w.text, text, w.len) == 0;
}

void text_take_noreply(struct conn *c, const struct words *w)
{
	if (word_is(w->word[w->count - 1], "noreply"))
		c->noreply = true;
}

void text_split(const char *line, size_t len, struct words *w)
{
	const char *p = line, *end = line + len;

	w->end = end;
	w->count = 0;
	while (w->count < WORDS_MAX) {
		const char *start;

		while (p < end && *p == ' ')
			p++;
		if (p == end)
			return;
		start = p;
		while (p < end && *p != ' ')
			p++;
		w->word[w->count++] = (struct word){ start, (size_t)(p - start) };
	}
}

static const struct command *command_find(struct word name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (name.len == commands[i].len &&
		    memcmp(name.text, commands[i].name, name.len) == 0)
			return &commands[i];
	}
	return NULL;
}

static bool is_meta(struct word name)
{
	return name.len == 2 && name.text[0] == 'm';
}

/*
 * A web browser that lost its way is shown the door, so that nobody smuggles commands through it.
 */
static bool is_http(const struct words *w)
{
	struct word last = w->word[w->count - 1];

	return !memchr("gsacidt", w->word[0].text[0], 7) && !is_meta(w->word[0]) && last.len >= 5 &&
	       memcmp(last.text, "HTTP/", 5) == 0;
}

static void run_line(struct conn *c, const char *line, size_t len)
{
	const struct command *cmd;
	struct words w;

	text_split(line, len, &w);
	if (w.count < 1 || w.word[0].len < 2) {
		conn_reply(c, "ERROR\r\n");
		return;
	}
	cmd = command_find(w.word[0]);
	if (cmd && w.count >= cmd->words_min && w.count <= cmd->words_max)
		cmd->run(c, &w);
	else if (!cmd && is_http(&w))
		conn_quit(c);
	else
		conn_reply(c, "ERROR\r\n");
}

/* No LF in sight. A long list of keys is worked off in parts; anything else is not a client. */
static size_t long_line(struct conn *c, const char *data, size_t len)
{
	const char *p = data, *end = data + len;

	if (len <= LINE_MAX_BYTES)
		return 0;
	while (p < end && *p == ' ')
		p++;
	if (p - data <= 100 && end - p >= 5 &&
	    (memcmp(p, "get ", 4) == 0 || memcmp(p, "gets ", 5) == 0)) {
		c->state = CONN_KEYS;
		c->fetch = p[3] == 's' ? FETCH_CAS : 0;
		return (size_t)(p + 4 + (p[3] == 's') - data);
	}
	conn_quit(c);
	return len;
}

size_t text_line(struct conn *c, const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);
	size_t line_len;

	if (!end)
		return long_line(c, data, len);
	line_len = (size_t)(end - data);
	if (line_len > 1 && end[-1] == '\r')
		line_len--;
	c->noreply = false;
	c->last_command = clock_now;
	if (settings.verbose > 1)
		fprintf(stderr, "<%d %.*s\n", conn_id(c), (int)line_len, data);
	run_line(c, data, strnlen(data, line_len));
	return (size_t)(end + 1 - data);
}
