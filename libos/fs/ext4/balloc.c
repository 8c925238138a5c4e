/*
 * Blocks: finding free ones, taking them, giving them back.
 *
 * A group that is used has two bitmaps in memory. One is the disk's, in its buffer: it changes in handles.
 * The other, `taken`, is ours alone; it has besides what is used also what nobody else may take: blocks that
 * were freed in a transaction which is not durable yet (after a crash they would belong to their old file
 * again), and blocks that are set aside for the growth of an open file. Searching looks at `taken` only.
 *
 * A search begins at the goal, so that a file goes on where it ends, takes the first run there that is
 * long enough, then looks in the groups behind, and is content with ever shorter runs before it gives up. A
 * group whose longest run is known to be too short is not looked at.
 *
 * Freed blocks come back by a callback of the journal, which only puts them on a list: the commit thread must
 * not wait for a group's lock. Who allocates next takes them from there.
 *
 * Locks: a group's lock; s->space_lock, a spinlock, for that list and for what is set aside.
 */
#include "balloc.h"

#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "bits.h"
#include "delayed.h"
#include "group.h"

static uint32_t group_of(const struct ext4_super *s, uint64_t block)
{
	return (uint32_t)((block - s->first_data_block) / s->blocks_per_group);
}

/* ---- what is taken ---- */

/* `taken` is there: 0, -EIO, -EUCLEAN, -ENOMEM. The group's lock is held. */
static int load(struct ext4_super *s, uint32_t group)
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

static void give(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_group *g = &s->group[group];

	bits_clear(g->taken, from, count);
	g->available += count;
	g->largest_run = g->available; /* an upper bound: the next search that fails makes it exact */
}

/* A range that lies in one group. */
static void give_back(struct ext4_super *s, uint64_t block, uint32_t count)
{
	uint32_t group = group_of(s, block);

	mutex_lock(&s->group[group].lock);
	give(s, group, (uint32_t)(block - ext4_group_first_block(s, group)), count);
	mutex_unlock(&s->group[group].lock);
}

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
	return link ? container_of(list_entry(link, struct journal_callback, link), struct freed, callback) : NULL;
}

/* What has become durable since. No group's lock is held. */
static void collect_freed(struct ext4_super *s)
{
	struct freed *f;

	while (!list_is_empty(&s->freed) && (f = freed_next(s))) {
		__atomic_fetch_sub(&s->freeing, f->count, __ATOMIC_RELAXED);
		if (f->durable)
			give_back(s, f->block, f->count);
		freed_forget(f);
	}
}

void balloc_open(struct ext4_super *s)
{
	spin_init(&s->space_lock);
	list_init(&s->freed);
	list_init(&s->reserves);
	s->freeing = 0;
}

void balloc_close(struct ext4_super *s)
{
	struct freed *f;

	ext4_discards_wait(s);
	while ((f = freed_next(s)))
		freed_forget(f);
	for (uint32_t n = 0; s->group && n < s->groups; n++) {
		buffer_put(s->group[n].bitmap);
		kfree(s->group[n].taken);
	}
}

/* ---- the disk's bitmap and counts; the group's lock is held ---- */

static int touch_group(struct ext4_handle *h, struct ext4_group *g)
{
	int error = ext4_touch(h, g->bitmap);

	return error ? error : ext4_touch(h, g->buffer);
}

/* `count` bits from `from` on have changed: `freed` blocks more are free, or fewer. */
static void write_counts(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count, int64_t freed)
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

static int use(struct ext4_handle *h, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	int error = touch_group(h, g);

	if (error)
		return error;
	if (!bits_are(g->bitmap->data, from, count, false) || g->free_blocks < count)
		return ext4_damaged(s, "group", 0, g->block_bitmap, "group %u: free blocks are in use", group);
	bits_set(g->bitmap->data, from, count);
	write_counts(s, group, from, count, -(int64_t)count);
	return 0;
}

/* ---- searching ---- */

/* A run of free bits, `len` of them from `from`. */
struct run {
	uint32_t from, len;
};

/* The first free run at or behind `from` with `want` blocks, else the longest that was seen. */
static struct run find_run(const struct ext4_group *g, uint32_t from, uint32_t end, uint32_t want)
{
	struct run best = { 0 };

