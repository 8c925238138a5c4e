/*
 * The journal of a file system: finding it, replaying it before anything else is read, and its end.
 *
 * The journal is an inode, found without the group descriptors being checked: a crash may have torn
 * them, and replaying is what makes them whole. So its place in the first group's inode table is
 * taken from the first descriptor as it lies. After a replay the superblock is read again, since
 * its counts and features may be others.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>

#include "super.h"

/*
 * The first descriptor follows the superblock, whatever else moves (group_descr.rst; meta_bg, too,
 * leaves it there).
 */
static int first_inode_table(struct ext4_super *s, uint64_t *table)
{
	const struct ext4_disk_group *g;
	struct buffer *b;
	int error = buffer_read(&s->buffers, s->first_data_block + 1, &b);

	if (error)
		return error;
	g = (const struct ext4_disk_group *)(const void *)b->data;
	*table = g->inode_table_lo |
		 (s->desc_bytes > EXT4_GROUP_BYTES_MIN ? (uint64_t)g->inode_table_hi << 32 : 0);
	buffer_put(b);
	if (!ext4_blocks_are_valid(s, *table, s->inodes_per_group / s->inodes_per_block))
		return ext4_damaged(s, "journal", 0, s->first_data_block + 1,
				    "the first inode table lies nowhere");
	return 0;
}

static int load_inode(struct ext4_super *s, uint32_t ino, struct ext4_inode *i)
{
	uint32_t index = ino - 1;
	uint64_t table;
	struct buffer *b;
	int error = first_inode_table(s, &table);

	if (!error)
		error = buffer_read(&s->buffers, table + index / s->inodes_per_block, &b);
	if (error)
		return error;
	error = ext4_inode_load(s, ino, (const struct ext4_disk_inode *)(const void *)
				(b->data + index % s->inodes_per_block * s->inode_bytes), 0, i);
	buffer_put(b);
	return error;
}

