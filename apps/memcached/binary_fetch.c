/*
 * The binary gets, with and without a key in the answer, and with a new expiry time.
 */
#include "binary.h"

#include <endian.h>

#include "fetch.h"
#include "value.h"

static void send_hit(struct conn *c, const struct binary_request *r, struct item *it)
{
	bool with_key = r->opcode == BINARY_GETK || r->opcode == BINARY_GATK;
	uint32_t flags = htobe32(item_client_flags(it)), len = it->value_len - 2;
	struct binary_answer a = {
		.cas = item_cas(it), .extras = &flags, .extras_len = sizeof(flags),
		.key = r->key, .key_len = with_key ? r->key_len : 0,
	};
	bool small = value_is_small(it);
	uint8_t *start, *p;

	if (r->opcode != BINARY_TOUCH)
		a.value_later = len;
	start = conn_reserve(c, BINARY_HEADER + sizeof(flags) + a.key_len + (small ? len : 0));
	if (!start) {
		conn_fail(c);
		return;
	}
	p = binary_put_header(start, c, BINARY_OK, &a);
	if (small && a.value_later)
		p = (uint8_t *)value_copy((char *)p, item_value(it), len);
	conn_commit(c, (size_t)(p - start));
	if (!small && a.value_later && value_send(c, it, len) < 0)
		conn_fail(c);
}

static void send_miss(struct conn *c, const struct binary_request *r)
{
	if (c->noreply)
		return;
	if (r->opcode == BINARY_GETK || r->opcode == BINARY_GATK)
		binary_send(c, BINARY_NOT_FOUND, &(struct binary_answer){
			.extras = "", .key = r->key, .key_len = r->key_len, .value = "" });
	else
		binary_refuse(c, BINARY_NOT_FOUND, NULL);
}

void binary_get(struct conn *c, const struct binary_request *r)
{
	struct item *it;

	if (r->extras_len > 0)
		it = fetch_touch(c, r->key, r->key_len, clock_from_exptime(binary_u32(r->extras)));
	else
		it = fetch_get(c, r->key, r->key_len);
	if (it)
		send_hit(c, r, it);
	else
		send_miss(c, r);
}
