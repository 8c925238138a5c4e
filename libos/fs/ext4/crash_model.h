/*
 * File workloads for power cuts, and what may be seen of them afterwards. See crash_model_host_test.c.
 */
#ifndef EXT4_CRASH_MODEL_H
#define EXT4_CRASH_MODEL_H

#include <core/thread.h>
#include <core/types.h>

#include "../../dev/recdev.h"

#define CRASH_WORKERS 3u
#define CRASH_SLOTS   8u   /* names of a worker */
#define CRASH_STATES  80u  /* that a worker's names go through */

/* What a name leads to. */
struct crash_slot {
	uint16_t file;     /* which bytes it has; 0: there is no such name */
	uint16_t size;
};

/* All names of a worker after one of its operations. */
struct crash_state {
	struct crash_slot slot[CRASH_SLOTS];
	int growing;       /* the slot whose size may be anything from `from` on, while it is written to; -1: none */
	uint16_t from;
};

struct crash_worker {
	unsigned number;
	uint64_t random;
	struct recdev *disk;                         /* whose history gets the promises */
	struct thread *thread;
	struct crash_state states[CRASH_STATES + 1];
	unsigned last;                               /* the newest state */
	uint16_t files;                              /* numbers given out */
	uint16_t changed[CRASH_STATES + 1];          /* by file: the state that changed it last */
	unsigned promised;                           /* the newest state that it was promised */
	uint16_t synced[CRASH_STATES + 1];           /* by file: the bytes that fsync() answered for */
	bool may_lack_bytes;                         /* writes have failed: other bytes may be any */
	int error;                                   /* ended its work */
};

/* The workers' folders, on what is mounted at /t. */
int crash_prepare(void);
/* All workers' operations on what is mounted at /t, each in a thread of its own: 0, or the first error. */
int crash_work(struct crash_worker *workers, struct recdev *disk, uint64_t seed);
/*
 * What is mounted at /t, against all that may be there when a worker was promised the state `promised`. NULL: it is
 * well; else what is wrong.
 */
const char *crash_judge(const struct crash_worker *w, unsigned promised);
/* What the workers' folders on the disk at /t hold, to compare two disks by. */
struct crash_tree {
	struct { long size; uint64_t hash; } name[CRASH_WORKERS][CRASH_SLOTS]; /* size: or an errno */
};
void crash_look(struct crash_tree *out);
bool crash_trees_equal(const struct crash_tree *a, const struct crash_tree *b); /* prints where they are not */

#endif
