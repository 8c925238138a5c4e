/*
 * The queue before a block device: from requests to commands and back. See libos/blkdev.h.
 *
 * Life of a request: waiting -> part of a command -> waiting again while pieces are left, or for
 * the flush that a durable write needs where the device has no FUA -> done().
 *
 * A command begins with the request that is due and takes in those that go on where it ends. All
 * flushes that wait become one, and while it runs later ones gather for the next: a flush covers
 * what was done before it was submitted, so one device flush answers for many callers.
 *
 * Locks: the device's lock, then the registry's; done() is called without them.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/page.h>
#include <libos/blkdev.h>

#include "blk_queue.h"

#define MERGE_LOOK 32u   /* requests looked at for a neighbour */
#define PASS_MAX   16u   /* commands that may go before a background one that waits */

static uint8_t *zero_page; /* [I] after the first registration */

int blk_queue_init(void)
{
	if (!zero_page)
		zero_page = page_alloc_zero(0, PAGE_CACHE);
	return zero_page ? 0 : -ENOMEM;
}

/* ---- what a request still asks for ---- */

static bool is_transfer(const struct blkreq *r)
{
	return r->op == BLK_READ || r->op == BLK_WRITE;
}

static enum blk_op op_now(const struct blkreq *r)
{
	return r->flushing ? BLK_FLUSH : r->op;
}

static bool needs_flush(const struct blkdev *d, const struct blkreq *r)
{
	return r->op == BLK_WRITE && r->flags & BLK_FUA && d->write_cache && !d->has_fua &&
	       !r->flushing;
}

static int request_check(const struct blkdev *d, const struct blkreq *r)
{
	uint64_t in_blocks = (r->offset | r->len) & (d->block_bytes - 1);

	if (d->whole ? d->whole->dead : d->dead)
		return -EIO;
	if (r->op == BLK_FLUSH)
		return 0;
	if (in_blocks || !r->len)
		return -EINVAL;
	if (r->offset > d->bytes || r->len > d->bytes - r->offset)
		return -EIO;
	if (r->op != BLK_READ && d->read_only)
		return -EROFS;
	return r->op == BLK_DISCARD && !d->max_discard_bytes ? -EOPNOTSUPP : 0;
}

/* ---- building commands ---- */

/* Appends what fits of a read or write; the bytes added. */
static uint64_t command_add_vecs(const struct blkdev *d, struct blk_command *c, struct blkreq *r)
{
	uint64_t added = 0;

	while (r->vec_at < r->vec_count && c->vec_count < d->max_vecs &&
	       c->len + added < d->max_bytes) {
		const struct blk_vec *from = &r->vecs[r->vec_at];
		size_t room = MIN(d->max_vec_bytes, d->max_bytes - (c->len + added));
		size_t n = MIN(from->len - r->vec_done, ALIGN_DOWN(room, (size_t)d->block_bytes));

		if (!n)
			break;
		c->vecs[c->vec_count++] = (struct blk_vec){ (char *)from->base + r->vec_done, n };
		added += n;
		r->vec_done += n;
		if (r->vec_done == from->len) {
			r->vec_at++;
			r->vec_done = 0;
		}
	}
	return added;
}

/* Zeroes for a device that must be written to: one page, named again and again. */
static uint64_t command_add_zeroes(const struct blkdev *d, struct blk_command *c, uint64_t len)
{
	size_t step = MIN(PAGE_SIZE, (size_t)d->max_vec_bytes);
	uint64_t added = 0;

	c->op = BLK_WRITE;
	while (added < len && c->vec_count < d->max_vecs &&
	       added + step <= MAX(d->max_bytes, step)) {
		size_t n = MIN(step, len - added);

		c->vecs[c->vec_count++] = (struct blk_vec){ zero_page, n };
		added += n;
	}
	return added;
}

static void command_add(const struct blkdev *d, struct blk_command *c, struct blkreq *r)
{
	uint64_t left = r->len - r->progress, n;

	switch (op_now(r)) {
	case BLK_READ:
	case BLK_WRITE:
		n = command_add_vecs(d, c, r);
		break;
	case BLK_DISCARD:
		n = MIN(left, d->max_discard_bytes);
		break;
	case BLK_WRITE_ZEROES:
		n = d->max_zeroes_bytes ? MIN(left, d->max_zeroes_bytes)
					: command_add_zeroes(d, c, left);
		break;
	default:
		n = 0;
	}
	r->progress += n;
	c->len += n;
	list_remove(&r->link);
	list_push_back(&c->requests, &r->link);
}

static bool can_follow(const struct blkdev *d, const struct blk_command *c,
		       const struct blkreq *first, const struct blkreq *r)
{
	return is_transfer(r) && r->op == first->op && !r->flushing && !r->progress &&
	       r->at == c->offset + c->len && !((r->flags ^ first->flags) & BLK_FUA) &&
	       c->len + r->len <= d->max_bytes && c->vec_count + r->vec_count <= d->max_vecs;
}

/* A waiting request that goes on where the command ends. */
static struct blkreq *follower(struct blkdev *d, const struct blk_command *c,
			       const struct blkreq *first, struct list *waiting)
{
	unsigned looked = 0;
	struct blkreq *r;

	list_for_each(r, waiting, link) {
		if (can_follow(d, c, first, r))
			return r;
		if (++looked == MERGE_LOOK)
			break;
	}
	return NULL;
}

static void command_gather(struct blkdev *d, struct blk_command *c, struct blkreq *first)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->waiting); i++) {
		struct blkreq *r;

		while (first->progress == first->len &&
		       (r = follower(d, c, first, &d->waiting[i]))) {
			command_add(d, c, r);
			d->stats.merged++;
		}
	}
}

