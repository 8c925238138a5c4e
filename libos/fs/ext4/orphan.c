/*
 * Orphans: inodes that a crash would leave half done. A file without names that is still open, and
 * one that is being truncated, are on a list that begins in the superblock and goes on through the
 * inodes' dtime fields. Mounting after a crash deletes the former and ends the truncation of the
 * latter.
 *
 * Who puts an inode on the list does so in the handle that makes it an orphan, and takes it off in
 * the one that makes it whole; so the list is right after every commit. Inodes on the list are in
 * memory, linked in the same order, and s->orphans->lock guards both lists; it is taken inside
 * handles. One that could not be deleted stays in memory for the list's sake alone, until the file
 * system goes.
 *
 * Disks with the feature orphan_file have a file besides, whose blocks are arrays of inode numbers:
 * it is emptied at mounting (orphan_file.c), and the list is used from then on, which the format
 * allows.
 *
 * The format: Linux, Documentation/filesystems/ext4/orphan.rst.
 */
#include "orphan.h"

#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>

struct ext4_orphans {
	struct mutex lock;
	struct list inodes;   /* [lock] in the disk's order */
};

static uint32_t ino_of(const struct ext4_inode *i)
{
	return (uint32_t)i->inode.ino;
}

static int write_head(struct ext4_handle *h, uint32_t ino)
{
	struct ext4_super *s = h->super;
	int error;

	mutex_lock(&s->super_lock);
	error = ext4_touch(h, s->super_buffer);
	if (!error) {
		s->disk->last_orphan = ino;
		ext4_super_csum_set(s);
	}
	mutex_unlock(&s->super_lock);
	return error;
}

int ext4_orphan_announce(struct ext4_handle *h)
{
	struct ext4_super *s = h->super;
	bool half = h->half;
	int error;

	mutex_lock(&s->super_lock);
	error = ext4_touch(h, s->super_buffer);
	mutex_unlock(&s->super_lock);
	h->half = half;
	return error;
}

static int add_locked(struct ext4_handle *h, struct ext4_inode *i)
{
	struct ext4_orphans *o = h->super->orphans;
	uint32_t next = h->super->disk->last_orphan;
	int error = ext4_inode_announce(h, i);

	if (!error)
		error = write_head(h, ino_of(i));
	if (error)
		return error;
	i->dtime = next;
	list_push_front(&o->inodes, &i->orphan);
	return ext4_inode_write(h, i);
}

int ext4_orphan_add(struct ext4_handle *h, struct ext4_inode *i)
{
	struct ext4_orphans *o = h->super->orphans;
	int error = 0;

	mutex_lock(&o->lock);
	if (!list_is_linked(&i->orphan))
		error = add_locked(h, i);
	mutex_unlock(&o->lock);
	return error;
}

static int write_link(struct ext4_handle *h, struct ext4_inode *before, uint32_t next)
{
	int error = ext4_inode_announce(h, before);

	if (error)
		return error;
	before->dtime = next;
	return ext4_inode_write(h, before);
}

static int remove_locked(struct ext4_handle *h, struct ext4_inode *i)
{
	struct ext4_orphans *o = h->super->orphans;
	uint32_t next = i->dtime;
	int error = ext4_inode_announce(h, i);

	if (error)
		return error;
	if (i->orphan.prev == &o->inodes)
		error = write_head(h, next);
	else
		error = write_link(h, list_entry(i->orphan.prev, struct ext4_inode, orphan), next);
	if (error)
		return error;
	list_remove(&i->orphan);
	i->dtime = 0;
	return ext4_inode_write(h, i);
}

int ext4_orphan_remove(struct ext4_handle *h, struct ext4_inode *i)
{
	struct ext4_orphans *o = h->super->orphans;
	int error = 0;

	mutex_lock(&o->lock);
	if (list_is_linked(&i->orphan))
		error = remove_locked(h, i);
	mutex_unlock(&o->lock);
	return error;
}

/* ---- mounting ---- */

