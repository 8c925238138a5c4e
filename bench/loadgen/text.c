/* memcached's text protocol: get of one or several keys, set. */
#include <stdio.h>
#include <string.h>

#include "loadgen.h"

#define VALUE_LINE_MAX 64

static void put_get(struct connection *c, const struct request *r)
{
	char *p = out_room(c, 8 + opt.multiget * (KEY_BYTES + 1));
	size_t n = 3;
	memcpy(p, "get", 3);
	for (unsigned i = 0; i < opt.multiget; i++) {
		p[n++] = ' ';
		key_write(p + n, r->key[i]);
		n += KEY_BYTES;
	}
	memcpy(p + n, "\r\n", 2);
	c->out_len += n + 2;
}

static void put_set(struct connection *c, const struct request *r)
{
	char *p = out_room(c, opt.value_bytes + 80), name[KEY_BYTES];
	key_write(name, r->key[0]);
	int n = sprintf(p, "set %.*s 0 0 %u\r\n", KEY_BYTES, name, opt.value_bytes);
	value_write(p + n, r->key[0]);
	memcpy(p + n + opt.value_bytes, "\r\n", 2);
	c->out_len += (size_t)n + opt.value_bytes + 2;
}

/* Hits come in the order of the keys; keys that missed are passed over. */
static bool was_asked(struct connection *c, unsigned key)
{
	const struct request *r = request_at(c, 0);
	if (r->is_set)
		return false;
	while (c->keys_passed < opt.multiget)
		if (r->key[c->keys_passed++] == key)
			return true;
	return false;
}

/* "VALUE key flags bytes\r\n", then the bytes. A line that is not as expected is taken alone. */
static size_t take_value(struct connection *c, const char *line, size_t line_len, size_t available)
{
	static char expected[VALUE_LINE_MAX];
	static size_t expected_len;
	unsigned key;
	if (!expected_len)
		expected_len = (size_t)sprintf(expected, "VALUE %*s 0 %u\r\n", KEY_BYTES, "",
					       opt.value_bytes);
	if (line_len != expected_len || memcmp(line, expected, 6) || !key_read(line + 6, &key) ||
	    memcmp(line + 6 + KEY_BYTES, expected + 6 + KEY_BYTES, line_len - 6 - KEY_BYTES)) {
		result.mismatches++;
		return line_len;
	}
	size_t whole = line_len + opt.value_bytes + 2;
	if (available < whole)
		return 0;
	if (!was_asked(c, key) || !value_matches(key, line + line_len) ||
	    memcmp(line + line_len + opt.value_bytes, "\r\n", 2))
		result.mismatches++;
	c->values_seen++;
	return whole;
}

static size_t take(struct connection *c, const char *line, size_t available)
{
	const char *end = memchr(line, '\n', available);
	if (!end)
		return 0;
	size_t line_len = (size_t)(end - line) + 1;
	if (line_len > 6 && !memcmp(line, "VALUE ", 6))
		return take_value(c, line, line_len, available);
	const char *wanted = request_at(c, 0)->is_set ? "STORED\r\n" : "END\r\n";
	if (line_len != strlen(wanted) || memcmp(line, wanted, line_len))
		result_error("unexpected reply", line, line_len);
	request_done(c);
	return line_len;
}

const struct protocol protocol_text = {
	.greeting = "version\r\n", .greeting_len = 9, .greeted = "VERSION ", .greeted_len = 8,
	.put_get = put_get, .put_set = put_set, .take = take,
};
