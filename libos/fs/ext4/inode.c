/*
 * Inodes between memory and the disk (inodes.rst). Reading checks everything that the rest relies
 * on; writing copies the whole inode into its block, in the handle of the operation that changed
 * it.
 *
 * What an inode's `blocks` counts depends: sectors of 512 bytes, or blocks of the file system with
 * the inode's flag huge_file. Memory counts sectors.
 */
#include <core/crc.h>
#include <core/errno.h>
#include <core/string.h>

#include "super.h"

#define IGET_FORBIDDEN (EXT4_FL_ENCRYPT | EXT4_FL_CASEFOLD)

/* ---- checksums (checksums.rst) ---- */

uint32_t ext4_inode_seed(const struct ext4_super *s, uint32_t ino, uint32_t generation)
{
	return crc32c(crc32c(s->csum_seed, &ino, 4), &generation, 4);
}

static bool has_csum_hi(const struct ext4_super *s, const struct ext4_disk_inode *raw)
{
	return s->inode_bytes > EXT4_INODE_BYTES_OLD && raw->extra_isize >= 4;
}

/* Of the inode as a whole, its two checksum fields taken as zero. */
static uint32_t inode_csum(const struct ext4_super *s, uint32_t seed,
			   const struct ext4_disk_inode *raw)
{
	const uint8_t *bytes = (const uint8_t *)raw;
	const size_t lo = offsetof(struct ext4_disk_inode, checksum_lo);
	const size_t hi = offsetof(struct ext4_disk_inode, checksum_hi);
	static const uint8_t zero[2];
	uint32_t crc;

	crc = crc32c(crc32c(seed, bytes, lo), zero, 2);
	crc = crc32c(crc, bytes + lo + 2, EXT4_INODE_BYTES_OLD - lo - 2);
	if (s->inode_bytes == EXT4_INODE_BYTES_OLD)
		return crc;
	if (!has_csum_hi(s, raw))
		return crc32c(crc, bytes + EXT4_INODE_BYTES_OLD,
			      s->inode_bytes - EXT4_INODE_BYTES_OLD);
	crc = crc32c(crc, bytes + EXT4_INODE_BYTES_OLD, hi - EXT4_INODE_BYTES_OLD);
	crc = crc32c(crc, zero, 2);
	return crc32c(crc, bytes + hi + 2, s->inode_bytes - hi - 2);
}

void ext4_inode_csum_set(struct ext4_super *s, const struct ext4_inode *i,
			 struct ext4_disk_inode *raw)
{
	uint32_t crc;

	if (!s->has_csum)
		return;
	crc = inode_csum(s, i->csum_seed, raw);
	raw->checksum_lo = (uint16_t)crc;
	if (has_csum_hi(s, raw))
		raw->checksum_hi = (uint16_t)(crc >> 16);
}

bool inode_csum_is_right(const struct ext4_super *s, uint32_t seed,
			 const struct ext4_disk_inode *raw)
{
	uint32_t crc;

	if (!s->has_csum)
		return true;
	crc = inode_csum(s, seed, raw);
	if ((uint16_t)crc != raw->checksum_lo)
		return false;
	return !has_csum_hi(s, raw) || (uint16_t)(crc >> 16) == raw->checksum_hi;
}

/* ---- times: 34 bits of seconds since 1901 and 30 of nanoseconds ---- */

static struct abi_timespec time_of(uint32_t seconds, uint32_t extra)
{
	return (struct abi_timespec){ (int64_t)(int32_t)seconds + ((int64_t)(extra & 3) << 32),
				      MIN(extra >> 2, (uint32_t)NSEC_PER_SEC - 1) };
}

static uint32_t extra_of(const struct abi_timespec *t)
{
	uint32_t epoch = (uint32_t)((t->sec - (int64_t)(int32_t)t->sec) >> 32) & 3;

	return (uint32_t)t->nsec << 2 | epoch;
}

/* Is the field there, in an inode whose fields go `extra` bytes beyond the first 128? */
#define HAS_FIELD(extra, field)                                                                    \
	((extra) + EXT4_INODE_BYTES_OLD >=                                                         \
	 offsetof(struct ext4_disk_inode, field) + sizeof(((struct ext4_disk_inode *)0)->field))

