/*
 * A table of stacks and how often each was seen, in one piece of memory.
 *
 * One writer, in interrupt context; readers only when it is quiet. See profile_table.c.
 */
#ifndef TRACE_PROFILE_TABLE_H
#define TRACE_PROFILE_TABLE_H

#include <core/types.h>

#define PROFILE_BUCKETS 1024u

struct profile_table {
	uint32_t *words;     /* PROFILE_BUCKETS heads of chains, then the stacks */
	size_t room, used;   /* of words */
	uint64_t lost;       /* stacks seen for which there was no room */
};

/* One stack as it lies in the table: `next` and whatever stands behind in words. */
struct profile_entry {
	uint32_t next;       /* index of the next in its chain, 0: none */
	uint32_t count;
	uint32_t thread_id;
	uint32_t depth;
	uint32_t pcs[];      /* innermost first, as offsets into the image */
};

/* `words` holds zeros, and more of them than there are buckets. */
void profile_table_init(struct profile_table *t, uint32_t *words, size_t room);
void profile_table_add(struct profile_table *t, uint32_t thread_id, const uint32_t *pcs,
		       uint32_t depth);
/*
 * The stack behind the one given, in the order in which they came; NULL: the first, and behind the
 * last.
 */
const struct profile_entry *profile_table_next(const struct profile_table *t,
					       const struct profile_entry *e);

#endif
