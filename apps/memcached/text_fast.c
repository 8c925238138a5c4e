/*
 * The commonest commands, taken apart in one pass: get with well-formed keys, set with plain
 * numbers.
 *
 * Each function here takes a command line that is complete and has nothing unusual in it, or leaves
 * it untouched to the long way (text_line(), text.c), which knows all that memcached accepts and
 * refuses. So nothing here need know an error. What is long or seldom is kept out of the functions
 * on the way of a get, which so have few registers to save.
 */
#include "fetch.h"
#include "hash.h"
#include "stats.h"
#include "text_answer.h"

enum {
	KEYS_MAX = 32,             /* of a get that is taken here */
	DIGITS_MAX = 9,            /* of a number: it fits into 31 bits */
	STORED_LEN = 8,
};

static uint16_t load16(const char *p)
{
	uint16_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static uint32_t load32(const char *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* The first byte from p on that is a blank or control character; `end` if there is none. */
static inline const char *word_end(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101, high = 0x80 * ones;

	/* Eight at a time: a byte below '!' borrows from its own high bit. */
	for (; end - p >= 8; p += 8) {
		uint64_t x, found;

		memcpy(&x, p, sizeof(x));
		found = (x - ('!' * ones)) & ~x & high;
		if (found && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
			return p + (__builtin_ctzll(found) >> 3);
		if (found)
			break;
	}
	while (p < end && (uint8_t)*p > ' ')
		p++;
	return p;
}

/* The end of the key at p, which is not too long; NULL: it is, or has no end yet, or is none. */
static inline const char *key_end(const char *p, const char *end)
{
	const char *limit = end - p > KEY_MAX + 1 ? p + KEY_MAX + 1 : end, *e = word_end(p, limit);

	return e == p || e == limit ? NULL : e;
}

static bool is_line_end(const char *p, const char *end)
{
	return end - p >= 2 && load16(p) == load16("\r\n");
}

size_t text_one_key(const char *data, size_t len)
{
	const char *key = data + TEXT_GET_LEN, *end = data + len, *p;

	if (len < TEXT_GET_LEN + 3 || load32(data) != load32("get ") || settings.verbose > 1)
		return 0;
	p = key_end(key, end);
	return p && is_line_end(p, end) ? (size_t)(p - key) : 0;
}

static __attribute__((noinline)) size_t get_keys(struct conn *c, const char *data, size_t len)
{
	const char *end = data + len;
	struct word keys[KEYS_MAX];
	unsigned count = 0;
	const char *p = data + TEXT_GET_LEN, *e;

	for (;; p = e + 1) {
		e = key_end(p, end);
		if (!e || count == KEYS_MAX)
			return text_line(c, data, len);
		keys[count++] = (struct word){ p, (size_t)(e - p) };
		if (*e != ' ')
			break;
	}
	if (!is_line_end(e, end))
		return text_line(c, data, len);
	c->noreply = false;
	c->last_command = clock_now;
	text_answer_keys(c, keys, count);
	return (size_t)(e + 2 - data);
}

static __attribute__((noinline)) size_t get(struct conn *c, const char *data, size_t len)
{
	const char *key = data + TEXT_GET_LEN, *end = data + len, *p = key_end(key, end);

	if (!p || !is_line_end(p, end))
		return get_keys(c, data, len);
	c->noreply = false;
	c->last_command = clock_now;
	text_answer(c, fetch_get(c, key, (size_t)(p - key)));
	return (size_t)(p + 2 - data);
}

/* Plain digits from *p on, as far as something else. False: none, or too many. */
static bool digits(const char **p, const char *end, uint32_t *out)
{
	const char *s = *p;
	uint32_t n = 0;

	for (; s < end && (uint8_t)(*s - '0') < 10; s++)
		n = n * 10 + (uint8_t)(*s - '0');
	if (s == *p || s - *p > DIGITS_MAX)
		return false;
	*p = s;
	*out = n;
	return true;
}

/*
 * The same, quicker for one to three digits with something behind them: what a value's length
 * mostly is. The four characters less '0' are digits up to the lowest one that has its high bit
 * set, or gets it from 118 more.
 */
static inline bool length(const char **p, const char *end, uint32_t *out)
{
	uint32_t x, marks;
	unsigned bits;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || end - *p < 4)
		return digits(p, end, out);
	x = load32(*p) - 0x30303030;
	marks = ((x + 0x76767676) | x) & 0x80808080;
	bits = marks ? (unsigned)__builtin_ctz(marks) & ~7u : 0;
	if (bits == 0)
		return digits(p, end, out);
	x <<= 32 - bits;               /* the last digit becomes the highest byte */
	*p += bits / 8;
	*out = (x >> 8 & 0xff) * 100 + (x >> 16 & 0xff) * 10 + (x >> 24);
	return true;
}

static bool blank(const char **p, const char *end)
{
	return *p < end && *(*p)++ == ' ';
}

/*
 * "<flags> <exptime> <bytes>" and the line's end from *p on, all plain numbers. *p is then where
 * the value begins.
 */
static inline bool set_terms(const char **p, const char *end, struct item_terms *t)
{
	uint32_t exptime = 0, size;

	t->client_flags = 0;
	if (end - *p >= 5 && load32(*p + 1) == load32("0 0 ") && **p == ' ')
		*p += 5;               /* as most clients have it */
	else if (!blank(p, end) || !digits(p, end, &t->client_flags) || !blank(p, end) ||
		 !digits(p, end, &exptime) || !blank(p, end))
		return false;
	if (!length(p, end, &size) || !is_line_end(*p, end))
		return false;
	t->expires = clock_from_exptime(exptime);
	t->value_len = size + 2;
	*p += 2;
	return true;
}

static __attribute__((noinline)) void set_new(struct conn *c, struct item *it, const char *value)
{
	memcpy(item_value(it), value, it->value_len);
	c->verb = STORE_SET;
	c->item = it;
	text_value_complete(c);
}

/* The value has not come as a whole, or does not end as it should, or is no plain replacement. */
static __attribute__((noinline)) size_t set_otherwise(struct conn *c, const char *data, size_t len,
						      size_t key_len, const char *value,
						      struct item_terms t)
{
	struct item *it = item_new(data + TEXT_GET_LEN, key_len, t.client_flags, t.expires,
				   t.value_len);

	if (!it)
		return text_line(c, data, len);
	c->noreply = false;
	c->last_command = clock_now;
	c->cas = 0;
	if (!(it->flags & ITEM_CHUNKED) && (size_t)(data + len - value) >= it->value_len) {
		set_new(c, it, value);
		return (size_t)(value - data) + t.value_len;
	}
	c->item = it;
	conn_expect_value(c, STORE_SET, it->value_len);
	return (size_t)(value - data);
}

static __attribute__((noinline)) size_t set(struct conn *c, const char *data, size_t len)
{
	const char *key = data + TEXT_GET_LEN, *end = data + len, *key_stop = key_end(key, end),
		   *p = key_stop;
	struct item_terms t;
	size_t key_len;
	char *to;

	if (!p || !set_terms(&p, end, &t))
		return text_line(c, data, len);
	key_len = (size_t)(key_stop - key);
	if ((size_t)(end - p) < t.value_len || !is_line_end(p + t.value_len - 2, end) ||
	    !cache_overwrite(key, key_len, key_hash(key, key_len), &t, p))
		return set_otherwise(c, data, len, key_len, p, t);
	c->noreply = false;
	c->last_command = clock_now;
	to = conn_reserve(c, STORED_LEN);
	if (!to) {
		conn_fail(c);
		return len;
	}
	memcpy(to, "STORED\r\n", STORED_LEN);
	conn_commit(c, STORED_LEN);
	return (size_t)(p - data) + t.value_len;
}

size_t text_command(struct conn *c, const char *data, size_t len)
{
	uint32_t name;

	if (__builtin_expect(
		    len < TEXT_GET_LEN + 3 || settings.verbose > 1 || settings.detail_enabled, 0))
		return text_line(c, data, len);
	name = load32(data);
	if (name == load32("get "))
		return get(c, data, len);
	if (name == load32("set "))
		return set(c, data, len);
	return text_line(c, data, len);
}
