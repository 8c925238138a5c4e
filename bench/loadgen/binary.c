/*
 * memcached's binary protocol: get; several keys as quiet gets with their keys, ended by a noop;
 * set. The opaque field carries the place in the list of keys, so a reply says which key it
 * answers.
 */
#include <arpa/inet.h>
#include <string.h>

#include "loadgen.h"

#define REQUEST_MAGIC  0x80
#define RESPONSE_MAGIC 0x81
#define STATUS_OK      0
#define STATUS_MISSING 1
#define FLAGS_BYTES    4        /* extras of a get's reply */
#define SET_EXTRAS     8        /* flags and expiry */

enum { OP_GET = 0x00, OP_SET = 0x01, OP_NOOP = 0x0a, OP_GETKQ = 0x0d };

struct header {
	uint8_t magic, opcode;
	uint16_t key_len;
	uint8_t extras_len, data_type;
	uint16_t status;
	uint32_t body_len, opaque;
	uint64_t cas;
};
_Static_assert(sizeof(struct header) == 24, "as on the wire");

static char *put_header(char *p, uint8_t opcode, size_t key_len, size_t extras_len,
			size_t value_len, unsigned opaque)
{
	struct header h = { .magic = REQUEST_MAGIC,
			    .opcode = opcode,
			    .key_len = htons((uint16_t)key_len),
			    .extras_len = (uint8_t)extras_len,
			    .opaque = opaque,
			    .body_len = htonl((uint32_t)(key_len + extras_len + value_len)) };
	memcpy(p, &h, sizeof(h));
	return p + sizeof(h);
}

static void put_get(struct connection *c, const struct request *r)
{
	char *begin = out_room(c, (opt.multiget + 1) * (sizeof(struct header) + KEY_BYTES)),
	     *p = begin;
	for (unsigned i = 0; i < opt.multiget; i++) {
		p = put_header(p, opt.multiget > 1 ? OP_GETKQ : OP_GET, KEY_BYTES, 0, 0, i);
		key_write(p, r->key[i]);
		p += KEY_BYTES;
	}
	if (opt.multiget > 1)
		p = put_header(p, OP_NOOP, 0, 0, 0, 0);
	c->out_len += (size_t)(p - begin);
}

static void put_set(struct connection *c, const struct request *r)
{
	char *begin = out_room(c, sizeof(struct header) + SET_EXTRAS + KEY_BYTES + opt.value_bytes);
	char *p = put_header(begin, OP_SET, KEY_BYTES, SET_EXTRAS, opt.value_bytes, 0);
	memset(p, 0, SET_EXTRAS);
	key_write(p + SET_EXTRAS, r->key[0]);
	value_write(p + SET_EXTRAS + KEY_BYTES, r->key[0]);
	c->out_len += (size_t)(p - begin) + SET_EXTRAS + KEY_BYTES + opt.value_bytes;
}

/* A hit: flags, the key if it was asked for, the value. */
static bool hit_is_right(const struct request *r, const struct header *h, const char *body,
			 size_t body_len)
{
	size_t key_len = ntohs(h->key_len), head = FLAGS_BYTES + key_len;
	unsigned place = h->opaque, key;
	if (r->is_set || place >= opt.multiget || h->extras_len != FLAGS_BYTES ||
	    body_len != head + opt.value_bytes)
		return false;
	if (key_len &&
	    (key_len != KEY_BYTES || !key_read(body + FLAGS_BYTES, &key) || key != r->key[place]))
		return false;
	return value_matches(r->key[place], body + head);
}

static size_t take(struct connection *c, const char *data, size_t available)
{
	struct header h;
	if (available < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	size_t body_len = ntohl(h.body_len);
	if (h.magic != RESPONSE_MAGIC || body_len > 2 * VALUE_MAX) {
		result_error("not a reply", data, available);
		request_done(c);
		return available;
	}
	if (available < sizeof(h) + body_len)
		return 0;
	unsigned status = ntohs(h.status);
	bool is_get = h.opcode == OP_GET || h.opcode == OP_GETKQ;
	if (is_get && status == STATUS_OK) {
		result.mismatches += !hit_is_right(request_at(c, 0), &h, data + sizeof(h),
						   body_len);
		c->values_seen++;
	} else if (status != STATUS_OK && !(is_get && status == STATUS_MISSING)) {
		result_error("unexpected reply", data, sizeof(h) + body_len);
	}
	if (h.opcode != OP_GETKQ)
		request_done(c);
	return sizeof(h) + body_len;
}

const struct protocol protocol_binary = {
	.greeting = "\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", .greeting_len = 24,
	.greeted = "\x81\x0a", .greeted_len = 2, .greeting_reply_len = 24,
	.put_get = put_get, .put_set = put_set, .take = take,
};
