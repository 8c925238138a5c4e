/*
 * Blocks: giving them back.
 *
 * What is freed is free on the disk with its transaction; others may take it only when that is
 * durable, since after a crash the blocks would be their old file's again. A callback of the
 * journal puts it on a list then, and no more: the commit thread must not wait for a group's lock.
 * Who allocates next takes it from there. Without a journal freed blocks are free at once.
 *
 * Locks: a group's lock; s->space_lock, a spinlock, for that list.
 */
#include <core/errno.h>
#include <core/kmem.h>

#include "bits.h"
#include "space.h"

#define TRIES_FOR_ROOM 3u

/* ---- freed blocks come back ---- */

void balloc_freed_is_ready(struct freed *f)
{
	spin_lock(&f->super->space_lock);
	list_push_back(&f->super->freed, &f->callback.link);
	spin_unlock(&f->super->space_lock);
}

static void freed_committed(struct journal_callback *c, int error)
{
	struct freed *f = container_of(c, struct freed, callback);

	f->durable = !error;
	if (f->durable && f->discard)
		discard_freed(f);
	else
		balloc_freed_is_ready(f);
}

static void freed_forget(struct freed *f)
{
	kfree(f->discard);
	kfree(f);
}

static struct freed *freed_next(struct ext4_super *s)
{
	struct list *link;

	spin_lock(&s->space_lock);
	link = list_pop_front(&s->freed);
	spin_unlock(&s->space_lock);
	return link ? container_of(list_entry(link, struct journal_callback, link), struct freed,
				   callback)
		    : NULL;
}

void freed_collect(struct ext4_super *s)
{
	struct freed *f;

	while (!list_is_empty(&s->freed) && (f = freed_next(s))) {
		__atomic_fetch_sub(&s->freeing, f->count, __ATOMIC_RELAXED);
		if (f->durable)
			space_give(s, f->block, f->count);
		freed_forget(f);
	}
}

void freed_close(struct ext4_super *s)
{
	struct freed *f;

	ext4_discards_wait(s);
	while ((f = freed_next(s)))
		freed_forget(f);
}

/* ---- freeing ---- */

/*
 * Without a journal they are free at once; the group's lock is held. Without memory nobody gets
 * them until the next mount, though the disk says that they are free.
 */
static void free_later(struct ext4_handle *h, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_super *s = h->super;
	struct freed *f;

	if (!h->journal) {
		space_give_locked(s, group, from, count);
		return;
	}
	__atomic_fetch_add(&s->freeing, count, __ATOMIC_RELAXED);
	f = kmalloc(sizeof(*f));
	if (!f)
		return;
	*f = (struct freed){
		.callback.committed = freed_committed, .super = s,
		.block = ext4_group_first_block(s, group) + from, .count = count,
		.discard = s->options.discard ? kmalloc(sizeof(*f->discard)) : NULL,
	};
	journal_on_commit(h->journal, &f->callback);
}

/* A range that lies in one group. */
static int free_in_group(struct ext4_handle *h, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	int error = space_touch(h, group);

	if (error)
		return error;
	if (!bits_are(g->bitmap->data, from, count, true))
		return ext4_damaged(s, "group", 0, ext4_group_first_block(s, group) + from,
				    "group %u: blocks are freed that are free", group);
	free_later(h, group, from, count);
	bits_clear(g->bitmap->data, from, count);
	space_write_counts(s, group, from, count, count);
	return 0;
}

/* The first one, or nothing. */
static int forget_blocks(struct ext4_handle *h, uint64_t block, uint32_t count)
{
	int error = 0;

	for (uint32_t n = 0; !error && n < count; n++)
		error = ext4_forget(h, block + n);
	return error;
}

/* Does `what` with each part of a range that lies in one group, under the group's lock. */
static int for_each_group(struct ext4_handle *h, uint64_t block, uint32_t count,
			  int (*what)(struct ext4_handle *h, uint32_t group, uint32_t from,
				      uint32_t count))
{
	struct ext4_super *s = h->super;
	int error = 0;

	while (!error && count) {
		uint32_t group = space_group_of(s, block),
			 from = (uint32_t)(block - ext4_group_first_block(s, group));
		uint32_t n = MIN(count, ext4_group_blocks(s, group) - from);

		mutex_lock(&s->group[group].lock);
		error = what(h, group, from, n);
		mutex_unlock(&s->group[group].lock);
		block += n;
		count -= n;
	}
	return error;
}

static int touch_group(struct ext4_handle *h, uint32_t group, uint32_t from, uint32_t count)
{
	(void)from, (void)count;
	return space_touch(h, group);
}

int ext4_bfree_announce(struct ext4_handle *h, struct ext4_inode *i, uint64_t block, uint32_t count)
{
	struct ext4_super *s = h->super;
	bool half = h->half;
	int error;

	if (i ? !ext4_blocks_may_be_files(i, block, count)
	      : !ext4_blocks_are_valid(s, block, count))
		return ext4_damaged(
			s, "group", i ? (uint32_t)i->inode.ino : 0, block,
			"blocks to be freed do not exist, or are the file system's own");
	error = for_each_group(h, block, count, touch_group);
	h->half = half;
	return error;
}

int ext4_bfree(struct ext4_handle *h, struct ext4_inode *i, uint64_t block, uint32_t count,
	       bool metadata)
{
	int error = ext4_bfree_announce(h, i, block, count);

	if (!error && metadata)
		error = forget_blocks(h, block, count);
	return error ? error : for_each_group(h, block, count, free_in_group);
}

/* Of others' blocks: those whose freeing is not durable, and those that are promised. */
static bool is_freeing(struct ext4_super *s)
{
	ext4_discards_wait(s);
	return __atomic_load_n(&s->freeing, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&s->delayed, __ATOMIC_RELAXED);
}

bool ext4_room_may_come(struct ext4_super *s, int error, unsigned *tries)
{
	return error == -ENOSPC && ++*tries < TRIES_FOR_ROOM && s->journal && is_freeing(s) &&
	       !journal_commit(s->journal);
}
