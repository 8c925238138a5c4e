/*
 * The superblock, damage, and what the VFS asks of a file system once it is mounted (mount.c), to
 * the end.
 *
 * Until the first transaction the disk says that it is clean; from then on the flag needs_recovery
 * is set, which is written past the journal, durably, and cleared when everything is in its place.
 *
 * Damage that is found later (ext4_damaged()) ends all writing: the journal is aborted, so that
 * nothing that was built upon what is damaged becomes durable, and the superblock notes where it
 * was.
 */
#include <core/assert.h>
#include <core/crc.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <core/time.h>

#include "balloc.h"
#include "group.h"
#include "super.h"

#define STATFS_TYPE 0xef53

bool ext4_is_read_only(const struct ext4_super *s)
{
	return s->options.read_only || __atomic_load_n(&s->damaged, __ATOMIC_RELAXED);
}

bool ext4_blocks_are_valid(const struct ext4_super *s, uint64_t block, uint64_t count)
{
	if (planted(EXT4_PLACE))
		return block > s->first_data_block;
	return block > s->first_data_block && block < s->blocks && count <= s->blocks - block;
}

/* ---- the superblock on the disk ---- */

static uint32_t now_seconds(void)
{
	return (uint32_t)(clock_wall_ns() / NSEC_PER_SEC);
}

static void csum_set(struct ext4_disk_super *d)
{
	if (d->feature_ro_compat & EXT4_RO_METADATA_CSUM)
		d->checksum = crc32c(~0u, d, offsetof(struct ext4_disk_super, checksum));
}

void ext4_super_csum_set(struct ext4_super *s)
{
	csum_set(s->disk);
}

static void store_counts(struct ext4_super *s)
{
	uint64_t blocks = __atomic_load_n(&s->free_blocks, __ATOMIC_RELAXED);

	s->disk->free_blocks_lo = (uint32_t)blocks;
	if (ext4_has_incompat(s, EXT4_INCOMPAT_64BIT))
		s->disk->free_blocks_hi = (uint32_t)(blocks >> 32);
	s->disk->free_inodes = (uint32_t)__atomic_load_n(&s->free_inodes, __ATOMIC_RELAXED);
	s->disk->wtime = now_seconds();
}

int ext4_super_write(struct ext4_super *s)
{
	int error;

	mutex_lock(&s->super_lock);
	csum_set(s->disk);
	error = buffer_write(s->super_buffer, BLK_FUA);
	mutex_unlock(&s->super_lock);
	return error;
}

/* ---- damage ---- */

static void note(struct ext4_disk_super *d, const char *where, uint32_t ino, uint64_t block)
{
	uint32_t now = now_seconds();

	d->state |= EXT4_STATE_ERRORS;
	if (!d->error_count) {
		d->first_error_time = now;
		d->first_error_ino = ino;
		d->first_error_block = block;
		d->first_error_line = 0;
		str_copy(d->first_error_func, sizeof(d->first_error_func), where);
	}
	d->error_count++;
	d->last_error_time = now;
	d->last_error_ino = ino;
	d->last_error_block = block;
	d->last_error_line = 0;
	str_copy(d->last_error_func, sizeof(d->last_error_func), where);
	csum_set(d);
}

/*
 * Into the disk's superblock as it lies there: what the buffer holds may belong to a transaction
 * that never commits.
 */
static void note_on_disk(struct ext4_super *s, const char *where, uint32_t ino, uint64_t block)
{
	uint32_t bytes = MAX(EXT4_SUPER_BYTES, s->dev->block_bytes);
	/* no block of others that may be on its way, too */
	uint64_t at = ALIGN_DOWN(EXT4_SUPER_OFFSET, bytes);
	uint8_t *copy = kmalloc(bytes);

	if (copy && !blkdev_read(s->dev, at, copy, bytes)) {
		note((struct ext4_disk_super *)(void *)(copy + EXT4_SUPER_OFFSET - at), where, ino,
		     block);
		blkdev_write(s->dev, at, copy, bytes, BLK_FUA);
	}
	kfree(copy);
}

