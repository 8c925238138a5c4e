/*
 * The meta commands.
 *
 * An answer begins with a two-letter code, and then repeats what the flags asked for, in their
 * order. `q` hides the ordinary outcome of a command (a miss of mg, success of the others), never
 * an error. mn is answered always, so that a client knows that all before it has been.
 */
#include "meta.h"

#include <stdio.h>
#include <stdlib.h>

#include "base64.h"
#include "hash.h"
#include "number.h"
#include "settings.h"
#include "stats.h"

_Static_assert(META_ANSWER_MAX > 3 * NUMBER_MAX + 5 * 13 + META_OPAQUE_MAX + BASE64_ENCODED(KEY_MAX) + 32,
	       "the longest answer has room");

static const char BAD_FORMAT[] = "CLIENT_ERROR bad command line format\r\n";
static const char BAD_FLAG[] = "CLIENT_ERROR invalid or duplicate flag\r\n";
static const char OPAQUE_TOO_LONG[] = "CLIENT_ERROR opaque token too long\r\n";

/* Errors are said even to the quiet. */
static void refuse(struct conn *c, const char *line)
{
	c->noreply = false;
	conn_reply(c, line);
}

static void answer(struct conn *c, char *start, char *end)
{
	memcpy(end, "\r\n", 2);
	if (stream_write(c->stream, start, (size_t)(end + 2 - start)) < 0)
		conn_fail(c);
}

static uint32_t hash_of(const struct meta *m)
{
	return key_hash(m->key.text, m->key.len);
}

/* ---- mg ---- */

/* A new, empty item, for the client that will be told to make its value. N sets when it expires. */
static struct item *vivify(const struct meta *m, uint32_t hash)
{
	struct store_terms terms = { .new_cas = m->new_cas };
	struct item *it = item_new(m->key.text, m->key.len, 0, 0, 2);

	if (!it)
		return NULL;
	item_write(it, 0, "\r\n", 2);
	cache_store(it, STORE_SET, &terms, hash);
	item_release(it);
	return it;
}

/* What one flag of mg changes or has answered. False: the opaque is too long. */
static bool get_flag(char **p, struct word w, const struct meta *m, struct item *it, bool made, bool *won)
{
	switch (w.text[0]) {
	case 'N':
		if (made)
			it->expires = m->vivify_expires;
		break;
	case 'R':
		*won |= !made && !(it->flags & ITEM_TOKEN_SENT) && it->expires != 0 && it->expires < m->recache;
		break;
	case 'T':
		it->expires = m->expires;
		break;
	case 's':
		*p = meta_put_number(*p, 's', it->value_len - 2);
		break;
	case 't':
		*p = meta_put_ttl(*p, it);
		break;
	case 'c':
		*p = meta_put_number(*p, 'c', item_cas(it));
		break;
	case 'f':
		*p = meta_put_number(*p, 'f', item_client_flags(it));
		break;
	case 'l':
		*p = meta_put_number(*p, 'l', clock_now - it->last_used);
		break;
	case 'h':
		*p = meta_put_number(*p, 'h', it->flags & ITEM_FETCHED ? 1 : 0);
		break;
	case 'k':
		*p = meta_put_key(*p, item_key(it), it->key_len, it->flags & ITEM_KEY_BINARY);
		break;
	case 'O':
		return meta_put_opaque(p, w);
	}
	return true;
}

/* Who fetches an item that is stale, new, or about to expire may win the right to renew it. */
static char *get_tokens(char *p, struct item *it, bool won)
{
	if (it->flags & ITEM_TOKEN_SENT)
		p = meta_put_char(p, 'Z');
	if (it->flags & ITEM_STALE) {
		p = meta_put_char(p, 'X');
		won |= !(it->flags & ITEM_TOKEN_SENT);
	}
	if (won) {
		p = meta_put_char(p, 'W');
		it->flags |= ITEM_TOKEN_SENT;
	}
	return p;
}

