/*
 * Items: a key, a value, and what the cache knows about them.
 *
 * Layout of a plain item, in one chunk of slab memory:
 *
 *     struct item | CAS number (8, without -C) | key | client flags (4, if not 0) | value | CR LF
 *
 * 40 bytes of header and 8 of CAS; memcached has 48 and 8, and a NUL behind the key. The CR LF is
 * part of the stored value, so that an answer is one piece.
 *
 * last_used is a stamp: the clock plus the number of flushes so far (item_stamp_now()). A flush so
 * gets a stamp that everything stored before is not above and everything after is, without a walk
 * through the items. What is alive was stamped since the last flush, so item_idle() is exact for
 * it.
 *
 * A value too large for a chunk is ITEM_CHUNKED: the item's own chunk ends with a pointer to the
 * first of a list of pieces, which hold the value. Read any value with an item_span.
 *
 * Life: item_new() (held once by the caller, unlinked, value not written) -> cache.c links it into
 * the table and the LRU -> unlinked by delete, replacement, expiry or eviction. The memory returns
 * when the item is unlinked and nobody holds it. Answers that are sent by reference hold it.
 */
#ifndef MEMCACHED_ITEM_H
#define MEMCACHED_ITEM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "clock.h"

enum item_flag {
	ITEM_KEY_BINARY   = 1,     /* the client names it in base64 */
	ITEM_HAS_CAS      = 2,
	ITEM_CLIENT_FLAGS = 4,
	ITEM_CHUNKED      = 8,
	ITEM_FETCHED      = 16,    /* somebody has read it */
	ITEM_ACTIVE       = 32,    /* twice */
	ITEM_STALE        = 64,    /* invalidated, but still served */
	ITEM_TOKEN_SENT   = 128,   /* somebody was told to make a new value */
};

enum { ITEM_HOLDS_MAX = 255 };

struct item {
	struct item *chain;        /* in the bucket of the hash table; itself while unlinked */
	struct item *newer, *older;/* in the LRU; in the free list while class is 0 */
	reltime_t last_used;       /* a stamp, see above; read it with item_idle() */
	reltime_t expires;         /* 0: never */
	uint32_t value_len;        /* with CR LF */
	uint8_t  holds;
	uint8_t  flags;
	/* slab class of this chunk (0: free), LRU segment in the high bits */
	uint8_t  class_segment;
	uint8_t  key_len;          /* 0: not an item, but a struct piece */
	char data[];
};

enum { CLASS_BITS = 6, CLASS_MASK = (1 << CLASS_BITS) - 1 };

/* A part of a large value. The fields that tell chunks apart lie where they do in an item. */
struct piece {
	struct piece *next;
	struct item *owner;
	uint64_t unused;
	uint32_t unused2;
	uint32_t len;              /* bytes of value in it */
	uint32_t unused3;
	uint8_t  unused4[2];
	uint8_t  class;            /* no segment */
	uint8_t  key_len;          /* 0 */
	char data[];
};

static inline bool item_is_linked(const struct item *it)
{
	return it->chain != it;
}

static inline unsigned item_class(const struct item *it)
{
	return it->class_segment & CLASS_MASK;
}

static inline unsigned item_segment(const struct item *it)
{
	return it->class_segment >> CLASS_BITS;
}

static inline void item_set_segment(struct item *it, unsigned segment)
{
	it->class_segment = (uint8_t)(item_class(it) | segment << CLASS_BITS);
}

extern reltime_t item_flushes;     /* how many flushes there were: cache.c */

static inline reltime_t item_stamp_now(void)
{
	return clock_now + item_flushes;
}

static inline void item_stamp(struct item *it)
{
	it->last_used = item_stamp_now();
}

/* Seconds since the item was used. */
static inline reltime_t item_idle(const struct item *it)
{
	reltime_t now = item_stamp_now();

	return now > it->last_used ? now - it->last_used : 0;
}

static inline size_t item_cas_size(const struct item *it)
{
	return it->flags & ITEM_HAS_CAS ? sizeof(uint64_t) : 0;
}

static inline const char *item_key(const struct item *it)
{
	return it->data + item_cas_size(it);
}

