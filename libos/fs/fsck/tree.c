/*
 * Passes 3 and 4: every directory is reached from the root, by its one name, and ".." leads back;
 * and every inode has as many links as entries that name it.
 */
#include <core/errno.h>

#include "fsck.h"

#define LINKS_MAX 65000u   /* a directory with more has 1, with the feature dir_nlink */
#define REACHED   UINT32_MAX

/*
 * Climbs from one directory until it meets what is known to be reached, the end of a broken branch,
 * or itself.
 */
static bool climbs_to_root(struct fsck *f, struct seen_dir *d, uint32_t mark)
{
	while (d && d->visit != REACHED && d->visit != mark) {
		d->visit = mark;
		d = d->parent ? seen_dir(f, d->parent) : NULL;
	}
	return d && d->visit == REACHED;
}

static void mark_reached(struct fsck *f, struct seen_dir *d)
{
	for (; d && d->visit != REACHED; d = seen_dir(f, d->parent))
		d->visit = REACHED;
}

static void check_parent(struct fsck *f, struct seen_dir *d, uint32_t mark)
{
	if (!d->parent)
		damage(f, "Directory %u has no name.", d->ino);
	else if (d->dotdot && d->dotdot != d->parent)
		damage(f, "Directory %u: \"..\" leads to %u, and its name is in %u.", d->ino,
		       d->dotdot, d->parent);
	if (climbs_to_root(f, d, mark))
		mark_reached(f, d);
	else if (d->parent)
		damage(f, "Directory %u is not below the root.", d->ino);
}

void check_tree(struct fsck *f)
{
	struct seen_dir *dirs = f->dirs.at, *root = seen_dir(f, EXT4_ROOT_INO);

	if (!root) {
		damage(f, "Inode 2 should be the root, and is no directory.");
		return;
	}
	root->visit = REACHED;
	if (root->dotdot && root->dotdot != EXT4_ROOT_INO)
		damage(f, "The root's \"..\" leads to %u.", root->dotdot);
	for (size_t i = 0; i < f->dirs.count; i++) {
		if (&dirs[i] != root)
			check_parent(f, &dirs[i], (uint32_t)i + 1);
	}
}

static bool is_special(const struct fsck *f, uint32_t ino)
{
	return (ino < f->s->first_ino && ino != EXT4_ROOT_INO) ||
	       (ext4_has_compat(f->s, EXT4_COMPAT_ORPHAN_FILE) &&
		ino == f->s->disk->orphan_file_inum);
}

static void check_links_of(struct fsck *f, uint32_t ino, const struct seen_inode *i)
{
	/*
	 * Links of a directory that has once had too many are not counted any more, however few it
	 * has now.
	 */
	bool many = i->type == EXT4_FT_DIR && ext4_has_ro(f->s, EXT4_RO_DIR_NLINK) &&
		    (i->indexed || i->refs > LINKS_MAX);

	if (!i->refs)
		damage(f, "Inode %u has no name.", ino);
	else if (i->links != i->refs && !(many && i->links == 1))
		damage(f, "Inode %u has %u names, and says %u.", ino, i->refs, i->links);
}

void check_links(struct fsck *f)
{
	for (uint32_t ino = 1; ino <= f->s->inodes; ino++) {
		const struct seen_inode *i = seen(f, ino);

		if (i->used && !is_special(f, ino))
			check_links_of(f, ino, i);
	}
}