static void get_hit(struct conn *c, const struct words *w, const struct meta *m, struct item *it, bool made)
{
	char line[META_ANSWER_MAX], *p = line + 2;
	bool won = false;

	memcpy(line, m->value ? "VA" : "HD", 2);
	if (m->value) {
		*p++ = ' ';
		p = number_format(p, it->value_len - 2);
	}
	for (unsigned i = 2; i < w->count; i++) {
		if (!get_flag(&p, w->word[i], m, it, made, &won)) {
			refuse(c, OPAQUE_TOO_LONG);
			return;
		}
	}
	answer(c, line, get_tokens(p, it, won || made));
	if (m->value && c->state != CONN_CLOSING && text_send_value(c->stream, it) < 0)
		conn_fail(c);
}

static void get_miss(struct conn *c, const struct words *w, const struct meta *m)
{
	char line[META_ANSWER_MAX], *p = line + 2;

	memcpy(line, "EN", 2);
	if (!meta_put_echo(&p, w, m))
		refuse(c, OPAQUE_TOO_LONG);
	else if (!m->quiet)
		answer(c, line, p);
}

/* A get with a new time to live counts as a touch. */
static void count_get(const struct meta *m, const struct item *it)
{
	if (m->new_ttl && it) {
		stats.cmd_touch++;
		stats_of(it)->touch_hits++;
		return;
	}
	stats.cmd_get++;
	if (it)
		stats_of(it)->get_hits++;
	else
		stats.get_misses++;
}

void meta_get(struct conn *c, struct words *w)
{
	struct meta m = { 0 };
	const char *error;
	struct item *it;
	uint32_t hash;
	bool made = false;

	if (w->word[1].len > KEY_MAX)
		error = BAD_FORMAT;
	else if (w->count > META_WORDS_MAX)
		error = "CLIENT_ERROR options flags are too long\r\n";
	else
		error = meta_parse(w, 2, &m);
	if (error) {
		refuse(c, error);
		return;
	}
	hash = hash_of(&m);
	if (m.look_first || m.no_update)
		it = cache_find(m.key.text, m.key.len, hash);
	else
		it = cache_get(m.key.text, m.key.len, hash);
	if (!it && m.vivify) {
		it = vivify(&m, hash);
		made = it != NULL;
	}
	count_get(&m, it);
	if (!it) {
		get_miss(c, w, &m);
		return;
	}
	get_hit(c, w, &m, it, made);
	if (m.look_first && !m.no_update)
		cache_used(it);
}

/* ---- ms ---- */

/* What to answer when the value has come. */
struct meta_set {
	bool stale_allowed;
	uint64_t new_cas;
	uint8_t flags_len;
	char flags[4];             /* O k c s, in the client's order */
	uint8_t opaque_len;
	char opaque[META_OPAQUE_MAX];
};

static bool set_remember(const struct words *w, struct meta_set *set)
{
	for (unsigned i = 2; i < w->count; i++) {
		char flag = w->word[i].text[0];

		if (!strchr("Okcs", flag))
			continue;
		if (flag == 'O') {
			if (w->word[i].len > META_OPAQUE_MAX)
				return false;
			set->opaque_len = (uint8_t)w->word[i].len;
			memcpy(set->opaque, w->word[i].text, w->word[i].len);
		}
		set->flags[set->flags_len++] = flag;
	}
	return true;
}

/* The way of storing that mode and conditions ask for. False: no such mode. */
static bool set_verb(struct meta *m, enum store_verb *verb)
{
	switch (m->mode) {
	case 'E':
		*verb = STORE_ADD;
		return true;
	case 'A':
		*verb = m->vivify ? STORE_APPEND_OR_NEW : STORE_APPEND;
		break;
	case 'P':
		*verb = m->vivify ? STORE_PREPEND_OR_NEW : STORE_PREPEND;
		break;
	case 'R':
		*verb = m->has_cas ? STORE_CAS : STORE_REPLACE;
		return true;
	case 0:
	case 'S':
		*verb = m->has_cas ? STORE_CAS : STORE_SET;
		return true;
	default:
		return false;
	}
	if (m->vivify)
		m->expires = m->vivify_expires;
	return true;
}

/* Everything between the line and the value. NULL, or the error to send. */
static const char *set_begin(struct conn *c, const struct words *w, struct meta *m, uint32_t value_len,
			     struct meta_set *set)
{
	const char *error = meta_parse(w, 3, m);
	enum store_verb verb;
	bool opaque_fits;

