/*
 * Counters by prefix, in a small hash table. Clients choose their keys, so there is a bound on how
 * many prefixes are told apart; what comes later is not counted.
 */
#include "prefix.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

enum { BUCKETS = 256, PREFIXES_MAX = 10000 };

struct prefix {
	struct prefix *next;
	uint64_t count[PREFIX_EVENTS];
	uint8_t len;
	char name[];
};

static struct prefix *buckets[BUCKETS];
static unsigned count;

static struct prefix *prefix_new(struct prefix **bucket, const char *name, size_t len)
{
	struct prefix *p = count < PREFIXES_MAX ? calloc(1, sizeof(*p) + len) : NULL;

	if (!p)
		return NULL;
	p->len = (uint8_t)len;
	memcpy(p->name, name, len);
	p->next = *bucket;
	*bucket = p;
	count++;
	return p;
}

__attribute__((noinline)) void prefix_count(const char *key, size_t len, enum prefix_event event)
{
	const char *end = memchr(key, settings.prefix_delimiter, len);
	size_t name_len = end ? (size_t)(end - key) : 0;
	struct prefix **bucket, *p;

	if (!end)
		return;
	bucket = &buckets[(name_len ? key_hash(key, name_len) : 0) % BUCKETS];
	for (p = *bucket; p && (p->len != name_len || memcmp(p->name, key, name_len) != 0);
	     p = p->next)
		;
	if (!p)
		p = prefix_new(bucket, key, name_len);
	if (p)
		p->count[event]++;
}

void prefix_each(void (*each)(struct conn *c, const char *line), struct conn *c)
{
	char line[KEY_MAX + 120];

	for (unsigned i = 0; i < BUCKETS; i++) {
		for (const struct prefix *p = buckets[i]; p; p = p->next) {
			snprintf(line, sizeof(line),
				 "PREFIX %.*s get %llu hit %llu set %llu del %llu\r\n", p->len,
				 p->name, (unsigned long long)p->count[PREFIX_GET],
				 (unsigned long long)p->count[PREFIX_HIT],
				 (unsigned long long)p->count[PREFIX_SET],
				 (unsigned long long)p->count[PREFIX_DELETE]);
			each(c, line);
		}
	}
}

void prefix_clear(void)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct prefix *p = buckets[i], *next; p; p = next) {
			next = p->next;
			free(p);
		}
		buckets[i] = NULL;
	}
	count = 0;
}