static void times_load(struct inode *inode, const struct ext4_disk_inode *raw, uint32_t extra)
{
	inode->atime = time_of(raw->atime, HAS_FIELD(extra, atime_extra) ? raw->atime_extra : 0);
	inode->mtime = time_of(raw->mtime, HAS_FIELD(extra, mtime_extra) ? raw->mtime_extra : 0);
	inode->ctime = time_of(raw->ctime, HAS_FIELD(extra, ctime_extra) ? raw->ctime_extra : 0);
	inode->btime = (struct abi_timespec){ 0 };
	if (HAS_FIELD(extra, crtime_extra))
		inode->btime = time_of(raw->crtime, raw->crtime_extra);
}

/* Without the extra fields seconds are all there is, and those of 32 bits. */
static uint32_t seconds_of(const struct abi_timespec *t, bool wide)
{
	return wide ? (uint32_t)t->sec : (uint32_t)CLAMP(t->sec, INT32_MIN, INT32_MAX);
}

void ext4_time_fit(const struct ext4_inode *i, struct abi_timespec *t)
{
	bool wide = HAS_FIELD(i->extra_isize, atime_extra);
	int64_t first = INT32_MIN, last = INT32_MAX + (wide ? 3ll << 32 : 0);

	if (!wide || t->sec <= first || t->sec >= last)
		t->nsec = 0;
	t->sec = CLAMP(t->sec, first, last);
}

static void times_store(const struct inode *inode, struct ext4_disk_inode *raw, uint32_t extra)
{
	raw->atime = seconds_of(&inode->atime, HAS_FIELD(extra, atime_extra));
	raw->mtime = seconds_of(&inode->mtime, HAS_FIELD(extra, mtime_extra));
	raw->ctime = seconds_of(&inode->ctime, HAS_FIELD(extra, ctime_extra));
	if (HAS_FIELD(extra, atime_extra))
		raw->atime_extra = extra_of(&inode->atime);
	if (HAS_FIELD(extra, mtime_extra))
		raw->mtime_extra = extra_of(&inode->mtime);
	if (HAS_FIELD(extra, ctime_extra))
		raw->ctime_extra = extra_of(&inode->ctime);
	if (HAS_FIELD(extra, crtime_extra)) {
		raw->crtime = (uint32_t)inode->btime.sec;
		raw->crtime_extra = extra_of(&inode->btime);
	}
}

/* ---- device numbers: as Linux packs them, old ones in 16 bits ---- */

static uint64_t rdev_load(const uint32_t *block)
{
	uint32_t major, minor;

	if (block[0]) {
		major = block[0] >> 8 & 0xff;
		minor = block[0] & 0xff;
	} else {
		major = (block[1] & 0xfff00) >> 8;
		minor = (block[1] & 0xff) | (block[1] >> 12 & 0xfff00);
	}
	return (uint64_t)(major & 0xfffff000) << 32 | (uint64_t)(major & 0xfff) << 8 |
	       (uint64_t)(minor & 0xffffff00) << 12 | (minor & 0xff);
}

static void rdev_store(uint64_t rdev, uint32_t *block)
{
	uint32_t major = (uint32_t)(rdev >> 8 & 0xfff) | (uint32_t)(rdev >> 32 & 0xfffff000);
	uint32_t minor = (uint32_t)(rdev & 0xff) | (uint32_t)(rdev >> 12 & 0xffffff00);

	memset(block, 0, EXT4_INODE_BLOCK_BYTES);
	if (major < 256 && minor < 256)
		block[0] = major << 8 | minor;
	else
		block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/* ---- from the disk ---- */

static int damaged(struct ext4_super *s, uint32_t ino, const char *what)
{
	return ext4_damaged(s, "inode", ino, 0, "%s", what);
}

static int check_kind(struct ext4_super *s, struct ext4_inode *i)
{
	struct inode *inode = &i->inode;

	switch (inode_kind(inode)) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return damaged(s, (uint32_t)inode->ino, "it is of no known type");
	}
	if (inode->size < 0)
		return damaged(s, (uint32_t)inode->ino, "its size is negative");
	if (inode_is_dir(inode) && !(i->flags & EXT4_FL_INLINE_DATA) &&
	    inode->size & (s->block_bytes - 1))
		return damaged(s, (uint32_t)inode->ino,
			       "a directory's size is not a number of blocks");
	if (inode_is_dir(inode) && (uint64_t)inode->size >> s->block_shift > s->blocks)
		return damaged(s, (uint32_t)inode->ino, "a directory is larger than the disk");
	if (inode_kind(inode) == S_IFLNK && inode->size >= VFS_PATH_MAX)
		return damaged(s, (uint32_t)inode->ino, "a symbolic link is too long");
	if (i->xattr_block && !ext4_blocks_may_be_files(i, i->xattr_block, 1))
		return damaged(s, (uint32_t)inode->ino,
			       "its attributes lie outside of the disk, or in its own blocks");
	return 0;
}

