/*
 * What the rest hangs on: the superblock, or a copy of it when it is damaged, and the group
 * descriptors; and the blocks that both of them and the bitmaps and inode tables occupy.
 */
#include <core/crc.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>

#include "../ext4/bits.h"
#include "../ext4/group.h"
#include "fsck.h"

#define READ_BYTES 4096u

/* What may lie on a disk with others is not known, though a mount could ignore them. */
#define KNOWN_COMPAT                                                                               \
	(EXT4_COMPAT_DIR_PREALLOC | EXT4_COMPAT_HAS_JOURNAL | EXT4_COMPAT_EXT_ATTR |               \
	 EXT4_COMPAT_RESIZE_INODE | EXT4_COMPAT_DIR_INDEX | EXT4_COMPAT_SPARSE_SUPER2 |            \
	 EXT4_COMPAT_FAST_COMMIT | EXT4_COMPAT_STABLE_INODES | EXT4_COMPAT_ORPHAN_FILE)
#define KNOWN_RO                                                                                   \
	(EXT4_RO_SPARSE_SUPER | EXT4_RO_LARGE_FILE | EXT4_RO_HUGE_FILE | EXT4_RO_GDT_CSUM |        \
	 EXT4_RO_DIR_NLINK | EXT4_RO_EXTRA_ISIZE | EXT4_RO_METADATA_CSUM | EXT4_RO_READONLY |      \
	 EXT4_RO_ORPHAN_PRESENT)

const char *claim(struct fsck *f, uint64_t block, uint64_t count)
{
	if (!count || !ext4_blocks_are_valid(f->s, block, count))
		return "a block that is not on the disk";
	if (!bits_are(f->blocks, (uint32_t)block, (uint32_t)count, false))
		return "a block that something else has, too";
	bits_set(f->blocks, (uint32_t)block, (uint32_t)count);
	return NULL;
}

/* ---- the superblock ---- */

static int read_bytes(struct blkdev *d, uint64_t at, struct ext4_disk_super *out)
{
	uint64_t from = ALIGN_DOWN(at, READ_BYTES);
	uint8_t *bytes;
	int error;

	if (from + READ_BYTES > d->bytes)
		return -EINVAL;
	bytes = kmalloc(READ_BYTES);
	if (!bytes)
		return -ENOMEM;
	error = blkdev_read(d, from, bytes, READ_BYTES);
	if (!error)
		memcpy(out, bytes + (at - from), sizeof(*out));
	kfree(bytes);
	return error;
}

/*
 * Whether it may be one, before its fields are checked; of a disk that is cut short the copies say
 * no more than the superblock.
 */
static bool looks_like_copy(const struct ext4_disk_super *s, uint32_t log, uint32_t group,
			    uint64_t bytes)
{
	return s->magic == EXT4_MAGIC && s->log_block_size == log && s->block_group_nr == group &&
	       ext4_super_bytes(s) <= bytes;
}

/* Looks in groups of `blocks` blocks of 1024 << log bytes. The group, or 0. */
static uint32_t find_copy(struct blkdev *d, uint32_t log, uint64_t blocks,
			  struct ext4_disk_super *out)
{
	static const uint32_t groups[] = { 1, 3, 5, 7, 9, 25, 27, 49 };
	uint64_t block = 1024u << log;

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		uint64_t at = groups[i] * blocks * block + (log ? 0 : block);

		if (!read_bytes(d, at, out) && looks_like_copy(out, log, groups[i], d->bytes) &&
		    !ext4_super_check(d, out))
			return groups[i];
	}
	return 0;
}

/*
 * A copy lies at the beginning of some groups: of the usual size, or of what the damaged superblock
 * says.
 */
uint32_t super_read_copy(struct blkdev *d, struct ext4_disk_super *out)
{
	uint32_t said = 0, group = 0;

	if (!read_bytes(d, EXT4_SUPER_OFFSET, out))
		said = out->blocks_per_group;
	for (uint32_t log = 0; log <= 2 && !group; log++) {
		group = find_copy(d, log, (1024u << log) * 8, out);
		if (!group && said)
			group = find_copy(d, log, said, out);
	}
	return group;
}

