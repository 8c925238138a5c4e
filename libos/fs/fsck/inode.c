/*
 * Pass 1: every inode that is in use, by itself: its checksum, kind, size, times, and the blocks it
 * says it has.
 *
 * An inode is in use when it has links; those of the file system's own (below first_ino) always
 * are. Parts of the inode tables that descriptors call unused are not read; an entry that leads
 * there is found in pass 2.
 */
#include <core/errno.h>
#include <core/string.h>

#include "../ext4/group.h"
#include "../ext4/xattr.h"
#include "fsck.h"

uint64_t inode_size(const struct ext4_disk_inode *raw)
{
	return raw->size_lo | (uint64_t)raw->size_hi << 32;
}

void inode_fault(struct fsck *f, uint32_t ino, const char *what)
{
	damage(f, "Inode %u: %s.", ino, what);
}

static uint8_t type_of(uint32_t mode)
{
	for (uint8_t type = EXT4_FT_REG; type < EXT4_FT_COUNT; type++) {
		if (mode_of_type(type) == (mode & S_IFMT))
			return type;
	}
	return EXT4_FT_UNKNOWN;
}

static bool is_zero(const void *p, size_t len)
{
	const uint8_t *bytes = p;

	while (len && !*bytes)
		len--, bytes++;
	return !len;
}

/* ---- what an inode is ---- */

static bool has_inline_data(const struct ext4_disk_inode *raw)
{
	return raw->flags & EXT4_FL_INLINE_DATA;
}

/* A link whose target lies where others have their block map. */
static bool is_fast_link(const struct ext4_disk_inode *raw)
{
	return (raw->mode & S_IFMT) == S_IFLNK &&
	       !(raw->flags & (EXT4_FL_EXTENTS | EXT4_FL_INLINE_DATA)) && !raw->size_hi &&
	       raw->size_lo < EXT4_INODE_BLOCK_BYTES;
}

static bool has_blocks(const struct ext4_disk_inode *raw)
{
	uint32_t kind = raw->mode & S_IFMT;

	return (kind == S_IFREG || kind == S_IFDIR || kind == S_IFLNK) && !has_inline_data(raw) &&
	       !is_fast_link(raw);
}

static const char *flags_fault(const struct fsck *f, const struct ext4_disk_inode *raw)
{
	uint32_t kind = raw->mode & S_IFMT;
	bool plain = kind == S_IFREG || kind == S_IFDIR || kind == S_IFLNK;

	if (raw->flags & EXT4_FL_EXTENTS && !ext4_has_incompat(f->s, EXT4_INCOMPAT_EXTENTS))
		return "it has extents, which this file system does not have";
	if (has_inline_data(raw) && !ext4_has_incompat(f->s, EXT4_INCOMPAT_INLINE_DATA))
		return "its bytes lie in it, which this file system does not do";
	if (has_inline_data(raw) && raw->flags & EXT4_FL_EXTENTS)
		return "its bytes lie in it and in extents";
	if (raw->flags & EXT4_FL_ENCRYPT) /* no disk with encryption comes this far */
		return "it is said to be encrypted, which this file system does not do";
	if (raw->flags & EXT4_FL_CASEFOLD && !ext4_has_incompat(f->s, EXT4_INCOMPAT_CASEFOLD))
		return "it is said to fold the case of names, which this file system does not do";
	if (raw->flags & EXT4_FL_INDEX &&
	    (kind != S_IFDIR || !ext4_has_compat(f->s, EXT4_COMPAT_DIR_INDEX)))
		return "it has an index, and cannot have one";
	if (!plain && raw->flags & (EXT4_FL_EXTENTS | EXT4_FL_INLINE_DATA | EXT4_FL_INDEX))
		return "it is a device, pipe or socket, and has bytes";
	if (kind != S_IFREG && kind != S_IFDIR && raw->flags & (EXT4_FL_IMMUTABLE | EXT4_FL_APPEND))
		return "it is no file, and may only be appended to, or not be changed";
	return NULL;
}

static bool is_before_1901(uint32_t seconds, uint32_t extra)
{
	return seconds & 0x80000000u && (extra & 3) == 3;
}

static const char *extra_fault(const struct fsck *f, const struct ext4_disk_inode *raw)
{
	uint32_t room = f->s->inode_bytes - EXT4_INODE_BYTES_OLD, extra;

	if (!room || !raw->extra_isize)
		return NULL;
	extra = raw->extra_isize;
	if (extra < 4 || extra > room || extra % 4)
		return "the size of its further fields is impossible";
	if ((extra >= 8 && is_before_1901(raw->ctime, raw->ctime_extra)) ||
	    (extra >= 12 && is_before_1901(raw->mtime, raw->mtime_extra)) ||
	    (extra >= 16 && is_before_1901(raw->atime, raw->atime_extra)) ||
	    (extra >= 24 && is_before_1901(raw->crtime, raw->crtime_extra)))
		return "one of its times lies before 1901";
	return NULL;
}

