/*
 * A disk for tests: in memory, with a volatile cache, obedient in every way a test asks for.
 *
 * It counts commands, fails the n-th, holds them back, ends them in a shuffled order, and writes
 * down what a power cut would need to know (powercut.h): each write with its bytes, when it ended,
 * what each flush made durable. Devices stay registered for ever, so tests reuse one by
 * recdev_load().
 */
#ifndef DEV_RECDEV_H
#define DEV_RECDEV_H

#include <core/executor.h>
#include <core/sync.h>
#include <core/types.h>
#include <libos/blkdev.h>

enum rec_kind {
	REC_WRITE, /* begins: from now on any part of it may be on the disk */
	REC_ENDED, /* that write, number `of`, has ended */
	REC_FLUSH, /* has ended: what had ended before event `of` is durable */
	REC_MARK,  /* the test's: `of` is its value */
};

struct rec_event {
	enum rec_kind kind;
	bool fua;             /* REC_WRITE: durable once ended */
	uint64_t of;
	uint64_t offset, len; /* REC_WRITE */
	uint8_t *bytes;       /* REC_WRITE: a copy */
};

/*
 * When a fault strikes: the command with this number (from 1, each kind counted by itself), 0 for
 * none.
 */
struct rec_faults {
	uint64_t read, write, flush;
	bool for_ever;        /* and every one of its kind after it */
};

/*  Locks:  I set once   l lock   t the task, and tests while no command is under way */
struct recdev {
	struct blkdev dev;
	struct task task;
	struct spinlock lock;
	struct list started;         /* [l] commands */
	bool held;                   /* [l] nothing ends */
	bool recording;              /* [t] */
	/* [t] state of the order's generator; 0: first come, first served */
	uint64_t shuffle;
	uint64_t reads, writes, flushes; /* [t] commands so far */
	struct rec_faults faults;    /* [t] */
	uint8_t *bytes;              /* [t] the disk as reads see it */
	struct rec_event *events;    /* [l] */
	size_t count, capacity;      /* [l] */
};

struct recdev *recdev_create(uint64_t bytes); /* of zeroes; NULL when memory is short. Threads. */
/* New contents (NULL: zeroes), no faults, no history, counts from 0. No command is under way. */
void recdev_load(struct recdev *r, const void *image);
/*
 * Another size, and zeroes; false: no memory, and nothing has changed. No command is under way,
 * nothing is cached.
 */
bool recdev_resize(struct recdev *r, uint64_t bytes);
void recdev_record(struct recdev *r, bool on);        /* begins a new history, or ends it */
void recdev_mark(struct recdev *r, uint64_t value);   /* any thread */
void recdev_hold(struct recdev *r, bool on);

#endif
