/*
 * Tags, revoke records and checksums of the log's blocks. Sizes depend on the log's features:
 *
 *   tag            8 bytes; 12 with 64BIT; two more with CSUM_V2; always 16 with CSUM_V3
 *   revoke record  4 bytes; 8 with 64BIT
 *   end of block   4 bytes of checksum with CSUM_V2 or CSUM_V3
 *
 * A checksum of data covers the block as it lies in the log, escaped or not.
 */
#include <core/crc.h>
#include <core/string.h>

#include "jlog.h"

void jlog_header_put(void *block, enum jbd2_type type, journal_tid tid)
{
	struct jbd2_header *h = block;

	*h = (struct jbd2_header){ to_be32(JBD2_MAGIC), to_be32(type), to_be32(tid) };
}

bool jlog_header_is(const void *block, journal_tid tid)
{
	const struct jbd2_header *h = block;

	return be32(h->magic) == JBD2_MAGIC && be32(h->tid) == tid;
}

uint32_t jlog_type(const void *block)
{
	return be32(((const struct jbd2_header *)block)->type);
}

/* Where the tags or records of a block end. */
static uint32_t limit(const struct jlog *l)
{
	return l->place.block_bytes - (l->has_checksums ? JBD2_TAIL_BYTES : 0);
}

/* ---- descriptors ---- */

uint32_t jlog_tags_max(const struct jlog *l)
{
	return (limit(l) - (uint32_t)sizeof(struct jbd2_header) - JBD2_UUID_BYTES) / l->tag_bytes;
}

void jlog_tag_put(const struct jlog *l, uint8_t *at, const struct jlog_tag *t)
{
	struct jbd2_tag3 tag3 = { to_be32((uint32_t)t->block), to_be32(t->flags),
				  to_be32((uint32_t)(t->block >> 32)), to_be32(t->checksum) };
	struct jbd2_tag tag = { tag3.block, to_be16(t->checksum), to_be16(t->flags),
				tag3.block_high };

	memset(at, 0, l->tag_bytes);
	if (l->incompat & JBD2_CSUM_V3)
		memcpy(at, &tag3, sizeof(tag3));
	else
		memcpy(at, &tag, l->wide ? sizeof(tag) : offsetof(struct jbd2_tag, block_high));
}

static void tag_decode(const struct jlog *l, const uint8_t *at, struct jlog_tag *t)
{
	struct jbd2_tag3 tag3;
	struct jbd2_tag tag = { 0 };

	if (l->incompat & JBD2_CSUM_V3) {
		memcpy(&tag3, at, sizeof(tag3));
		*t = (struct jlog_tag){ be32(tag3.block), be32(tag3.flags), be32(tag3.checksum) };
		tag.block_high = tag3.block_high;
	} else {
		memcpy(&tag, at, l->wide ? sizeof(tag) : offsetof(struct jbd2_tag, block_high));
		*t = (struct jlog_tag){ be32(tag.block), be16(tag.flags), be16(tag.checksum) };
	}
	if (l->wide)
		t->block |= (uint64_t)be32(tag.block_high) << 32;
}

bool jlog_tag_get(const struct jlog *l, const uint8_t *block, uint32_t *at, struct jlog_tag *t)
{
	if (*at + l->tag_bytes > limit(l))
		return false;
	tag_decode(l, block + *at, t);
	*at += l->tag_bytes;
	if (!(t->flags & JBD2_TAG_SAME_UUID))
		*at += JBD2_UUID_BYTES;
	return *at <= limit(l);
}

uint32_t jlog_data_checksum(const struct jlog *l, journal_tid tid, const void *block)
{
	be32_t number = to_be32(tid);

	if (!l->has_checksums)
		return 0;
	return crc32c(crc32c(l->seed, &number, sizeof(number)), block, l->place.block_bytes);
}

bool jlog_data_fits(const struct jlog *l, journal_tid tid, const void *block,
		    const struct jlog_tag *t)
{
	uint32_t sum = jlog_data_checksum(l, tid, block);

	if (!l->has_checksums)
		return true;
	return t->checksum == (l->incompat & JBD2_CSUM_V3 ? sum : (sum & 0xffff));
}

/* ---- revoke records ---- */

static uint32_t record_bytes(const struct jlog *l)
{
	return l->wide ? 8 : 4;
}

uint32_t jlog_revokes_max(const struct jlog *l)
{
	return (limit(l) - (uint32_t)sizeof(struct jbd2_revoke)) / record_bytes(l);
}

void jlog_revoke_put(const struct jlog *l, uint8_t *block, uint32_t number, uint64_t revoked)
{
	uint32_t at = (uint32_t)sizeof(struct jbd2_revoke) + number * record_bytes(l);
	be64_t wide = to_be64(revoked);
	be32_t narrow = to_be32((uint32_t)revoked);

	memcpy(block + at, l->wide ? (void *)&wide : (void *)&narrow, record_bytes(l));
	((struct jbd2_revoke *)block)->bytes = to_be32(at + record_bytes(l));
}

uint32_t jlog_revoke_count(const struct jlog *l, const uint8_t *block)
{
	uint32_t bytes = be32(((const struct jbd2_revoke *)block)->bytes);

	if (bytes < sizeof(struct jbd2_revoke) ||
	    (bytes > limit(l) && !planted(JOURNAL_REVOKE_LENGTH)))
		return 0;
	return (bytes - (uint32_t)sizeof(struct jbd2_revoke)) / record_bytes(l);
}

uint64_t jlog_revoke_get(const struct jlog *l, const uint8_t *block, uint32_t number)
{
	const uint8_t *at = block + sizeof(struct jbd2_revoke) + number * record_bytes(l);
	be64_t wide;
	be32_t narrow;

	if (!l->wide) {
		memcpy(&narrow, at, sizeof(narrow));
		return be32(narrow);
	}
	memcpy(&wide, at, sizeof(wide));
	return be64(wide);
}

/* ---- checksums of whole blocks: with the place of the sum itself as zero ---- */

static uint32_t sum_without(const struct jlog *l, void *block, be32_t *sum)
{
	be32_t was = *sum;
	uint32_t found;

	*sum = to_be32(0);
	found = crc32c(l->seed, block, l->place.block_bytes);
	*sum = was;
	return found;
}

static be32_t *tail(const struct jlog *l, void *block)
{
	return (be32_t *)((uint8_t *)block + l->place.block_bytes - JBD2_TAIL_BYTES);
}

void jlog_seal(const struct jlog *l, void *block)
{
	if (l->has_checksums)
		*tail(l, block) = to_be32(sum_without(l, block, tail(l, block)));
}

bool jlog_is_sealed(const struct jlog *l, void *block)
{
	return !l->has_checksums || be32(*tail(l, block)) == sum_without(l, block, tail(l, block));
}

void jlog_commit_put(const struct jlog *l, void *block, journal_tid tid, uint64_t wall_ns)
{
	struct jbd2_commit *c = block;

	memset(block, 0, l->place.block_bytes);
	jlog_header_put(block, JBD2_COMMIT, tid);
	c->seconds = to_be64(wall_ns / NSEC_PER_SEC);
	c->nanoseconds = to_be32((uint32_t)(wall_ns % NSEC_PER_SEC));
	if (l->has_checksums)
		c->checksum[0] = to_be32(sum_without(l, block, &c->checksum[0]));
}

bool jlog_commit_is_sound(const struct jlog *l, void *block)
{
	struct jbd2_commit *c = block;

	return !l->has_checksums || be32(c->checksum[0]) == sum_without(l, block, &c->checksum[0]);
}