static void command_gather_flushes(struct blkdev *d, struct blk_command *c)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->waiting); i++) {
		struct blkreq *r, *next;

		list_for_each_safe(r, next, &d->waiting[i], link) {
			if (op_now(r) == BLK_FLUSH)
				command_add(d, c, r);
		}
	}
}

static void command_begin(struct blkdev *d, struct blk_command *c, struct blkreq *r)
{
	c->op = op_now(r);
	c->flags = r->flags & (d->has_fua && d->write_cache ? BLK_FUA | BLK_UNMAP : BLK_UNMAP);
	c->offset = r->at + (r->flushing ? 0 : r->progress);
	c->len = 0;
	c->vec_count = 0;
	if (c->op == BLK_FLUSH) {
		d->flush_runs = true;
		command_gather_flushes(d, c);
		return;
	}
	command_add(d, c, r);
	if (is_transfer(r))
		command_gather(d, c, r);
}

/* ---- which one is next ---- */

static struct blkreq *first_ready(struct blkdev *d, struct list *waiting)
{
	struct blkreq *r;

	list_for_each(r, waiting, link) {
		if (op_now(r) != BLK_FLUSH || !d->flush_runs)
			return r;
	}
	return NULL;
}

static struct blkreq *next_request(struct blkdev *d)
{
	bool background_due = d->passed_over >= PASS_MAX && !list_is_empty(&d->waiting[1]);
	struct blkreq *r = first_ready(d, &d->waiting[background_due]);

	if (!r)
		r = first_ready(d, &d->waiting[!background_due]);
	if (!r || r->flags & BLK_BACKGROUND)
		d->passed_over = 0;
	else if (!list_is_empty(&d->waiting[1]))
		d->passed_over++;
	return r;
}

static void fail_waiting(struct blkdev *d, struct list *ended)
{
	list_splice_back(ended, &d->waiting[0]);
	list_splice_back(ended, &d->waiting[1]);
}

/* Gives the device what it can take; requests that cannot be helped go to `ended`. */
static void dispatch(struct blkdev *d, struct list *ended)
{
	bool started = false;
	struct blkreq *r;

	while (!d->dead && !list_is_empty(&d->free) && (r = next_request(d))) {
		struct blk_command *c = list_entry(list_pop_front(&d->free), struct blk_command,
						   link);

		command_begin(d, c, r);
		if (c->op == BLK_FLUSH && d->lost_writes) {
			d->flush_runs = false;
			d->lost_writes = blkdev_is_claimed(d);
			list_splice_back(ended, &c->requests);
			list_push_front(&d->free, &c->link);
			continue;
		}
		d->in_flight++;
		d->stats.commands++;
		d->ops->start(d, c);
		started = true;
	}
	if (d->dead)
		fail_waiting(d, ended);
	if (started)
		d->ops->kick(d);
}

static void end_requests(struct list *ended, int error)
{
	struct list *link;

	while ((link = list_pop_front(ended))) {
		struct blkreq *r = list_entry(link, struct blkreq, link);

		r->done(r, error);
	}
}

void blkdev_submit(struct blkdev *d, struct blkreq *r)
{
	int error = request_check(d, r);

	r->at = r->offset + d->start;
	if (d->whole)
		d = d->whole;
	if (error || (r->op == BLK_FLUSH && !d->write_cache && !d->lost_writes)) {
		r->done(r, error);
		return;
	}
	r->progress = 0;
	r->vec_at = r->vec_done = 0;
	r->flushing = false;
	list_init(&r->link);
	spin_lock(&d->lock);
	d->stats.requests[r->op]++;
	d->stats.bytes[r->op] += r->len;
	list_push_back(&d->waiting[r->flags & BLK_BACKGROUND ? 1 : 0], &r->link);
	spin_unlock(&d->lock);
}

void blkdev_kick(struct blkdev *d)
{
	struct list ended = LIST_INIT(ended);

	if (d->whole)
		d = d->whole;
	spin_lock(&d->lock);
	dispatch(d, &ended);
	spin_unlock(&d->lock);
	end_requests(&ended, -EIO);
}

/* ---- the way back ---- */

/* Sorts a command's requests into those that go on and those that have ended. */
static void sort_requests(struct blkdev *d, struct blk_command *c, int error, struct list *ended)
{
	struct blkreq *r, *next;

	list_for_each_safe(r, next, &c->requests, link) {
		bool goes_on = r->op != BLK_FLUSH && r->progress < r->len;

		list_remove(&r->link);
		if (!error && !goes_on && needs_flush(d, r))
			goes_on = r->flushing = true;
		list_push_back(!error && goes_on ? &d->waiting[r->flags & BLK_BACKGROUND ? 1 : 0]
						 : ended,
			       &r->link);
	}
}

void blk_command_done(struct blkdev *d, struct blk_command *c, int error)
{
	struct list ended = LIST_INIT(ended);

	spin_lock(&d->lock);
	assert(d->in_flight > 0);
	d->in_flight--;
	if (c->op == BLK_FLUSH)
		d->flush_runs = false;
	if (error)
		d->stats.errors++;
	sort_requests(d, c, error, &ended);
	list_push_front(&d->free, &c->link);
	spin_unlock(&d->lock);
	end_requests(&ended, error);
}

void blkdev_was_reset(struct blkdev *d, bool dead)
{
	spin_lock(&d->lock);
	d->lost_writes = d->write_cache;
	d->dead = dead;
	spin_unlock(&d->lock);
}
