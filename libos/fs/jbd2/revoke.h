/* Which blocks are revoked, and by which transaction; see revoke.c. */
#ifndef JBD2_REVOKE_H
#define JBD2_REVOKE_H

#include <core/tree.h>
#include <libos/journal.h>

struct revokes {
	struct tree tree;   /* by block */
	uint32_t count;
};

struct revoke {
	struct tree_node node;
	uint64_t block;
	journal_tid tid;    /* the last that revoked it */
};

void revokes_init(struct revokes *r);
void revokes_destroy(struct revokes *r);
int revokes_add(struct revokes *r, uint64_t block, journal_tid tid);      /* 0, -ENOMEM */
bool revokes_remove(struct revokes *r, uint64_t block);                   /* true if it was there */
/* Must what transaction `tid` wrote of the block be left out? */
bool revokes_cover(const struct revokes *r, uint64_t block, journal_tid tid);
struct revoke *revokes_next(const struct revokes *r, struct revoke *after); /* NULL: the first */

#endif
