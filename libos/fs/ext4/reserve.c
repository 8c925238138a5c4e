/*
 * Blocks that are set aside for the growth of open files, so that a file that grows by small writes
 * lies in few pieces.
 *
 * They lie behind the file's last block, are taken in memory only (space.c), and so need no
 * clean-up after a crash. A file that is closed or shortened gives them back, and so do all when
 * the disk is full otherwise, and before FITRIM.
 *
 * Locks: s->space_lock, a spinlock, for what is set aside and the list of inodes that have some; a
 * group's lock.
 */
#include <core/assert.h>
#include <core/errno.h>

#include "space.h"

#define RESERVE_MIN 8u
#define RESERVE_MAX 1024u

/* Takes at most `count` blocks off an inode's reserve; how many. */
static uint32_t reserve_pop(struct ext4_super *s, struct ext4_inode *i, uint32_t count,
			    uint64_t *block)
{
	uint32_t n;

	spin_lock(&s->space_lock);
	n = MIN(count, i->reserve.len);
	*block = i->reserve.block;
	i->reserve.block += n;
	i->reserve.len -= n;
	if (n && !i->reserve.len)
		list_remove(&i->reserve.link);
	spin_unlock(&s->space_lock);
	return n;
}

void reserve_set(struct ext4_super *s, struct ext4_inode *i, uint64_t block, uint32_t len)
{
	spin_lock(&s->space_lock);
	assert(!i->reserve.len);
	i->reserve.block = block;
	i->reserve.len = len;
	list_push_back(&s->reserves, &i->reserve.link);
	spin_unlock(&s->space_lock);
}

void balloc_drop_reserve(struct ext4_inode *i)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	uint64_t block;
	uint32_t n = i->reserve.len ? reserve_pop(s, i, UINT32_MAX, &block) : 0;

	if (n)
		space_give(s, block, n);
}

bool reserve_drop_all(struct ext4_super *s)
{
	bool any = false;

	for (;; any = true) {
		uint64_t block = 0;
		uint32_t n = 0;

		spin_lock(&s->space_lock);
		if (!list_is_empty(&s->reserves)) {
			struct ext4_inode *i = list_entry(list_pop_front(&s->reserves),
							  struct ext4_inode, reserve.link);

			block = i->reserve.block;
			n = i->reserve.len;
			i->reserve.len = 0;
		}
		spin_unlock(&s->space_lock);
		if (!n)
			return any;
		space_give(s, block, n);
	}
}

/* As much again as the file has, so that a file that grows by small writes has few extents. */
uint32_t reserve_size(const struct ext4_inode *i)
{
	const struct ext4_super *s = ext4_super_of(&i->inode);

	if (inode_kind(&i->inode) != S_IFREG)
		return 0;
	return (uint32_t)CLAMP((uint64_t)i->inode.size >> s->block_shift, RESERVE_MIN, RESERVE_MAX);
}

int reserve_use(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, uint64_t *block,
		uint32_t *count)
{
	struct ext4_super *s = h->super;
	uint32_t group, n = i->reserve.block == goal ? reserve_pop(s, i, *count, block) : 0;
	int error;

	if (!n)
		return -ENOSPC;
	*count = n;
	group = space_group_of(s, *block);
	mutex_lock(&s->group[group].lock);
	error = space_use(h, group, (uint32_t)(*block - ext4_group_first_block(s, group)), n);
	if (error)
		space_give_locked(s, group, (uint32_t)(*block - ext4_group_first_block(s, group)),
				  n);
	mutex_unlock(&s->group[group].lock);
	return error;
}
