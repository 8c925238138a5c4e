/* Partitions of a disk: see partition.c. */
#ifndef DEV_PARTITION_H
#define DEV_PARTITION_H

#include <libos/blkdev.h>

#define PARTITIONS_MAX 128u

struct partition {
	unsigned number;         /* from 1 */
	uint64_t offset, bytes;
	char name[37];           /* of GPT, as far as it is plain ASCII */
	char uuid[37];           /* of GPT, else "" */
};

/*
 * What the table in the first and last blocks says: the number of partitions, 0 when there is no
 * table, -EINVAL for one that does not hold together, -EIO, -ENOMEM. Threads.
 */
int partitions_read(struct blkdev *d, struct partition *out, unsigned max);

/* Makes a block device of each partition (vda1, vda2, ...): how many, or the errno. Threads. */
int partitions_add(struct blkdev *d);

#endif
