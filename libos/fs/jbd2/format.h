/*
 * The log on disk: structures and numbers of jbd2 (Linux,
 * Documentation/filesystems/ext4/journal.rst; names of its sections in brackets). All numbers are
 * big-endian, and no structure needs alignment.
 */
#ifndef JBD2_FORMAT_H
#define JBD2_FORMAT_H

#include <core/types.h>

/* Types of their own, so that none is used without turning it. */
typedef struct { uint8_t byte[2]; } be16_t;
typedef struct { uint8_t byte[4]; } be32_t;
typedef struct { uint8_t byte[8]; } be64_t;

static inline uint32_t be16(be16_t v)
{
	return (uint32_t)v.byte[0] << 8 | v.byte[1];
}

static inline uint32_t be32(be32_t v)
{
	return (uint32_t)v.byte[0] << 24 | (uint32_t)v.byte[1] << 16 | (uint32_t)v.byte[2] << 8 |
	       v.byte[3];
}

static inline be16_t to_be16(uint32_t v)
{
	return (be16_t){ { (uint8_t)(v >> 8), (uint8_t)v } };
}

static inline be32_t to_be32(uint32_t v)
{
	return (be32_t){ { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			   (uint8_t)v } };
}

static inline uint64_t be64(be64_t v)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 8; i++)
		n = n << 8 | v.byte[i];
	return n;
}

static inline be64_t to_be64(uint64_t v)
{
	be64_t out;

	for (unsigned i = 8; i--; v >>= 8)
		out.byte[i] = (uint8_t)v;
	return out;
}

/* ---- [Block Header] ---- */

#define JBD2_MAGIC 0xc03b3998u

enum jbd2_type {
	JBD2_DESCRIPTOR = 1,
	JBD2_COMMIT = 2,
	JBD2_SUPER_V1 = 3,
	JBD2_SUPER_V2 = 4,
	JBD2_REVOKE = 5,
};

struct jbd2_header { be32_t magic, type, tid; };

/* ---- [Super Block] ---- */

/* a checksum of the whole transaction in its commit block, of an older kind */
#define JBD2_COMPAT_CHECKSUM 0x1u

#define JBD2_HAS_REVOKE  0x01u
#define JBD2_64BIT       0x02u
/* a commit block may be there before its transaction: only checksums tell */
#define JBD2_ASYNC       0x04u
#define JBD2_CSUM_V2     0x08u
#define JBD2_CSUM_V3     0x10u
#define JBD2_FAST_COMMIT 0x20u /* the last blocks hold changes in a form of their own */

#define JBD2_CRC32C 4 /* checksum_type */

#define JBD2_SUPER_BYTES  1024u
#define JBD2_FAST_DEFAULT 256u /* blocks for fast commits when the superblock says 0 */

struct jbd2_super {
	struct jbd2_header header;
	be32_t block_bytes, blocks, first; /* of the log; first: where its ring begins */
	be32_t tid, start;                 /* where replay begins; start 0: nothing to replay */
	be32_t error;                      /* why it was aborted, as -errno */
	be32_t compat, incompat, ro_compat;
	uint8_t uuid[16];
	be32_t users, dynamic_super, max_transaction, max_data;
	uint8_t checksum_type, unused1[3];
	be32_t fast_blocks, head;
	uint8_t unused2[160];
	be32_t checksum;                   /* of these 1024 bytes, with itself as zero */
	uint8_t user_uuid[48][16];
};

_Static_assert(sizeof(struct jbd2_super) == JBD2_SUPER_BYTES, "as on disk");
_Static_assert(offsetof(struct jbd2_super, checksum) == 0xfc, "as on disk");

/* ---- [Descriptor Block] ---- */

#define JBD2_TAG_ESCAPED   1u /* the block began with JBD2_MAGIC, which is zeroes here */
#define JBD2_TAG_SAME_UUID 2u /* no UUID follows this tag */
#define JBD2_TAG_DELETED   4u
#define JBD2_TAG_LAST      8u

/* without JBD2_64BIT it ends before block_high; with JBD2_CSUM_V2, two bytes more */
struct jbd2_tag {
	be32_t block;
	be16_t checksum, flags;
	be32_t block_high;
};

struct jbd2_tag3 { be32_t block, flags, block_high, checksum; }; /* JBD2_CSUM_V3 */

#define JBD2_UUID_BYTES 16u
/* a checksum ends descriptor and revoke blocks, with JBD2_CSUM_V2 or V3 */
#define JBD2_TAIL_BYTES 4u

/* ---- [Revocation Block], [Commit Block] ---- */

struct jbd2_revoke {
	struct jbd2_header header;
	be32_t bytes; /* of the block that are used, this header with them */
};

struct jbd2_commit {
	struct jbd2_header header;
	uint8_t checksum_type, checksum_bytes, unused[2];
	be32_t checksum[8];
	be64_t seconds;
	be32_t nanoseconds;
};

#endif
