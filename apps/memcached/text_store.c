/*
 * Commands that change the cache: set and its kind, incr and decr, touch, delete.
 */
#include "hash.h"
#include "meta.h"
#include "number.h"
#include "prefix.h"
#include "settings.h"
#include "stats.h"
#include "text.h"
#include "watch.h"

const char TEXT_TOO_LARGE[] = "SERVER_ERROR object too large for cache\r\n";
const char TEXT_NO_MEMORY[] = "SERVER_ERROR out of memory storing object\r\n";

static const char BAD_FORMAT[] = "CLIENT_ERROR bad command line format\r\n";

struct store_request {
	struct word key;
	uint32_t client_flags;
	int32_t exptime;
	int32_t len;
	uint64_t cas;
};

static bool store_parse(const struct words *w, bool with_cas, struct store_request *r)
{
	r->key = w->word[1];
	r->cas = 0;
	return r->key.len <= KEY_MAX &&
	       number_parse_u32(w->word[2].text, w->word[2].len, &r->client_flags) &&
	       number_parse_i32(w->word[3].text, w->word[3].len, &r->exptime) &&
	       number_parse_i32(w->word[4].text, w->word[4].len, &r->len) &&
	       (!with_cas || number_parse_u64(w->word[5].text, w->word[5].len, &r->cas)) &&
	       r->len >= 0 && r->len <= INT32_MAX - 2;
}

const char *text_no_room(size_t key_len, uint32_t client_flags, uint32_t value_len)
{
	if (!item_size_is_allowed(key_len, client_flags, value_len)) {
		stats.store_too_large++;
		return TEXT_TOO_LARGE;
	}
	stats.store_no_memory++;
	return TEXT_NO_MEMORY;
}

/* No room for it: says why, and throws away the value that follows. */
static void store_refuse(struct conn *c, const struct store_request *r, enum store_verb verb)
{
	conn_reply(c, text_no_room(r->key.len, r->client_flags, (uint32_t)r->len + 2));
	conn_swallow(c, (uint32_t)r->len + 2);
	/* The client meant to replace the value: the old one must not be found any more. */
	if (verb == STORE_SET)
		cache_delete(r->key.text, r->key.len, key_hash(r->key.text, r->key.len));
}

static void store(struct conn *c, const struct words *w, enum store_verb verb)
{
	struct store_request r;

	text_take_noreply(c, w);
	if (!store_parse(w, verb == STORE_CAS, &r)) {
		conn_reply(c, BAD_FORMAT);
		return;
	}
	prefix_note(r.key.text, r.key.len, PREFIX_SET);
	c->item = item_new(r.key.text, r.key.len, r.client_flags, clock_from_exptime(r.exptime),
			   (uint32_t)r.len + 2);
	if (!c->item) {
		store_refuse(c, &r, verb);
		return;
	}
	c->cas = r.cas;
	conn_expect_value(c, verb, c->item->value_len);
}

void text_value_complete(struct conn *c)
{
	static const char *const answers[] = {
		[STORE_DONE] = "STORED\r\n",
		[STORE_NOT_STORED] = "NOT_STORED\r\n",
		[STORE_EXISTS] = "EXISTS\r\n",
		[STORE_NOT_FOUND] = "NOT_FOUND\r\n",
	};
	struct item *it = c->item;

	c->item = NULL;
	stats_of(it)->cmd_set++;
	if (c->meta) {
		meta_value_complete(c, it);
	} else if (item_is_terminated(it)) {
		struct store_terms terms = { .cas = c->cas };
		uint32_t hash = key_hash(item_key(it), it->key_len);

		conn_reply(c, answers[cache_store(it, (enum store_verb)c->verb, &terms, hash)]);
	} else {
		conn_reply(c, "CLIENT_ERROR bad data chunk\r\n");
	}
	item_release(it);
}

void text_set(struct conn *c, struct words *w)
{
	store(c, w, STORE_SET);
}

void text_add(struct conn *c, struct words *w)
{
	store(c, w, STORE_ADD);
}

void text_replace(struct conn *c, struct words *w)
{
	store(c, w, STORE_REPLACE);
}

void text_append(struct conn *c, struct words *w)
{
	store(c, w, STORE_APPEND);
}

