/*
 * Delayed allocation: a write to a file's end only promises blocks, and they are found when its
 * pages are written back, all together. So they lie in a row, however many files grow at once, and
 * a file that is gone by then has cost nothing.
 *
 * A file has one range of such blocks, with nothing mapped behind it. A write that goes on at its
 * end makes it longer; any other one that needs blocks first has those of the range found. The
 * range ends as soon as the first of
 *
 *   - write-back, by age, pressure or fsync, in a handle of its own before it takes the pages;
 *   - the commit of the transaction in which a write was: when its other handles have ended, with
 *     credits that were kept for one run of blocks, and for more while the log has room. So a
 *     commit shows a file with all that was written to it before, as without delay, and a file that
 *     was written and renamed has its bytes. What finds no memory then, or is in too many pieces
 *     for the log, is shown by a later commit.
 *
 * The size on the disk never goes beyond what has blocks. While a writer copies bytes into pages,
 * the blocks it has just been promised are `pending`: they get no place, since the copy may fail
 * and leave them without bytes.
 *
 * A promise is kept by counting. It is only given where there is plenty; when there is not, blocks
 * are found at once as if there were no such thing. Then others must leave what was promised, an
 * eighth for its extents, and a margin. Who takes blocks claims them first: a claim and a promise
 * at the same time see one another, as each is counted before it looks.
 *
 * Locks: map_lock [m], without a handle or in one. raw_lock inside it, for what an inode's number
 * of blocks is made of.
 */
#include "delayed.h"

#include <core/errno.h>

#include "balloc.h"
#include "extent_change.h"
#include "journaled.h"
#include "map.h"

#define MARGIN_BLOCKS 64u
#define RETRY_NS      (20 * NSEC_PER_MSEC)
#define RETRIES       250 /* five seconds */

/* ---- promises ---- */

static uint64_t free_besides(const struct ext4_super *s, uint64_t others)
{
	uint64_t free = __atomic_load_n(&s->free_blocks, __ATOMIC_SEQ_CST);

	others += __atomic_load_n(&s->freeing, __ATOMIC_RELAXED);
	return free > others ? free - others : 0;
}

static bool is_plenty(const struct ext4_super *s, uint64_t promised)
{
	uint64_t claimed = __atomic_load_n(&s->claimed, __ATOMIC_SEQ_CST);

	return free_besides(s, claimed + balloc_kept_for_root(s)) >= 2 * promised + MARGIN_BLOCKS;
}

static bool promise(struct ext4_super *s, uint32_t count)
{
	if (!is_plenty(s, __atomic_load_n(&s->delayed, __ATOMIC_RELAXED) + count))
		return false;
	if (is_plenty(s, __atomic_add_fetch(&s->delayed, count, __ATOMIC_SEQ_CST)))
		return true;
	__atomic_sub_fetch(&s->delayed, count, __ATOMIC_RELAXED);
	return false;
}

static bool must_claim(const struct ext4_handle *h, const struct ext4_inode *i)
{
	return h->super->options.delays && i && !h->places;
}

bool delayed_claim(const struct ext4_handle *h, const struct ext4_inode *i, uint32_t count)
{
	struct ext4_super *s = h->super;
	uint64_t claimed, promised;

	if (!must_claim(h, i))
		return true;
	claimed = __atomic_add_fetch(&s->claimed, count, __ATOMIC_SEQ_CST);
	promised = __atomic_load_n(&s->delayed, __ATOMIC_SEQ_CST);
	promised += promised / 8;
	if (!promised || free_besides(s, claimed) >=
				 promised + (inode_kind(&i->inode) == S_IFREG ? MARGIN_BLOCKS : 0))
		return true;
	delayed_unclaim(h, i, count);
	return false;
}

void delayed_unclaim(const struct ext4_handle *h, const struct ext4_inode *i, uint32_t count)
{
	if (must_claim(h, i))
		__atomic_sub_fetch(&h->super->claimed, count, __ATOMIC_SEQ_CST);
}

/*
 * [m] The range is so much longer, or shorter; stat() counts its blocks, and the inode on the disk
 * does not.
 */
