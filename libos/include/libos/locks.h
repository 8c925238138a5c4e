/*
 * Locks on files: ranges of bytes (fcntl) and whole files (flock).
 *
 * A lock belongs to an open file (OFD locks, flock) or to the process (POSIX locks). Locks of one
 * owner never conflict: a later one replaces the earlier where they meet. Ranges and whole-file
 * locks do not see each other. They go when the open file ends; those of the process when it closes
 * any descriptor of the file, as POSIX has it.
 *
 * Threads. Locks: a spinlock for all, a leaf.
 */
#ifndef LIBOS_LOCKS_H
#define LIBOS_LOCKS_H

#include <core/types.h>
#include <libos/vfs.h>

enum lock_kind { LOCK_RANGE, LOCK_WHOLE };

struct lock_range {
	enum lock_kind kind;
	bool exclusive;
	uint64_t first, last;    /* bytes, the last included */
	const void *owner;
};

/*
 * Takes, changes or (unlock) gives back. 0; -EAGAIN when another owner is in the way and `wait` is
 * not set; -EINTR when a signal came while waiting; -ENOMEM. Who changes a whole-file lock and
 * fails, or waits, has none meanwhile.
 */
int lock_set(struct inode *inode, const struct lock_range *l, bool unlock, bool wait);
/* The first lock of another owner that is in the way: true and *found. */
bool lock_find(struct inode *inode, const struct lock_range *l, struct lock_range *found);
void lock_forget(struct inode *inode, const void *owner);

#endif
