/*
 * ms: stores a value, in the ways of set, add, replace, append, prepend and cas.
 *
 * The answer is known only when the value has arrived. Until then a struct meta_set remembers what
 * the client wants to be told, so that a connection that stores nothing need not have room for it.
 */
#include "meta.h"

#include <stdlib.h>

#include "hash.h"
#include "number.h"
#include "settings.h"

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
static const char *set_begin(struct conn *c, const struct words *w, struct meta *m,
			     uint32_t value_len, struct meta_set *set)
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
		return META_OPAQUE_TOO_LONG;
	set->stale_allowed = m->invalidate && verb == STORE_CAS;
	c->item = item_new(m->key.text, m->key.len, m->client_flags, m->expires, value_len);
	if (!c->item) {
		/* no old value in place of a new one */
		cache_delete(m->key.text, m->key.len, meta_hash(m));
		return text_no_room(m->key.len, m->client_flags, value_len);
	}
	if (m->key_is_binary)
		c->item->flags |= ITEM_KEY_BINARY;
	c->cas = m->cas;
	c->meta = set;
	conn_expect_value(c, verb, value_len);
	return NULL;
}

void meta_set(struct conn *c, struct words *w)
{
	struct meta_set *set;
	struct meta m = { 0 };
	const char *error;
	int32_t len;

	if (w->count > META_WORDS_MAX) {
		meta_refuse(c, "CLIENT_ERROR options flags too long\r\n");
		return;
	}
	if (w->word[1].len > KEY_MAX || w->count == 2 ||
	    !number_parse_i32(w->word[2].text, w->word[2].len, &len) || len < 0 ||
	    len > INT32_MAX - 2) {
		meta_refuse(c, META_BAD_FORMAT);
		return;
	}
	set = calloc(1, sizeof(*set));
	error = set ? set_begin(c, w, &m, (uint32_t)len + 2, set) :
		      "SERVER_ERROR out of memory storing object\r\n";
	if (!error)
		return;
	free(set);
	meta_refuse(c, error);
	conn_swallow(c, (uint32_t)len + 2);
}

static char *set_echo(char *p, const struct meta_set *set, const struct item *it,
		      const struct item *stored)
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
		[STORE_DONE] = "HD", [STORE_NOT_STORED] = "NS", [STORE_EXISTS] = "EX",
		[STORE_NOT_FOUND] = "NF",
	};
	struct meta_set *set = c->meta;
	struct store_terms terms = {
		.cas = c->cas, .new_cas = set->new_cas, .stale_allowed = set->stale_allowed,
	};
	char line[META_ANSWER_MAX], *end;
	enum store_result result;

	c->meta = NULL;
	if (!item_is_terminated(it)) {
		meta_refuse(c, "CLIENT_ERROR bad data chunk\r\n");
		free(set);
		return;
	}
	result = cache_store(it, (enum store_verb)c->verb, &terms,
			     key_hash(item_key(it), it->key_len));
	memcpy(line, codes[result], 2);
	end = set_echo(line + 2, set, it, result == STORE_DONE ? terms.stored : NULL);
	if (result != STORE_DONE || !c->noreply)
		meta_answer(c, line, end);
	free(set);
}