static void change_count(struct ext4_inode *i, int64_t by)
{
	mutex_lock(&i->raw_lock);
	i->delayed.count = (uint32_t)(i->delayed.count + by);
	map_count_blocks(i, by);
	mutex_unlock(&i->raw_lock);
}

/* [m] */
static void take_back(struct ext4_inode *i, uint32_t count)
{
	change_count(i, -(int64_t)count);
	__atomic_sub_fetch(&extent_super(i)->delayed, count, __ATOMIC_SEQ_CST);
}

uint32_t delayed_run(const struct ext4_inode *i, uint32_t at)
{
	uint32_t into = at - i->delayed.first;

	return at >= i->delayed.first && into < i->delayed.count ? i->delayed.count - into : 0;
}

/* ---- writers ---- */

static bool is_offered(const struct ext4_inode *i)
{
	const struct ext4_super *s = extent_super(i);

	return s->options.delays && s->journal && s->options.data == EXT4_DATA_ORDERED &&
	       !journaled_is(i) && ext4_inode_has_extents(i);
}

/*
 * [m] Blocks of [first, end) before *at are written ones, and nothing behind is mapped. False: it
 * is not so, or not known.
 */
static bool find_end(struct ext4_inode *i, uint32_t first, uint32_t end, uint32_t *at)
{
	struct ext4_mapping m = { .len = 0 };

	for (*at = first; *at < end; *at += m.len) {
		if (extent_map(i, *at, UINT32_MAX - *at, &m))
			return false;
		if (m.kind != EXT4_MAPPED)
			return m.kind == EXT4_HOLE && m.len == UINT32_MAX - *at;
	}
	return false;
}

/* [m] Where the range ends, or may begin. */
static bool find_place(struct ext4_inode *i, uint32_t first, uint32_t end, uint32_t *at)
{
	if (!i->delayed.count)
		return find_end(i, first, end, at);
	*at = i->delayed.first + i->delayed.count;
	return first >= i->delayed.first && first <= *at;
}

static bool take_locked(struct ext4_handle *h, struct ext4_inode *i, uint32_t first, uint32_t end)
{
	uint32_t at, more;

	if (!find_place(i, first, end, &at))
		return false;
	more = end > at ? end - at : 0;
	if (!journal_add_delayed(h->journal, &i->ordered, delayed_credits(i)))
		return false;
	if (more && !promise(extent_super(i), more))
		return false;
	if (!i->delayed.count)
		i->delayed.first = at;
	i->delayed.pending = more;
	change_count(i, more);
	return true;
}

bool delayed_take(struct ext4_handle *h, struct ext4_inode *i, uint32_t first, uint32_t count)
{
	bool taken;

	if (!is_offered(i))
		return false;
	mutex_lock(&i->map_lock);
	taken = take_locked(h, i, first, first + count);
	mutex_unlock(&i->map_lock);
	return taken;
}

void delayed_confirm(struct ext4_inode *i, uint32_t end)
{
	uint32_t behind, unused;

	if (!i->delayed.pending)
		return;
	mutex_lock(&i->map_lock);
	behind = i->delayed.first + i->delayed.count;
	unused = MIN(i->delayed.pending, behind - MIN(end, behind));
	take_back(i, unused);
	i->delayed.pending = 0;
	mutex_unlock(&i->map_lock);
}

unsigned delayed_credits(const struct ext4_inode *i)
{
	return ext4_map_credits(i, 1) + EXT4_CREDITS_INODE;
}

/* [m] */
static void follow_size(struct ext4_inode *i)
{
	int64_t size = i->inode.size,
		mapped = (int64_t)i->delayed.first << extent_super(i)->block_shift;

	i->disk_size = MAX(i->disk_size, i->delayed.count ? MIN(size, mapped) : size);
}

void delayed_set_size(struct ext4_inode *i, int64_t size)
{
	mutex_lock(&i->map_lock);
	i->inode.size = size;
	i->disk_size = MIN(i->disk_size, size);
	follow_size(i);
	mutex_unlock(&i->map_lock);
}

/* ---- finding blocks ---- */

/* [m] */
static uint32_t confirmed(const struct ext4_inode *i)
{
	return i->delayed.count - i->delayed.pending;
}

