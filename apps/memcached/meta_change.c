/*
 * md and ma: deleting or invalidating an item, and counting in one.
 */
#include "meta.h"

#include "number.h"
#include "settings.h"
#include "stats.h"
#include "watch.h"

static const char BAD_FLAG[] = "CLIENT_ERROR invalid or duplicate flag\r\n";

/* The first checks of md and ma. NULL, or the error to send. */
static const char *parse_strictly(const struct words *w, struct meta *m)
{
	if (w->word[1].len > KEY_MAX)
		return META_BAD_FORMAT;
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
	if (watched(WATCH_DELETIONS))
		watch_deletion(it, "md");
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
		error = META_OPAQUE_TOO_LONG;
	if (error) {
		meta_refuse(c, error);
		return;
	}
	code = delete_item(&m, meta_hash(&m));
	if (!code) {
		meta_refuse(c, "SERVER_ERROR out of memory\r\n");
	} else if (code[0] != 'H' || !m.quiet) {
		memcpy(line, code, 2);
		meta_answer(c, line, p);
	}
}

static bool count_mode(const struct meta *m, enum count_op *op)
{
	*op = m->mode == 'D' || m->mode == '-' ? COUNT_DOWN : COUNT_UP;
	return m->mode == 0 || strchr("I+D-", m->mode);
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

static void count_answer(struct conn *c, const struct words *w, const struct meta *m,
			 struct item *it, bool made, uint64_t number)
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
				meta_refuse(c, META_OPAQUE_TOO_LONG);
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
	meta_answer(c, line, p);
}

static void count_failed(struct conn *c, const struct words *w, const struct meta *m,
			 const char *code)
{
	char line[META_ANSWER_MAX], *p = line + 2;

	memcpy(line, code, 2);
	if (meta_put_echo(&p, w, m))
		meta_answer(c, line, p);
	else
		meta_refuse(c, META_OPAQUE_TOO_LONG);
}

static void count_missed(struct conn *c, const struct words *w, const struct meta *m, uint32_t hash,
			 const struct count_terms *terms)
{
	struct item *it = m->vivify ? count_vivify(m, hash) : NULL;

	if (it) {
		count_answer(c, w, m, it, true, m->initial);
	} else if (m->vivify) {
		meta_refuse(c, "SERVER_ERROR Out of memory allocating new item\r\n");
	} else {
		stats_count(terms, false);
		count_failed(c, w, m, "NF");
	}
}

static void count_done(struct conn *c, const struct words *w, const struct meta *m,
		       const struct count_terms *terms)
{
	stats_count(terms, true);
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

	if (!error && !count_mode(&m, &terms.op))
		error = "CLIENT_ERROR invalid mode for ma M token\r\n";
	if (error) {
		meta_refuse(c, error);
		return;
	}
	hash = meta_hash(&m);
	terms.delta = m.delta;
	terms.cas = m.cas;
	switch (cache_count(m.key.text, m.key.len, hash, &terms)) {
	case COUNT_DONE:
		count_done(c, w, &m, &terms);
		break;
	case COUNT_NOT_FOUND:
		count_missed(c, w, &m, hash, &terms);
		break;
	case COUNT_EXISTS:
		count_failed(c, w, &m, "EX");
		break;
	case COUNT_NON_NUMERIC:
		meta_refuse(c, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
		break;
	case COUNT_NO_MEMORY:
		meta_refuse(c, "SERVER_ERROR out of memory\r\n");
		break;
	}
}
