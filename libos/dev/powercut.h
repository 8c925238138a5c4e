/*
 * Power cuts: every disk that a recorded history (recdev.h) could have left.
 *
 * A walk goes through the history event by event. At each place it knows what is durable for
 * certain and which writes might be on the disk: those that have begun since, whole, torn at 512
 * bytes, or not at all, in any combination. A write that is younger than another one of the same
 * sector wins.
 */
#ifndef DEV_POWERCUT_H
#define DEV_POWERCUT_H

#include "recdev.h"

#define CUT_SECTOR 512u

struct powercut {
	const struct recdev *recorded;
	size_t at;             /* events that have happened */
	uint8_t *durable;      /* the disk without anything that is not certain */
	/* for each sector: the write it is from, by its event's number + 1 */
	uint64_t *durable_by;
	size_t *pending;       /* events: writes that may be lost, oldest first */
	size_t pending_count, pending_capacity;
};

/* `image` is what the disk held when recording began. False: no memory. */
bool powercut_begin(struct powercut *p, const struct recdev *r, const void *image);
void powercut_end(struct powercut *p);
/* The next event happens: it, or NULL at the history's end. */
const struct rec_event *powercut_step(struct powercut *p);

/* How many subsets of whole writes there are at this place; 0: more than 2^20. */
uint64_t powercut_subsets(const struct powercut *p);
/* The disk that keeps exactly the pending writes whose bits are set, as a whole. */
void powercut_subset(const struct powercut *p, uint64_t subset, uint8_t *out);
/* One that a seed chooses, with torn writes. Equal seeds at equal places give equal disks. */
void powercut_sample(const struct powercut *p, uint64_t seed, uint8_t *out);
/* To tell disks apart. */
uint64_t powercut_hash(const uint8_t *image, size_t bytes);

#endif
