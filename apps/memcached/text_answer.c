/*
 * Values in the text protocol. Small ones are copied behind their headers, those of several keys
 * into one reservation; a large one has its header written and is then lent.
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
	TAILS = 1000,              /* of lengths with up to three digits */
};

_Static_assert(HEADER_CAS + KEY_MAX + VALUE_COPY_MAX + END_LEN <= STREAM_RESERVE_MAX,
	       "one answer, one piece");

static char *put(char *to, const char *text, size_t len)
{
	memcpy(to, text, len);
	return to + len;
}

/*
 * What follows the key in most headers, " 0 <bytes>" and the line's end: up to eight characters,
 * the first in the lowest byte. Made when first needed; 0: not yet.
 */
static uint64_t tails[TAILS];
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the first character lies first in memory");

static __attribute__((noinline)) uint64_t tail_make(uint32_t bytes)
{
	char text[3 + NUMBER_MAX + 2] = " 0 ", *end = number_format(text + 3, bytes);
	uint64_t tail = 0;

	*end++ = '\r';
	*end++ = '\n';
	while (end > text)
		tail = tail << 8 | (uint8_t)*--end;
	return tail;
}

static inline char *put_tail(char *to, uint32_t bytes)
{
	uint64_t tail = tails[bytes];

	if (__builtin_expect(!tail, 0))
		tail = tails[bytes] = tail_make(bytes);
	memcpy(to, &tail, sizeof(tail));
	return to + sizeof(tail) - __builtin_clzll(tail) / 8;
}

/* Keys are short: words, the last of which may overlap the one before. */
static inline char *put_key(char *to, const char *key, size_t len)
{
	const size_t word = sizeof(uint64_t);
	size_t i = 0;

	if (len < word)
		return put(to, key, len);
	do {
		memcpy(to + i, key + i, word);
		i += word;
	} while (i + word < len);
	memcpy(to + len - word, key + len - word, word);
	return to + len;
}

/* What follows the key, in any header. */
static char *put_long_tail(char *to, const struct item *it, unsigned fetch)
{
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

static inline char *put_name(char *to, const struct item *it)
{
	memcpy(to, "VALUE   ", sizeof(uint64_t));
	return put_key(to + 6, item_key(it), it->key_len);
}

static __attribute__((noinline)) char *put_header(char *to, const struct item *it, unsigned fetch)
{
	return put_long_tail(put_name(to, it), it, fetch);
}

/*
 * Header and value. What is asked of the item is read before anything is written, since to the
 * compiler the answer might lie in the item. A tail may write two bytes more than it has, where the
 * value follows.
 */
static inline char *put_item(char *to, const struct item *it, unsigned fetch)
{
	uint32_t len = it->value_len, bytes = len - 2;
	const char *value = item_value(it);

	if (__builtin_expect(it->flags & ITEM_CLIENT_FLAGS || bytes >= TAILS || fetch & FETCH_CAS,
			     0))
		to = put_header(to, it, fetch);
	else
		to = put_tail(put_name(to, it), bytes);
	return value_copy(to, value, len);
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

static __attribute__((noinline)) void send_large(struct conn *c, struct item *it, unsigned fetch,
						 bool last)
{
	char *start = conn_reserve(c, HEADER_CAS + KEY_MAX);

	if (start)
		conn_commit(c, (size_t)(put_header(start, it, fetch) - start));
	if (!start || value_send(c, it, it->value_len) < 0)
		conn_fail(c);
	else if (last)
		text_send_end(c);
}

void text_send_item(struct conn *c, struct item *it, unsigned fetch, bool last)
{
	char *start, *p;

	if (!value_is_small(it)) {
		send_large(c, it, fetch, last);
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
