/*
 * Changing directories: names are put where there is room, a block is added where there is none, and an entry that goes
 * leaves its room to the one before it. Directories of one full block get an index when the file system has them.
 *
 * Each change of a block is followed by its checksum.
 */
#include <core/errno.h>
#include <core/string.h>

#include "dir.h"

/* ---- entries ---- */

static void write_entry(const struct ext4_super *s, struct ext4_disk_dirent *e, const struct vfs_name *n, uint32_t ino,
			uint32_t mode)
{
	e->inode = ino;
	e->name_len = (uint8_t)n->len;
	e->file_type = dirent_type(s, mode);
	memcpy(e->name, n->text, n->len);
}

int dirent_insert(const struct ext4_super *s, struct dir_bytes *d, const struct vfs_name *n, uint32_t ino, uint32_t mode,
		  const char **fault)
{
	unsigned need = dirent_bytes(n->len);
	struct ext4_disk_dirent *e = NULL;

	while (dirent_next(s, d, &e, fault)) {
		unsigned used = e->inode ? dirent_bytes(e->name_len) : 0;

		if (e->rec_len < used + need)
			continue;
		if (used) {
			struct ext4_disk_dirent *rest = (struct ext4_disk_dirent *)(void *)((uint8_t *)e + used);

			rest->rec_len = (uint16_t)(e->rec_len - used);
			e->rec_len = (uint16_t)used;
			e = rest;
		}
		write_entry(s, e, n, ino, mode);
		return 0;
	}
	return *fault ? -EUCLEAN : -ENOSPC;
}

int dir_remove(struct ext4_handle *h, struct ext4_inode *dir, struct dir_spot *spot)
{
	int error = ext4_touch(h, spot->b);

	if (error)
		return error;
	if (spot->before)
		spot->before->rec_len = (uint16_t)(spot->before->rec_len + spot->e->rec_len);
	else
		spot->e->inode = 0;
	dir_block_csum_set(dir, spot->at, spot->b);
	return 0;
}

int dir_redirect(struct ext4_handle *h, struct ext4_inode *dir, struct dir_spot *spot, uint32_t ino, uint32_t mode)
{
	int error = ext4_touch(h, spot->b);

	if (error)
		return error;
	spot->e->inode = ino;
	spot->e->file_type = dirent_type(h->super, mode);
	dir_block_csum_set(dir, spot->at, spot->b);
	return 0;
}

int dir_set_parent(struct ext4_handle *h, struct ext4_inode *dir, uint32_t parent)
{
	static const struct vfs_name dots = { "..", 2 };
	struct dir_spot spot;
	int error = dir_find(dir, &dots, &spot);

	if (error)
		return error == -ENOENT ? dir_damaged(dir, 0, "it has no \"..\"") : error;
	error = dir_redirect(h, dir, &spot, parent, S_IFDIR);
	buffer_put(spot.b);
	dir->parent_ino = parent;
	return error;
}

/* ---- blocks ---- */

void dir_leaf_init(struct ext4_inode *dir, struct buffer *b)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	struct dir_bytes d = dir_bytes_of(s, b);
	struct ext4_disk_dirent *e = (struct ext4_disk_dirent *)(void *)b->data;
	struct ext4_disk_dir_tail *tail = (struct ext4_disk_dir_tail *)(void *)(b->data + d.len);

	memset(b->data, 0, s->block_bytes);
	e->rec_len = (uint16_t)d.len;
	if (!s->has_csum)
		return;
	tail->rec_len = sizeof(*tail);
	tail->file_type = EXT4_FT_TAIL;
}

int dir_append(struct ext4_handle *h, struct ext4_inode *dir, uint32_t *at, struct buffer **out)
{
	struct ext4_super *s = h->super;
	struct ext4_mapping m;
	int error;

	*at = dir_blocks(dir);
	if (*at >= 0x0fffffff)
		return -ENOSPC;
	error = ext4_map_make(h, dir, *at, 1, 0, &m);
	if (!error)
		error = buffer_make(&s->buffers, m.block, out);
	if (error)
		return error;
	error = ext4_created(h, *out);
	if (error) {
		buffer_put(*out);
		return error;
	}
	dir_leaf_init(dir, *out);
	dir_leaf_csum_set(dir, *out);
	__atomic_fetch_or(&(*out)->flags, BUFFER_VERIFIED, __ATOMIC_RELAXED);
	dir->inode.size += s->block_bytes;
	dir->disk_size = dir->inode.size;
	return ext4_inode_write(h, dir);
}