/* Where what has been confirmed ends; 0: there is none. */
static uint32_t confirmed_end(struct ext4_inode *i)
{
	uint32_t end;

	mutex_lock(&i->map_lock);
	end = confirmed(i) ? i->delayed.first + confirmed(i) : 0;
	mutex_unlock(&i->map_lock);
	return end;
}

/*
 * One run of blocks for the range's beginning, unless that is at `end` already: then *more is
 * false.
 */
static int place_run(struct ext4_handle *h, struct ext4_inode *i, uint32_t end, bool *more)
{
	struct ext4_mapping m = { .len = 0 };
	int error = 0;

	mutex_lock(&i->map_lock);
	h->places = true;
	if (confirmed(i))
		error = map_make_locked(h, i, i->delayed.first, confirmed(i), 0, &m);
	h->places = false;
	if (!error) {
		i->delayed.first += m.len;
		take_back(i, m.len);
		follow_size(i);
	}
	*more = confirmed(i) && i->delayed.first < end;
	mutex_unlock(&i->map_lock);
	return error;
}

static bool has_credits(struct ext4_handle *h, unsigned wanted)
{
	unsigned credits = ext4_credits(h);

	return credits >= wanted || ext4_extend(h, wanted - credits);
}

/*
 * All up to `end`: a writer may go on behind it. In a commit the handle is not restarted, and has
 * credits that are kept for other files.
 */
static int place_all(struct ext4_handle *h, struct ext4_inode *i, uint32_t end, bool in_commit)
{
	unsigned credits = delayed_credits(i),
		 of_others = ext4_credits(h) - MIN(ext4_credits(h), credits);
	int error = ext4_inode_announce(h, i);
	bool more = end;

	if (error)
		return error;
	while (!error && more) {
		if (!in_commit)
			error = map_renew(h, i, credits);
		else if (!has_credits(h, of_others + credits - EXT4_CREDITS_INODE))
			break;
		h->half = false;
		if (!error) {
			journal_add_ordered(h->journal, &i->ordered);
			error = place_run(h, i, end, &more);
		}
	}
	return map_write_inode(h, i, error);
}

int delayed_place(struct ext4_handle *h, struct ext4_inode *i)
{
	uint32_t end = confirmed_end(i);

	return end ? place_all(h, i, end, false) : 0;
}

void delayed_place_for_commit(struct journal_ordered *o, struct journal_handle *journal)
{
	struct ext4_inode *i = container_of(o, struct ext4_inode, ordered);
	struct ext4_handle h = { .super = extent_super(i), .journal = journal };
	uint32_t end = confirmed_end(i);

	if (end)
		ext4_judge(&h, place_all(&h, i, end, true));
}

static int place_once(struct ext4_inode *i)
{
	uint32_t end = confirmed_end(i);
	struct ext4_handle h;
	int error;

	if (!end)
		return 0;
	error = map_start(i, delayed_credits(i), &h);
	return error ? error : ext4_stop_with(&h, place_all(&h, i, end, false));
}

/* They are a hole; writing their pages fails, which fsync tells. */
static void give_up(struct ext4_inode *i)
{
	uint32_t lost;

	mutex_lock(&i->map_lock);
	lost = confirmed(i);
	i->delayed.first += lost;
	take_back(i, lost);
	mutex_unlock(&i->map_lock);
}

bool delayed_may_pass(int error)
{
	return error == -ENOMEM || error == -ENOSPC;
}

int delayed_settle(struct ext4_inode *i, bool patient)
{
	unsigned tries = patient ? RETRIES : 0;
	int error;

	while (delayed_may_pass(error = place_once(i)) && tries--)
		thread_sleep_until(clock_ns() + RETRY_NS);
	if (error && !delayed_may_pass(error))
		give_up(i);
	return error;
}

void delayed_drop(struct ext4_inode *i, uint32_t first)
{
	uint32_t end;

	mutex_lock(&i->map_lock);
	end = i->delayed.first + i->delayed.count;
	if (end > first)
		take_back(i, MIN(end - first, i->delayed.count));
	mutex_unlock(&i->map_lock);
}
