/*
 * Which blocks of a group are in use: its two bitmaps in memory, once it is used.
 *
 * One is the disk's, in its buffer: it changes in handles. The other, `taken`, is ours alone; it
 * has besides what is used also what nobody else may take: blocks that were freed in a transaction
 * which is not durable yet (after a crash they would belong to their old file again: bfree.c), and
 * blocks that are set aside for the growth of an open file (reserve.c).
 *
 * Locks: a group's lock.
 */
#include "space.h"

#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "bits.h"
#include "group.h"

int space_load(struct ext4_super *s, uint32_t group)
{
	struct ext4_group *g = &s->group[group];
	int error;

	if (g->taken)
		return 0;
	error = ext4_block_bitmap(s, group, &g->bitmap);
	if (error)
		return error;
	g->taken = kmalloc(s->block_bytes);
	if (!g->taken) {
		buffer_put(g->bitmap);
		g->bitmap = NULL;
		return -ENOMEM;
	}
	memcpy(g->taken, g->bitmap->data, s->block_bytes);
	g->available = g->largest_run = g->free_blocks;
	return 0;
}

void space_give_locked(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_group *g = &s->group[group];

	bits_clear(g->taken, from, count);
	g->available += count;
	/* an upper bound: the next search that fails makes it exact */
	g->largest_run = g->available;
}

void space_give(struct ext4_super *s, uint64_t block, uint32_t count)
{
	uint32_t group = space_group_of(s, block);

	mutex_lock(&s->group[group].lock);
	space_give_locked(s, group, (uint32_t)(block - ext4_group_first_block(s, group)), count);
	mutex_unlock(&s->group[group].lock);
}

int space_touch(struct ext4_handle *h, uint32_t group)
{
	struct ext4_group *g = &h->super->group[group];
	bool half = h->half;
	int error = space_load(h->super, group);

	if (!error)
		error = ext4_touch(h, g->bitmap);
	if (!error)
		error = ext4_touch(h, g->buffer);
	if (error)
		h->half = half;
	return error;
}

void space_write_counts(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count,
			int64_t freed)
{
	struct ext4_group *g = &s->group[group];

	if (g->desc->flags & EXT4_GROUP_BLOCK_UNINIT)
		ext4_block_bitmap_csum_set(s, group, g->bitmap);
	else
		block_bitmap_csum_flip(s, group, g->bitmap, from, count);
	g->desc->flags &= (uint16_t)~EXT4_GROUP_BLOCK_UNINIT;
	g->free_blocks = (uint32_t)(g->free_blocks + freed);
	__atomic_fetch_add(&s->free_blocks, (uint64_t)freed, __ATOMIC_RELAXED);
	ext4_group_write(s, group);
}

int space_use(struct ext4_handle *h, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	int error = space_touch(h, group);

	if (error)
		return error;
	if (!bits_are(g->bitmap->data, from, count, false) || g->free_blocks < count)
		return ext4_damaged(s, "group", 0, g->block_bitmap,
				    "group %u: free blocks are in use", group);
	bits_set(g->bitmap->data, from, count);
	space_write_counts(s, group, from, count, -(int64_t)count);
	return 0;
}
