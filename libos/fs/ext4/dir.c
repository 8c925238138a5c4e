/*
 * Directories: blocks of entries (directory.rst, "Linear Directories"). Each entry says how far it
 * is to the next one, so that the last reaches to the block's end; with metadata_csum the last
 * twelve bytes are a checksum in the shape of an unused entry. An index (htree.c) hides in such
 * blocks, so that who knows nothing of it still finds every name.
 */
#include <core/errno.h>
#include <core/string.h>

#include "dir.h"

int dir_damaged(struct ext4_inode *dir, uint32_t at, const char *what)
{
	return ext4_damaged(ext4_super_of(&dir->inode), "directory", (uint32_t)dir->inode.ino, 0,
			    "block %u of it: %s", at, what);
}

/* ---- entries ---- */

const char *dirent_fault(const struct ext4_disk_dirent *e, uint32_t left)
{
	if (left < dirent_bytes(1) || e->rec_len > left || e->rec_len % 4 ||
	    e->rec_len < dirent_bytes(1))
		return "an entry's length is impossible";
	if (dirent_bytes(e->name_len) > e->rec_len)
		return "a name is longer than its entry";
	return e->inode && !e->name_len ? "an entry has no name"
					: "an entry has a number that no inode has";
}

/* Names of one length that differ tend to differ at their ends, as numbered ones do. */
static bool is_named(const struct ext4_disk_dirent *e, const struct vfs_name *n)
{
	return e->name_len == n->len && e->inode && e->name[n->len - 1] == n->text[n->len - 1] &&
	       !memcmp(e->name, n->text, n->len);
}

struct ext4_disk_dirent *dirent_find(const struct ext4_super *s, const struct dir_bytes *d,
				     const struct vfs_name *n, struct ext4_disk_dirent **before,
				     const char **fault)
{
	struct ext4_disk_dirent *e = NULL;

	for (*before = NULL; dirent_next(s, d, &e, fault); *before = e) {
		if (is_named(e, n))
			return e;
	}
	return NULL;
}

uint8_t dirent_type(const struct ext4_super *s, uint32_t mode)
{
	if (!ext4_has_incompat(s, EXT4_INCOMPAT_FILETYPE))
		return EXT4_FT_UNKNOWN;
	for (uint8_t type = EXT4_FT_REG; type < EXT4_FT_COUNT; type++) {
		if (mode_of_type(type) == (mode & S_IFMT))
			return type;
	}
	return EXT4_FT_UNKNOWN;
}

/* ---- blocks ---- */

bool dir_is_indexed(const struct ext4_inode *dir)
{
	return dir->flags & EXT4_FL_INDEX &&
	       ext4_has_compat(ext4_super_of(&dir->inode), EXT4_COMPAT_DIR_INDEX);
}

uint32_t dir_blocks(const struct ext4_inode *dir)
{
	return (uint32_t)((uint64_t)dir->inode.size >> ext4_super_of(&dir->inode)->block_shift);
}

struct dir_bytes dir_bytes_of(const struct ext4_super *s, struct buffer *b)
{
	return (struct dir_bytes){
		b->data,
		s->block_bytes - (s->has_csum ? (uint32_t)sizeof(struct ext4_disk_dir_tail) : 0)
	};
}

int dir_read(struct ext4_inode *dir, uint32_t at, struct buffer **out)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	struct ext4_mapping m;
	int error = at < dir_blocks(dir) ? ext4_map(dir, at, 1, &m)
					 : dir_damaged(dir, at, "it lies behind the end");

	if (!error && m.kind != EXT4_MAPPED)
		error = dir_damaged(dir, at, "it has no place on the disk");
	if (!error)
		error = buffer_read(&s->buffers, m.block, out);
	if (error || (*out)->flags & BUFFER_VERIFIED)
		return error;
	if (!dir_block_is_right(dir, at, *out)) {
		buffer_put(*out);
		return dir_damaged(dir, at, "its checksum is wrong");
	}
	__atomic_fetch_or(&(*out)->flags, BUFFER_VERIFIED, __ATOMIC_RELAXED);
	return 0;
}

/* ---- looking for a name ---- */