static const char *fields_fault(const struct fsck *f, const struct ext4_disk_inode *raw)
{
	const char *fault = flags_fault(f, raw);

	if (!fault)
		fault = extra_fault(f, raw);
	if (fault)
		return fault;
	if (raw->dtime)
		return "it has links, and a time of deletion";
	if (raw->obsolete_faddr)
		return "it has a fragment, which nothing has any more";
	if (raw->blocks_hi && !ext4_has_ro(f->s, EXT4_RO_HUGE_FILE))
		return "its count of blocks is too wide for this file system";
	if (raw->file_acl_hi && !ext4_has_incompat(f->s, EXT4_INCOMPAT_64BIT))
		return "its block of attributes lies too far for this file system";
	return NULL;
}

/* ---- sizes ---- */

static const char *dir_size_fault(const struct fsck *f, const struct walk *w, uint64_t size)
{
	uint64_t blocks = size >> f->s->block_shift;

	if (size % f->s->block_bytes || !size ||
	    (size >> 32 && !ext4_has_incompat(f->s, EXT4_INCOMPAT_LARGEDIR)))
		return "the size of the directory is impossible";
	if (w->end != blocks)
		return "the size of the directory is not that of its blocks";
	return w->unwritten ? "the directory has blocks that were never written" : NULL;
}

static const char *file_size_fault(const struct fsck *f, const struct walk *w, uint64_t size)
{
	unsigned shift = f->s->block_shift;
	uint64_t per = 1ull << (shift - 2), mapped = 12 + per + per * per + per * per * per;

	if (size >> 63)
		return "its size is impossible";
	/* In a block map the block that begins at the end may be there. */
	if (w->written_end && size + !(w->raw->flags & EXT4_FL_EXTENTS) <= (w->written_end - 1)
										   << shift)
		return "it has blocks behind its end";
	if (w->raw->flags & EXT4_FL_EXTENTS ? size > (1ull << (32 + shift)) - 1
					    : size > mapped << shift)
		return "its size is more than it can map";
	return NULL;
}

/* The number of 512-byte units, or of blocks, that the inode says it has. */
bool block_count_is_right(const struct fsck *f, const struct ext4_disk_inode *raw, uint64_t blocks)
{
	uint64_t said = raw->blocks_lo;

	if (ext4_has_ro(f->s, EXT4_RO_HUGE_FILE))
		said |= (uint64_t)raw->blocks_hi << 32;
	if (raw->flags & EXT4_FL_HUGE_FILE && ext4_has_ro(f->s, EXT4_RO_HUGE_FILE))
		return said == blocks;
	return said == blocks << (f->s->block_shift - 9);
}

static const char *inline_fault(struct fsck *f, const struct ext4_disk_inode *raw)
{
	static const struct xattr_name data = { 7, "data", 4 };
	struct ext4_disk_xattr *x;
	const char *fault = NULL;
	struct xattr_area a;

	if (xattr_in_inode(f->s, raw, &a))
		return "its bytes should lie in it, and there is no place for them";
	x = xattr_find(&a, &data, &fault);
	if (!x && !fault)
		return "its bytes should lie in it, and there is no place for them";
	if (!fault && inode_size(raw) > EXT4_INODE_BLOCK_BYTES + (uint64_t)x->value_size)
		return "its size is more than lies in it";
	return fault;
}

/* ---- one inode ---- */

static const char *link_fault(struct fsck *f, const struct ext4_disk_inode *raw)
{
	uint64_t size = inode_size(raw);

	if (is_fast_link(raw))
		return size && str_length_max((const char *)raw->block, EXT4_INODE_BLOCK_BYTES) ==
					       size
			       ? NULL
			       : "the text of the link has another length than it says";
	return size && size < f->s->block_bytes ? NULL : "the length of the link is impossible";
}

static bool link_visit(struct walk *w, uint64_t first, uint64_t block, uint32_t len, bool unwritten)
{
	struct buffer *b = first == 0 && len == 1 && !unwritten ? fsck_read(w->f, block) : NULL;
	bool right = b && str_length_max((const char *)b->data, w->f->s->block_bytes) ==
				  inode_size(w->raw);

	buffer_put(b);
	return right;
}

static const char *blocks_fault(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw,
				uint32_t kind)
{
	struct walk w = {
		.f = f, .ino = ino, .raw = raw, .claims = true,
		.seed = ext4_inode_seed(f->s, ino, raw->generation),
		.visit = kind == S_IFLNK ? link_visit : NULL,
	};
	const char *fault = has_blocks(raw) ? walk_blocks(&w) : NULL;

	if (fault) {
		seen(f, ino)->broken = true;
		return *fault ? fault : "the text of the link has another length than it says";
	}
	if (has_blocks(raw))
		fault = kind == S_IFDIR ? dir_size_fault(f, &w, inode_size(raw)) :
			file_size_fault(f, &w, inode_size(raw));
	if (fault)
		return fault;
	w.blocks += raw->file_acl_lo || raw->file_acl_hi;
	return block_count_is_right(f, raw, w.blocks) ? NULL : "its count of blocks is wrong";
}

