/*
 * Fuzzing recovery: hostile logs (clang's libFuzzer). An input is a list of small strokes on an
 * empty log; superblock and block checksums are put right afterwards, so that they keep nothing
 * from being looked at. The disk is an array here, its buffers are its blocks, and what is written
 * must lie in it.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/crc.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>

#include "recovery.h"

#define BLOCK  1024u
#define HOME   64u
#define LOG    48u
#define BLOCKS (HOME + LOG)

static uint8_t disk[BLOCKS][BLOCK];
static struct blkdev device = { .bytes = sizeof(disk), .block_bytes = 512 };
static struct buffer_cache cache = { .dev = &device, .block_bytes = BLOCK, .blocks = HOME };
static struct buffer held;
enum log_level log_threshold = LOG_ERROR;

/* ---- what recovery stands on ---- */

int blkdev_read(struct blkdev *d, uint64_t offset, void *buf, size_t len)
{
	if (offset > d->bytes || len > d->bytes - offset)
		abort();
	memcpy(buf, (uint8_t *)disk + offset, len);
	return 0;
}

int blkdev_write(struct blkdev *d, uint64_t offset, const void *buf, size_t len, uint32_t flags)
{
	if (offset > d->bytes || len > d->bytes - offset || !(flags & BLK_FUA))
		abort();
	memcpy((uint8_t *)disk + offset, buf, len);
	return 0;
}

int blkdev_flush(struct blkdev *d)
{
	return d == &device ? 0 : -EIO;
}

int buffer_make(struct buffer_cache *c, uint64_t block, struct buffer **out)
{
	if (block >= c->blocks)
		return -EIO;
	held.block = block;
	held.data = disk[block];
	*out = &held;
	return 0;
}

int buffer_mark_dirty(struct buffer *b)
{
	(void)b;
	return 0;
}

void buffer_put(struct buffer *b)
{
	(void)b;
}

int buffers_write(struct buffer_cache *c)
{
	return c == &cache ? 0 : -EIO;
}

void *page_alloc(unsigned order, enum page_owner owner)
{
	(void)owner;
	return malloc(PAGE_SIZE << order);
}

void *page_alloc_zero(unsigned order, enum page_owner owner)
{
	(void)owner;
	return calloc(1, PAGE_SIZE << order);
}

void *page_alloc_exact(size_t bytes, enum page_owner owner)
{
	(void)owner;
	return malloc(bytes);
}

void page_free(void *block, unsigned order)
{
	(void)order;
	free(block);
}

void page_free_exact(void *p, size_t bytes)
{
	(void)bytes;
	free(p);
}

void *kzalloc(size_t bytes)
{
	return calloc(1, bytes);
}

void kfree(void *p)
{
	free(p);
}

bool journal_tid_reached(journal_tid now, journal_tid wanted)
{
	return (int32_t)(now - wanted) >= 0;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void assert_failed(const char *text, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, text);
	abort();
}

/* ---- the log of an input ---- */

struct input {
	const uint8_t *at, *end;
	uint32_t block, tid; /* where the log goes on, and in which transaction */
};

static uint32_t take(struct input *in, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes-- && in->at < in->end)
		value = value << 8 | *in->at++;
	return value;
}

static void put(uint32_t block, uint32_t at, const void *bytes, size_t len)
{
	at %= BLOCK;
	memcpy(disk[HOME + block % LOG] + at, bytes, MIN(len, BLOCK - at));
}

static void put_word(uint32_t block, uint32_t at, uint32_t value)
{
	be32_t word = to_be32(value);

	put(block, at, &word, sizeof(word));
}

/* The next block begins; mostly one that continues the sequence. */
static void put_header(struct input *in)
{
	static const uint8_t types[] = { JBD2_DESCRIPTOR, JBD2_REVOKE, JBD2_COMMIT,
					 JBD2_DESCRIPTOR };
	uint32_t kind = take(in, 1);
	uint32_t type = kind < 0xf0 ? types[kind % ARRAY_SIZE(types)] : kind % 7;
	struct jbd2_header h = { to_be32(JBD2_MAGIC), to_be32(type), to_be32(in->tid) };

	put(++in->block, 0, &h, sizeof(h));
	in->tid += type == JBD2_COMMIT;
}

/* A tag as version 3 has it, or without checksums. */
static void put_tag(struct input *in)
{
	uint32_t at = sizeof(struct jbd2_header) + take(in, 1) * 4, home = take(in, 2),
		 flags = take(in, 1);
	struct jbd2_tag3 t = { to_be32(home), to_be32(flags), to_be32(0), to_be32(0) };

	put(in->block, at, &t, flags & 0x80 ? sizeof(t) : 8);
}

static void stroke(struct input *in)
{
	uint32_t kind = take(in, 1), at;

	switch (kind % 6) {
	case 0:
		put_header(in);
		break;
	case 1:
		put_tag(in);
		break;
	case 2:
		put_word(in->block, sizeof(struct jbd2_header),
			 take(in, 2)); /* how long a revoke block is */
		break;
	case 3:
		at = take(in, 2);
		put_word(in->block, at, take(in, 4));
		break;
	case 4:
		in->block += take(in, 1) % 4; /* data */
		break;
	default:
		in->tid += take(in, 1);
	}
}

static void put_super(struct input *in)
{
	struct jbd2_super s = {
		.header = { to_be32(JBD2_MAGIC), to_be32(JBD2_SUPER_V2), to_be32(0) },
		.block_bytes = to_be32(BLOCK), .blocks = to_be32(LOG), .first = to_be32(1),
		.tid = to_be32(in->tid), .start = to_be32(in->block + 1),
		.incompat = to_be32(take(in, 1) % 0x20), .checksum_type = JBD2_CRC32C,
	};

	s.checksum = to_be32(crc32c(~0u, &s, sizeof(s)));
	put(0, 0, &s, sizeof(s));
}

static void seal_blocks(const struct jlog *l)
{
	for (uint32_t i = 1; i < LOG; i++) {
		struct jbd2_commit *c = (void *)disk[HOME + i];

		if (be32(c->header.magic) != JBD2_MAGIC)
			continue;
		if (jlog_type(c) == JBD2_COMMIT)
			jlog_commit_put(l, c, be32(c->header.tid), 0);
		else
			jlog_seal(l, c);
	}
}

static int map(void *arg, uint32_t index, uint64_t *block)
{
	(void)arg;
	*block = HOME + index;
	return index < LOG ? 0 : -EIO;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_place place = {
		.buffers = &cache, .dev = &device, .block_bytes = BLOCK, .blocks = LOG, .map = map
	};
	struct input in = { data, data + size, 0, 0 };
	struct journal_replay found;
	struct jlog l;
	journal_tid next;

	memset(disk, 0, sizeof(disk));
	in.tid = take(&in, 1);
	in.block = take(&in, 1) % LOG;
	put_super(&in);
	while (in.at < in.end)
		stroke(&in);
	if (jlog_open(&l, &place) != 0)
		return 0;
	seal_blocks(&l);
	if (jlog_recover(&l, &found, &next) == 0 && (found.blocks > LOG || !jlog_is_empty(&l)))
		abort();
	jlog_close(&l);
	return 0;
}
