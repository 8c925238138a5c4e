/*
 * The cache's operations, with memcached's semantics.
 *
 * An item that has expired or was flushed stays in the table until somebody comes across it: a
 * lookup, the search for memory, the maintainer, the crawler. A flush is a stamp (item.h): what was
 * last used up to it is dead. It takes no walk through the items. A flush with a delay becomes one
 * when the clock reaches its second; as in memcached, that is the second before the one asked for,
 * and what is stored within it dies with the rest.
 */
#include "cache.h"

#include <assert.h>

#include "hash.h"
#include "lru.h"
#include "maintainer.h"
#include "number.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "table.h"
#include "watch.h"

/* Longer values are no numbers: memcached's bound, which is where its chunked items begin. */
enum { NUMBER_VALUE_MAX = 512 * 1024 - 512 };

reltime_t item_flushes;

static reltime_t flushed_stamp;    /* items with this stamp or a lower one are dead */
static reltime_t flush_due;        /* 0: no flush is waiting */
static reltime_t flush_shown;      /* what `stats settings` calls oldest */
static uint64_t cas_last;

static bool is_flushed(const struct item *it)
{
	return it->last_used <= flushed_stamp;
}

static bool is_expired(const struct item *it)
{
	return it->expires != 0 && it->expires <= clock_now;
}

bool cache_is_dead(const struct item *it)
{
	return is_flushed(it) || is_expired(it);
}

static void unlink_hashed(struct item *it, uint32_t hash)
{
	assert(item_is_linked(it));
	table_remove(it, hash);
	lru_remove(it);
	it->holds++;
	item_release(it);
}

void cache_unlink(struct item *it)
{
	unlink_hashed(it, key_hash(item_key(it), it->key_len));
}

static void link_done(struct item *it, uint64_t cas)
{
	item_stamp(it);
	item_set_cas(it, cas);
	lru_insert(it);
	maintainer_notice();
	stats.total_items++;
}

static void replace(struct item *old, struct item *it, uint64_t cas, uint32_t hash)
{
	table_replace(old, it, hash);
	lru_remove(old);
	old->holds++;
	item_release(old);
	link_done(it, cas);
}

/* Nothing was found, or what was found is dead, or somebody watches. */
static __attribute__((noinline)) struct item *found_closer(const char *key, size_t len,
							   struct item *it, uint32_t hash)
{
	enum watch_found found = it ? WATCH_FOUND : WATCH_NOT_FOUND;

	if (it && cache_is_dead(it)) {
		found = is_flushed(it) ? WATCH_FLUSHED : WATCH_EXPIRED;
		stats.get_flushed += found == WATCH_FLUSHED;
		stats.get_expired += found == WATCH_EXPIRED;
		unlink_hashed(it, hash);
		it = NULL;
	}
	if (watched(WATCH_FETCHERS))
		watch_fetch(key, len, it, found);
	return it;
}

struct item *cache_find(const char *key, size_t len, uint32_t hash)
{
	struct item *it = table_find(key, len, hash);

	if (__builtin_expect(it && !cache_is_dead(it) && !watched(WATCH_FETCHERS), 1))
		return it;
	return found_closer(key, len, it, hash);
}

void cache_used(struct item *it)
{
	lru_touch(it);
}

struct item *cache_get(const char *key, size_t len, uint32_t hash)
{
	struct item *it = cache_find(key, len, hash);

	if (it)
		lru_touch(it);
	return it;
}

struct item *cache_get_again(const char *key, size_t len, uint32_t hash)
{
	struct item *it = table_find(key, len, hash);

	if (it && !cache_is_dead(it) && (it->flags & (ITEM_ACTIVE | ITEM_CHUNKED)) == ITEM_ACTIVE &&
	    !watched(WATCH_FETCHERS))
		return it;
	return NULL;
}

struct item *cache_touch(const char *key, size_t len, uint32_t hash, reltime_t expires)
{
	struct item *it = cache_get(key, len, hash);

	if (it)
		it->expires = expires;
	return it;
}

static void copy_value(struct item *to, uint32_t offset, const struct item *from, uint32_t len)
{
	struct item_span span = item_span_first(from);

	while (len > 0) {
		size_t n = span.len < len ? span.len : len;

		item_write(to, offset, span.data, n);
		offset += (uint32_t)n;
		len -= (uint32_t)n;
		span = item_span_next(span);
	}
}

/* `old` with the value of `it` behind or before its own. Held once; NULL without memory. */
static struct item *joined(struct item *old, struct item *it, bool behind)
{
	const struct item *first = behind ? old : it, *second = behind ? it : old;
	uint32_t first_len = first->value_len - 2;
	struct item *sum;

