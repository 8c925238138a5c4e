/*
 * Power cuts: what e2fsck says of disks. They wait as files and are shown to it some at a time.
 */
#ifndef EXT4_CRASH_E2FSCK_H
#define EXT4_CRASH_E2FSCK_H

#include "crash_model.h"

/* A sort of disk. */
struct crash_kind {
	const char *name, *make, *mount;      /* options of mke2fs, of the mount */
	unsigned mib, block_bytes;
	enum crash_bytes bytes;
	/* where the journal's blocks lie, in bytes; 0: not known yet */
	uint64_t journal_from, journal_to;
};

/* What a failure is repeated by. */
struct crash_case {
	uint64_t seed;                        /* of the history */
	const struct crash_kind *kind;
	size_t event;                         /* the place of the cut */
	uint64_t cut;                         /* which one there */
};

bool crash_complain(const struct crash_case *c, const char *what); /* false */
int crash_mount(const struct crash_kind *k, struct recdev *r);     /* at /t */
int crash_unmount(void);

/* The disk without its journal and what each mount changes in the superblock. */
uint64_t crash_disk_hash(const struct crash_kind *k, const uint8_t *bytes);

enum crash_question {
	CRASH_CLEAN,      /* e2fsck -fn finds nothing */
	CRASH_REPLAY,     /* e2fsck -fy replays the journal, and then it holds `tree` */
};
bool crash_show(const struct crash_case *c, enum crash_question q, const uint8_t *bytes,
		const struct crash_tree *tree);
bool crash_has_room(unsigned disks); /* for more of them before crash_answers() */
/* All disks that still wait. `spare` is for what e2fsck has written. */
bool crash_answers(struct recdev *spare);

/* A set of hashes, never 0. */
struct crash_set { uint64_t *hashes; size_t count, room; };
bool crash_is_new(struct crash_set *s, uint64_t hash); /* and adds it */

#endif
