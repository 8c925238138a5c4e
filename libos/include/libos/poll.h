/*
 * Readiness: who wants to know when an object can be read or written.
 *
 * Every object that can be waited for has a poll_queue. Its owner calls poll_notify() with the
 * events that have come true, from any context. Waiters (the blocking layer of libos/posix, epoll,
 * poll, the executor) register a poll_watch whose notify() is called then, with the queue's lock
 * held: it only marks and wakes.
 */
#ifndef LIBOS_POLL_H
#define LIBOS_POLL_H

#include <core/list.h>
#include <core/sync.h>
#include <core/types.h>

/* Values of Linux's <poll.h>, all architectures but a few. */
#define POLL_IN    0x001u
#define POLL_PRI   0x002u
#define POLL_OUT   0x004u
#define POLL_ERR   0x008u
#define POLL_HUP   0x010u
#define POLL_NVAL  0x020u
#define POLL_RDHUP 0x2000u

struct poll_queue {
	struct spinlock lock;
	struct list watches; /* [lock] */
};

struct poll_watch {
	struct list link;         /* [queue's lock] */
	struct poll_queue *queue; /* [owner] NULL: not registered */
	uint32_t events;          /* [I while registered] */
	void (*notify)(struct poll_watch *w, uint32_t events);
};

void poll_queue_init(struct poll_queue *q);
/* The object ends: every watch is told POLL_HUP and unregistered. */
void poll_queue_destroy(struct poll_queue *q);
void poll_notify(struct poll_queue *q, uint32_t events);              /* any context */
/* then check readiness once more */
void poll_watch_add(struct poll_queue *q, struct poll_watch *w);
/* on return notify() is not running */
void poll_watch_remove(struct poll_watch *w);

#endif