int ext4_damaged(struct ext4_super *s, const char *where, uint32_t ino, uint64_t block,
		 const char *fmt, ...)
{
	bool first, written = !s->options.read_only;
	char what[160];
	va_list args;

	va_start(args, fmt);
	fmt_vprint(what, sizeof(what), fmt, args);
	va_end(args);
	log_error("ext4: %s is damaged: %s (inode %u, block %llu): %s", s->dev->name, where, ino,
		  (unsigned long long)block, what);
	if (!written)
		return -EUCLEAN;
	first = !__atomic_exchange_n(&s->damaged, 1, __ATOMIC_ACQ_REL);
	if (!first)
		return -EUCLEAN;
	s->vfs->flags |= MS_RDONLY;
	if (s->journal)
		journal_abort(s->journal, -EUCLEAN);
	note_on_disk(s, where, ino, block);
	if (s->options.panic)
		panic("ext4: %s is damaged, and was mounted with errors=panic", s->dev->name);
	log_error("ext4: %s is read-only from now on; e2fsck repairs it", s->dev->name);
	return -EUCLEAN;
}

void ext4_super_doubt(struct ext4_super *s)
{
	mutex_lock(&s->super_lock);
	if (!(s->disk->state & EXT4_STATE_ERRORS))
		log_error(
			"ext4: %s: without memory, something was left half done; e2fsck should look at it",
			s->dev->name);
	s->disk->state |= EXT4_STATE_ERRORS;
	csum_set(s->disk);
	buffer_mark_dirty(s->super_buffer);
	mutex_unlock(&s->super_lock);
}

/* ---- what the VFS asks of a file system ---- */

static void ext4_statfs(struct super *vfs, struct abi_statfs *st)
{
	struct ext4_super *s = vfs->own;
	uint64_t reserved = balloc_kept_for_root(s),
		 delayed = __atomic_load_n(&s->delayed, __ATOMIC_RELAXED);
	uint64_t free = __atomic_load_n(&s->free_blocks, __ATOMIC_RELAXED);

	free -= MIN(free, delayed);
	st->type = STATFS_TYPE;
	st->block_bytes = st->fragment_bytes = s->block_bytes;
	st->blocks = s->blocks - MIN(s->blocks, s->overhead);
	st->blocks_free = free;
	st->blocks_available = free > reserved ? free - reserved : 0;
	st->files = s->inodes;
	st->files_free = __atomic_load_n(&s->free_inodes, __ATOMIC_RELAXED);
	st->name_max = EXT4_NAME_MAX;
	memcpy(st->fsid, s->disk->uuid, sizeof(st->fsid));
}

int ext4_super_change(struct ext4_super *s, void (*change)(struct ext4_super *s))
{
	struct ext4_handle h;
	int error = ext4_start(s, 1, &h);

	if (error)
		return error;
	mutex_lock(&s->super_lock);
	error = ext4_touch(&h, s->super_buffer);
	if (!error) {
		change(s);
		csum_set(s->disk);
	}
	mutex_unlock(&s->super_lock);
	return ext4_stop_with(&h, error);
}

/* The sums over the groups, which the superblock repeats for those who look at the disk. */
static int write_counts(struct ext4_super *s)
{
	return ext4_super_change(s, store_counts);
}

static int ext4_sync(struct super *vfs)
{
	struct ext4_super *s = vfs->own;
	int error, next;

	if (ext4_is_read_only(s))
		return s->damaged ? -EIO : 0;
	error = ext4_sync_data(s);
	next = write_counts(s);
	if (s->journal)
		next = next ? next : journal_commit(s->journal);
	else
		next = next ? next : ext4_write_buffers(s);
	if (!next && !s->journal)
		next = blkdev_flush(s->dev);
	return error ? error : next;
}

static void super_free(struct ext4_super *s)
{
	buffer_put(s->super_buffer);
	buffers_destroy(&s->buffers);
	blkdev_release(s->dev);
	kfree(s);
}

int ext4_super_commit(struct ext4_super *s, void (*change)(struct ext4_super *s))
{
	struct journal_handle *h;
	int error = journal_start(s->journal, 1, &h);

	if (error)
		return error;
	mutex_lock(&s->super_lock);
	error = journal_write(h, s->super_buffer);
	if (!error) {
		change(s);
		csum_set(s->disk);
	}
	mutex_unlock(&s->super_lock);
	journal_stop(h);
	return error ? error : journal_commit(s->journal);
}

void ext4_super_mark_clean(struct ext4_super *s)
{
	store_counts(s);
	s->disk->feature_incompat &= ~EXT4_INCOMPAT_RECOVER;
	if (!(s->disk->state & EXT4_STATE_ERRORS))
		s->disk->state |= EXT4_STATE_CLEAN;
}

