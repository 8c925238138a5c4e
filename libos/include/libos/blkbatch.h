/*
 * A batch: many transfers of one device that are started one after the other and waited for
 * together. The queue below merges neighbours. Threads only; a batch belongs to one of them.
 */
#ifndef LIBOS_BLKBATCH_H
#define LIBOS_BLKBATCH_H

#include <core/sync.h>
#include <core/types.h>
#include <libos/blkdev.h>

/*  Locks:  I set once   l lock */
struct blk_batch {
	struct blkdev *dev;   /* [I] */
	struct spinlock lock;
	struct waitq ended;
	uint32_t under_way;   /* [l] */
	int error;            /* [l] the first */
};

void blk_batch_init(struct blk_batch *b, struct blkdev *d);
/*
 * Starts a read or write; may wait when many are under way or memory is short. `buf` stays until
 * blk_batch_wait().
 */
void blk_batch_add(struct blk_batch *b, enum blk_op op, uint64_t offset, void *buf, size_t len,
		   uint32_t flags);
/*
 * Until all have ended: 0, or the first error since the last wait. The batch may then be used
 * again, or go.
 */
int blk_batch_wait(struct blk_batch *b);

#endif
