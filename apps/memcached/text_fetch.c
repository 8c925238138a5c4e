/*
 * get, gets, gat, gats in all the forms that memcached accepts: a line of keys is worked off key by
 * key where it lies.
 */
#include "fetch.h"
#include "number.h"
#include "settings.h"
#include "text_answer.h"

/* Looks a key up and answers it. */
static void answer_key(struct conn *c, const char *key, size_t len, bool last)
{
	struct item *it = c->fetch & FETCH_TOUCH ? fetch_touch(c, key, len, c->expires)
						 : fetch_get(c, key, len);

	if (it)
		text_send_item(c, it, c->fetch, last);
	else if (last)
		text_send_end(c);
}

/* The next word of [*p, end), or false. */
static bool next_word(const char **p, const char *end, struct word *w)
{
	const char *s = *p, *e;

	while (s < end && *s == ' ')
		s++;
	for (e = s; e < end && *e != ' '; e++)
		;
	*p = e;
	*w = (struct word){ s, (size_t)(e - s) };
	return e > s;
}

static bool keys_are_valid(const char *p, const char *end)
{
	struct word w;

	while (next_word(&p, end, &w)) {
		if (w.len > KEY_MAX)
			return false;
	}
	return true;
}

/* get, gets, gat, gats, and the ancient bget. */
void text_get(struct conn *c, struct words *w)
{
	const char *p = w->word[0].text + w->word[0].len, *end = w->end;
	struct word key, after;
	int32_t exptime;

	c->fetch = (w->word[0].text[w->word[0].len - 1] == 's' ? FETCH_CAS : 0) |
		   (w->word[0].text[1] == 'a' ? FETCH_TOUCH : 0);
	if (c->fetch & FETCH_TOUCH) {
		if (!number_parse_i32(w->word[1].text, w->word[1].len, &exptime)) {
			conn_reply(c, "CLIENT_ERROR invalid exptime argument\r\n");
			return;
		}
		c->expires = clock_from_exptime(exptime);
		p = w->word[1].text + w->word[1].len;
	}
	if (!keys_are_valid(p, end)) {
		conn_reply(c, "CLIENT_ERROR bad command line format\r\n");
		return;
	}
	if (!next_word(&p, end, &key)) {
		text_send_end(c);
		return;
	}
	for (bool more = true; more && c->state != CONN_CLOSING; key = after) {
		more = next_word(&p, end, &after);
		answer_key(c, key.text, key.len, !more);
	}
}

/*
 * A get line longer than the buffer: the words that are complete are answered, the last one waits
 * for its end. Whoever sends a key that is too long has had the answers for the keys before it.
 */
size_t text_keys(struct conn *c, const char *data, size_t len)
{
	const char *newline = memchr(data, '\n', len), *end = newline ? newline : data + len;
	const char *p = data, *done = data;
	struct word key;

	if (newline && newline > data && newline[-1] == '\r')
		end--;
	while (next_word(&p, end, &key)) {
		if (key.len > KEY_MAX) {
			conn_reply(c, "CLIENT_ERROR bad command line format\r\n");
			c->state = CONN_SWALLOW_LINE;
			return (size_t)(key.text - data);
		}
		if (p == end && !newline)
			break;
		answer_key(c, key.text, key.len, false);
		done = p;
		if (c->state == CONN_CLOSING || conn_is_backed_up(c))
			return (size_t)(done - data);
	}
	if (!newline)
		return (size_t)(done - data);
	c->state = CONN_COMMAND;
	text_send_end(c);
	return (size_t)(newline + 1 - data);
}
