/*
 * The log's superblock, and where the log's blocks lie.
 *
 * Everything that changes in it lies in its first 512 bytes, which a disk writes as a whole or not
 * at all; so it is rewritten in place, durably, and a cut leaves the old or the new one.
 */
#include <core/assert.h>
#include <core/crc.h>
#include <core/errno.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>

#include "jlog.h"

#define KNOWN                                                                                      \
	(JBD2_HAS_REVOKE | JBD2_64BIT | JBD2_ASYNC | JBD2_CSUM_V2 | JBD2_CSUM_V3 | JBD2_FAST_COMMIT)
#define BLOCKS_MIN 32u /* half of them for the ring */

int jlog_offset(const struct jlog *l, uint32_t index, uint64_t *offset)
{
	uint64_t block = 0;
	int error = l->place.map(l->place.arg, index, &block);

	if (error)
		return error;
	if (block >= l->place.dev->bytes / l->place.block_bytes)
		return -EIO;
	*offset = block * l->place.block_bytes;
	return 0;
}

int jlog_read(const struct jlog *l, uint32_t index, void *block)
{
	uint64_t offset = 0;
	int error = jlog_offset(l, index, &offset);

	return error ? error : blkdev_read(l->place.dev, offset, block, l->place.block_bytes);
}

int jlog_flush_log(const struct jlog *l)
{
	return l->no_barrier ? 0 : blkdev_flush(l->place.dev);
}

int jlog_flush_home(const struct jlog *l)
{
	return l->no_barrier ? 0 : blkdev_flush(l->place.buffers->dev);
}

/* ---- writing it ---- */

static uint32_t super_sum(struct jbd2_super *s)
{
	be32_t was = s->checksum;
	uint32_t sum;

	s->checksum = to_be32(0);
	sum = crc32c(~0u, s, sizeof(*s));
	s->checksum = was;
	return sum;
}

static int super_write(struct jlog *l)
{
	uint64_t offset = 0;
	int error = jlog_offset(l, 0, &offset);

	if (l->has_checksums)
		l->super->checksum = to_be32(super_sum(l->super));
	if (error)
		return error;
	return blkdev_write(l->place.dev, offset, l->super, l->place.block_bytes,
			    l->no_barrier ? 0 : BLK_FUA);
}

bool jlog_is_empty(const struct jlog *l)
{
	return be32(l->super->start) == 0;
}

int jlog_set_start(struct jlog *l, uint32_t start, journal_tid tid)
{
	l->super->start = to_be32(start);
	l->super->tid = to_be32(tid);
	return super_write(l);
}

int jlog_set_error(struct jlog *l, int error)
{
	l->super->error = to_be32((uint32_t)error);
	return super_write(l);
}

/* ---- reading it ---- */

static void features_follow(struct jlog *l)
{
	l->incompat = be32(l->super->incompat);
	l->wide = l->incompat & JBD2_64BIT;
	l->has_checksums = l->incompat & (JBD2_CSUM_V2 | JBD2_CSUM_V3);
	l->seed = crc32c(~0u, l->super->uuid, sizeof(l->super->uuid));
	l->tag_bytes = l->wide ? 12 : 8;
	if (l->incompat & JBD2_CSUM_V2)
		l->tag_bytes += 2;
	if (l->incompat & JBD2_CSUM_V3)
		l->tag_bytes = sizeof(struct jbd2_tag3);
}

void jlog_set_features(struct jlog *l, uint32_t add)
{
	struct jbd2_super *s = l->super;
	uint32_t incompat = l->incompat | add;

	assert(jlog_is_empty(l));
	if (add & JBD2_CSUM_V3) {
		incompat &= ~JBD2_CSUM_V2;
		s->compat = to_be32(be32(s->compat) & ~JBD2_COMPAT_CHECKSUM);
		s->checksum_type = JBD2_CRC32C;
	}
	/*
	 * Blocks of fast commits join the ring; and our commit blocks come last, so a replay may
	 * believe them.
	 */
	s->incompat = to_be32(incompat & ~(JBD2_FAST_COMMIT | JBD2_ASYNC));
	l->end = be32(s->blocks);
	features_follow(l);
}