static void load_numbers(struct ext4_super *s, const struct ext4_disk_inode *raw,
			 struct ext4_inode *i)
{
	struct inode *inode = &i->inode;
	bool large = (raw->mode & S_IFMT) == S_IFREG || (raw->mode & S_IFMT) == S_IFDIR;
	bool huge = ext4_has_ro(s, EXT4_RO_HUGE_FILE);

	inode->mode = raw->mode;
	inode->uid = raw->uid_lo | (uint32_t)raw->uid_hi << 16;
	inode->gid = raw->gid_lo | (uint32_t)raw->gid_hi << 16;
	inode->nlink = raw->links_count;
	inode->size = (int64_t)(raw->size_lo | (large ? (uint64_t)raw->size_hi << 32 : 0));
	inode->blocks = raw->blocks_lo | (huge ? (uint64_t)raw->blocks_hi << 32 : 0);
	if (huge && raw->flags & EXT4_FL_HUGE_FILE)
		inode->blocks <<= s->block_shift - 9;
	i->flags = raw->flags;
	i->generation = raw->generation;
	i->dtime = raw->dtime;
	i->disk_size = inode->size;
	i->xattr_block = raw->file_acl_lo;
	if (ext4_has_incompat(s, EXT4_INCOMPAT_64BIT))
		i->xattr_block |= (uint64_t)raw->file_acl_hi << 32;
	memcpy(i->block, raw->block, sizeof(i->block));
}

void ext4_inode_set_ops(struct ext4_inode *i)
{
	struct inode *inode = &i->inode;

	switch (inode_kind(inode)) {
	case S_IFREG:
		inode->ops = &ext4_file_inode_ops;
		inode->file = &ext4_file_ops;
		break;
	case S_IFDIR:
		inode->ops = &ext4_dir_inode_ops;
		break;
	case S_IFLNK:
		inode->ops = &ext4_link_inode_ops;
		break;
	default:
		inode->ops = &ext4_special_inode_ops;
		if (inode_kind(inode) == S_IFCHR || inode_kind(inode) == S_IFBLK)
			inode->rdev = rdev_load(i->block);
	}
}

/*
 * An orphan's dtime is the number of the next one, or 0; what is deleted has a time there
 * (ialloc.c, deletion_time()).
 */
static bool is_free(const struct ext4_super *s, const struct ext4_disk_inode *raw, unsigned flags)
{
	if (raw->links_count)
		return false;
	return !(flags & EXT4_IGET_ORPHAN) || !raw->mode || raw->dtime > s->inodes;
}

int ext4_inode_load(struct ext4_super *s, uint32_t ino, const struct ext4_disk_inode *raw,
		    unsigned flags, struct ext4_inode *i)
{
	uint32_t room = s->inode_bytes - EXT4_INODE_BYTES_OLD;
	uint32_t extra = room ? raw->extra_isize : 0;
	int error;

	if (is_free(s, raw, flags))
		return -ESTALE;
	if (extra > room || extra % 4)
		return damaged(s, ino, "its extra size is impossible");
	i->csum_seed = ext4_inode_seed(s, ino, raw->generation);
	if (!inode_csum_is_right(s, i->csum_seed, raw))
		return damaged(s, ino, "its checksum is wrong");
	load_numbers(s, raw, i);
	i->extra_isize = (uint16_t)extra;
	if (s->journal) /* who had it in memory before may have changed it */
		i->sync_tid = i->datasync_tid = journal_newest(s->journal);
	times_load(&i->inode, raw, extra);
	error = check_kind(s, i);
	if (error)
		return error;
	if (i->flags & IGET_FORBIDDEN)
		return -EOPNOTSUPP;
	i->inode.immutable = i->flags & EXT4_FL_IMMUTABLE;
	i->inode.append_only = i->flags & EXT4_FL_APPEND;
	ext4_inode_set_ops(i);
	return 0;
}

