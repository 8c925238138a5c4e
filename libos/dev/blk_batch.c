/*
 * Batches of transfers. Each transfer's request is allocated; when memory is short the transfer is
 * done at once instead, so a batch never fails for want of memory.
 */
#include <core/kmem.h>
#include <libos/blkbatch.h>

/* requests: what keeps any device busy, and bounds the memory they take */
#define UNDER_WAY_MAX 256u

struct transfer {
	struct blkreq request;
	struct blk_vec vec;
};

void blk_batch_init(struct blk_batch *b, struct blkdev *d)
{
	*b = (struct blk_batch){ .dev = d };
	spin_init(&b->lock);
	waitq_init(&b->ended);
}

/* The batch may be gone once its lock is free: the waiter goes through it last. */
static void ended(struct blk_batch *b, int error)
{
	spin_lock(&b->lock);
	if (error && !b->error)
		b->error = error;
	b->under_way--;
	waitq_wake_all(&b->ended);
	spin_unlock(&b->lock);
}

static void transfer_done(struct blkreq *r, int error)
{
	struct blk_batch *b = r->user;

	kfree(container_of(r, struct transfer, request));
	ended(b, error);
}

static bool at_most(struct blk_batch *b, uint32_t count)
{
	bool yes;

	spin_lock(&b->lock);
	yes = b->under_way <= count;
	spin_unlock(&b->lock);
	return yes;
}

static void wait_until_at_most(struct blk_batch *b, uint32_t count)
{
	if (at_most(b, count))
		return;
	blkdev_kick(b->dev);
	waitq_wait(&b->ended, at_most(b, count), DEADLINE_NEVER, false);
}

static void begin(struct blk_batch *b)
{
	wait_until_at_most(b, UNDER_WAY_MAX - 1);
	spin_lock(&b->lock);
	b->under_way++;
	spin_unlock(&b->lock);
}

void blk_batch_add(struct blk_batch *b, enum blk_op op, uint64_t offset, void *buf, size_t len,
		   uint32_t flags)
{
	struct transfer *t = kmalloc(sizeof(*t));

	begin(b);
	if (!t) {
		ended(b, op == BLK_READ ? blkdev_read(b->dev, offset, buf, len) :
					  blkdev_write(b->dev, offset, buf, len, flags));
		return;
	}
	t->vec = (struct blk_vec){ buf, len };
	t->request = (struct blkreq){ .op = op, .flags = flags, .offset = offset, .len = len,
				      .vecs = &t->vec, .vec_count = 1, .done = transfer_done,
				      .user = b };
	blkdev_submit(b->dev, &t->request);
}

int blk_batch_wait(struct blk_batch *b)
{
	int error;

	wait_until_at_most(b, 0);
	spin_lock(&b->lock);
	error = b->error;
	b->error = 0;
	spin_unlock(&b->lock);
	return error;
}