static int damaged(const char *what, uint32_t value)
{
	log_error("journal: %s %u makes no sense", what, value);
	return -EUCLEAN;
}

static int check_features(const struct jbd2_super *s)
{
	uint32_t incompat = be32(s->incompat), v2_and_v3 = JBD2_CSUM_V2 | JBD2_CSUM_V3;

	if (be32(s->header.type) == JBD2_SUPER_V1) {
		log_error("journal: its superblock is of version 1, which has no revoke records");
		return -EOPNOTSUPP;
	}
	if ((incompat & ~KNOWN) || be32(s->ro_compat)) {
		log_error("journal: features 0x%x, 0x%x (ro) are not known", incompat & ~KNOWN,
			  be32(s->ro_compat));
		return -EOPNOTSUPP;
	}
	if ((incompat & JBD2_FAST_COMMIT) && be32(s->start)) {
		log_error(
			"journal: it may hold fast commits, which Linux replays when it mounts the disk");
		return -EOPNOTSUPP;
	}
	if ((incompat & JBD2_ASYNC) && !(incompat & v2_and_v3) && be32(s->start)) {
		log_error(
			"journal: asynchronous commits without checksums, which e2fsck can replay");
		return -EOPNOTSUPP;
	}
	if ((incompat & v2_and_v3) == v2_and_v3)
		return damaged("having checksums of two kinds, features", incompat);
	return 0;
}

static int check_checksum(struct jlog *l)
{
	if (!l->has_checksums)
		return 0;
	if (l->super->checksum_type != JBD2_CRC32C)
		return damaged("checksum type", l->super->checksum_type);
	if (be32(l->super->checksum) != super_sum(l->super))
		return damaged("the superblock's checksum", be32(l->super->checksum));
	return 0;
}

static int check_ring(struct jlog *l)
{
	const struct jbd2_super *s = l->super;
	uint32_t start = be32(s->start), fast = be32(s->fast_blocks);

	l->first = be32(s->first);
	l->end = be32(s->blocks);
	if (l->end > l->place.blocks || l->end < BLOCKS_MIN)
		return damaged("a length in blocks of", l->end);
	if (l->first < 1 || l->first > l->end - BLOCKS_MIN / 2)
		return damaged("a first block", l->first);
	if (l->incompat & JBD2_FAST_COMMIT) {
		fast = fast ? fast : JBD2_FAST_DEFAULT;
		if (fast > l->end - l->first - BLOCKS_MIN / 2)
			return damaged("a number of fast commit blocks", fast);
		l->end -= fast;
	}
	if (start && (start < l->first || start >= l->end))
		return damaged("a start at block", start);
	return 0;
}

static int check(struct jlog *l)
{
	const struct jbd2_super *s = l->super;
	uint32_t type = be32(s->header.type);
	int error;

	if (be32(s->header.magic) != JBD2_MAGIC ||
	    (type != JBD2_SUPER_V1 && type != JBD2_SUPER_V2)) {
		log_error("journal: no superblock of a journal where it should be");
		return -EUCLEAN;
	}
	if (be32(s->block_bytes) != l->place.block_bytes)
		return damaged("a block size of", be32(s->block_bytes));
	error = check_features(s);
	if (error)
		return error;
	features_follow(l);
	error = check_checksum(l);
	return error ? error : check_ring(l);
}

int jlog_open(struct jlog *l, const struct journal_place *p)
{
	int error;

	if (p->block_bytes < JBD2_SUPER_BYTES || p->block_bytes > PAGE_SIZE ||
	    p->blocks < BLOCKS_MIN)
		return -EUCLEAN;
	*l = (struct jlog){ .place = *p, .super = page_alloc_zero(0, PAGE_KERNEL) };
	if (!l->super)
		return -ENOMEM;
	error = jlog_read(l, 0, l->super);
	if (error)
		log_error("journal: its superblock cannot be read, error %d", error);
	else
		error = check(l);
	if (error)
		jlog_close(l);
	return error;
}

void jlog_close(struct jlog *l)
{
	page_free(l->super, 0);
	l->super = NULL;
}
