/*
 * Lookups on behalf of clients, whatever their protocol.
 */
#include "fetch.h"

#include "hash.h"
#include "prefix.h"
#include "stats.h"

struct item *fetch_get(struct conn *c, const char *key, size_t len)
{
	struct item *it = cache_get(key, len, key_hash(key, len));

	(void)c;
	prefix_note(key, len, PREFIX_GET);
	if (it)
		prefix_note(key, len, PREFIX_HIT);
	stats.cmd_get++;
	if (it)
		stats_hit(it);
	else
		stats.get_misses++;
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
