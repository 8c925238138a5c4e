/*
 * The meta commands that read: mg, me, mn; and what all of them share.
 *
 * An answer begins with a two-letter code, and then repeats what the flags asked for, in their
 * order. `q` hides the ordinary outcome of a command (a miss of mg, success of the others), never
 * an error. mn is answered always, so that a client knows that all before it has been.
 */
#include "meta.h"

#include <stdio.h>

#include "base64.h"
#include "hash.h"
#include "number.h"
#include "settings.h"
#include "stats.h"
#include "value.h"

_Static_assert(META_ANSWER_MAX >
		       3 * NUMBER_MAX + 5 * 13 + META_OPAQUE_MAX + BASE64_ENCODED(KEY_MAX) + 32,
	       "the longest answer has room");

const char META_BAD_FORMAT[] = "CLIENT_ERROR bad command line format\r\n";
const char META_OPAQUE_TOO_LONG[] = "CLIENT_ERROR opaque token too long\r\n";

/* Errors are said even to the quiet. */
void meta_refuse(struct conn *c, const char *line)
{
	c->noreply = false;
	conn_reply(c, line);
}

void meta_answer(struct conn *c, char *start, char *end)
{
	memcpy(end, "\r\n", 2);
	if (conn_write(c, start, (size_t)(end + 2 - start)) < 0)
		conn_fail(c);
}

uint32_t meta_hash(const struct meta *m)
{
	return key_hash(m->key.text, m->key.len);
}

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
static bool get_flag(char **p, struct word w, const struct meta *m, struct item *it, bool made,
		     bool *won)
{
	switch (w.text[0]) {
	case 'N':
		if (made)
			it->expires = m->vivify_expires;
		break;
	case 'R':
		*won |= !made && !(it->flags & ITEM_TOKEN_SENT) && it->expires != 0 &&
			it->expires < m->recache;
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
		*p = meta_put_number(*p, 'l', item_idle(it));
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

static void get_hit(struct conn *c, const struct words *w, const struct meta *m, struct item *it,
		    bool made)
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
			meta_refuse(c, META_OPAQUE_TOO_LONG);
			return;
		}
	}
	meta_answer(c, line, get_tokens(p, it, won || made));
	if (m->value && c->state != CONN_CLOSING && value_send(c, it, it->value_len) < 0)
		conn_fail(c);
}

static void get_miss(struct conn *c, const struct words *w, const struct meta *m)
{
	char line[META_ANSWER_MAX], *p = line + 2;

	memcpy(line, "EN", 2);
	if (!meta_put_echo(&p, w, m))
		meta_refuse(c, META_OPAQUE_TOO_LONG);
	else if (!m->quiet)
		meta_answer(c, line, p);
}

/* A get with a new time to live counts as a touch. */
static void count_get(const struct meta *m, const struct item *it)
{
	if (m->new_ttl && it) {
		stats.cmd_touch++;
		stats_of(it)->touch_hits++;
		return;
	}
	if (it)
		stats_hit(it);
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
		error = META_BAD_FORMAT;
	else if (w->count > META_WORDS_MAX)
		error = "CLIENT_ERROR options flags are too long\r\n";
	else
		error = meta_parse(w, 2, &m);
	if (error) {
		meta_refuse(c, error);
		return;
	}
	hash = meta_hash(&m);
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

void meta_debug(struct conn *c, struct words *w)
{
	char line[META_ANSWER_MAX], *p = line;
	struct meta m = { 0 };
	struct item *it;

	if (w->count < 2 || w->word[1].len > KEY_MAX ||
	    (w->count > 2 && word_is(w->word[2], "b") &&
	     meta_parse(
		     &(struct words){ .count = 3, .word = { w->word[0], w->word[1], w->word[2] } },
		     2, &m))) {
		meta_refuse(c, META_BAD_FORMAT);
		return;
	}
	if (!m.key_is_binary)
		m.key = w->word[1];
	stats.cmd_meta++;
	it = cache_find(m.key.text, m.key.len, meta_hash(&m));
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
		      it->expires ? (int)(it->expires - clock_now) : -1, item_idle(it),
		      (unsigned long long)item_cas(it), it->flags & ITEM_FETCHED ? "yes" : "no",
		      item_class(it), item_bytes(it));
	meta_answer(c, line, p);
}

void meta_noop(struct conn *c, struct words *w)
{
	(void)w;
	conn_reply(c, "MN\r\n");
}