	while (from < end && best.len < want) {
		uint32_t start = bits_next(g->taken, from, end, false);

		from = bits_next(g->taken, start, MIN(end, start + want), true);
		if (from - start > best.len)
			best = (struct run){ start, from - start };
	}
	return best;
}

/* The first of them that is long enough, as long as it is. */
static struct run first_run(const struct ext4_group *g, uint32_t from, uint32_t end, uint32_t least)
{
	while (from < end) {
		uint32_t start = bits_next(g->taken, from, end, false);

		from = bits_next(g->taken, start, end, true);
		if (from - start >= least && from > start)
			return (struct run){ start, from - start };
	}
	return (struct run){ 0 };
}

static bool find_in_group(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t want, struct run *r)
{
	struct ext4_group *g = &s->group[group];
	uint32_t end = ext4_group_blocks(s, group);

	*r = find_run(g, from, end, want);
	if (r->len >= want)
		return true;
	*r = find_run(g, 0, end, want);
	if (r->len >= want)
		return true;
	g->largest_run = r->len;
	return false;
}

/* Takes a run that was found: on the disk as far as `use_count`, the rest is set aside. */
static int take(struct ext4_handle *h, uint32_t group, const struct run *r, uint32_t use_count)
{
	struct ext4_group *g = &h->super->group[group];
	int error = use(h, group, r->from, MIN(use_count, r->len));

	if (error)
		return error;
	bits_set(g->taken, r->from, r->len);
	g->available -= r->len;
	g->next = r->from + r->len;
	return 0;
}

/* What is asked for, and what was found. */
struct search {
	struct ext4_handle *handle;
	uint64_t goal;
	uint32_t want, use;  /* so many blocks would be good, and so many of them are used at once */
	uint64_t block;
	uint32_t len;
};

static int take_found(struct search *q, uint32_t group, const struct run *r)
{
	int error = take(q->handle, group, r, q->use);

	q->block = ext4_group_first_block(q->handle->super, group) + r->from;
	q->len = r->len;
	return error;
}

/* -ENOSPC: no run of `least` blocks in this group. */
static int search_group(struct search *q, uint32_t group, uint32_t from, uint32_t least)
{
	struct ext4_super *s = q->handle->super;
	struct ext4_group *g = &s->group[group];
	struct run r;
	int error;

	if (g->taken ? g->largest_run < least : g->free_blocks < least)
		return -ENOSPC;
	mutex_lock(&g->lock);
	error = load(s, group);
	if (!error)
		error = find_in_group(s, group, from, least, &r) ? 0 : -ENOSPC;
	if (!error) { /* as much of it as is wanted */
		uint32_t end = MIN(ext4_group_blocks(s, group), r.from + q->want);

		r.len = bits_next(g->taken, r.from, end, true) - r.from;
		error = take_found(q, group, &r);
	}
	mutex_unlock(&g->lock);
	return error;
}

/* At the goal itself: however short, it goes on there. */
static int search_goal(struct search *q, uint32_t group, uint32_t from)
{
	struct ext4_super *s = q->handle->super;
	struct ext4_group *g = &s->group[group];
	struct run r = { .from = from };
	int error;

	mutex_lock(&g->lock);
	error = load(s, group);
	if (!error && bit_is_set(g->taken, from))
		error = -ENOSPC;
	if (!error) {
		r.len = bits_next(g->taken, from, MIN(ext4_group_blocks(s, group), from + q->want), true) - from;
		error = take_found(q, group, &r);
	}
	mutex_unlock(&g->lock);
	return error;
}

/* The next round is content with less; the last one with single blocks. */
static uint32_t shorter(uint32_t run)
{
	return run > 1 ? MAX(run / 4, 1u) : 0;
}

static int search_all(struct search *q)
{
	struct ext4_super *s = q->handle->super;
	uint32_t group = group_of(s, q->goal), from = (uint32_t)(q->goal - ext4_group_first_block(s, group));
	int error = search_goal(q, group, from);

	for (uint32_t least = q->want; error == -ENOSPC && least; least = shorter(least)) {
		error = search_group(q, group, from, least);
		for (uint32_t n = 1; error == -ENOSPC && n < s->groups; n++)
			error = search_group(q, (uint32_t)(((uint64_t)group + n) % s->groups), 0, least);
	}
	return error;
}

/* ---- blocks that are set aside for a file ---- */