	if (!item_hold(old))
		return NULL;
	sum = item_new(item_key(old), old->key_len, item_client_flags(old), old->expires,
		       first_len + second->value_len);
	if (sum) {
		copy_value(sum, 0, first, first_len);
		copy_value(sum, first_len, second, second->value_len);
	}
	item_release(old);
	return sum;
}

static enum store_result store_joined(struct item *it, enum store_verb verb, struct store_terms *t,
				      struct item *old, uint32_t hash)
{
	bool behind = verb == STORE_APPEND || verb == STORE_APPEND_OR_NEW;
	struct item *sum;

	if (t->cas != 0 && t->cas != item_cas(old))
		return STORE_EXISTS;
	sum = joined(old, it, behind);
	if (!sum)
		return STORE_NOT_STORED;
	replace(old, sum, t->new_cas, hash);
	t->stored = sum;
	item_release(sum);
	return STORE_DONE;
}

/* May the item replace `old` on the client's condition? It may as stale, when it asked for that. */
static bool cas_allows(struct item *it, const struct store_terms *t, const struct item *old)
{
	if (t->cas != 0 && t->cas == item_cas(old))
		return true;
	if (t->cas == 0 || !t->stale_allowed || t->cas > item_cas(old))
		return false;
	it->expires = old->expires;
	it->flags |= ITEM_STALE | (old->flags & ITEM_TOKEN_SENT);
	return true;
}

static enum store_result store_over(struct item *it, enum store_verb verb, struct store_terms *t,
				    struct item *old, uint32_t hash)
{
	switch (verb) {
	case STORE_ADD:
		lru_update(old);
		return STORE_NOT_STORED;
	case STORE_APPEND:
	case STORE_PREPEND:
	case STORE_APPEND_OR_NEW:
	case STORE_PREPEND_OR_NEW:
		return store_joined(it, verb, t, old, hash);
	case STORE_CAS:
		if (!cas_allows(it, t, old)) {
			stats_of(old)->cas_badval++;
			return STORE_EXISTS;
		}
		stats_of(old)->cas_hits++;
		break;
	case STORE_SET:
	case STORE_REPLACE:
		break;
	}
	replace(old, it, t->new_cas, hash);
	return STORE_DONE;
}

uint64_t cache_next_cas(void)
{
	return ++cas_last;
}

uint64_t cache_last_cas(void)
{
	return cas_last;
}

void cache_set_last_cas(uint64_t cas)
{
	cas_last = cas;
}

static enum store_result store(struct item *it, enum store_verb verb, struct store_terms *t,
			       uint32_t hash)
{
	struct item *old = cache_find(item_key(it), it->key_len, hash);

	if (t->new_cas == 0)
		/* also for what is then not stored, as memcached does */
		t->new_cas = cache_next_cas();
	t->stored = it;
	if (old)
		return store_over(it, verb, t, old, hash);
	if (verb == STORE_CAS) {
		stats.cas_misses++;
		return STORE_NOT_FOUND;
	}
	if (verb == STORE_REPLACE || verb == STORE_APPEND || verb == STORE_PREPEND)
		return STORE_NOT_STORED;
	table_insert(it, hash);
	link_done(it, t->new_cas);
	return STORE_DONE;
}

/* A new value for a number: in place where it fits and nobody is reading, else a new item. */
static struct item *number_store(struct item *it, uint64_t number, uint32_t hash)
{
	char digits[NUMBER_MAX];
	uint32_t len = (uint32_t)(number_format(digits, number) - digits);
	struct item *fresh;

	if (len + 2 <= it->value_len && it->holds == 0) {
		item_set_cas(it, cache_next_cas());
		item_write(it, 0, digits, len);
		item_blank(it, len, it->value_len - 2 - len);
		return it;
	}
	if (!item_hold(it))
		return NULL;
	fresh = item_new(item_key(it), it->key_len, item_client_flags(it), it->expires, len + 2);
	if (fresh) {
		item_write(fresh, 0, digits, len);
		item_write(fresh, len, "\r\n", 2);
		replace(it, fresh, cache_next_cas(), hash);
		item_release(fresh);
	}
	item_release(it);
	return fresh;
}

enum store_result cache_store(struct item *it, enum store_verb verb, struct store_terms *t,
			      uint32_t hash)
{
	enum store_result result = store(it, verb, t, hash);

	if (watched(WATCH_MUTATIONS))
		watch_store(result == STORE_DONE ? t->stored : it, verb, result);
	return result;
}

static uint64_t counted(uint64_t n, const struct count_terms *t)
{
	switch (t->op) {
	case COUNT_UP:
		return n + t->delta;
	case COUNT_DOWN:
		return t->delta > n ? 0 : n - t->delta;
	case COUNT_TIMES:
		return n * t->delta;
	case COUNT_OVER:
		return n / t->delta;
	}
	return n;
}

