/*
 * Items: making and freeing them. Where the memory comes from when none is free is reclaim.c's.
 */
#include "item.h"

#include <assert.h>

#include "reclaim.h"
#include "settings.h"
#include "slab.h"

/* memcached's header, for the size limit: an item that it accepts must be accepted here. */
enum { MEMCACHED_HEADER = 48, MEMCACHED_CAS = 8, MEMCACHED_FLAGS = 4 };

_Static_assert(sizeof(struct item) == 40, "a small item carries 40 bytes of header");
_Static_assert(offsetof(struct piece, class) == offsetof(struct item, class_segment), "told apart");
_Static_assert(offsetof(struct piece, key_len) == offsetof(struct item, key_len), "told apart");

bool item_size_is_allowed(size_t key_len, uint32_t client_flags, uint32_t value_len)
{
	size_t total = MEMCACHED_HEADER + (settings.use_cas ? MEMCACHED_CAS : 0) + key_len + 1 +
		       (client_flags ? MEMCACHED_FLAGS : 0) + value_len;

	return total <= settings.item_size_max;
}

static size_t item_head_size(size_t key_len, uint32_t client_flags)
{
	return sizeof(struct item) + (settings.use_cas ? sizeof(uint64_t) : 0) + key_len +
	       (client_flags ? sizeof(client_flags) : 0);
}

static struct piece *piece_first(const struct item *it)
{
	struct piece *p;

	memcpy(&p, item_value(it), sizeof(p));
	return p;
}

static void piece_set_first(struct item *it, struct piece *p)
{
	memcpy(item_value(it), &p, sizeof(p));
}

static void item_free(struct item *it)
{
	assert(!item_is_linked(it) && it->holds == 0);
	if (it->flags & ITEM_CHUNKED) {
		struct piece *p = piece_first(it);

		while (p) {
			struct piece *next = p->next;

			slab_chunk_free(p, p->class);
			p = next;
		}
	}
	slab_chunk_free(it, item_class(it));
}

/* Hangs pieces for the whole value on the item, the last one no larger than needed. */
static bool pieces_add(struct item *it, uint32_t value_len)
{
	uint32_t most = (uint32_t)(slab_chunk_max() - sizeof(struct piece));
	struct piece *last = NULL;

	while (value_len > 0) {
		uint32_t len = value_len < most ? value_len : most;
		struct piece *p = reclaim_chunk(slab_class_for(sizeof(*p) + len));

		if (!p)
			return false;
		p->next = NULL;
		p->owner = it;
		p->len = len;
		p->key_len = 0;
		if (last)
			last->next = p;
		else
			piece_set_first(it, p);
		last = p;
		value_len -= len;
	}
	return true;
}

struct item *item_new(const char *key, size_t key_len, uint32_t client_flags, reltime_t expires,
		      uint32_t value_len)
{
	size_t head = item_head_size(key_len, client_flags);
	bool chunked = head + value_len > slab_chunk_max();
	struct item *it;

	if (!item_size_is_allowed(key_len, client_flags, value_len))
		return NULL;
	it = reclaim_chunk(slab_class_for(head + (chunked ? sizeof(struct piece *) : value_len)));
	if (!it)
		return NULL;
	it->chain = it;
	item_stamp(it);
	it->expires = expires;
	it->value_len = value_len;
	it->holds = 1;
	it->flags = (uint8_t)((settings.use_cas ? ITEM_HAS_CAS : 0) |
			      (client_flags ? ITEM_CLIENT_FLAGS : 0) |
			      (chunked ? ITEM_CHUNKED : 0));
	it->key_len = (uint8_t)key_len;
	item_set_cas(it, 0);
	memcpy((char *)item_key(it), key, key_len);
	if (client_flags)
		memcpy((char *)item_key(it) + key_len, &client_flags, sizeof(client_flags));
	if (chunked) {
		piece_set_first(it, NULL);
		if (!pieces_add(it, value_len)) {
			item_release(it);
			return NULL;
		}
	}
	return it;
}

bool item_hold(struct item *it)
{
	if (it->holds == ITEM_HOLDS_MAX)
		return false;
	it->holds++;
	return true;
}

void item_release(struct item *it)
{
	assert(it->holds > 0);
	if (--it->holds == 0 && !item_is_linked(it))
		item_free(it);
}

static struct item_span piece_span(struct piece *p)
{
	if (!p)
		return (struct item_span){ 0 };
	return (struct item_span){ .data = p->data, .len = p->len, .piece = p };
}

struct item_span item_span_first(const struct item *it)
{
	if (it->flags & ITEM_CHUNKED)
		return piece_span(piece_first(it));
	return (struct item_span){ .data = item_value(it), .len = it->value_len };
}

struct item_span item_span_next(struct item_span span)
{
	return piece_span(span.piece ? span.piece->next : NULL);
}

void item_write(struct item *it, uint32_t offset, const char *from, size_t len)
{
	struct item_span span = item_span_first(it);

	assert(offset + len <= it->value_len);
	for (; offset >= span.len && len > 0; span = item_span_next(span))
		offset -= (uint32_t)span.len;
	while (len > 0) {
		size_t n = span.len - offset < len ? span.len - offset : len;

		memcpy(span.data + offset, from, n);
		from += n;
		len -= n;
		offset = 0;
		span = item_span_next(span);
	}
}

void item_blank(struct item *it, uint32_t offset, size_t len)
{
	static const char blanks[32] = "                                ";

	for (size_t n; len > 0; len -= n, offset += (uint32_t)n) {
		n = len < sizeof(blanks) ? len : sizeof(blanks);
		item_write(it, offset, blanks, n);
	}
}

bool item_is_terminated(const struct item *it)
{
	char last[2] = { 0 };

	for (struct item_span span = item_span_first(it); span.len; span = item_span_next(span)) {
		last[0] = span.len > 1 ? span.data[span.len - 2] : last[1];
		last[1] = span.data[span.len - 1];
	}
	return last[0] == '\r' && last[1] == '\n';
}

size_t item_bytes(const struct item *it)
{
	return sizeof(*it) + item_cas_size(it) + it->key_len +
	       (it->flags & ITEM_CLIENT_FLAGS ? sizeof(uint32_t) : 0) + it->value_len;
}

size_t item_chunk_bytes(const struct item *it)
{
	return it->flags & ITEM_CHUNKED ? item_bytes(it) - it->value_len + sizeof(struct piece *)
					: item_bytes(it);
}

void item_own_pieces(struct item *it)
{
	for (struct piece *p = piece_first(it); p; p = p->next)
		p->owner = it;
}

void item_replace_piece(struct item *it, struct piece *old, struct piece *fresh)
{
	struct piece *p = piece_first(it);

	if (p == old) {
		piece_set_first(it, fresh);
		return;
	}
	while (p->next != old)
		p = p->next;
	p->next = fresh;
}
