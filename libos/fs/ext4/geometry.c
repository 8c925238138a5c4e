/*
 * The superblock as it comes from a disk that nobody vouches for: every field that something is
 * computed from is checked here once, so that the rest of the file system may divide, shift and
 * index by it (super.rst).
 */
#include <core/crc.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>

#include "super.h"

#define SECTOR       4096u
#define LOG_BLOCK_MAX 2u                 /* 4 KiB */
#define BLOCKS_MAX   (UINT64_C(1) << 48) /* what an extent can name */

static uint64_t count_of(const struct ext4_disk_super *d, uint32_t lo, uint32_t hi)
{
	return lo | (d->feature_incompat & EXT4_INCOMPAT_64BIT ? (uint64_t)hi << 32 : 0);
}

static uint64_t blocks_of(const struct ext4_disk_super *d)
{
	return count_of(d, d->blocks_count_lo, d->blocks_count_hi);
}

uint64_t ext4_super_bytes(const struct ext4_disk_super *d)
{
	return blocks_of(d) << (10 + d->log_block_size);
}

/* What is wrong with the superblock, or NULL. */
static const char *fault_of_sizes(const struct ext4_disk_super *d)
{
	uint32_t block = 1024u << d->log_block_size,
		 inode = d->rev_level ? d->inode_size : EXT4_INODE_BYTES_OLD;
	bool bigalloc = d->feature_ro_compat & EXT4_RO_BIGALLOC;

	if (inode < EXT4_INODE_BYTES_OLD || inode > block || inode & (inode - 1))
		return "size of an inode";
	if (d->feature_incompat & EXT4_INCOMPAT_64BIT &&
	    (d->desc_size < 64 || d->desc_size > block || d->desc_size & (d->desc_size - 1)))
		return "size of a group descriptor";
	if (!bigalloc && (d->log_cluster_size != d->log_block_size ||
			  d->clusters_per_group != d->blocks_per_group))
		return "size of a cluster";
	if (bigalloc && (d->log_cluster_size < d->log_block_size || d->log_cluster_size > 20 ||
			 !d->clusters_per_group || d->clusters_per_group > block * 8))
		return "size of a cluster";
	if (!d->blocks_per_group || d->blocks_per_group % 8 ||
	    (!bigalloc && d->blocks_per_group > block * 8))
		return "count of blocks in a group";
	if (d->inodes_per_group < block / inode || d->inodes_per_group > block * 8 ||
	    d->inodes_per_group % 8)
		return "count of inodes in a group";
	if (d->inodes_per_group % (block / inode))
		return "count of inodes in a group";
	return NULL;
}

static const char *fault_of_counts(const struct ext4_disk_super *d)
{
	uint32_t block = 1024u << d->log_block_size;
	uint64_t blocks = blocks_of(d), groups;

	if (d->first_data_block != (block == 1024 && !(d->feature_ro_compat & EXT4_RO_BIGALLOC)))
		return "first data block";
	if (blocks <= d->first_data_block || blocks > BLOCKS_MAX)
		return "count of blocks";
	groups = (blocks - d->first_data_block + d->blocks_per_group - 1) / d->blocks_per_group;
	if (groups * d->inodes_per_group != d->inodes_count)
		return "count of inodes";
	if (d->rev_level &&
	    (d->first_ino < EXT4_FIRST_INO_OLD || d->first_ino > d->inodes_per_group))
		return "first inode";
	if (d->reserved_gdt_blocks > block / 4)
		return "count of reserved descriptor blocks";
	if (count_of(d, d->free_blocks_lo, d->free_blocks_hi) > blocks ||
	    d->free_inodes > d->inodes_count)
		return "count of free blocks or inodes";
	if (d->journal_inum >= d->inodes_count || d->orphan_file_inum >= d->inodes_count)
		return "inode of the journal or of orphans";
	return NULL;
}

static bool checksum_is_wrong(const struct ext4_disk_super *d)
{
	return d->feature_ro_compat & EXT4_RO_METADATA_CSUM &&
	       d->checksum != crc32c(~0u, d, offsetof(struct ext4_disk_super, checksum));
}