static int find_journal(struct ext4_super *s)
{
	uint32_t ino = s->disk->journal_inum;
	struct ext4_inode *i;
	int error;

	if (!ino || ino >= s->first_ino) {
		log_error("ext4: %s has its journal on another disk, which is not supported",
			  s->dev->name);
		return -EOPNOTSUPP;
	}
	i = kzalloc(sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->inode.super = s->vfs;
	i->inode.ino = ino;
	mutex_init(&i->map_lock);
	error = load_inode(s, ino, i);
	if (!error && (inode_kind(&i->inode) != S_IFREG || !i->inode.nlink ||
		       (uint64_t)i->inode.size >> s->block_shift > UINT32_MAX))
		error = ext4_damaged(s, "journal", ino, 0, "its inode is no journal's");
	if (error) {
		kfree(i);
		return error;
	}
	s->journal_inode = i;
	return 0;
}

static int journal_map(void *arg, uint32_t index, uint64_t *block)
{
	struct ext4_super *s = arg;
	struct ext4_mapping m;
	int error = ext4_map(s->journal_inode, index, 1, &m);

	if (!error && m.kind != EXT4_MAPPED)
		error = ext4_damaged(s, "journal", s->disk->journal_inum, 0,
				     "its block %u has no place", index);
	if (!error)
		*block = m.block;
	return error;
}

/* What is in memory will never be on the disk. */
static void journal_aborted(void *arg, int error)
{
	struct ext4_super *s = arg;

	if (__atomic_exchange_n(&s->damaged, 1, __ATOMIC_ACQ_REL))
		return;
	s->vfs->flags |= MS_RDONLY;
	log_error("ext4: %s fails (error %d): the file system is read-only from now on",
		  s->dev->name, -error);
}

void ext4_abort(struct ext4_super *s, int error)
{
	if (s->journal)
		journal_abort(s->journal, error);
	else
		journal_aborted(s, error);
}

static int open_log(struct ext4_super *s)
{
	struct journal_place place = {
		.buffers = &s->buffers, .dev = s->dev, .block_bytes = s->block_bytes,
		.blocks = (uint32_t)(s->journal_inode->inode.size >> s->block_shift),
		.map = journal_map, .arg = s,
	};
	struct journal_options options = {
		.commit_interval_ms = s->options.commit_ms, .no_barrier = s->options.no_barrier,
		.read_only = s->dev->read_only, .wide = ext4_has_incompat(s, EXT4_INCOMPAT_64BIT),
		.checksums = s->has_csum, .aborted = journal_aborted, .arg = s,
	};

	memcpy(place.uuid, s->disk->uuid, sizeof(place.uuid));
	return journal_open(&place, &options, &s->journal);
}

/*
 * Damage is noted in the superblock as it lies on the disk, since the log has ended then. The
 * replay brings back a superblock from before the note, which is carried over; where it did not get
 * that far, the log itself may tell. The first transaction is one of the superblock, so a cut finds
 * the note, the log's word, or both.
 */
static void carry_damage(const struct ext4_super *s, const struct ext4_disk_super *before,
			 struct ext4_disk_super *d)
{
	const size_t from = offsetof(struct ext4_disk_super, error_count);
	const size_t to = offsetof(struct ext4_disk_super, mount_opts);

	if (!s->torn && (before->state & EXT4_STATE_ERRORS)) {
		memcpy((uint8_t *)d + from, (const uint8_t *)before + from, to - from);
		d->state |= EXT4_STATE_ERRORS;
	}
	if (journal_past_error(s->journal))
		d->state |= EXT4_STATE_ERRORS;
	journal_forget_past_error(s->journal);
}

/* Replayed blocks may have been read before: the superblock and the first descriptors. */
static int read_again(struct ext4_super *s, const struct ext4_disk_super *before)
{
	struct ext4_disk_super *d = kmalloc(sizeof(*d));
	uint64_t blocks = s->blocks;
	int error = d ? ext4_super_read(s->dev, d, NULL) : -ENOMEM;

	if (!error) {
		carry_damage(s, before, d);
		memcpy(s->disk, d, sizeof(*d));
		ext4_geometry_set(s, d);
		error = s->blocks == blocks ? 0 : -EUCLEAN;
	}
	kfree(d);
	return error;
}

static void clear_recover(struct ext4_super *s)
{
	s->disk->feature_incompat &= ~EXT4_INCOMPAT_RECOVER;
	s->incompat &= ~EXT4_INCOMPAT_RECOVER;
}

/*
 * Opening the log replays it, into the superblock's buffer as well. A log may be there to replay
 * without the flag: the last transaction, which clears it. So all is read again.
 */
static int replay(struct ext4_super *s)
{
	struct ext4_disk_super *before = kmalloc(sizeof(*before));
	int error = before ? 0 : -ENOMEM;

	if (!error) {
		memcpy(before, s->disk, sizeof(*before));
		error = open_log(s);
	}
	if (error)
		log_error("ext4: the journal of %s cannot be used (error %d)", s->dev->name,
			  -error);
	else
		error = read_again(s, before);
	kfree(before);
	return error;
}

static int open_and_replay(struct ext4_super *s)
{
	int error = replay(s);

	s->torn &= error != 0;
	if (error || !s->options.read_only)
		return error;
	error = ext4_super_commit(s, clear_recover);
	if (!error)
		error = journal_close(s->journal);
	else
		journal_close(s->journal);
	s->journal = NULL;
	return error;
}

int ext4_journal_open(struct ext4_super *s)
{
	bool dirty = ext4_has_incompat(s, EXT4_INCOMPAT_RECOVER) || s->torn;
	int error;

	if (s->torn && s->options.noload) {
		log_error(
			"ext4: %s: the superblock is damaged (checksum), and noload forbids its journal to help",
			s->dev->name);
		return -EUCLEAN;
	}
	if (!ext4_has_compat(s, EXT4_COMPAT_HAS_JOURNAL) || s->options.noload ||
	    (s->options.read_only && !dirty))
		return 0;
	if (dirty && s->dev->read_only) {
		log_error(
			"ext4: %s was not unmounted, and its journal cannot be replayed on a disk that is read-only; "
			"noload reads it as it lies",
			s->dev->name);
		return -EROFS;
	}
	error = find_journal(s);
	if (!error)
		error = open_and_replay(s);
	if (error)
		ext4_journal_close(s);
	return error;
}

int ext4_journal_close(struct ext4_super *s)
{
	int error = s->journal ? journal_close(s->journal) : 0;

	s->journal = NULL;
	kfree(s->journal_inode);
	s->journal_inode = NULL;
	return error;
}
