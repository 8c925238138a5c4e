/*
 * Telling the disk which blocks hold nothing.
 *
 * With the mount option "discard" blocks that were freed are discarded when their freeing is
 * durable, since until then a crash would give them back to their file; others may take them when
 * the device has answered. A device's error means nothing: what free blocks hold does not matter.
 * Or FITRIM (fstrim(8)) discards all that is free at that time, for which files give back what was
 * set aside for them; what is being discarded is taken out of the allocator's sight meanwhile.
 */
#include <core/errno.h>
#include <core/kmem.h>

#include "balloc.h"
#include "group.h"
#include "space.h"

static struct blkreq request_of(const struct ext4_super *s, uint64_t block, uint32_t count)
{
	return (struct blkreq){
		.op = BLK_DISCARD, .flags = BLK_BACKGROUND, .offset = block << s->block_shift,
		.len = (uint64_t)count << s->block_shift,
	};
}

/* ---- blocks that were freed ---- */

static void discarded(struct blkreq *r, int error)
{
	struct freed *f = r->user;
	struct ext4_super *s = f->super;

	(void)error;
	balloc_freed_is_ready(f);
	spin_lock(&s->space_lock); /* who waits goes on, and may free `s`, when we are out of it */
	if (!__atomic_sub_fetch(&s->discards, 1, __ATOMIC_ACQ_REL))
		waitq_wake_all(&s->discards_wait);
	spin_unlock(&s->space_lock);
}

void discard_freed(struct freed *f)
{
	struct ext4_super *s = f->super;
	struct blkreq *r = f->discard;

	*r = request_of(s, f->block, f->count);
	r->done = discarded;
	r->user = f;
	__atomic_fetch_add(&s->discards, 1, __ATOMIC_ACQ_REL);
	blkdev_submit(s->dev, r);
	blkdev_kick(s->dev);
}

void ext4_discards_wait(struct ext4_super *s)
{
	waitq_wait(&s->discards_wait, !__atomic_load_n(&s->discards, __ATOMIC_ACQUIRE),
		   DEADLINE_NEVER, false);
	spin_lock(&s->space_lock);
	spin_unlock(&s->space_lock);
}

/* ---- FITRIM ---- */

/* Blocks, all of one group. */
struct trim {
	struct ext4_super *super;
	struct blkreq *request;
	uint32_t least;
	uint64_t blocks; /* that were discarded */
};

static int trim_run(struct trim *t, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_super *s = t->super;

	*t->request = request_of(s, ext4_group_first_block(s, group) + from, count);
	t->blocks += count;
	return blkdev_wait(s->dev, t->request);
}

static int trim_group(struct trim *t, uint32_t group, uint32_t from, uint32_t end)
{
	struct ext4_super *s = t->super;
	int count, error = 0;

	while (!error && from < end && (count = balloc_take_run(s, group, t->least, &from)) != 0) {
		if (count < 0)
			return count;
		if (from < end)
			error = trim_run(t, group, from, MIN((uint32_t)count, end - from));
		balloc_put_run(s, group, from, (uint32_t)count);
		from += (uint32_t)count;
	}
	return error;
}

static int trim_blocks(struct trim *t, uint64_t first, uint64_t end)
{
	struct ext4_super *s = t->super;
	int error = 0;

	for (uint32_t g = 0; g < s->groups && !error; g++) {
		uint64_t base = ext4_group_first_block(s, g), size = ext4_group_blocks(s, g);

		if (base >= end || base + size <= first)
			continue;
		error = trim_group(t, g, (uint32_t)(MAX(first, base) - base),
				   (uint32_t)(MIN(end, base + size) - base));
	}
	return error;
}

int ext4_trim(struct super *vfs, uint64_t from, uint64_t len, uint64_t least, uint64_t *trimmed)
{
	struct ext4_super *s = vfs->own;
	struct trim t = { .super = s };
	uint64_t first = from >> s->block_shift, count = len >> s->block_shift;
	uint64_t least_blocks = MAX((least + s->block_bytes - 1) >> s->block_shift, 1u);
	int error;

	*trimmed = 0;
	if (!s->dev->max_discard_bytes)
		return -EOPNOTSUPP;
	if (ext4_is_read_only(s))
		return -EROFS;
	if (first >= s->blocks || !count || least_blocks > s->blocks_per_group)
		return -EINVAL;
	t.request = kmalloc(sizeof(*t.request));
	if (!t.request)
		return -ENOMEM;
	t.least = (uint32_t)least_blocks;
	reserve_drop_all(s);
	error = trim_blocks(&t, first, first + MIN(count, s->blocks - first));
	kfree(t.request);
	*trimmed = t.blocks << s->block_shift;
	return error;
}