static int linear_find(struct ext4_inode *dir, const struct vfs_name *n, struct dir_spot *out)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	const char *fault = NULL;

	for (out->at = 0; out->at < dir_blocks(dir); out->at++) {
		int error = dir_read(dir, out->at, &out->b);

		if (error)
			return error;
		struct dir_bytes d = dir_bytes_of(s, out->b);
		/* "." and ".." reach over the index to the very end */
		if (dx_entries_offset(dir, out->at, out->b))
			d.len = s->block_bytes;
		out->e = dirent_find(s, &d, n, &out->before, &fault);
		if (out->e)
			return 0;
		buffer_put(out->b);
		out->b = NULL;
		if (fault)
			return dir_damaged(dir, out->at, fault);
	}
	return -ENOENT;
}

static int inline_find(struct ext4_inode *dir, const struct vfs_name *n, struct dir_spot *out)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	struct dir_bytes pieces[2];
	const char *fault = NULL;
	int error = inline_dir(dir, pieces, &out->b);

	if (error)
		return error;
	for (unsigned i = 0; i < 2 && !out->e && !fault; i++)
		out->e = dirent_find(s, &pieces[i], n, &out->before, &fault);
	if (out->e)
		return 0;
	buffer_put(out->b);
	out->b = NULL;
	return fault ? dir_damaged(dir, 0, fault) : -ENOENT;
}

int dir_find(struct ext4_inode *dir, const struct vfs_name *n, struct dir_spot *out)
{
	*out = (struct dir_spot){ 0 };
	if (dir->flags & EXT4_FL_INLINE_DATA)
		return inline_find(dir, n, out);
	return dir_is_indexed(dir) ? dx_find(dir, n, out) : linear_find(dir, n, out);
}

int ext4_lookup(struct inode *inode, const struct vfs_name *n, struct inode **out)
{
	struct ext4_inode *dir = ext4_of(inode), *found;
	struct dir_spot spot;
	uint32_t ino;
	int error;

	if (n->len > EXT4_NAME_MAX)
		return -ENAMETOOLONG;
	error = dir_find(dir, n, &spot);
	if (error)
		return error;
	ino = spot.e->inode;
	buffer_put(spot.b);
	if (ino == inode->ino)
		return dir_damaged(dir, spot.at, "a name leads to the directory itself");
	error = ext4_iget(ext4_super_of(inode), ino, 0, &found);
	if (error == -ESTALE)
		return dir_damaged(dir, spot.at, "a name leads to an inode that is free");
	if (error)
		return error;
	if (inode_is_dir(&found->inode) && !found->parent_ino)
		found->parent_ino = (uint32_t)inode->ino;
	*out = &found->inode;
	return 0;
}

int ext4_dir_aliased(struct inode *dir, struct inode *found)
{
	return ext4_damaged(ext4_super_of(dir), "directory", (uint32_t)found->ino, 0,
			    "it has a second name, in directory %u", (uint32_t)dir->ino);
}

bool ext4_dir_is_empty(struct inode *inode)
{
	struct ext4_inode *dir = ext4_of(inode);
	struct ext4_super *s = ext4_super_of(inode);
	bool empty = true;
	const char *fault = NULL;

	for (uint32_t at = 0; at < dir_blocks(dir) && empty; at++) {
		struct ext4_disk_dirent *e = NULL;
		struct buffer *b;

		if (dir_read(dir, at, &b))
			return false;
		struct dir_bytes d = dir_bytes_of(s, b);
		if (dx_entries_offset(dir, at, b))
			d.len = s->block_bytes;
		while (empty && dirent_next(s, &d, &e, &fault)) {
			bool dots = !at && e->name[0] == '.' &&
				    (e->name_len == 1 || (e->name_len == 2 && e->name[1] == '.'));

			empty = !e->inode || dots;
		}
		buffer_put(b);
		if (fault)
			return dir_damaged(dir, at, fault), false;
	}
	return empty && !(dir->flags & EXT4_FL_INLINE_DATA);
}

int ext4_dir_parent(struct ext4_inode *dir, uint32_t *ino)
{
	static const struct vfs_name dots = { "..", 2 };
	struct dir_spot spot;
	int error;

	if (dir->flags & EXT4_FL_INLINE_DATA) {
		*ino = dir->block[0];
		return 0;
	}
	error = dir_find(dir, &dots, &spot);
	if (error)
		return error == -ENOENT ? dir_damaged(dir, 0, "it has no \"..\"") : error;
	*ino = spot.e->inode;
	buffer_put(spot.b);
	return 0;
}
