/*
 * Values in the text protocol. Small ones are copied behind their headers, those of several keys into
 * one reservation; a large one has its header written and is then lent.
 */
#include "text_answer.h"

#include "fetch.h"
#include "number.h"
#include "value.h"

enum {
	/* "VALUE " " " flags " " bytes CR LF, without the key; with the CAS number */
	HEADER_PLAIN = 6 + 1 + 10 + 1 + 10 + 2,
	HEADER_CAS = HEADER_PLAIN + 1 + NUMBER_MAX,
	END_LEN = 5,
	KEYS_AT_ONCE = 8,          /* answered in one reservation */
};

_Static_assert(HEADER_CAS + KEY_MAX + VALUE_COPY_MAX + END_LEN <= STREAM_RESERVE_MAX, "one answer, one piece");

static char *put(char *to, const char *text, size_t len)
{
	memcpy(to, text, len);
	return to + len;
}

/* Flags and lengths are mostly small: up to three digits without a loop or a division. */
static char *put_number(char *to, uint64_t n)
{
	uint32_t rest = (uint32_t)n, tens;

	if (n >= 1000)
		return number_format(to, n);
	if (n >= 100) {
		uint32_t hundreds = rest * 41 >> 12;

		*to++ = (char)('0' + hundreds);
		rest -= hundreds * 100;
	}
	tens = rest * 103 >> 10;
	if (n >= 10)
		*to++ = (char)('0' + tens);
	*to = (char)('0' + rest - tens * 10);
	return to + 1;
}

/* Keys are short: words, the last of which may overlap the one before. */
static char *put_key(char *to, const char *key, size_t len)
{
	uint64_t word;

	if (len < sizeof(word))
		return put(to, key, len);
	for (size_t i = 0; i < len; i += sizeof(word)) {
		size_t at = i + sizeof(word) <= len ? i : len - sizeof(word);

		memcpy(&word, key + at, sizeof(word));
		memcpy(to + at, &word, sizeof(word));
	}
	return to + len;
}

static char *put_header(char *to, const struct item *it, unsigned fetch)
{
	to = put(to, "VALUE ", 6);
	to = put_key(to, item_key(it), it->key_len);
	*to++ = ' ';
	to = put_number(to, item_client_flags(it));
	*to++ = ' ';
	to = put_number(to, it->value_len - 2);
	if (fetch & FETCH_CAS) {
		*to++ = ' ';
		to = number_format(to, item_cas(it));
	}
	return put(to, "\r\n", 2);
}

static char *put_item(char *to, const struct item *it, unsigned fetch)
{
	return value_copy(put_header(to, it, fetch), item_value(it), it->value_len);
}

static size_t room_of(const struct item *it)
{
	return (size_t)HEADER_PLAIN + it->key_len + it->value_len;
}

void text_send_end(struct conn *c)
{
	if (conn_write(c, "END\r\n", END_LEN) < 0)
		conn_fail(c);
}

static void send_large(struct conn *c, struct item *it, unsigned fetch)
{
	char *start = conn_reserve(c, HEADER_CAS + KEY_MAX);

	if (start)
		conn_commit(c, (size_t)(put_header(start, it, fetch) - start));
	if (!start || value_send(c, it, it->value_len) < 0)
		conn_fail(c);
}

void text_send_item(struct conn *c, struct item *it, unsigned fetch, bool last)
{
	char *start, *p;

	if (!value_is_small(it)) {
		send_large(c, it, fetch);
		if (last)
			text_send_end(c);
		return;
	}
	start = conn_reserve(c, room_of(it) + HEADER_CAS - HEADER_PLAIN + END_LEN);
	if (!start) {
		conn_fail(c);
		return;
	}
	p = put_item(start, it, fetch);
	if (last)
		p = put(p, "END\r\n", END_LEN);
	conn_commit(c, (size_t)(p - start));
}

void text_answer(struct conn *c, struct item *it)
{
	if (it)
		text_send_item(c, it, 0, true);
	else
		text_send_end(c);
}

size_t text_answer_room(const struct item *it)
{
	return it ? room_of(it) + END_LEN : END_LEN;
}

char *text_put_answer(char *to, const struct item *it)
{
	return put(it ? put_item(to, it, 0) : to, "END\r\n", END_LEN);
}

/* Items for one reservation, and one that does not fit beside them. */
struct batch {
	struct item *found[KEYS_AT_ONCE], *apart;
	unsigned count;
	size_t room;
};

/* Looks up as many keys as go together. Returns how many it was. */
static unsigned batch_find(struct conn *c, struct batch *b, const struct word *keys, unsigned count)
{
	unsigned i = 0;

	*b = (struct batch){ .room = END_LEN };
	while (i < count && b->count < KEYS_AT_ONCE && !b->apart) {
		struct item *it = fetch_get(c, keys[i].text, keys[i].len);

		i++;
		if (!it)
			continue;
		if (!value_is_small(it) || b->room + room_of(it) > STREAM_RESERVE_MAX) {
			b->apart = it;
			break;
		}
		b->room += room_of(it);
		b->found[b->count++] = it;
	}
	return i;
}

static void batch_send(struct conn *c, const struct batch *b, bool last)
{
	char *start = conn_reserve(c, b->room), *p = start;

	if (!start) {
		conn_fail(c);
		return;
	}
	for (unsigned i = 0; i < b->count; i++)
		p = put_item(p, b->found[i], 0);
	if (last && !b->apart)
		p = put(p, "END\r\n", END_LEN);
	conn_commit(c, (size_t)(p - start));
	if (b->apart && c->state != CONN_CLOSING)
		text_send_item(c, b->apart, 0, last);
}

void text_answer_keys(struct conn *c, const struct word *keys, unsigned count)
{
	struct batch b;

	while (count > 0 && c->state != CONN_CLOSING) {
		unsigned n = batch_find(c, &b, keys, count);

		keys += n;
		count -= n;
		batch_send(c, &b, count == 0);
	}
}