static int finish_truncation(struct ext4_inode *i)
{
	struct ext4_handle h;
	int error = ext4_truncate(i, i->inode.size);

	if (!error)
		error = ext4_start(ext4_super_of(&i->inode),
				   EXT4_CREDITS_ORPHAN + EXT4_CREDITS_INODE, &h);
	return error ? error : ext4_stop_with(&h, ext4_orphan_remove(&h, i));
}

/* An inode that is on no list in memory any more, or never was. Takes over the reference. */
int orphan_settle(struct ext4_inode *i)
{
	int error = 0;

	mutex_lock(&i->inode.lock);
	if (i->inode.nlink)
		error = finish_truncation(i);
	mutex_unlock(&i->inode.lock);
	inode_put(&i->inode); /* without a name it is deleted here */
	return error;
}

/*
 * The list's first: it becomes the only one in memory, so taking it off makes the next the first.
 */
static int settle_first(struct ext4_super *s, uint32_t ino)
{
	struct ext4_inode *i;
	int error = ext4_iget(s, ino, EXT4_IGET_ORPHAN, &i);

	if (error)
		return error;
	if (list_is_linked(&i->orphan) || i->dtime == ino) {
		inode_put(&i->inode);
		return -EUCLEAN;
	}
	list_push_front(&s->orphans->inodes, &i->orphan);
	return orphan_settle(i);
}

static int settle_list(struct ext4_super *s, uint32_t *count)
{
	uint32_t ino;
	int error = 0;

	for (; !error && (ino = s->disk->last_orphan); ++*count) {
		error = *count < s->inodes ? settle_first(s, ino) : -EUCLEAN;
		if (!error && s->disk->last_orphan == ino)
			error = -EUCLEAN; /* it did not go */
	}
	return error;
}

/*
 * What cannot be followed is left to e2fsck: the disk says so, and nothing else is lost but space.
 */
static int give_up(struct ext4_super *s)
{
	struct ext4_handle h;
	int error = ext4_damaged(s, "orphan list", s->disk->last_orphan, 0,
				 "an inode on it is not an orphan");

	if (ext4_start(s, 1, &h))
		return error;
	return ext4_stop_with(&h, write_head(&h, 0));
}

int ext4_orphans_open(struct ext4_super *s)
{
	uint32_t count = 0;
	int error;

	s->orphans = kzalloc(sizeof(*s->orphans));
	if (!s->orphans)
		return -ENOMEM;
	mutex_init(&s->orphans->lock);
	list_init(&s->orphans->inodes);
	if (ext4_is_read_only(s))
		return 0;
	error = settle_list(s, &count);
	if (!error)
		error = orphan_file_settle(s, &count);
	if (error == -EUCLEAN || error == -ESTALE)
		error = give_up(s);
	if (count)
		log_info("ext4 %s: %u orphans were seen to", s->dev->name, count);
	if (error)
		ext4_orphans_close(s);
	return error;
}

/*
 * The list on the disk has it, so whoever comes off that later has to know what points to him. A
 * file that has names again must not be there twice, though: that is the end of writing.
 */
bool ext4_orphan_keep(struct ext4_inode *i)
{
	struct ext4_super *s = ext4_super_of(&i->inode);

	if (!list_is_linked(&i->orphan))
		return false;
	if (!i->inode.nlink && !s->damaged)
		return true;
	if (!ext4_is_read_only(s))
		ext4_abort(s, -EIO);
	mutex_lock(&s->orphans->lock);
	list_remove(&i->orphan);
	mutex_unlock(&s->orphans->lock);
	return false;
}

/* No inode is left in memory but those that the list has kept. */
static void drop_kept(struct ext4_orphans *o)
{
	struct list *link;

	while ((link = list_pop_front(&o->inodes)))
		ext4_inode_free(list_entry(link, struct ext4_inode, orphan));
}

void ext4_orphans_close(struct ext4_super *s)
{
	if (s->orphans)
		drop_kept(s->orphans);
	kfree(s->orphans);
	s->orphans = NULL;
}
