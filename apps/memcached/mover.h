/*
 * Pages that change their slab class: `slabs reassign`, automove, and a lowered memory limit.
 *
 * A page is emptied in small steps by the maintainer: items that are alive go into free chunks of
 * their class, for which the oldest of the class are evicted; what is held by answers on their way
 * is waited for.
 */
#ifndef MEMCACHED_MOVER_H
#define MEMCACHED_MOVER_H

#include <stdbool.h>

enum reassign_result {
	REASSIGN_OK,
	REASSIGN_RUNNING,          /* BUSY: a page is on its way */
	REASSIGN_BAD_CLASS,
	REASSIGN_NO_SPARE,         /* the source has less than two pages */
	REASSIGN_SAME,
};

/* slabs reassign: class 0 is the pool of pages without a class; `from` -1: any class. */
enum reassign_result mover_reassign(int from, int to);
bool mover_is_running(void);

/* One step, for the maintainer. True: there is more to do at once. */
bool mover_step(void);
/* Once a second, for the maintainer: has automove got a page moving? */
bool mover_second(void);

#endif
