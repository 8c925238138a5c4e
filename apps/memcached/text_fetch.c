/*
 * get, gets, gat, gats: the fast road.
 *
 * A line of keys is worked off key by key where it lies; header, value and the END behind the last
 * one are written in one go.
 */
#include "fetch.h"
#include "number.h"
#include "settings.h"
#include "text.h"
#include "value.h"

enum {
	/* "VALUE " key " " flags " " bytes " " cas CR LF, and END behind a value */
	HEADER_MAX = 6 + KEY_MAX + 1 + 10 + 1 + 10 + 1 + NUMBER_MAX + 2,
	END_LEN = 5,
};

_Static_assert(HEADER_MAX + VALUE_COPY_MAX + END_LEN <= STREAM_RESERVE_MAX, "one answer, one piece");

static char *put(char *to, const char *text, size_t len)
{
	memcpy(to, text, len);
	return to + len;
}

static char *put_header(char *to, const struct item *it, unsigned fetch)
{
	to = put(to, "VALUE ", 6);
	to = put(to, item_key(it), it->key_len);
	*to++ = ' ';
	to = number_format(to, item_client_flags(it));
	*to++ = ' ';
	to = number_format(to, it->value_len - 2);
	if (fetch & FETCH_CAS) {
		*to++ = ' ';
		to = number_format(to, item_cas(it));
	}
	return put(to, "\r\n", 2);
}

static void send_end(struct conn *c)
{
	if (conn_write(c, "END\r\n", END_LEN) < 0)
		conn_fail(c);
}

static void send_large(struct conn *c, struct item *it, unsigned fetch)
{
	char *start = conn_reserve(c, HEADER_MAX);

	if (start)
		conn_commit(c, (size_t)(put_header(start, it, fetch) - start));
	if (!start || value_send(c, it, it->value_len) < 0)
		conn_fail(c);
}

/* The answer for one item, and END behind the last. */
static void send_item(struct conn *c, struct item *it, unsigned fetch, bool last)
{
	char *start, *p;

	if (!value_is_small(it)) {
		send_large(c, it, fetch);
		if (last)
			send_end(c);
		return;
	}
	start = conn_reserve(c, HEADER_MAX - KEY_MAX + it->key_len + it->value_len + END_LEN);
	if (!start) {
		conn_fail(c);
		return;
	}
	p = put_header(start, it, fetch);
	p = value_copy(p, item_value(it), it->value_len);
	if (last)
		p = put(p, "END\r\n", END_LEN);
	conn_commit(c, (size_t)(p - start));
}

/* Looks a key up and answers it. */
static void answer_key(struct conn *c, const char *key, size_t len, bool last)
{
	struct item *it = c->fetch & FETCH_TOUCH ? fetch_touch(c, key, len, c->expires) : fetch_get(c, key, len);

	if (it)
		send_item(c, it, c->fetch, last);
	else if (last)
		send_end(c);
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

/* The first byte from p on that is a blank or control character; `end` if there is none. */
static const char *word_end(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101, high = 0x80 * ones;

	/* Eight at a time: a byte below '!' borrows from its own high bit. */
	for (; end - p >= 8; p += 8) {
		uint64_t x;

		memcpy(&x, p, sizeof(x));
		if ((x - ('!' * ones)) & ~x & high)
			break;
	}
	while (p < end && (uint8_t)*p > ' ')
		p++;
	return p;
}

size_t text_one_key(const char *data, size_t len)
{
	const char *key = data + TEXT_GET_LEN, *end = data + len, *p;

	if (len < TEXT_GET_LEN + 4 || memcmp(data, "get ", TEXT_GET_LEN) != 0)
		return 0;
	if ((size_t)(end - key) > KEY_MAX + 2)
		end = key + KEY_MAX + 2;
	p = word_end(key, end);
	if (end - p < 2 || p[0] != '\r' || p[1] != '\n' || settings.verbose > 1)
		return 0;
	return (size_t)(p - key);
}

size_t text_get_fast(struct conn *c, const char *data, size_t len)
{
	size_t key_len = text_one_key(data, len);

	if (key_len == 0)
		return 0;
	c->noreply = false;
	c->last_command = clock_now;
	text_answer(c, fetch_get(c, data + TEXT_GET_LEN, key_len));
	return TEXT_GET_LEN + key_len + 2;
}

void text_answer(struct conn *c, struct item *it)
{
	if (it)
		send_item(c, it, 0, true);
	else
		send_end(c);
}

size_t text_answer_room(const struct item *it)
{
	return it ? (size_t)HEADER_MAX - KEY_MAX + it->key_len + it->value_len + END_LEN : END_LEN;
}

char *text_put_answer(char *to, const struct item *it)
{
	if (it)
		to = value_copy(put_header(to, it, 0), item_value(it), it->value_len);
	return put(to, "END\r\n", END_LEN);
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
		send_end(c);
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
	send_end(c);
	return (size_t)(newline + 1 - data);
}