static void mark_mounted(struct ext4_super *s)
{
	s->disk->mtime = now_seconds();
	s->disk->mnt_count++;
	if (s->journal) {
		s->disk->feature_incompat |= EXT4_INCOMPAT_RECOVER;
		s->disk->state |= EXT4_STATE_CLEAN;
	} else {
		s->disk->state &= (uint16_t)~EXT4_STATE_CLEAN;
	}
}

int ext4_super_write_mounted(struct ext4_super *s)
{
	int error = 0;

	if (s->journal)
		error = ext4_super_commit(s, mark_mounted);
	else
		mark_mounted(s);
	return error ? error : ext4_super_write(s);
}

/*
 * The disk is clean: state and counts. With a journal, when everything else is in its place; the
 * log is emptied when the superblock is there, too, so that a cut finds it whole or in the log.
 */
static int write_clean(struct ext4_super *s)
{
	int error;

	if (s->journal) {
		error = journal_checkpoint(s->journal);
		return error ? error : ext4_super_commit(s, ext4_super_mark_clean);
	}
	mutex_lock(&s->super_lock);
	ext4_super_mark_clean(s);
	mutex_unlock(&s->super_lock);
	return ext4_super_write(s);
}

/*
 * No handle is open, and none will be. What is in memory goes to its place, the log is empty, and
 * the disk is clean.
 */
static int leave_clean(struct ext4_super *s)
{
	int error = s->journal ? 0 : ext4_write_buffers(s);

	if (!error)
		error = write_clean(s);
	if (!error && s->journal)
		error = journal_checkpoint(s->journal);
	if (!error)
		error = blkdev_flush(s->dev);
	if (error)
		log_error(
			"ext4: %s could not be left in order (error %d); its journal or e2fsck will see to it",
			s->dev->name, -error);
	return error;
}

static void ext4_unmount(struct super *vfs)
{
	struct ext4_super *s = vfs->own;

	ext4_orphans_close(s);
	if (!ext4_is_read_only(s))
		leave_clean(s);
	ext4_journal_close(s);
	ext4_groups_close(s);
	super_free(s);
}

/*
 * Handles that are open end with the commit; from then on nobody else gets one. Everything was
 * synchronised just before. The journal stays, empty and sealed, since others may be waiting for
 * it.
 */
static int turn_read_only(struct ext4_super *s)
{
	int error = 0;

	__atomic_store_n(&s->options.read_only, true, __ATOMIC_RELEASE);
	if (s->journal) {
		journal_seal(s->journal);
		error = journal_commit(s->journal);
	}
	return error || s->damaged ? error : leave_clean(s);
}

static int have_journal(struct ext4_super *s)
{
	if (!s->journal)
		return ext4_journal_open(s);
	journal_unseal(s->journal);
	return 0;
}

static int turn_read_write(struct ext4_super *s)
{
	bool read_only = s->damaged || s->dev->read_only || s->options.noload;
	int error = read_only ? -EROFS : ext4_features_check(s->dev, s->disk, &read_only);

	if (error || read_only)
		return -EROFS;
	s->options.read_only = false;
	error = have_journal(s);
	if (!error)
		error = ext4_super_write_mounted(s);
	if (!error && !s->orphans)
		error = ext4_orphans_open(s);
	if (error) {
		s->options.read_only = true;
		if (s->journal)
			journal_seal(s->journal);
	}
	return error;
}

static int ext4_remount(struct super *vfs, uint32_t flags, const char *text)
{
	struct ext4_super *s = vfs->own;
	struct ext4_options o = s->options;
	int error = ext4_options_parse(&o, text);

	if (error)
		return error;
	s->options.panic = o.panic;
	s->options.discard = o.discard && s->dev->max_discard_bytes;
	if (flags & MS_RDONLY && !s->options.read_only)
		return turn_read_only(s);
	return flags & MS_RDONLY || !s->options.read_only ? 0 : turn_read_write(s);
}

const struct super_ops ext4_super_ops = {
	.statfs = ext4_statfs, .sync = ext4_sync, .remount = ext4_remount, .unmount = ext4_unmount,
	.trim = ext4_trim, .aliased = ext4_dir_aliased,
};