	if (error)
		return error;
	c->noreply = m->quiet;
	set->new_cas = m->new_cas ? m->new_cas : cache_next_cas();
	opaque_fits = set_remember(w, set);
	if (!set_verb(m, &verb))
		return "CLIENT_ERROR invalid mode for ms M token\r\n";
	if (!opaque_fits)
		return OPAQUE_TOO_LONG;
	set->stale_allowed = m->invalidate && verb == STORE_CAS;
	c->item = item_new(m->key.text, m->key.len, m->client_flags, m->expires, value_len);
	if (!c->item) {
		cache_delete(m->key.text, m->key.len, hash_of(m)); /* no old value in place of a new one */
		return text_no_room(m->key.len, m->client_flags, value_len);
	}
	if (m->key_is_binary)
		c->item->flags |= ITEM_KEY_BINARY;
	c->cas = m->cas;
	c->meta = set;
	text_expect_value(c, verb);
	return NULL;
}

void meta_set(struct conn *c, struct words *w)
{
	struct meta_set *set;
	struct meta m = { 0 };
	const char *error;
	int32_t len;

	if (w->count > META_WORDS_MAX) {
		refuse(c, "CLIENT_ERROR options flags too long\r\n");
		return;
	}
	if (w->word[1].len > KEY_MAX || w->count == 2 ||
	    !number_parse_i32(w->word[2].text, w->word[2].len, &len) || len < 0 || len > INT32_MAX - 2) {
		refuse(c, BAD_FORMAT);
		return;
	}
	set = calloc(1, sizeof(*set));
	error = set ? set_begin(c, w, &m, (uint32_t)len + 2, set) :
		      "SERVER_ERROR out of memory storing object\r\n";
	if (!error)
		return;
	free(set);
	refuse(c, error);
	text_swallow(c, (uint32_t)len + 2);
}

static char *set_echo(char *p, const struct meta_set *set, const struct item *it, const struct item *stored)
{
	for (unsigned i = 0; i < set->flags_len; i++) {
		switch (set->flags[i]) {
		case 'O':
			meta_put_opaque(&p, (struct word){ set->opaque, set->opaque_len });
			break;
		case 'k':
			p = meta_put_key(p, item_key(it), it->key_len, it->flags & ITEM_KEY_BINARY);
			break;
		case 'c':
			p = meta_put_number(p, 'c', stored ? item_cas(stored) : 0);
			break;
		case 's':
			p = meta_put_number(p, 's', (stored ? stored : it)->value_len - 2);
			break;
		}
	}
	return p;
}

void meta_value_complete(struct conn *c, struct item *it)
{
	static const char codes[][3] = {
		[STORE_DONE] = "HD", [STORE_NOT_STORED] = "NS", [STORE_EXISTS] = "EX", [STORE_NOT_FOUND] = "NF",
	};
	struct meta_set *set = c->meta;
	struct store_terms terms = {
		.cas = c->cas, .new_cas = set->new_cas, .stale_allowed = set->stale_allowed,
	};
	char line[META_ANSWER_MAX], *end;
	enum store_result result;

	c->meta = NULL;
	if (!item_is_terminated(it)) {
		refuse(c, "CLIENT_ERROR bad data chunk\r\n");
		free(set);
		return;
	}
	result = cache_store(it, (enum store_verb)c->verb, &terms, key_hash(item_key(it), it->key_len));
	memcpy(line, codes[result], 2);
	end = set_echo(line + 2, set, it, result == STORE_DONE ? terms.stored : NULL);
	if (result != STORE_DONE || !c->noreply)
		answer(c, line, end);
	free(set);
}

/* ---- md ---- */

/* The first checks of md and ma. NULL, or the error to send. */
static const char *parse_strictly(const struct words *w, struct meta *m)
{
	if (w->word[1].len > KEY_MAX)
		return BAD_FORMAT;
	if (w->count > META_WORDS_MAX)
		return "CLIENT_ERROR options flags too long\r\n";
	return meta_parse(w, 2, m) ? BAD_FLAG : NULL;
}