#define RESERVE_MIN 8u
#define RESERVE_MAX 1024u

/* Takes at most `count` blocks off an inode's reserve; how many. */
static uint32_t reserve_pop(struct ext4_super *s, struct ext4_inode *i, uint32_t count, uint64_t *block)
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

static void reserve_set(struct ext4_super *s, struct ext4_inode *i, uint64_t block, uint32_t len)
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
		give_back(s, block, n);
}

/* The disk is full otherwise: all that is set aside for anybody is free again. False: there was nothing. */
static bool drop_all_reserves(struct ext4_super *s)
{
	bool any = false;

	for (;; any = true) {
		uint64_t block = 0;
		uint32_t n = 0;

		spin_lock(&s->space_lock);
		if (!list_is_empty(&s->reserves)) {
			struct ext4_inode *i = list_entry(list_pop_front(&s->reserves), struct ext4_inode, reserve.link);

			block = i->reserve.block;
			n = i->reserve.len;
			i->reserve.len = 0;
		}
		spin_unlock(&s->space_lock);
		if (!n)
			return any;
		give_back(s, block, n);
	}
}

/* As much again as the file has, so that a file that grows by small writes has few extents. */
static uint32_t reserve_size(const struct ext4_inode *i)
{
	const struct ext4_super *s = ext4_super_of(&i->inode);

	if (inode_kind(&i->inode) != S_IFREG)
		return 0;
	return (uint32_t)CLAMP((uint64_t)i->inode.size >> s->block_shift, RESERVE_MIN, RESERVE_MAX);
}

/* The first blocks of what was set aside: 0, -ENOSPC (nothing is), or an error. */
static int use_reserve(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, uint64_t *block, uint32_t *count)
{
	struct ext4_super *s = h->super;
	uint32_t group, n = i->reserve.block == goal ? reserve_pop(s, i, *count, block) : 0;
	int error;

	if (!n)
		return -ENOSPC;
	*count = n;
	group = group_of(s, *block);
	mutex_lock(&s->group[group].lock);
	error = use(h, group, (uint32_t)(*block - ext4_group_first_block(s, group)), n);
	mutex_unlock(&s->group[group].lock);
	return error;
}

/* ---- the interface ---- */

uint64_t balloc_kept_for_root(const struct ext4_super *s)
{
	uint64_t kept = s->disk->reserved_blocks_lo;

	if (ext4_has_incompat(s, EXT4_INCOMPAT_64BIT))
		kept |= (uint64_t)s->disk->reserved_blocks_hi << 32;
	return kept;
}

/* Root may use the last blocks; so may metadata of files that exist, and who was promised blocks. */
static bool is_for_others(const struct ext4_handle *h, const struct ext4_inode *i, uint32_t count)
{
	const struct ext4_super *s = h->super;

	if (!i || h->places || s->free_blocks >= balloc_kept_for_root(s) + count)
		return false;
	return vfs_context()->uid != 0 && vfs_context()->uid != s->disk->def_resuid;
}

uint64_t ext4_inode_goal(const struct ext4_inode *i)
{
	const struct ext4_super *s = ext4_super_of(&i->inode);
	uint32_t group = (uint32_t)(((uint32_t)i->inode.ino - 1) / s->inodes_per_group);

	if (group >= s->groups)
		return s->first_data_block;
	return ext4_group_first_block(s, group) + MIN(s->group[group].next, ext4_group_blocks(s, group) - 1);
}

static int find_and_use(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, uint64_t *block, uint32_t *count)
{
	struct ext4_super *s = h->super;
	struct search q = { .handle = h, .goal = goal, .use = MIN(*count, s->blocks_per_group) };
	int error;

	if (!ext4_blocks_are_valid(s, goal, 1))
		q.goal = s->first_data_block;
	error = i ? use_reserve(h, i, goal, block, count) : -ENOSPC;
	if (error != -ENOSPC)
		return error;
	collect_freed(s);
	if (i)
		balloc_drop_reserve(i);
	q.want = MIN(q.use + (i ? reserve_size(i) : 0), s->blocks_per_group);
	do
		error = search_all(&q);
	while (error == -ENOSPC && drop_all_reserves(s));
	if (error)
		return error;
	*block = q.block;
	*count = MIN(q.use, q.len);
	if (q.len > q.use)
		reserve_set(s, i, q.block + q.use, q.len - q.use);
	return 0;
}

