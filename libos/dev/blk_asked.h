/*
 * For tests: a request to a block device that remembers how it ended, and how often.
 */
#ifndef DEV_BLK_ASKED_H
#define DEV_BLK_ASKED_H

#include <libos/blkdev.h>

struct asked {
	struct blkreq r;
	struct blk_vec vec;
	int ended, error;
};

static inline void asked_done(struct blkreq *r, int error)
{
	struct asked *a = r->user;

	a->ended++;
	a->error = error;
}

/* For blkdev_submit(). */
static inline void asked_init(struct asked *a, enum blk_op op, uint32_t flags, uint64_t offset,
			      void *buf, size_t len)
{
	*a = (struct asked){ .vec = { buf, len } };
	a->r = (struct blkreq){ .op = op, .flags = flags, .offset = offset, .len = len,
				.vecs = &a->vec, .vec_count = 1, .done = asked_done, .user = a };
}

#endif