/* Leaves an empty item in the place of the value. NULL without memory. */
static struct item *value_remove(const struct meta *m, struct item *it, uint32_t hash)
{
	struct store_terms terms = { .new_cas = m->new_cas ? m->new_cas : item_cas(it) };
	struct item *empty = item_new(m->key.text, m->key.len, m->client_flags, m->expires, 2);

	if (!empty)
		return NULL;
	item_write(empty, 0, "\r\n", 2);
	cache_store(empty, STORE_SET, &terms, hash);
	item_release(empty);
	return empty;
}

/* Marks the item as out of date: it is still served, and the next client wins its renewal. */
static void invalidate(const struct meta *m, struct item *it)
{
	if (m->new_ttl)
		it->expires = m->expires;
	it->flags |= ITEM_STALE;
	it->flags &= (uint8_t)~ITEM_TOKEN_SENT;
	item_set_cas(it, m->new_cas ? m->new_cas : cache_next_cas());
}

/* The outcome's two letters; NULL: no memory. */
static const char *delete_item(const struct meta *m, uint32_t hash)
{
	struct item *it = cache_find(m->key.text, m->key.len, hash);

	if (!it || (m->has_cas && item_cas(it) != m->cas)) {
		stats.delete_misses++;
		return it ? "EX" : "NF";
	}
	if (m->remove_value) {
		it = value_remove(m, it, hash);
		if (!it)
			return NULL;
	}
	if (m->invalidate) {
		invalidate(m, it);
		return "HD";
	}
	stats_of(it)->delete_hits++;
	if (!m->remove_value)
		cache_remove(it, hash);
	return "HD";
}

void meta_delete(struct conn *c, struct words *w)
{
	char line[META_ANSWER_MAX], *p = line + 2;
	struct meta m = { 0 };
	const char *error = parse_strictly(w, &m), *code;

	if (!error && !meta_put_echo(&p, w, &m))
		error = OPAQUE_TOO_LONG;
	if (error) {
		refuse(c, error);
		return;
	}
	code = delete_item(&m, hash_of(&m));
	if (!code) {
		refuse(c, "SERVER_ERROR out of memory\r\n");
	} else if (code[0] != 'H' || !m.quiet) {
		memcpy(line, code, 2);
		answer(c, line, p);
	}
}

/* ---- ma ---- */

static bool count_mode(const struct meta *m, bool *up)
{
	*up = m->mode == 0 || m->mode == 'I' || m->mode == '+';
	return *up || m->mode == 'D' || m->mode == '-';
}

/* A number to begin with, for ma with N. NULL without memory. */
static struct item *count_vivify(const struct meta *m, uint32_t hash)
{
	struct store_terms terms = { .new_cas = m->new_cas };
	char digits[NUMBER_MAX];
	uint32_t len = (uint32_t)(number_format(digits, m->initial) - digits);
	struct item *it = item_new(m->key.text, m->key.len, 0, 0, len + 2);

	if (!it)
		return NULL;
	item_write(it, 0, digits, len);
	item_write(it, len, "\r\n", 2);
	cache_store(it, STORE_ADD, &terms, hash);
	item_release(it);
	return it;
}

static void count_answer(struct conn *c, const struct words *w, const struct meta *m, struct item *it,
			 bool made, uint64_t number)
{
	char line[META_ANSWER_MAX], digits[NUMBER_MAX], *p = line + 2;
	size_t len = (size_t)(number_format(digits, number) - digits);

	memcpy(line, m->value ? "VA" : "HD", 2);
	if (m->value) {
		*p++ = ' ';
		p = number_format(p, len);
	}
	for (unsigned i = 2; i < w->count; i++) {
		switch (w->word[i].text[0]) {
		case 'c':
			p = meta_put_number(p, 'c', item_cas(it));
			break;
		case 't':
			p = meta_put_ttl(p, it);
			break;
		case 'T':
			it->expires = m->expires;
			break;
		case 'N':
			if (made)
				it->expires = m->vivify_expires;
			break;
		case 'k':
			p = meta_put_key(p, m->key.text, m->key.len, m->key_is_binary);
			break;
		case 'O':
			if (!meta_put_opaque(&p, w->word[i])) {
				refuse(c, OPAQUE_TOO_LONG);
				return;
			}
			break;
		}
	}
	if (m->value) {
		memcpy(p, "\r\n", 2);
		memcpy(p + 2, digits, len);
		p += 2 + len;
	}
	answer(c, line, p);
}