void text_prepend(struct conn *c, struct words *w)
{
	store(c, w, STORE_PREPEND);
}

void text_cas(struct conn *c, struct words *w)
{
	store(c, w, STORE_CAS);
}

static void count(struct conn *c, const struct words *w, enum count_op op)
{
	char line[NUMBER_MAX + 3], *end;
	struct word key = w->word[1];
	struct count_terms terms = { .op = op };
	enum count_result result;

	text_take_noreply(c, w);
	if (key.len > KEY_MAX) {
		conn_reply(c, BAD_FORMAT);
		return;
	}
	if (!number_parse_u64(w->word[2].text, w->word[2].len, &terms.delta) ||
	    (op == COUNT_OVER && terms.delta == 0)) {
		conn_reply(c, "CLIENT_ERROR invalid numeric delta argument\r\n");
		return;
	}
	result = cache_count(key.text, key.len, key_hash(key.text, key.len), &terms);
	if (result == COUNT_DONE || result == COUNT_NOT_FOUND)
		stats_count(&terms, result == COUNT_DONE);
	switch (result) {
	case COUNT_DONE:
		end = number_format(line, terms.result);
		memcpy(end, "\r\n", 3);
		conn_reply(c, line);
		break;
	case COUNT_NON_NUMERIC:
		conn_reply(c, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
		break;
	case COUNT_NO_MEMORY:
		conn_reply(c, "SERVER_ERROR out of memory\r\n");
		break;
	case COUNT_NOT_FOUND:
	case COUNT_EXISTS:
		conn_reply(c, "NOT_FOUND\r\n");
		break;
	}
}

void text_incr(struct conn *c, struct words *w)
{
	count(c, w, COUNT_UP);
}

void text_decr(struct conn *c, struct words *w)
{
	count(c, w, COUNT_DOWN);
}

/* Of this server alone: as incr, but times or divided by a number, which may not be 0 then. */
void text_mult(struct conn *c, struct words *w)
{
	count(c, w, COUNT_TIMES);
}

void text_div(struct conn *c, struct words *w)
{
	count(c, w, COUNT_OVER);
}

void text_touch(struct conn *c, struct words *w)
{
	struct word key = w->word[1];
	struct item *it;
	int32_t exptime;

	text_take_noreply(c, w);
	if (key.len > KEY_MAX) {
		conn_reply(c, BAD_FORMAT);
		return;
	}
	if (!number_parse_i32(w->word[2].text, w->word[2].len, &exptime)) {
		conn_reply(c, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	stats.cmd_touch++;
	it = cache_touch(key.text, key.len, key_hash(key.text, key.len),
			 clock_from_exptime(exptime));
	if (it) {
		stats_of(it)->touch_hits++;
		conn_reply(c, "TOUCHED\r\n");
	} else {
		stats.touch_misses++;
		conn_reply(c, "NOT_FOUND\r\n");
	}
}

/* `delete key`, `delete key noreply`, and from ancient times `delete key 0 [noreply]`. */
static bool delete_is_valid(struct conn *c, const struct words *w)
{
	bool zero;

	if (w->count == 2)
		return true;
	zero = word_is(w->word[2], "0");
	text_take_noreply(c, w);
	return (w->count == 3 && (zero || c->noreply)) || (w->count == 4 && zero && c->noreply);
}

void text_delete(struct conn *c, struct words *w)
{
	struct word key = w->word[1];
	struct item *it;
	uint32_t hash;

	if (!delete_is_valid(c, w)) {
		conn_reply(c, "CLIENT_ERROR bad command line format.  "
			      "Usage: delete <key> [noreply]\r\n");
		return;
	}
	if (key.len > KEY_MAX) {
		conn_reply(c, BAD_FORMAT);
		return;
	}
	prefix_note(key.text, key.len, PREFIX_DELETE);
	hash = key_hash(key.text, key.len);
	it = cache_find(key.text, key.len, hash);
	if (it) {
		stats_of(it)->delete_hits++;
		if (watched(WATCH_DELETIONS))
			watch_deletion(it, "delete");
		cache_remove(it, hash);
		conn_reply(c, "DELETED\r\n");
	} else {
		stats.delete_misses++;
		conn_reply(c, "NOT_FOUND\r\n");
	}
}