static int read_super(struct fsck *f, struct blkdev *d, struct ext4_disk_super *out)
{
	int error = f->super_error ? f->super_error : ext4_super_read(d, out, NULL);
	uint32_t group;

	if (error != -EUCLEAN && error != -EINVAL)
		return error;
	group = super_read_copy(d, out);
	if (group)
		damage(f, "The superblock is damaged; the rest is judged by its copy in group %u.",
		       group);
	f->from_copy = group;
	return group ? 0 : error;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	while (len && !bytes[len - 1])
		len--;
	return !len;
}

/* What cannot mislead the file system, but is wrong all the same. */
static void check_super(struct fsck *f)
{
	const struct ext4_disk_super *d = f->s->disk;
	uint64_t reserved = d->reserved_blocks_lo;

	if (ext4_has_incompat(f->s, EXT4_INCOMPAT_64BIT))
		reserved |= (uint64_t)d->reserved_blocks_hi << 32;
	if (reserved > f->s->blocks / 2)
		damage(f, "The superblock reserves more than half of the blocks.");
	if (d->rev_level && f->s->inode_bytes > EXT4_INODE_BYTES_OLD &&
	    MAX(d->min_extra_isize, d->want_extra_isize) > f->s->inode_bytes - EXT4_INODE_BYTES_OLD)
		say(f,
		    "Remark: the superblock wants more fields in inodes than there is room for.");
	if (ext4_has_compat(f->s, EXT4_COMPAT_HAS_JOURNAL) && !is_zero(d->journal_uuid, 16))
		damage(f, "The superblock names a journal on another disk beside its own.");
	if (d->log_groups_per_flex > 31)
		damage(f, "The superblock makes groups of an impossible number of groups.");
	if (d->desc_size & (d->desc_size - 1))
		damage(f, "The superblock says an impossible size of descriptors.");
	if (d->errors < EXT4_ERRORS_CONTINUE || d->errors > EXT4_ERRORS_PANIC)
		say(f, "Remark: the superblock does not say what to do about errors.");
	if (d->state & EXT4_STATE_ERRORS)
		say(f, "Remark: the superblock says that damage was found earlier.");
}

static int hold_super(struct fsck *f, const struct ext4_disk_super *d)
{
	struct ext4_super *s = f->s;
	int error;

	ext4_geometry_set(s, d);
	error = buffers_init(&s->buffers, s->dev, s->block_bytes, s->blocks);
	if (error)
		return error;
	error = buffer_read(&s->buffers, EXT4_SUPER_OFFSET >> s->block_shift, &s->super_buffer);
	if (error)
		return error;
	s->disk = (struct ext4_disk_super *)(void *)(s->super_buffer->data +
						     EXT4_SUPER_OFFSET % s->block_bytes);
	memcpy(s->disk, d, sizeof(*d));
	check_super(f);
	return 0;
}

int refuse_unknown(struct blkdev *dev, const struct ext4_disk_super *d)
{
	uint32_t compat = d->feature_compat & ~KNOWN_COMPAT, ro = d->feature_ro_compat & ~KNOWN_RO;
	bool read_only = true;
	int error = ext4_features_check(dev, d, &read_only);
	char text[200];

	if (error)
		return error;
	if (compat || ro) {
		ext4_features_name(text, sizeof(text), compat, 0, ro);
		log_error("fsck: %s uses what cannot be checked here: %s", dev->name, text);
		return -EOPNOTSUPP;
	}
	if (d->feature_compat & EXT4_COMPAT_HAS_JOURNAL && !d->journal_inum && d->journal_dev) {
		log_error("fsck: %s has its journal on another disk, which cannot be checked here",
			  dev->name);
		return -EOPNOTSUPP;
	}
	return 0;
}

