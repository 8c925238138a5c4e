/*
 * What a crash leaves on purpose: a journal to replay, and orphans. Both are seen to by mounting
 * the disk and unmounting it again, so that it is done by the code, and in the order, that a mount
 * after the crash would have used. After that the journal is empty, which is checked.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "fsck.h"

bool needs_recovery(const struct ext4_disk_super *d)
{
	return d->feature_incompat & EXT4_INCOMPAT_RECOVER || d->last_orphan ||
	       d->feature_ro_compat & EXT4_RO_ORPHAN_PRESENT;
}

static int mount_once(struct blkdev *d)
{
	struct super *v = kzalloc(sizeof(*v));
	int error = v ? 0 : -ENOMEM;

	if (v) {
		v->type = &ext4_type;
		error = ext4_type.mount(v, d->name, "");
	}
	if (v && !error) {
		inode_put(v->root);
		error = v->ops->sync(v);
		v->ops->unmount(v);
	}
	kfree(v);
	return error;
}

/* Of a disk that cannot be checked nothing is replayed either. */
static int open_super(struct fsck *f, struct blkdev *d, struct ext4_disk_super *super)
{
	int error = ext4_super_read(d, super, NULL);

	if (error == -EUCLEAN && f->options->recover) {
		error = mend_torn_super(f, d);
		error = error ? error : ext4_super_read(d, super, NULL);
	}
	return error ? error : refuse_unknown(d, super);
}

/* Only where the superblock is right: others are judged as they lie. */
int recover(struct fsck *f, struct blkdev *d)
{
	struct ext4_disk_super *super = kmalloc(sizeof(*super));
	int error = super ? open_super(f, d, super) : -ENOMEM;
	bool needed = !error && needs_recovery(super);

	if (needed && f->options->recover)
		error = mount_once(d);
	if (needed && f->options->recover && !error)
		error = ext4_super_read(d, super, NULL);
	if (needed && (error || needs_recovery(super))) {
		damage(f,
		       "The journal is still to be replayed, or orphans are still to be deleted.");
	} else if (needed) {
		say(f, "The journal was replayed, and orphans were deleted.");
		f->result->recovered = true;
	}
	kfree(super);
	if (!needed && (error == -EUCLEAN || error == -EINVAL)) {
		f->super_error = error;
		error = 0;
	}
	return needed ? 0 : error;
}

/* ---- the empty journal ---- */

static int journal_place_map(void *arg, uint32_t index, uint64_t *block)
{
	struct fsck *f = arg;
	struct ext4_mapping m;
	int error = ext4_map(f->s->journal_inode, index, 1, &m);

	if (!error && m.kind != EXT4_MAPPED)
		error = -EUCLEAN;
	if (!error)
		*block = m.block;
	return error;
}

static int open_and_close(struct fsck *f, struct ext4_inode *i)
{
	struct journal_place place = {
		.buffers = &f->s->buffers, .dev = f->s->dev, .block_bytes = f->s->block_bytes,
		.blocks = (uint32_t)((uint64_t)i->inode.size >> f->s->block_shift),
		.map = journal_place_map, .arg = f,
	};
	struct journal_options options = { .read_only = true };
	struct journal *j;
	int error;

	memcpy(place.uuid, f->s->disk->uuid, sizeof(place.uuid));
	f->s->journal_inode = i;
	error = journal_open(&place, &options, &j);
	if (!error)
		error = journal_close(j);
	f->s->journal_inode = NULL;
	return error;
}

static uint32_t be32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What opening it does not ask (journal.rst, "Super Block"): s_errno, s_nr_users. */
static void check_journal_super(struct fsck *f, struct ext4_inode *i)
{
	struct ext4_mapping m;
	struct buffer *b = !ext4_map(i, 0, 1, &m) && m.kind == EXT4_MAPPED ? fsck_read(f, m.block)
									   : NULL;

	if (b && be32_at(b->data + 0x20))
		damage(f, "The journal says that it was aborted (error %u).",
		       be32_at(b->data + 0x20));
	if (b && be32_at(b->data + 4) != 3 && be32_at(b->data + 0x40) > 1)
		damage(f, "The journal says that %u file systems use it.", be32_at(b->data + 0x40));
	buffer_put(b);
}

static int load(struct fsck *f, uint32_t ino, struct ext4_inode *i)
{
	struct ext4_disk_inode *raw;
	struct buffer *b;
	int error = ext4_inode_raw(f->s, ino, &b, &raw);

	if (error)
		return error;
	i->inode.super = &f->vfs;
	i->inode.ino = ino;
	mutex_init(&i->map_lock);
	error = ext4_inode_load(f->s, ino, raw, EXT4_IGET_SPECIAL, i);
	buffer_put(b);
	return error;
}

void check_journal(struct fsck *f)
{
	uint32_t ino = f->s->disk->journal_inum;
	int error;

	if (!ext4_has_compat(f->s, EXT4_COMPAT_HAS_JOURNAL) || needs_recovery(f->s->disk))
		return;
	if (!ino || ino >= f->s->first_ino) {
		damage(f, "The journal's inode cannot be number %u.", ino);
		return;
	}
	error = load(f, ino, f->scratch);
	if (!error && (inode_kind(&f->scratch->inode) != S_IFREG || !f->scratch->inode.nlink ||
		       f->scratch->inode.size % f->s->block_bytes))
		error = -EUCLEAN;
	if (!error)
		error = open_and_close(f, f->scratch);
	if (error == -ENOMEM || error == -EIO)
		has_failed(f, error);
	else if (error)
		damage(f, "The journal (inode %u) is damaged, or not empty (error %d).", ino,
		       -error);
	else
		check_journal_super(f, f->scratch);
	memset(f->scratch, 0, sizeof(*f->scratch));
}
