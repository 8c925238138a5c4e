/*
 * Pass 2: the entries of every directory. Each is checked for its form by the file system's own
 * walk (dirent_next()), and for what it names: an inode that is in use, of the type the entry says,
 * and for a directory that nobody else names.
 *
 * Names are compared with the others of their block. In a directory with an index equal names have
 * equal hashes, and so lie together but for those that go on in the next leaf; a long directory
 * without an index is not searched as a whole.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "../ext4/xattr.h"
#include "fsck.h"

void dir_fault(struct dir_scan *d, uint32_t at, const char *what)
{
	damage(d->f, "Directory %u, block %u: %s.", d->ino, at, what);
	d->broken = true;
}

static bool is_dots(const struct ext4_disk_dirent *e)
{
	return e->name_len && e->name_len <= 2 && e->name[0] == '.' &&
	       (e->name_len == 1 || e->name[1] == '.');
}

static bool name_is_possible(const struct ext4_disk_dirent *e)
{
	for (unsigned i = 0; i < e->name_len; i++) {
		if (!e->name[i] || e->name[i] == '/')
			return false;
	}
	return e->name_len;
}

/* ---- what an entry names ---- */

static const char *target_fault(struct dir_scan *d, const struct ext4_disk_dirent *e)
{
	struct fsck *f = d->f;
	bool typed = ext4_has_incompat(f->s, EXT4_INCOMPAT_FILETYPE);
	const struct seen_inode *i = seen(f, e->inode);

	if (e->inode == EXT4_ROOT_INO)
		return "an entry leads back to the root";
	if (e->inode < f->s->first_ino)
		return "an entry names an inode of the file system's own";
	if (ext4_has_compat(f->s, EXT4_COMPAT_ORPHAN_FILE) &&
	    e->inode == f->s->disk->orphan_file_inum)
		return "an entry names the file of orphans";
	if (!i->used)
		return "an entry names an inode that is free";
	if (e->file_type && e->file_type != (typed ? i->type : 0))
		return "an entry says another type than its inode";
	return NULL;
}

static void note_parent(struct dir_scan *d, uint32_t at, uint32_t ino)
{
	struct seen_dir *child = seen_dir(d->f, ino);

	if (child && child->parent)
		dir_fault(d, at, "a directory has a second name");
	else if (child)
		child->parent = d->ino;
}

static void check_name(struct dir_scan *d, uint32_t at, const struct ext4_disk_dirent *e)
{
	const char *fault = NULL;

	if (!name_is_possible(e))
		fault = "a name is empty, or has a zero or a slash in it";
	else if (is_dots(e))
		fault = "\".\" or \"..\" is there again";
	if (!fault)
		fault = target_fault(d, e);
	if (fault)
		dir_fault(d, at, fault);
	if (e->inode < d->f->s->first_ino)
		return;
	seen(d->f, e->inode)->refs++;
	if (seen(d->f, e->inode)->used && seen(d->f, e->inode)->type == EXT4_FT_DIR)
		note_parent(d, at, e->inode);
}

/* ---- "." and "..", which are first ---- */

static bool check_dot(struct dir_scan *d, const struct ext4_disk_dirent *e, uint8_t len)
{
	uint8_t type = ext4_has_incompat(d->f->s, EXT4_INCOMPAT_FILETYPE) ? EXT4_FT_DIR : 0;

	if (e->name_len != len || !is_dots(e) || e->name[len] ||
	    (len == 1 && e->rec_len != dirent_bytes(1)) || (e->file_type && e->file_type != type) ||
	    !e->inode || (len == 1 && e->inode != d->ino)) {
		dir_fault(d, 0,
			  len == 1 ? "it does not begin with \".\""
				   : "\"..\" is not its second entry");
		return false;
	}
	return true;
}

static bool check_dots(struct dir_scan *d, const struct dir_bytes *bytes,
		       struct ext4_disk_dirent **e)
{
	const char *fault = NULL;

	if (!dirent_next(d->f->s, bytes, e, &fault) || !check_dot(d, *e, 1) ||
	    !dirent_next(d->f->s, bytes, e, &fault) || !check_dot(d, *e, 2)) {
		if (fault)
			dir_fault(d, 0, fault);
		return false;
	}
	d->dir->dotdot = (*e)->inode;
	seen(d->f, d->ino)->refs++;
	seen(d->f, (*e)->inode)->refs++;
	return true;
}

/* ---- blocks ---- */

static bool is_twice(struct dir_scan *d, const struct dir_bytes *bytes,
		     const struct ext4_disk_dirent *e)
{
	struct ext4_disk_dirent *other = NULL;
	const char *fault = NULL;

	while (dirent_next(d->f->s, bytes, &other, &fault) && other != e) {
		if (other->inode && other->name_len == e->name_len &&
		    !memcmp(other->name, e->name, e->name_len))
			return true;
	}
	return false;
}

static void note_hash(struct dir_scan *d, uint32_t at, const struct ext4_disk_dirent *e)
{
	const struct ext4_super *s = d->f->s;
	struct leaf *l = &d->leaves[at];
	uint32_t hash = ext4_hash(s->hash_seed, d->version, s->hash_unsigned, e->name, e->name_len)
				.major;

	l->low = l->seen ? MIN(l->low, hash) : hash;
	l->high = l->seen ? MAX(l->high, hash) : hash;
	l->seen = true;
}

/* Entries behind `e` (NULL: all). */
static void check_entries(struct dir_scan *d, uint32_t at, const struct dir_bytes *bytes,
			  struct ext4_disk_dirent *e)
{
	const char *fault = NULL;