int ext4_balloc(struct ext4_handle *h, struct ext4_inode *i, uint64_t goal, uint64_t *block, uint32_t *count)
{
	uint32_t wanted = *count;
	int error;

	assert(wanted > 0);
	if (is_for_others(h, i, wanted) || !delayed_claim(h, i, wanted))
		return -ENOSPC;
	error = find_and_use(h, i, goal, block, count);
	delayed_unclaim(h, i, wanted);
	return error;
}

/* ---- freeing ---- */

/* Without a journal they are free at once; the group's lock is held. */
static int free_later(struct ext4_handle *h, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_super *s = h->super;
	struct freed *f;

	if (!h->journal) {
		give(s, group, from, count);
		return 0;
	}
	f = kmalloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	*f = (struct freed){
		.callback.committed = freed_committed, .super = s,
		.block = ext4_group_first_block(s, group) + from, .count = count,
		.discard = s->options.discard ? kmalloc(sizeof(*f->discard)) : NULL,
	};
	__atomic_fetch_add(&s->freeing, count, __ATOMIC_RELAXED);
	journal_on_commit(h->journal, &f->callback);
	return 0;
}

/* A range that lies in one group. */
static int free_in_group(struct ext4_handle *h, uint32_t group, uint32_t from, uint32_t count)
{
	struct ext4_super *s = h->super;
	struct ext4_group *g = &s->group[group];
	int error = load(s, group);

	if (!error)
		error = touch_group(h, g);
	if (error)
		return error;
	if (!bits_are(g->bitmap->data, from, count, true))
		return ext4_damaged(s, "group", 0, ext4_group_first_block(s, group) + from,
				    "group %u: blocks are freed that are free", group);
	error = free_later(h, group, from, count);
	if (error)
		return error;
	bits_clear(g->bitmap->data, from, count);
	write_counts(s, group, from, count, count);
	return 0;
}

static int forget_blocks(struct ext4_handle *h, uint64_t block, uint32_t count)
{
	int error = 0;

	for (uint32_t n = 0; !error && n < count; n++)
		error = ext4_forget(h, block + n, NULL);
	return error;
}

int ext4_bfree(struct ext4_handle *h, struct ext4_inode *i, uint64_t block, uint32_t count, bool metadata)
{
	struct ext4_super *s = h->super;
	int error = 0;

	if (i ? !ext4_blocks_may_be_files(i, block, count) : !ext4_blocks_are_valid(s, block, count))
		return ext4_damaged(s, "group", i ? (uint32_t)i->inode.ino : 0, block,
				    "blocks to be freed do not exist, or are the file system's own");
	if (metadata)
		error = forget_blocks(h, block, count);
	while (!error && count) {
		uint32_t group = group_of(s, block), from = (uint32_t)(block - ext4_group_first_block(s, group));
		uint32_t n = MIN(count, ext4_group_blocks(s, group) - from);

		mutex_lock(&s->group[group].lock);
		error = free_in_group(h, group, from, n);
		mutex_unlock(&s->group[group].lock);
		block += n;
		count -= n;
	}
	return error;
}

/* ---- free blocks that are set aside for a while ---- */

int balloc_take_run(struct ext4_super *s, uint32_t group, uint32_t least, uint32_t *from)
{
	struct ext4_group *g = &s->group[group];
	uint32_t end = ext4_group_blocks(s, group);
	struct run r = { 0 };
	int error;

	collect_freed(s);
	mutex_lock(&g->lock);
	error = load(s, group);
	if (!error)
		r = first_run(g, *from, end, least);
	if (r.len) {
		bits_set(g->taken, r.from, r.len);
		g->available -= r.len;
		*from = r.from;
	}
	mutex_unlock(&g->lock);
	return error ? error : (int)r.len;
}

void balloc_put_run(struct ext4_super *s, uint32_t group, uint32_t from, uint32_t count)
{
	give_back(s, ext4_group_first_block(s, group) + from, count);
}

bool ext4_is_freeing(struct ext4_super *s)
{
	ext4_discards_wait(s);
	return __atomic_load_n(&s->freeing, __ATOMIC_RELAXED) || __atomic_load_n(&s->delayed, __ATOMIC_RELAXED);
}