int ext4_inode_raw(struct ext4_super *s, uint32_t ino, struct buffer **b,
		   struct ext4_disk_inode **raw)
{
	uint32_t index = (ino - 1) % s->inodes_per_group, group = (ino - 1) / s->inodes_per_group;
	int error;

	if (!ino || ino > s->inodes)
		return ext4_damaged(s, "inode", ino, 0, "there is no such number");
	error = buffer_read(&s->buffers, s->group[group].inode_table + index / s->inodes_per_block,
			    b);
	if (!error)
		*raw = (struct ext4_disk_inode *)(void *)((*b)->data + index % s->inodes_per_block *
									       s->inode_bytes);
	return error;
}

/* ---- to the disk ---- */

static void store_blocks(struct ext4_super *s, struct ext4_inode *i, struct ext4_disk_inode *raw)
{
	uint64_t blocks = i->inode.blocks - (uint64_t)i->delayed.count * (s->block_bytes / 512);

	i->flags &= ~EXT4_FL_HUGE_FILE;
	if (blocks >> 48 && ext4_has_ro(s, EXT4_RO_HUGE_FILE)) {
		i->flags |= EXT4_FL_HUGE_FILE;
		blocks >>= s->block_shift - 9;
	}
	raw->blocks_lo = (uint32_t)blocks;
	raw->blocks_hi = (uint16_t)(blocks >> 32);
}

static void store_numbers(struct ext4_super *s, struct ext4_inode *i, struct ext4_disk_inode *raw)
{
	const struct inode *inode = &i->inode;

	raw->mode = (uint16_t)inode->mode;
	raw->uid_lo = (uint16_t)inode->uid;
	raw->uid_hi = (uint16_t)(inode->uid >> 16);
	raw->gid_lo = (uint16_t)inode->gid;
	raw->gid_hi = (uint16_t)(inode->gid >> 16);
	raw->links_count = (uint16_t)inode->nlink;
	raw->size_lo = (uint32_t)i->disk_size;
	raw->size_hi = (uint32_t)((uint64_t)i->disk_size >> 32);
	store_blocks(s, i, raw);
	raw->flags = i->flags;
	raw->generation = i->generation;
	raw->dtime = i->dtime;
	raw->file_acl_lo = (uint32_t)i->xattr_block;
	raw->file_acl_hi = (uint16_t)(i->xattr_block >> 32);
	memcpy(raw->block, i->block, sizeof(raw->block));
	if (inode_kind(inode) == S_IFCHR || inode_kind(inode) == S_IFBLK)
		rdev_store(inode->rdev, raw->block);
}

/* The disk's inode, announced; the caller puts the buffer. */
static int touch_raw(struct ext4_handle *h, const struct ext4_inode *i, struct buffer **b,
		     struct ext4_disk_inode **raw)
{
	int error = ext4_inode_raw(h->super, (uint32_t)i->inode.ino, b, raw);

	if (error)
		return error;
	error = ext4_touch(h, *b);
	if (error)
		buffer_put(*b);
	return error;
}

int ext4_inode_write(struct ext4_handle *h, struct ext4_inode *i)
{
	struct ext4_super *s = h->super;
	struct ext4_disk_inode *raw;
	struct buffer *b;
	int error = touch_raw(h, i, &b, &raw);

	if (error)
		return error;
	mutex_lock(&i->raw_lock);
	if (s->inode_bytes > EXT4_INODE_BYTES_OLD)
		raw->extra_isize = i->extra_isize;
	store_numbers(s, i, raw);
	times_store(&i->inode, raw, i->extra_isize);
	ext4_inode_csum_set(s, i, raw);
	mutex_unlock(&i->raw_lock);
	i->sync_tid = ext4_tid(h);
	buffer_put(b);
	return 0;
}

int ext4_inode_announce(struct ext4_handle *h, struct ext4_inode *i)
{
	bool half = h->half;
	struct ext4_disk_inode *raw;
	struct buffer *b;
	int error = touch_raw(h, i, &b, &raw);

	if (error)
		return error;
	buffer_put(b);
	h->half = half;
	return 0;
}

int ext4_inode_write_first(struct ext4_handle *h, struct ext4_inode *i)
{
	struct ext4_disk_inode *raw;
	struct buffer *b;
	int error = touch_raw(h, i, &b, &raw);

	if (error)
		return error;
	memset(raw, 0, h->super->inode_bytes);
	buffer_put(b);
	return ext4_inode_write(h, i);
}