int disk_open(struct fsck *f, struct blkdev *dev)
{
	struct ext4_disk_super *d = kmalloc(sizeof(*d));
	int error;

	f->s = kzalloc(sizeof(*f->s));
	error = f->s && d ? read_super(f, dev, d) : -ENOMEM;
	if (!error)
		error = refuse_unknown(dev, d);
	if (!error) {
		f->s->dev = dev;
		f->s->vfs = &f->vfs;
		f->s->options.read_only = true;
		f->vfs.own = f->s;
		f->vfs.flags = MS_RDONLY;
		ext4_icache_init(f->s);
		mutex_init(&f->s->super_lock);
		error = hold_super(f, d);
	}
	kfree(d);
	return error;
}

void disk_close(struct fsck *f)
{
	struct ext4_super *s = f->s;

	for (uint32_t n = 0; s && s->group && n < s->groups; n++)
		buffer_put(s->group[n].buffer);
	if (s)
		kfree(s->group);
	if (s)
		buffer_put(s->super_buffer);
	if (s && s->buffers.dev)
		buffers_destroy(&s->buffers);
	kfree(s);
}

/* ---- descriptors ---- */

/* Bitmaps are uninitialised only where descriptors have checksums. */
static bool has_idle_flags(const struct fsck *f, uint32_t group)
{
	const struct ext4_group *g = &f->s->group[group];

	return !group_has_checksum(f->s) &&
	       (g->desc->flags & (EXT4_GROUP_INODE_UNINIT | EXT4_GROUP_BLOCK_UNINIT) ||
		g->itable_unused);
}

static bool open_groups_of(struct fsck *f, uint32_t n)
{
	struct ext4_super *s = f->s;
	uint32_t per = s->block_bytes / s->desc_bytes, group = n * per,
		 end = MIN(s->groups, group + per);
	uint64_t at = group_desc_block_at(s, n);
	struct buffer *b;
	bool sane = true;

	if (!ext4_blocks_are_valid(s, at, 1)) {
		damage(f, "The descriptors of group %u lie behind the end of the disk.", group);
		return false;
	}
	b = fsck_read(f, at);
	for (; b && group < end; group++) {
		const char *fault = group_load(s, group, b);

		if (fault)
			damage(f, "The descriptor of group %u is damaged (%s).", group, fault);
		if (has_idle_flags(f, group))
			damage(f, "The descriptor of group %u calls uninitialised what cannot be.",
			       group);
		sane = sane && group_places_are_sane(s, group);
	}
	buffer_put(b);
	return b && sane;
}

bool disk_open_groups(struct fsck *f)
{
	bool sane = true;

	f->s->group = kzalloc((size_t)f->s->groups * sizeof(*f->s->group));
	if (!f->s->group)
		return !has_failed(f, -ENOMEM);
	for (uint32_t n = 0; n < group_desc_blocks(f->s) && !f->error; n++)
		sane = open_groups_of(f, n) && sane;
	if (!sane && !f->error)
		say(f, "So inodes cannot be found, and nothing else was looked at.");
	return sane && !f->error;
}

static void claim_for(struct fsck *f, uint32_t group, uint64_t block, uint64_t count,
		      const char *what)
{
	const char *fault = count ? claim(f, block, count) : NULL;

	if (fault)
		damage(f, "The %s of group %u at block %llu: %s.", what, group,
		       (unsigned long long)block, fault);
}

void disk_claim_groups(struct fsck *f)
{
	struct ext4_super *s = f->s;

	for (uint32_t g = 0; g < s->groups; g++) {
		uint64_t first = ext4_group_first_block(s, g),
			 base = MIN(group_base_blocks(s, g), ext4_group_blocks(s, g));

		if (first == 0 && base) /* where the disk begins, which claim() gives nobody */
			bits_set(f->blocks, 0, 1);
		if (base)
			bits_set(f->blocks, (uint32_t)first, (uint32_t)base);
	}
	for (uint32_t g = 0; g < s->groups; g++) {
		claim_for(f, g, s->group[g].block_bitmap, 1, "block bitmap");
		claim_for(f, g, s->group[g].inode_bitmap, 1, "inode bitmap");
		claim_for(f, g, s->group[g].inode_table, s->inodes_per_group / s->inodes_per_block,
			  "inode table");
	}
}
