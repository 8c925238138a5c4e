/*
 * File workloads for power cuts, and what may be seen of them afterwards. See
 * crash_{work,acts}_host_test.c for the workers, crash_judge_host_test.c for the judge,
 * crash_tree_host_test.c for what two disks are compared by.
 */
#ifndef EXT4_CRASH_MODEL_H
#define EXT4_CRASH_MODEL_H

#include <core/thread.h>
#include <core/types.h>
#include <libos/abi.h>

#include "../../dev/recdev.h"

#define CRASH_WORKERS 3u
#define CRASH_SLOTS   8u   /* names of a worker */
#define CRASH_STATES  80u  /* that a worker's names go through */
#define CRASH_FILES   (CRASH_STATES + 2u) /* numbers of files */
#define CRASH_FILE_MAX 9000u /* bytes */
#define CRASH_PATH_MAX 32u

/* What a name leads to. */
struct crash_slot {
	uint16_t file;     /* whose bytes it has; 0: there is no such name */
	uint16_t size;
	uint16_t hole_from, hole_to; /* of its bytes, these are zeroes */
	uint8_t label;     /* of its extended attribute; 0: it has none */
	uint32_t kind;     /* S_IFREG, S_IFDIR, S_IFLNK */
};

/* All names of a worker after one of its operations. */
struct crash_state {
	struct crash_slot slot[CRASH_SLOTS];
	/* the slot whose size may be anything from `from` on, while it is written to; -1: none */
	int growing;
	uint16_t from;
};

/* What a worker may rely on. */
struct crash_promise {
	uint16_t state;             /* its names: this one or a later */
	uint16_t all;               /* the bytes of all its files: as in this state */
	uint16_t of[CRASH_FILES];   /* of one file, if that is later */
};

struct crash_worker {
	unsigned number;
	uint64_t random;
	struct recdev *disk;                         /* whose history gets the promises */
	struct thread *thread;
	struct crash_state states[CRASH_STATES + 1];
	unsigned last;                               /* the newest state */
	uint16_t files;                              /* numbers given out */
	uint16_t changed[CRASH_FILES];               /* by file: the state that changed it last */
	struct crash_promise promise;                /* at the end of its work */
	int error;                                   /* ended its work */
};

/* What bytes a file may have that were not synced: its own, those or zeroes, whatever. */
enum crash_bytes { CRASH_OWN_BYTES, CRASH_ZEROES, CRASH_ANY_BYTES };

/* The workers' folders, on what is mounted at /t. */
int crash_prepare(void);
/*
 * All workers' operations on what is mounted at /t, each in a thread of its own: 0, or the first
 * error.
 */
int crash_work(struct crash_worker *workers, struct recdev *disk, uint64_t seed);
/* A mark that a worker left in the history, added to the promises of all. */
void crash_promised(struct crash_promise *promises, uint64_t mark);
/*
 * What is mounted at /t, against all that may be there when a worker was promised so much. NULL: it
 * is well; else what is wrong.
 */
const char *crash_judge(const struct crash_worker *w, const struct crash_promise *promise,
			enum crash_bytes mode);

/* Parts of the model that workers and judge share. */
const char *crash_slot_path(char *out, unsigned worker, unsigned slot);  /* CRASH_PATH_MAX bytes */
uint8_t crash_byte(unsigned worker, unsigned file, unsigned at);
#define CRASH_LABEL_MAX 400u
/* an attribute's value: its length */
size_t crash_label(unsigned label, uint8_t *value);
/* where a symbolic link leads: CRASH_FILE_MAX */
size_t crash_target(unsigned worker, unsigned file, char *out);

/*
 * Everything on the disk at /t, to compare two disks by: each name with its attributes and bytes.
 */
#define CRASH_NAMES 64u
struct crash_tree {
	unsigned count;
	struct crash_name {
		char path[2 * CRASH_PATH_MAX];
		uint64_t hash;        /* of what it is, and its bytes */
		uint64_t attributes;  /* 0: it has none */
	} name[CRASH_NAMES];
};
/* false: it cannot be read, or has more names than there can be */
bool crash_look(struct crash_tree *out);
/* prints where they are not */
bool crash_trees_equal(const struct crash_tree *a, const struct crash_tree *b);
/*
 * The same for what e2fsck has replayed: when it ends a truncation that the cut has left, it also
 * drops the file's block of attributes (e2fsck/super.c, release_inode_blocks(), up to 1.47). So one
 * of the two may have none; the model has looked at ours.
 */
bool crash_trees_equal_to_e2fsck(const struct crash_tree *ours, const struct crash_tree *theirs);

#endif
