/*
 * Lookups on behalf of clients, whatever their protocol.
 */
#include "fetch.h"

#include "hash.h"
#include "prefix.h"
#include "stats.h"

static __attribute__((noinline)) struct item *get_closer(const char *key, size_t len)
{
	struct item *it = cache_get(key, len, key_hash(key, len));

	prefix_note(key, len, PREFIX_GET);
	if (it)
		prefix_note(key, len, PREFIX_HIT);
	if (it)
		stats_hit(it);
	else
		stats.get_misses++;
	return it;
}

/*
 * Nearly every get that hits does so again. That case is one function without calls (flatten), and
 * so without registers to save; what it does not know goes the long way, which looks once more.
 */
__attribute__((flatten)) struct item *fetch_get(struct conn *c, const char *key, size_t len)
{
	struct item *it = NULL;

	(void)c;
	if (__builtin_expect(hash_algorithm == HASH_KEYED && !settings.detail_enabled, 1))
		it = cache_get_again(key, len, hash_keyed(key, len));
	if (__builtin_expect(!it, 0))
		return get_closer(key, len);
	stats_hits[it->class_segment]++;
	return it;
}

struct item *fetch_touch(struct conn *c, const char *key, size_t len, reltime_t expires)
{
	struct item *it = cache_touch(key, len, key_hash(key, len), expires);

	(void)c;
	prefix_note(key, len, PREFIX_GET);
	if (it)
		prefix_note(key, len, PREFIX_HIT);
	stats.cmd_touch++;
	if (it)
		stats_of(it)->touch_hits++;
	else
		stats.touch_misses++;
	return it;
}