	while (dirent_next(d->f->s, bytes, &e, &fault)) {
		if (!e->inode)
			continue;
		check_name(d, at, e);
		if (is_twice(d, bytes, e))
			dir_fault(d, at, "a name is there twice");
		if (d->indexed)
			note_hash(d, at, e);
	}
	if (fault)
		dir_fault(d, at, fault);
}

/* The root of an index: its two entries reach to the end, and hide it. */
static void check_index_root(struct dir_scan *d, struct buffer *b)
{
	struct dir_bytes bytes = { b->data, d->f->s->block_bytes };
	struct ext4_disk_dirent *e = NULL;

	if (check_dots(d, &bytes, &e) && (uint8_t *)e + e->rec_len != bytes.at + bytes.len)
		dir_fault(d, 0, "entries follow where the index should be");
	d->indexed = !d->broken && index_begin(d, b);
}

static void check_block(struct dir_scan *d, uint32_t at, struct buffer *b)
{
	struct ext4_inode *scratch = d->f->scratch;
	struct dir_bytes bytes = dir_bytes_of(d->f->s, b);
	struct ext4_disk_dirent *e = NULL;

	if (!dir_block_is_right(scratch, at, b))
		dir_fault(d, at, "its checksum is wrong");
	if (at == 0 && dir_is_indexed(scratch)) {
		check_index_root(d, b);
		return;
	}
	if (d->leaves)
		d->leaves[at].block = b->block;
	if (dx_entries_offset(scratch, at, b)) {
		if (d->leaves)
			d->leaves[at].node = true;
		return;
	}
	if (at == 0 && !check_dots(d, &bytes, &e))
		return;
	check_entries(d, at, &bytes, e);
}

static bool visit(struct walk *w, uint64_t first, uint64_t block, uint32_t len, bool unwritten)
{
	struct dir_scan *d = w->arg;

	if (first != d->next || first + len > d->blocks || unwritten) {
		dir_fault(d, d->next, "it has no place on the disk");
		return false;
	}
	d->next += len;
	for (uint32_t i = 0; i < len && !d->f->error; i++) {
		struct buffer *b = fsck_read(d->f, block + i);

		if (b)
			check_block(d, (uint32_t)first + i, b);
		buffer_put(b);
	}
	return !d->f->error;
}

static void check_blocks(struct dir_scan *d, const struct ext4_disk_inode *raw)
{
	struct walk w = { .f = d->f,
			  .ino = d->ino,
			  .raw = raw,
			  .seed = d->f->scratch->csum_seed,
			  .visit = visit,
			  .arg = d };

	if (dir_is_indexed(d->f->scratch)) {
		d->leaves = kzalloc(MAX((size_t)d->blocks, 1u) * sizeof(*d->leaves));
		if (!d->leaves) {
			has_failed(d->f, -ENOMEM);
			return;
		}
	}
	walk_blocks(&w);
	if (d->next != d->blocks && !d->broken)
		dir_fault(d, d->next, "it has no place on the disk");
	if (d->indexed && !d->broken)
		index_end(d);
	kfree(d->leaves);
}

/*
 * ---- a directory that lies in its inode: its parent's number, entries, and more of them in an
 * attribute ----
 */

static void check_inline(struct dir_scan *d, struct ext4_disk_inode *raw)
{
	struct dir_bytes piece = { (uint8_t *)raw->block + 4, EXT4_INODE_BLOCK_BYTES - 4 };
	size_t len = 0;
	uint8_t *value;
	int error = xattr_inline_data(d->f->s, d->f->scratch, raw, &value, &len);

	if (error || (uintptr_t)value % 4) {
		dir_fault(d, 0, "its entries should lie in the inode, and do not");
		return;
	}
	d->dir->dotdot = raw->block[0];
	if (!d->dir->dotdot || d->dir->dotdot > d->f->s->inodes) {
		dir_fault(d, 0, "its parent is no inode");
		return;
	}
	seen(d->f, d->ino)->refs++;
	seen(d->f, d->dir->dotdot)->refs++;
	check_entries(d, 0, &piece, NULL);
	piece = (struct dir_bytes){ value, (uint32_t)len };
	if (len)
		check_entries(d, 0, &piece, NULL);
}

/* ---- all directories ---- */

/* What the file system's code for directories asks of an inode. */
static void fill_scratch(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw)
{
	struct ext4_inode *i = f->scratch;

	i->inode.super = &f->vfs;
	i->inode.ino = ino;
	i->inode.mode = raw->mode;
	i->inode.size = (int64_t)inode_size(raw);
	i->flags = raw->flags;
	i->generation = raw->generation;
	i->csum_seed = ext4_inode_seed(f->s, ino, raw->generation);
}

static void check_dir(struct fsck *f, struct seen_dir *dir)
{
	struct dir_scan d = { .f = f, .dir = dir, .ino = dir->ino };
	struct ext4_disk_inode *raw;
	struct buffer *b;

	if (seen(f, dir->ino)->broken) {
		say(f, "Directory %u was not looked into.", dir->ino);
		return;
	}
	if (has_failed(f, ext4_inode_raw(f->s, dir->ino, &b, &raw)))
		return;
	fill_scratch(f, dir->ino, raw);
	if (raw->flags & EXT4_FL_INLINE_DATA) {
		check_inline(&d, raw);
	} else {
		d.blocks = (uint32_t)MIN(inode_size(raw) >> f->s->block_shift, f->s->blocks);
		check_blocks(&d, raw);
	}
	buffer_put(b);
}

void check_dirs(struct fsck *f)
{
	struct seen_dir *dirs = f->dirs.at;

	for (size_t i = 0; i < f->dirs.count && !f->error; i++)
		check_dir(f, &dirs[i]);
}
