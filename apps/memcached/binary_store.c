/*
 * The binary commands that change the cache: set and its kind, incr and decr, delete.
 */
#include "binary.h"

#include <endian.h>

#include "hash.h"
#include "number.h"
#include "settings.h"
#include "stats.h"
#include "text.h"

enum { NEVER_CREATE = 0xffffffff };        /* an expiry time of incr and decr */

static enum store_verb verb_of(const struct binary_request *r, uint64_t cas)
{
	switch (r->opcode) {
	case BINARY_APPEND:
		return STORE_APPEND;
	case BINARY_PREPEND:
		return STORE_PREPEND;
	default:
		break;
	}
	if (cas)
		return STORE_CAS;
	return r->opcode == BINARY_ADD       ? STORE_ADD
	       : r->opcode == BINARY_REPLACE ? STORE_REPLACE
					     : STORE_SET;
}

/* No room for it: says why, and throws away the value that follows. */
static void refuse(struct conn *c, const struct binary_request *r, uint32_t client_flags)
{
	if (text_no_room(r->key_len, client_flags, r->value_len + 2) == TEXT_TOO_LARGE)
		binary_refuse(c, BINARY_TOO_LARGE, NULL);
	else
		binary_refuse(c, BINARY_NO_MEMORY, "Out of memory allocating item");
	if (r->opcode == BINARY_SET)
		cache_delete(r->key, r->key_len, key_hash(r->key, r->key_len));
	conn_swallow(c, r->value_len);
}

void binary_store(struct conn *c, const struct binary_request *r)
{
	uint32_t client_flags = r->extras_len ? binary_u32(r->extras) : 0;
	uint32_t exptime = r->extras_len ? binary_u32(r->extras + 4) : 0;

	if (r->value_len > INT32_MAX - 2) {
		binary_hang_up(c);
		return;
	}
	c->item = item_new(r->key, r->key_len, client_flags, clock_from_exptime(exptime),
			   r->value_len + 2);
	if (!c->item) {
		refuse(c, r, client_flags);
		return;
	}
	item_write(c->item, r->value_len, "\r\n", 2);
	c->cas = settings.use_cas ? r->cas : 0;
	conn_expect_value(c, verb_of(r, c->cas), r->value_len);
}

/* Only a get that finds nothing and an add that finds something have words of their own. */
static enum binary_status failure_of(enum store_verb verb, enum store_result result)
{
	if (result == STORE_EXISTS || (result == STORE_NOT_STORED && verb == STORE_ADD))
		return BINARY_EXISTS;
	if (result == STORE_NOT_FOUND || verb == STORE_REPLACE)
		return BINARY_NOT_FOUND;
	return BINARY_NOT_STORED;
}

void binary_value_complete(struct conn *c)
{
	struct store_terms terms = { .cas = c->cas };
	struct item *it = c->item;
	enum store_result result;

	c->item = NULL;
	stats_of(it)->cmd_set++;
	result = cache_store(it, (enum store_verb)c->verb, &terms,
			     key_hash(item_key(it), it->key_len));
	if (result == STORE_DONE)
		binary_done(c, item_cas(terms.stored));
	else
		binary_refuse(c, failure_of((enum store_verb)c->verb, result), NULL);
	item_release(it);
}

void binary_delete(struct conn *c, const struct binary_request *r)
{
	uint32_t hash = key_hash(r->key, r->key_len);
	struct item *it = cache_find(r->key, r->key_len, hash);

	if (!it) {
		stats.delete_misses++;
		binary_refuse(c, BINARY_NOT_FOUND, NULL);
	} else if (r->cas && r->cas != item_cas(it)) {
		binary_refuse(c, BINARY_EXISTS, NULL);
	} else {
		stats_of(it)->delete_hits++;
		cache_remove(it, hash);
		binary_done(c, 0);
	}
}

/* ---- numbers ---- */

static void send_number(struct conn *c, uint64_t number, uint64_t cas)
{
	uint64_t value = htobe64(number);

	if (!c->noreply)
		binary_send(c, BINARY_OK,
			    &(struct binary_answer){ .cas = cas,
						     .extras = "",
						     .key = "",
						     .value = &value,
						     .value_len = sizeof(value) });
}

/* The number to begin with, for a key that is not there. */
static void count_begin(struct conn *c, const struct binary_request *r, uint32_t hash)
{
	uint64_t initial = binary_u64(r->extras + 8);
	struct store_terms terms = { 0 };
	char digits[NUMBER_MAX];
	uint32_t len = (uint32_t)(number_format(digits, initial) - digits);
	struct item *it = item_new(r->key, r->key_len, 0,
				   clock_from_exptime(binary_u32(r->extras + 16)), len + 2);

	if (!it) {
		binary_refuse(c, BINARY_NO_MEMORY, "Out of memory allocating new item");
		return;
	}
	item_write(it, 0, digits, len);
	item_write(it, len, "\r\n", 2);
	if (cache_store(it, STORE_ADD, &terms, hash) == STORE_DONE)
		send_number(c, initial, item_cas(it));
	else
		binary_refuse(c, BINARY_NOT_STORED, NULL);
	item_release(it);
}

static void count_missed(struct conn *c, const struct binary_request *r,
			 const struct count_terms *terms, uint32_t hash)
{
	if (binary_u32(r->extras + 16) != NEVER_CREATE) {
		count_begin(c, r, hash);
		return;
	}
	stats_count(terms, false);
	binary_refuse(c, BINARY_NOT_FOUND, NULL);
}

void binary_count(struct conn *c, const struct binary_request *r)
{
	struct count_terms terms = {
		.op = r->opcode == BINARY_INCR ? COUNT_UP : COUNT_DOWN,
		.delta = binary_u64(r->extras), .cas = r->cas,
	};
	uint32_t hash = key_hash(r->key, r->key_len);

	switch (cache_count(r->key, r->key_len, hash, &terms)) {
	case COUNT_DONE:
		stats_count(&terms, true);
		send_number(c, terms.result, item_cas(terms.item));
		break;
	case COUNT_NOT_FOUND:
		count_missed(c, r, &terms, hash);
		break;
	case COUNT_EXISTS:
		binary_refuse(c, BINARY_EXISTS, NULL);
		break;
	case COUNT_NON_NUMERIC:
		binary_refuse(c, BINARY_NON_NUMERIC, NULL);
		break;
	case COUNT_NO_MEMORY:
		binary_refuse(c, BINARY_NO_MEMORY, "Out of memory incrementing value");
		break;
	}
}