static const char *fault_of(const struct ext4_disk_super *d, bool may_be_torn)
{
	const char *fault;

	if (d->feature_ro_compat & EXT4_RO_METADATA_CSUM && d->checksum_type != 1)
		return "kind of checksum";
	if (!may_be_torn && checksum_is_wrong(d))
		return "checksum";
	if (d->rev_level > 1)
		return "revision";
	fault = fault_of_sizes(d);
	return fault ? fault : fault_of_counts(d);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

static int refuse_format(struct blkdev *dev, uint8_t *bytes)
{
	bool empty = is_zero(bytes, SECTOR);
	const char *format = ext4_recognise(dev, bytes);

	if (format)
		log_error("ext4: %s holds %s; ext4 was expected", dev->name, format);
	else if (empty)
		log_error(
			"ext4: %s begins with nothing but zeroes: it has no file system yet (mke2fs makes one)",
			dev->name);
	else
		log_error("ext4: %s holds no ext4, nor another format that is known", dev->name);
	return -EINVAL;
}

static int check(struct blkdev *dev, const struct ext4_disk_super *d, bool may_be_torn)
{
	uint64_t bytes;
	const char *fault;

	/* It has no groups, so that more would seem damaged. */
	if (d->feature_incompat & EXT4_INCOMPAT_JOURNAL_DEV && !checksum_is_wrong(d)) {
		log_error("ext4: %s holds the journal of another disk, not files", dev->name);
		return -EINVAL;
	}
	if (d->log_block_size > LOG_BLOCK_MAX) {
		log_error("ext4: %s has blocks of another size than 1024, 2048 or 4096 bytes",
			  dev->name);
		return -EINVAL;
	}
	fault = fault_of(d, may_be_torn);
	if (fault) {
		log_error("ext4: %s: the superblock is damaged (%s); e2fsck may find a copy",
			  dev->name, fault);
		return -EUCLEAN;
	}
	bytes = ext4_super_bytes(d);
	if (bytes > dev->bytes) {
		log_error("ext4: %s is truncated: its file system has %llu bytes, the disk %llu",
			  dev->name, (unsigned long long)bytes, (unsigned long long)dev->bytes);
		return -EINVAL;
	}
	return 0;
}

int ext4_super_check(struct blkdev *dev, const struct ext4_disk_super *d)
{
	return check(dev, d, false);
}

int ext4_super_read(struct blkdev *dev, struct ext4_disk_super *out, bool *torn)
{
	uint8_t *bytes;
	int error;

	if (dev->bytes < SECTOR) {
		log_error("ext4: %s has %llu bytes: no file system fits into it", dev->name,
			  (unsigned long long)dev->bytes);
		return -EINVAL;
	}
	bytes = kmalloc(SECTOR);
	if (!bytes)
		return -ENOMEM;
	error = blkdev_read(dev, 0, bytes, SECTOR);
	if (error)
		log_error("ext4: the superblock of %s cannot be read", dev->name);
	else
		memcpy(out, bytes + EXT4_SUPER_OFFSET, sizeof(*out));
	if (!error)
		error = out->magic == EXT4_MAGIC
				? check(dev, out,
					torn && out->feature_compat & EXT4_COMPAT_HAS_JOURNAL)
				: refuse_format(dev, bytes);
	if (!error && torn)
		*torn = checksum_is_wrong(out);
	kfree(bytes);
	return error;
}

static void set_hash(struct ext4_super *s, const struct ext4_disk_super *d)
{
	/*
	 * Neither flag: made before anybody thought of it, by machines whose characters were
	 * signed.
	 */
	s->hash_unsigned = d->flags & EXT4_FLAG_UNSIGNED_HASH;
	s->hash_version = d->def_hash_version <= EXT4_HASH_TEA ? d->def_hash_version
							       : EXT4_HASH_HALF_MD4;
	memcpy(s->hash_seed, d->hash_seed, sizeof(s->hash_seed));
}

static void set_inodes(struct ext4_super *s, const struct ext4_disk_super *d)
{
	uint32_t room, want = MAX(d->want_extra_isize, d->min_extra_isize);

	s->inodes = d->inodes_count;
	s->inodes_per_group = d->inodes_per_group;
	s->inode_bytes = d->rev_level ? d->inode_size : EXT4_INODE_BYTES_OLD;
	s->first_ino = d->rev_level ? d->first_ino : EXT4_FIRST_INO_OLD;
	s->inodes_per_block = s->block_bytes / s->inode_bytes;
	room = s->inode_bytes - EXT4_INODE_BYTES_OLD;
	s->inode_extra = sizeof(struct ext4_disk_inode) - EXT4_INODE_BYTES_OLD;
	if (want > s->inode_extra && want <= room && want % 4 == 0)
		s->inode_extra = want;
	s->inode_extra = MIN(s->inode_extra, room);
}

void ext4_geometry_set(struct ext4_super *s, const struct ext4_disk_super *d)
{
	s->compat = d->feature_compat;
	s->incompat = d->feature_incompat;
	s->ro_compat = d->feature_ro_compat;
	s->has_csum = d->feature_ro_compat & EXT4_RO_METADATA_CSUM;
	s->block_shift = 10 + d->log_block_size;
	s->block_bytes = 1u << s->block_shift;
	s->blocks = blocks_of(d);
	s->first_data_block = d->first_data_block;
	s->blocks_per_group = d->blocks_per_group;
	s->groups = d->inodes_count / d->inodes_per_group;
	s->desc_bytes = d->feature_incompat & EXT4_INCOMPAT_64BIT ? d->desc_size
								  : EXT4_GROUP_BYTES_MIN;
	s->csum_seed = d->feature_incompat & EXT4_INCOMPAT_CSUM_SEED ? d->checksum_seed
								     : crc32c(~0u, d->uuid, 16);
	set_inodes(s, d);
	set_hash(s, d);
}
