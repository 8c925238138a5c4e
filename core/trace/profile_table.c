/*
 * Stacks are counted where they are sampled, so that memory bounds how many different ones are kept
 * and not how long one samples. Entries are of different lengths, lie one behind the other and
 * never go, so nothing is allocated in interrupt context; chains of a hash table find the one that
 * was seen before. When there is no room for a new stack it is counted as lost; known ones go on.
 */
#include <core/assert.h>
#include <core/string.h>

#include "profile_table.h"

#define HEAD_WORDS (sizeof(struct profile_entry) / sizeof(uint32_t))

void profile_table_init(struct profile_table *t, uint32_t *words, size_t room)
{
	assert(room > PROFILE_BUCKETS);
	*t = (struct profile_table){ .words = words, .room = room, .used = PROFILE_BUCKETS };
}

static struct profile_entry *entry_at(const struct profile_table *t, uint32_t index)
{
	return (struct profile_entry *)&t->words[index];
}

/* Multiplication spreads towards the top, where the bucket is taken from. */
static uint32_t bucket_of(uint32_t thread_id, const uint32_t *pcs, uint32_t depth)
{
	uint64_t h = thread_id;

	for (uint32_t i = 0; i < depth; i++)
		h = (h ^ pcs[i]) * 0x9e3779b97f4a7c15;
	return (uint32_t)(h >> 32) % PROFILE_BUCKETS;
}

static bool is_same(const struct profile_entry *e, uint32_t thread_id, const uint32_t *pcs,
		    uint32_t depth)
{
	return e->thread_id == thread_id && e->depth == depth &&
	       !memcmp(e->pcs, pcs, depth * sizeof(*pcs));
}

void profile_table_add(struct profile_table *t, uint32_t thread_id, const uint32_t *pcs,
		       uint32_t depth)
{
	uint32_t *head = &t->words[bucket_of(thread_id, pcs, depth)];
	struct profile_entry *e;

	for (uint32_t i = *head; i; i = e->next) {
		e = entry_at(t, i);
		if (is_same(e, thread_id, pcs, depth)) {
			e->count++;
			return;
		}
	}
	if (t->room - t->used < HEAD_WORDS + depth) {
		t->lost++;
		return;
	}
	e = entry_at(t, (uint32_t)t->used);
	*e = (struct profile_entry){ *head, 1, thread_id, depth };
	memcpy(e->pcs, pcs, depth * sizeof(*pcs));
	*head = (uint32_t)t->used;
	t->used += HEAD_WORDS + depth;
}

const struct profile_entry *profile_table_next(const struct profile_table *t,
					       const struct profile_entry *e)
{
	size_t at = PROFILE_BUCKETS;

	if (e)
		at = (size_t)((const uint32_t *)e - t->words) + HEAD_WORDS + e->depth;
	return at < t->used ? entry_at(t, (uint32_t)at) : NULL;
}