static inline uint64_t item_cas(const struct item *it)
{
	uint64_t cas = 0;

	if (it->flags & ITEM_HAS_CAS)
		memcpy(&cas, it->data, sizeof(cas));
	return cas;
}

static inline void item_set_cas(struct item *it, uint64_t cas)
{
	if (it->flags & ITEM_HAS_CAS)
		memcpy(it->data, &cas, sizeof(cas));
}

static inline uint32_t item_client_flags(const struct item *it)
{
	uint32_t flags = 0;

	if (it->flags & ITEM_CLIENT_FLAGS)
		memcpy(&flags, item_key(it) + it->key_len, sizeof(flags));
	return flags;
}

/* The value of a plain item; where the pointer to the pieces is in a chunked one. */
static inline char *item_value(const struct item *it)
{
	return (char *)item_key(it) + it->key_len + (it->flags & ITEM_CLIENT_FLAGS ? 4 : 0);
}

/* 1 to 7 bytes. */
static inline bool few_are_equal(const char *a, const char *b, size_t len)
{
	uint32_t x[2], y[2];

	if (len < sizeof(x[0]))
		return a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1];
	memcpy(&x[0], a, sizeof(x[0]));
	memcpy(&y[0], b, sizeof(y[0]));
	memcpy(&x[1], a + len - sizeof(x[1]), sizeof(x[1]));
	memcpy(&y[1], b + len - sizeof(y[1]), sizeof(y[1]));
	return x[0] == y[0] && x[1] == y[1];
}

/* Eight bytes. */
static inline bool eight_are_equal(const char *a, const char *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x == y;
}

/*
 * Compares by words. The last one, which may overlap the one before, comes first: keys that share a
 * bucket mostly begin alike and end differently.
 */
static inline bool keys_are_equal(const char *a, const char *b, size_t len)
{
	if (len < sizeof(uint64_t))
		return few_are_equal(a, b, len);
	if (!eight_are_equal(a + len - sizeof(uint64_t), b + len - sizeof(uint64_t)))
		return false;
	for (size_t i = 0; i + sizeof(uint64_t) < len; i += sizeof(uint64_t)) {
		if (!eight_are_equal(a + i, b + i))
			return false;
	}
	return true;
}

static inline bool item_has_key(const struct item *it, const char *key, size_t len)
{
	return it->key_len == len && keys_are_equal(item_key(it), key, len);
}


/* What a client says of an item that it stores. */
struct item_terms {
	uint32_t client_flags;
	reltime_t expires;
	uint32_t value_len;        /* with CR LF */
};

/* Would an item like this be accepted (-I)? value_len includes the CR LF. */
bool item_size_is_allowed(size_t key_len, uint32_t client_flags, uint32_t value_len);

/*
 * A new item, held once, its value still unwritten. NULL: no memory, or larger than allowed. Makes
 * room by evicting others.
 */
struct item *item_new(const char *key, size_t key_len, uint32_t client_flags, reltime_t expires,
		      uint32_t value_len);

/* False: held by too many already, take a copy instead. */
bool item_hold(struct item *it);
/* The last release of an unlinked item frees it. */
void item_release(struct item *it);

/* A contiguous part of a value. */
struct item_span {
	char *data;
	size_t len;
	struct piece *piece;       /* it is in, or NULL */
};

/* The span that begins the value, and the one behind; len 0: the end. */
struct item_span item_span_first(const struct item *it);
struct item_span item_span_next(struct item_span span);

/* Copies into the value from byte `offset` on. */
void item_write(struct item *it, uint32_t offset, const char *from, size_t len);
/* Puts `len` blanks into the value from byte `offset` on. */
void item_blank(struct item *it, uint32_t offset, size_t len);
/* Does the value end with CR LF? */
bool item_is_terminated(const struct item *it);
/* Bytes in use of the item's own chunk. */
size_t item_chunk_bytes(const struct item *it);
/*
 * For who moves things (mover.c): the pieces' owner is now this copy; `fresh` is a copy of `old`.
 */
void item_own_pieces(struct item *it);
void item_replace_piece(struct item *it, struct piece *old, struct piece *fresh);
/* Memory that the item occupies as memcached counts it: header, key, value. */
size_t item_bytes(const struct item *it);

#endif