enum count_result cache_count(const char *key, size_t len, uint32_t hash, struct count_terms *t)
{
	struct item *it = cache_find(key, len, hash);
	struct item_span first;
	uint64_t n;

	if (!it)
		return COUNT_NOT_FOUND;
	first = item_span_first(it);
	if (it->value_len <= 2 || it->value_len > NUMBER_VALUE_MAX)
		return COUNT_NON_NUMERIC;
	if (t->cas != 0 && t->cas != item_cas(it))
		return COUNT_EXISTS;
	if (!number_parse_u64(first.data, first.len, &n))
		return COUNT_NON_NUMERIC;
	t->result = n = counted(n, t);
	t->item = number_store(it, n, hash);
	return t->item ? COUNT_DONE : COUNT_NO_MEMORY;
}

/* What the item is to be needs the chunk that it has, and no other. */
static inline bool fits_in_place(const struct item *it, const struct item_terms *t)
{
	if (it->holds || it->flags & ITEM_CHUNKED ||
	    (t->client_flags != 0) != ((it->flags & ITEM_CLIENT_FLAGS) != 0))
		return false;
	return t->value_len == it->value_len ||
	       (item_size_is_allowed(it->key_len, t->client_flags, t->value_len) &&
		slab_class_for(item_bytes(it) - it->value_len + t->value_len) == item_class(it));
}

static inline void write_over(struct item *it, const struct item_terms *t, const char *value)
{
	it->flags &= ITEM_HAS_CAS | ITEM_CLIENT_FLAGS;
	it->expires = t->expires;
	it->value_len = t->value_len;
	if (t->client_flags)
		memcpy((char *)item_key(it) + it->key_len, &t->client_flags,
		       sizeof(t->client_flags));
	memcpy(item_value(it), value, t->value_len);
	item_stamp(it);
	item_set_cas(it, cache_next_cas());
}

/* Leaves what replace() would leave, without taking a chunk and giving one back. */
bool cache_overwrite(const char *key, size_t len, uint32_t hash, const struct item_terms *t,
		     const char *value)
{
	struct item *it = table_find(key, len, hash);

	if (!it || cache_is_dead(it) || watching || !fits_in_place(it, t))
		return false;
	if (t->value_len == it->value_len) {
		write_over(it, t, value);
		lru_renew(it);
	} else {
		lru_remove(it);
		write_over(it, t, value);
		lru_insert(it);
	}
	maintainer_notice();
	stats.total_items++;
	stats_of(it)->cmd_set++;
	return true;
}

void cache_remove(struct item *it, uint32_t hash)
{
	unlink_hashed(it, hash);
}

bool cache_delete(const char *key, size_t len, uint32_t hash)
{
	struct item *it = cache_find(key, len, hash);

	if (!it)
		return false;
	unlink_hashed(it, hash);
	return true;
}

static void flush_now(reltime_t second)
{
	flushed_stamp = second + item_flushes;
	flush_due = 0;
}

/* A flush with a delay comes true. Called when the clock has moved. */
static void cache_second(void)
{
	if (flush_due != 0 && flush_due <= clock_now)
		flush_now(flush_due);
}

void cache_start(void)
{
	clock_on_second(cache_second);
}

void cache_flush(int32_t delay)
{
	flush_shown = (delay > 0 ? clock_from_exptime(delay) : clock_now) - 1;
	if (flush_shown == 0)
		return; /* a date before the start: memcached does nothing, either */
	flush_due = flush_shown;
	if (flush_shown >= clock_now) {
		cache_second();
		return;
	}
	flush_now(clock_now);
	item_flushes++; /* what is stored from now on has a higher stamp */
}

reltime_t cache_flushed_until(void)
{
	return flush_shown;
}

reltime_t cache_flush_due(void)
{
	return flush_due;
}

void cache_set_flush_due(reltime_t due)
{
	flush_due = flush_shown = due;
	cache_second();
}

void cache_restore(struct item *it, uint64_t cas, reltime_t last_used, enum lru_segment segment,
		   uint32_t hash)
{
	it->last_used = last_used > 0 ? last_used : 1;
	item_set_cas(it, cas);
	table_insert(it, hash);
	lru_append(it, segment);
}

void cache_drop_all(void)
{
	for (unsigned list = LRU_SEGMENTS; list < (slab_classes() + 1) * LRU_SEGMENTS; list++) {
		struct item *it;

		while ((it = lru_oldest(list / LRU_SEGMENTS,
					(enum lru_segment)(list % LRU_SEGMENTS))))
			cache_unlink(it);
	}
}
