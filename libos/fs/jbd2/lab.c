/* For tests: logs made by hand; see lab.h. */
#include "lab.h"

#include <core/crc.h>
#include <core/errno.h>
#include <core/string.h>

static int map(void *arg, uint32_t index, uint64_t *block)
{
	struct lab *l = arg;

	*block = l->home_blocks + index;
	return index < l->log_blocks ? 0 : -EIO;
}

void lab_attach(struct lab *l, struct recdev *d, const struct lab *like)
{
	*l = *like;
	l->disk = d;
	l->journal = NULL;
	buffers_init(&l->buffers, &d->dev, like->place.block_bytes, like->home_blocks);
	l->place.buffers = &l->buffers;
	l->place.dev = &d->dev;
	l->place.arg = l;
}

void lab_make(struct lab *l, struct recdev *d, uint32_t block_bytes, uint32_t log_blocks,
	      uint32_t incompat)
{
	struct lab like = {
		.home_blocks = (uint32_t)(d->dev.bytes / block_bytes) - log_blocks,
		.log_blocks = log_blocks,
		.place = { .block_bytes = block_bytes, .blocks = log_blocks, .map = map },
	};
	struct jbd2_super super = {
		.header = { to_be32(JBD2_MAGIC), to_be32(JBD2_SUPER_V2), to_be32(0) },
		.block_bytes = to_be32(block_bytes), .blocks = to_be32(log_blocks),
		.first = to_be32(1), .tid = to_be32(1), .incompat = to_be32(incompat),
		.uuid = "the log's uuid", .checksum_type = JBD2_CRC32C,
	};

	super.checksum = to_be32(crc32c(~0u, &super, sizeof(super)));
	recdev_load(d, NULL);
	lab_attach(l, d, &like);
	memcpy(lab_home(l, l->home_blocks), &super, sizeof(super));
}

bool lab_set_up(struct lab *l, uint32_t incompat)
{
	static struct recdev *disk;

	disk = disk ? disk : recdev_create(LAB_DISK_BYTES);
	if (!disk)
		return false;
	lab_make(l, disk, LAB_BLOCK, LAB_LOG_BLOCKS, incompat);
	return lab_open(l) == 0;
}

int lab_open(struct lab *l)
{
	return journal_open(&l->place, &l->options, &l->journal);
}

int lab_close(struct lab *l)
{
	int error = l->journal ? journal_close(l->journal) : 0;

	l->journal = NULL;
	buffers_destroy(&l->buffers);
	return error;
}

uint8_t *lab_home(const struct lab *l, uint64_t block)
{
	return l->disk->bytes + block * l->place.block_bytes;
}

bool lab_is_filled(const struct lab *l, uint64_t block, uint8_t byte)
{
	const uint8_t *p = lab_home(l, block);

	for (uint32_t i = 0; i < l->place.block_bytes; i++) {
		if (p[i] != byte)
			return false;
	}
	return true;
}

int lab_fill(struct lab *l, struct journal_handle *h, uint64_t block, uint8_t byte)
{
	struct buffer *b;
	int error = buffer_read(&l->buffers, block, &b);

	if (error)
		return error;
	error = journal_write(h, b);
	if (!error)
		memset(b->data, byte, l->place.block_bytes);
	buffer_put(b);
	return error;
}

int lab_fill_one(struct lab *l, uint64_t block, uint8_t byte)
{
	struct journal_handle *h;
	int error = journal_start(l->journal, 1, &h), stopped;

	if (error)
		return error;
	error = lab_fill(l, h, block, byte);
	stopped = journal_stop(h);
	return error ? error : stopped;
}
