/*
 * Files whose bytes go through the journal (data=journal, or the inode's flag): a page on its way
 * to the disk becomes changes of buffers, a block each, in a handle that also turns the block into
 * a written one. So after a crash a block has its new bytes as a whole, or its old ones, or zeroes.
 *
 * Blocks stay unwritten until then, though pages may have bytes for them: whoever asks whether a
 * block holds anything counts unwritten ones in such files. Freed blocks are revoked as those of
 * metadata are, so that a replay does not bring their bytes back.
 */
#include "journaled.h"

#include <core/errno.h>
#include <core/string.h>

#include "extent_change.h"
#include "map.h"

bool journaled_is(const struct ext4_inode *i)
{
	const struct ext4_super *s = extent_super(i);

	if (!s->journal || inode_kind(&i->inode) != S_IFREG)
		return false;
	return s->options.data == EXT4_DATA_JOURNAL || i->flags & EXT4_FL_JOURNAL_DATA;
}

bool journaled_may_hold_bytes(const struct ext4_inode *i, const struct ext4_mapping *m)
{
	return m->kind == EXT4_MAPPED || m->kind == EXT4_DELAYED ||
	       (m->kind == EXT4_UNWRITTEN && journaled_is(i));
}

static int write_buffer(struct ext4_handle *h, struct ext4_inode *i, uint32_t at, uint64_t block,
			const uint8_t *bytes)
{
	struct buffer *b;
	uint32_t len;
	int error = ext4_buffer_make(h, block, &b);

	if (error)
		return error;
	memcpy(b->data, bytes, h->super->block_bytes);
	buffer_put(b);
	h->half = false; /* if the block stays an unwritten one, nobody sees them */
	error = map_set_written(h, i, at, 1, true, &len);
	i->sync_tid = i->datasync_tid = ext4_tid(h);
	return map_write_inode(h, i, error);
}

static int write_block(struct ext4_inode *i, uint32_t at, const uint8_t *bytes)
{
	struct ext4_mapping m;
	struct ext4_handle h;
	int error = ext4_map(i, at, 1, &m);

	if (error || m.kind == EXT4_HOLE) /* a part of the page that nobody has written to */
		return error;
	error = map_start(i, 1 + extent_credits(i), &h);
	return error ? error : ext4_stop_with(&h, write_buffer(&h, i, at, m.block, bytes));
}

int journaled_write_page(struct ext4_inode *i, uint64_t index, const uint8_t *bytes, size_t len)
{
	struct ext4_super *s = extent_super(i);
	uint32_t first = (uint32_t)(index << (PAGE_SHIFT - s->block_shift));
	int error = 0;

	for (uint32_t n = 0; !error && (size_t)n << s->block_shift < len; n++)
		error = write_block(i, first + n, bytes + ((size_t)n << s->block_shift));
	return error;
}

static int read_block(struct ext4_inode *i, uint32_t at, uint8_t *bytes)
{
	struct ext4_super *s = extent_super(i);
	struct ext4_mapping m;
	struct buffer *b;
	int error = ext4_map(i, at, 1, &m);

	if (error)
		return error;
	if (m.kind != EXT4_MAPPED) {
		memset(bytes, 0, s->block_bytes);
		return 0;
	}
	error = buffer_read(&s->buffers, m.block, &b);
	if (error)
		return error;
	memcpy(bytes, b->data, s->block_bytes);
	buffer_put(b);
	return 0;
}

int journaled_read_page(struct ext4_inode *i, uint64_t index, uint8_t *bytes)
{
	struct ext4_super *s = extent_super(i);
	uint32_t per_page = (uint32_t)PAGE_SIZE >> s->block_shift;
	int error = 0;

	if ((int64_t)(index << PAGE_SHIFT) >= map_max_size(i)) {
		memset(bytes, 0, PAGE_SIZE);
		return 0;
	}
	for (uint32_t n = 0; !error && n < per_page; n++)
		error = read_block(i, (uint32_t)(index * per_page) + n,
				   bytes + ((size_t)n << s->block_shift));
	return error;
}
