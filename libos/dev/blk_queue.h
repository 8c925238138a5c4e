/* The queue before each block device; see blk_queue.c. */
#ifndef DEV_BLK_QUEUE_H
#define DEV_BLK_QUEUE_H

/* Before the first device is registered, and harmless afterwards: 0 or -ENOMEM. */
int blk_queue_init(void);

#endif