static const char *kind_fault(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw)
{
	uint32_t kind = raw->mode & S_IFMT;

	if (!seen(f, ino)->type)
		return "its mode is none";
	if (has_inline_data(raw))
		return inline_fault(f, raw);
	if (kind == S_IFLNK)
		return link_fault(f, raw);
	if (kind != S_IFREG && kind != S_IFDIR && inode_size(raw))
		return "it is a device, pipe or socket, and has a size";
	return NULL;
}

static void note_attr_block(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw)
{
	struct attr_ref *r;
	uint64_t block = raw->file_acl_lo | (uint64_t)raw->file_acl_hi << 32;

	if (!block)
		return;
	r = rows_add(f, &f->attrs, sizeof(*r));
	if (r)
		*r = (struct attr_ref){ block, ino };
}

static void note_dir(struct fsck *f, uint32_t ino)
{
	struct seen_dir *d = rows_add(f, &f->dirs, sizeof(*d));

	if (d)
		d->ino = ino;
}

static void check_used(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw)
{
	const char *fault = fields_fault(f, raw);

	if (!fault)
		fault = kind_fault(f, ino, raw);
	if (fault)
		inode_fault(f, ino, fault);
	fault = blocks_fault(f, ino, raw, raw->mode & S_IFMT);
	if (fault && !f->error)
		inode_fault(f, ino, fault);
	if ((raw->mode & S_IFMT) == S_IFREG && inode_size(raw) >> 31)
		f->large_file = true;
	note_attr_block(f, ino, raw);
	check_inode_attrs(f, ino, raw);
}

static void check_inode(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw)
{
	struct seen_inode *seen_inode = seen(f, ino);
	bool own = ino < f->s->first_ino && ino != EXT4_ROOT_INO,
	     empty = is_zero(raw, EXT4_INODE_BYTES_OLD);

	seen_inode->used = raw->links_count || ino < f->s->first_ino;
	seen_inode->links = raw->links_count;
	seen_inode->type = type_of(raw->mode);
	seen_inode->indexed = raw->flags & EXT4_FL_INDEX;
	if (!empty && !inode_csum_is_right(f->s, ext4_inode_seed(f->s, ino, raw->generation), raw))
		inode_fault(f, ino, "its checksum is wrong");
	if (!raw->links_count && ino == EXT4_ROOT_INO)
		inode_fault(f, ino, "it should be the root, and has no links");
	if (!raw->links_count && !own && raw->mode && !raw->dtime)
		inode_fault(f, ino, "it has no links, and no time of deletion");
	if (!raw->links_count && !own && raw->dtime && raw->dtime < f->s->inodes)
		inode_fault(f, ino, "it was on the list of orphans, and is not any more");
	if (!raw->links_count && own && ino == EXT4_JOURNAL_INO && f->s->disk->journal_inum == ino)
		inode_fault(f, ino, "it should be the journal, and has no links");
	if (seen_inode->type == EXT4_FT_DIR && raw->links_count)
		note_dir(f, ino);
	if (ino == EXT4_RESIZE_INO && ext4_has_compat(f->s, EXT4_COMPAT_RESIZE_INODE))
		check_resize(f, ino, raw);
	else if (raw->links_count)
		check_used(f, ino, raw);
}

/* ---- the tables ---- */

static void check_table(struct fsck *f, uint32_t group)
{
	struct ext4_super *s = f->s;
	const struct ext4_group *g = &s->group[group];
	bool lazy = group_has_checksum(s);
	uint32_t count = s->inodes_per_group -
			 (lazy ? MIN(g->itable_unused, s->inodes_per_group) : 0);
	uint32_t table = DIV_ROUND_UP(count, s->inodes_per_block);

	if (lazy && g->desc->flags & EXT4_GROUP_INODE_UNINIT)
		return;
	for (uint32_t i = 0; i < table && !f->error; i++) {
		uint32_t end = MIN(s->inodes_per_block, count - i * s->inodes_per_block);
		struct buffer *b;

		if (i % 32 == 0)
			buffers_read_ahead(&s->buffers, g->inode_table + i, MIN(32u, table - i));
		b = fsck_read(f, g->inode_table + i);
		for (uint32_t n = 0; b && n < end; n++)
			check_inode(
				f, group * s->inodes_per_group + i * s->inodes_per_block + n + 1,
				(const struct ext4_disk_inode *)(const void *)(b->data +
									       n * s->inode_bytes));
		buffer_put(b);
	}
}

void check_inodes(struct fsck *f)
{
	for (uint32_t ino = 1; ino < f->s->first_ino; ino++)
		seen(f, ino)->used = true;
	for (uint32_t g = 0; g < f->s->groups && !f->error; g++)
		check_table(f, g);
	if (f->large_file && !ext4_has_ro(f->s, EXT4_RO_LARGE_FILE))
		damage(f, "There are files of 2 GiB or more, and the superblock does not say so.");
}