int dir_init(struct ext4_handle *h, struct ext4_inode *dir, uint32_t parent)
{
	static const struct vfs_name dot = { ".", 1 }, dots = { "..", 2 };
	struct ext4_super *s = h->super;
	const char *fault = NULL;
	struct buffer *b;
	uint32_t at;
	int error = dir_append(h, dir, &at, &b);

	if (error)
		return error;
	struct dir_bytes d = dir_bytes_of(s, b);
	dirent_insert(s, &d, &dot, (uint32_t)dir->inode.ino, S_IFDIR, &fault);
	dirent_insert(s, &d, &dots, parent, S_IFDIR, &fault);
	dir_leaf_csum_set(dir, b);
	buffer_put(b);
	dir->parent_ino = parent;
	return 0;
}

/* ---- adding a name to a directory without an index ---- */

static int insert_into(struct ext4_handle *h, struct ext4_inode *dir, uint32_t at, struct buffer *b,
		       const struct vfs_name *n, uint32_t ino, uint32_t mode)
{
	struct dir_bytes d = dir_bytes_of(h->super, b);
	const char *fault = NULL;
	int error = ext4_touch(h, b);

	if (!error)
		error = dirent_insert(h->super, &d, n, ino, mode, &fault);
	if (fault)
		return dir_damaged(dir, at, fault);
	if (!error)
		dir_leaf_csum_set(dir, b);
	return error;
}

static bool has_room(struct ext4_super *s, struct buffer *b, const struct vfs_name *n)
{
	struct dir_bytes d = dir_bytes_of(s, b);
	struct ext4_disk_dirent *e = NULL;
	const char *fault = NULL;

	while (dirent_next(s, &d, &e, &fault)) {
		unsigned used = e->inode ? dirent_bytes(e->name_len) : 0;

		if (e->rec_len >= used + dirent_bytes(n->len))
			return true;
	}
	return fault != NULL; /* which insert_into() tells */
}

/* -ENOSPC: no block has room. */
static int add_somewhere(struct ext4_handle *h, struct ext4_inode *dir, const struct vfs_name *n, uint32_t ino,
			 uint32_t mode)
{
	int error = -ENOSPC;

	for (uint32_t at = 0; at < dir_blocks(dir) && error == -ENOSPC; at++) {
		struct buffer *b;

		error = dir_read(dir, at, &b);
		if (error)
			return error;
		error = has_room(h->super, b, n) ? insert_into(h, dir, at, b, n, ino, mode) : -ENOSPC;
		buffer_put(b);
	}
	return error;
}

static int add_behind(struct ext4_handle *h, struct ext4_inode *dir, const struct vfs_name *n, uint32_t ino, uint32_t mode)
{
	struct buffer *b;
	uint32_t at;
	int error = dir_append(h, dir, &at, &b);

	if (error)
		return error;
	error = insert_into(h, dir, at, b, n, ino, mode);
	buffer_put(b);
	return error;
}

int dir_add(struct ext4_handle *h, struct ext4_inode *dir, const struct vfs_name *n, uint32_t ino, uint32_t mode)
{
	int error;

	if (dir_is_indexed(dir))
		return dx_add(h, dir, n, ino, mode);
	error = add_somewhere(h, dir, n, ino, mode);
	if (error != -ENOSPC)
		return error;
	if (dir_blocks(dir) > 1 || !ext4_has_compat(h->super, EXT4_COMPAT_DIR_INDEX))
		return add_behind(h, dir, n, ino, mode);
	error = dx_make(h, dir);
	return error ? error : dx_add(h, dir, n, ino, mode);
}

/* Three blocks may be new (leaf, node, root's node), each with its place in the map; what they are split from; the inode. */
unsigned dir_add_credits(const struct ext4_inode *dir)
{
	return 3 * (ext4_map_credits(dir, 1) + 1) + 5;
}
