/*
 * The log as a place: its superblock, its ring of blocks, and how tags and checksums look in it.
 * Commit, checkpoint and recovery all stand on this; it knows no transactions in memory.
 */
#ifndef JBD2_JLOG_H
#define JBD2_JLOG_H

#include <libos/blkbatch.h>
#include <libos/journal.h>

#include "format.h"

/* Set when the log is opened, and while it is empty by jlog_set_features(). */
struct jlog {
	struct journal_place place;
	/* the first bytes of a block, whose rest is written as it was read */
	struct jbd2_super *super;
	bool no_barrier;
	uint32_t incompat;
	bool has_checksums, wide;
	uint32_t tag_bytes;
	uint32_t seed;             /* of all checksums: that of the log's UUID */
	uint32_t first, end;       /* the ring's blocks: [first, end) */
};

/*
 * Reads and checks the superblock: 0, -EIO, -ENOMEM, -EUCLEAN, -EOPNOTSUPP; each but -ENOMEM says
 * why in the log.
 */
int jlog_open(struct jlog *l, const struct journal_place *p);
void jlog_close(struct jlog *l);
void jlog_set_features(struct jlog *l, uint32_t add);

bool jlog_is_empty(const struct jlog *l);           /* nothing to replay */
/* Replay begins at `start` (0: nothing to replay) with `tid`; durable on return. */
int jlog_set_start(struct jlog *l, uint32_t start, journal_tid tid);
int jlog_set_error(struct jlog *l, int error);

static inline uint32_t jlog_size(const struct jlog *l)
{
	return l->end - l->first;
}

static inline uint32_t jlog_next(const struct jlog *l, uint32_t index)
{
	return index + 1 == l->end ? l->first : index + 1;
}

/* Where a block of the log lies, in bytes: 0, -EIO. */
int jlog_offset(const struct jlog *l, uint32_t index, uint64_t *offset);
int jlog_read(const struct jlog *l, uint32_t index, void *block);
int jlog_flush_log(const struct jlog *l);
int jlog_flush_home(const struct jlog *l);          /* the file system's device */

/* ---- blocks ---- */

struct jlog_tag { uint64_t block; uint32_t flags, checksum; };

void jlog_header_put(void *block, enum jbd2_type type, journal_tid tid);
bool jlog_header_is(const void *block, journal_tid tid); /* magic and transaction fit */
uint32_t jlog_type(const void *block);

uint32_t jlog_tags_max(const struct jlog *l);       /* of one descriptor block */
void jlog_tag_put(const struct jlog *l, uint8_t *at, const struct jlog_tag *t);
/* The tag at *at, which moves behind it; false: it does not fit before the block's end. */
bool jlog_tag_get(const struct jlog *l, const uint8_t *block, uint32_t *at, struct jlog_tag *t);
uint32_t jlog_data_checksum(const struct jlog *l, journal_tid tid, const void *block);
bool jlog_data_fits(const struct jlog *l, journal_tid tid, const void *block,
		    const struct jlog_tag *t);

uint32_t jlog_revokes_max(const struct jlog *l);    /* of one revoke block */
void jlog_revoke_put(const struct jlog *l, uint8_t *block, uint32_t number, uint64_t revoked);
/* How many a revoke block holds; 0 when its length makes no sense. */
uint32_t jlog_revoke_count(const struct jlog *l, const uint8_t *block);
uint64_t jlog_revoke_get(const struct jlog *l, const uint8_t *block, uint32_t number);

/* descriptor and revoke blocks: the checksum at the end */
void jlog_seal(const struct jlog *l, void *block);
bool jlog_is_sealed(const struct jlog *l, void *block);
void jlog_commit_put(const struct jlog *l, void *block, journal_tid tid, uint64_t wall_ns);
bool jlog_commit_is_sound(const struct jlog *l, void *block);

#endif