static void count_failed(struct conn *c, const struct words *w, const struct meta *m, const char *code)
{
	char line[META_ANSWER_MAX], *p = line + 2;

	memcpy(line, code, 2);
	if (meta_put_echo(&p, w, m))
		answer(c, line, p);
	else
		refuse(c, OPAQUE_TOO_LONG);
}

static void count_missed(struct conn *c, const struct words *w, const struct meta *m, uint32_t hash, bool up)
{
	struct item *it = m->vivify ? count_vivify(m, hash) : NULL;

	if (it) {
		count_answer(c, w, m, it, true, m->initial);
	} else if (m->vivify) {
		refuse(c, "SERVER_ERROR Out of memory allocating new item\r\n");
	} else {
		stats.incr_misses += up;
		stats.decr_misses += !up;
		count_failed(c, w, m, "NF");
	}
}

static void count_done(struct conn *c, const struct words *w, const struct meta *m,
		       const struct count_terms *terms)
{
	stats_of(terms->item)->incr_hits += terms->up;
	stats_of(terms->item)->decr_hits += !terms->up;
	if (m->new_cas)
		item_set_cas(terms->item, m->new_cas);
	if (m->quiet && m->new_ttl)
		terms->item->expires = m->expires;
	if (!m->quiet)
		count_answer(c, w, m, terms->item, false, terms->result);
}

void meta_arithmetic(struct conn *c, struct words *w)
{
	struct meta m = { .delta = 1 };
	struct count_terms terms = { 0 };
	const char *error = parse_strictly(w, &m);
	uint32_t hash;

	if (!error && !count_mode(&m, &terms.up))
		error = "CLIENT_ERROR invalid mode for ma M token\r\n";
	if (error) {
		refuse(c, error);
		return;
	}
	hash = hash_of(&m);
	terms.delta = m.delta;
	terms.cas = m.cas;
	switch (cache_count(m.key.text, m.key.len, hash, &terms)) {
	case COUNT_DONE:
		count_done(c, w, &m, &terms);
		break;
	case COUNT_NOT_FOUND:
		count_missed(c, w, &m, hash, terms.up);
		break;
	case COUNT_EXISTS:
		count_failed(c, w, &m, "EX");
		break;
	case COUNT_NON_NUMERIC:
		refuse(c, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
		break;
	case COUNT_NO_MEMORY:
		refuse(c, "SERVER_ERROR out of memory\r\n");
		break;
	}
}

/* ---- me, mn ---- */

void meta_debug(struct conn *c, struct words *w)
{
	char line[META_ANSWER_MAX], *p = line;
	struct meta m = { 0 };
	struct item *it;

	if (w->count < 2 || w->word[1].len > KEY_MAX ||
	    (w->count > 2 && word_is(w->word[2], "b") &&
	     meta_parse(&(struct words){ .count = 3, .word = { w->word[0], w->word[1], w->word[2] } }, 2, &m))) {
		refuse(c, BAD_FORMAT);
		return;
	}
	if (!m.key_is_binary)
		m.key = w->word[1];
	stats.cmd_meta++;
	it = cache_find(m.key.text, m.key.len, hash_of(&m));
	if (!it) {
		conn_reply(c, "EN\r\n");
		return;
	}
	memcpy(p, "ME ", 3);
	p += 3;
	if (it->flags & ITEM_KEY_BINARY) {
		p = base64_encode(p, item_key(it), it->key_len);
	} else {
		memcpy(p, item_key(it), it->key_len);
		p += it->key_len;
	}
	p += snprintf(p, 200, " exp=%d la=%u cas=%llu fetch=%s cls=%u size=%zu",
		      it->expires ? (int)(it->expires - clock_now) : -1, clock_now - it->last_used,
		      (unsigned long long)item_cas(it), it->flags & ITEM_FETCHED ? "yes" : "no",
		      it->class, item_bytes(it));
	answer(c, line, p);
}

void meta_noop(struct conn *c, struct words *w)
{
	(void)w;
	conn_reply(c, "MN\r\n");
}
