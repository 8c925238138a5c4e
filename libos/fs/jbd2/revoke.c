/*
 * Revoke records: a block that was freed as metadata may next hold a file's bytes, which no journal
 * knows. A replay that brought back an older copy from the log would destroy them. So the
 * transaction that frees a block says so, and replay leaves out every copy of it from this
 * transaction or before.
 *
 * A running transaction collects them until it is written; recovery collects those of the whole
 * log.
 */
#include <core/errno.h>
#include <core/kmem.h>

#include "revoke.h"

static int compare_block(const void *key, const struct tree_node *n)
{
	uint64_t wanted = *(const uint64_t *)key, block = tree_entry(n, struct revoke, node)->block;

	return wanted < block ? -1 : wanted > block;
}

static bool block_is_less(const struct tree_node *a, const struct tree_node *b)
{
	return tree_entry(a, struct revoke, node)->block <
	       tree_entry(b, struct revoke, node)->block;
}

static struct revoke *find(const struct revokes *r, uint64_t block)
{
	struct tree_node *n = tree_find(&r->tree, &block, compare_block);

	return n ? tree_entry(n, struct revoke, node) : NULL;
}

void revokes_init(struct revokes *r)
{
	tree_init(&r->tree);
	r->count = 0;
}

static void take_out(struct revokes *r, struct revoke *found)
{
	tree_remove(&r->tree, &found->node);
	kfree(found);
	r->count--;
}

void revokes_destroy(struct revokes *r)
{
	while (!tree_is_empty(&r->tree))
		take_out(r, tree_entry(r->tree.root, struct revoke, node));
}

int revokes_add(struct revokes *r, uint64_t block, journal_tid tid)
{
	struct revoke *found = find(r, block);

	if (found) {
		if (journal_tid_reached(tid, found->tid))
			found->tid = tid;
		return 0;
	}
	found = kzalloc(sizeof(*found));
	if (!found)
		return -ENOMEM;
	found->block = block;
	found->tid = tid;
	tree_insert(&r->tree, &found->node, block_is_less);
	r->count++;
	return 0;
}

bool revokes_remove(struct revokes *r, uint64_t block)
{
	struct revoke *found = find(r, block);

	if (found)
		take_out(r, found);
	return found;
}

bool revokes_cover(const struct revokes *r, uint64_t block, journal_tid tid)
{
	struct revoke *found = find(r, block);

	return found && journal_tid_reached(found->tid, tid);
}

struct revoke *revokes_next(const struct revokes *r, struct revoke *after)
{
	struct tree_node *n = after ? tree_next(&after->node) : tree_first(&r->tree);

	return n ? tree_entry(n, struct revoke, node) : NULL;
}
