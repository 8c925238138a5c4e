/*
 * Changing directories: names are put where there is room, a block is added where there is none,
 * and an entry that goes leaves its room to the one before it. Directories of one full block get an
 * index when the file system has them.
 *
 * Each change of a block takes its checksum with it (dir_csum.c).
 */
#include <core/errno.h>
#include <core/string.h>

#include "dir.h"
#include "map.h"

/* ---- entries ---- */

static void write_entry(const struct ext4_super *s, struct ext4_disk_dirent *e,
			const struct dir_name *n)
{
	e->inode = n->ino;
	e->name_len = (uint8_t)n->name->len;
	e->file_type = dirent_type(s, n->mode);
	memcpy(e->name, n->name->text, n->name->len);
}

/* Bytes of an entry that its name does not leave to others. */
static unsigned used_bytes(const struct ext4_disk_dirent *e)
{
	return e->inode ? dirent_bytes(e->name_len) : 0;
}

/* The first entry that has `need` bytes behind its own; NULL: none. */
static struct ext4_disk_dirent *find_room(const struct ext4_super *s, const struct dir_bytes *d,
					  unsigned need, const char **fault)
{
	struct ext4_disk_dirent *e = NULL;

	while (dirent_next(s, d, &e, fault)) {
		if (e->rec_len >= used_bytes(e) + need)
			return e;
	}
	return NULL;
}

/* The entry gives what it does not need to a new one, or becomes it. */
static struct ext4_disk_dirent *put_behind(const struct ext4_super *s, struct ext4_disk_dirent *e,
					   const struct dir_name *n)
{
	unsigned used = used_bytes(e);

	if (used) {
		struct ext4_disk_dirent *rest = (struct ext4_disk_dirent *)(void *)((uint8_t *)e +
										    used);

		rest->rec_len = (uint16_t)(e->rec_len - used);
		e->rec_len = (uint16_t)used;
		e = rest;
	}
	write_entry(s, e, n);
	return e;
}

int dir_leaf_add(struct ext4_handle *h, struct ext4_inode *dir, uint32_t at, struct buffer *leaf,
		 const struct dir_name *n, struct dir_spot *spot)
{
	struct dir_bytes d = dir_bytes_of(h->super, leaf);
	unsigned need = dirent_bytes(n->name->len);
	const char *fault = NULL;
	struct ext4_disk_dirent *e = find_room(h->super, &d, need, &fault);
	int error;

	if (!e)
		return fault ? dir_damaged(dir, at, fault) : -ENOSPC;
	error = ext4_touch(h, leaf);
	if (error)
		return error;
	struct dir_edit edit = dir_edit_begin(dir, at, leaf, e, used_bytes(e) + need);
	e = put_behind(h->super, e, n);
	dir_edit_end(&edit);
	if (spot)
		*spot = (struct dir_spot){ .b = buffer_hold(leaf), .at = at, .e = e };
	return 0;
}

void dir_remove(struct ext4_inode *dir, struct dir_spot *spot)
{
	struct ext4_disk_dirent *changes = spot->before ? spot->before : spot->e;
	struct dir_edit edit = dir_edit_begin(dir, spot->at, spot->b, changes, EXT4_DIRENT_BYTES);

	if (spot->before)
		spot->before->rec_len = (uint16_t)(spot->before->rec_len + spot->e->rec_len);
	else
		spot->e->inode = 0;
	dir_edit_end(&edit);
}

void dir_redirect(struct ext4_inode *dir, struct dir_spot *spot, const struct ext4_inode *to)
{
	struct dir_edit edit = dir_edit_begin(dir, spot->at, spot->b, spot->e, EXT4_DIRENT_BYTES);

	spot->e->inode = (uint32_t)to->inode.ino;
	spot->e->file_type = dirent_type(ext4_super_of(&dir->inode), to->inode.mode);
	dir_edit_end(&edit);
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
	bool half = h->half;
	int error;

	*at = dir_blocks(dir);
	if (*at >= 0x0fffffff)
		return -ENOSPC;
	error = ext4_map_make(h, dir, *at, 1, 0, &m);
	if (error)
		return error;
	error = ext4_buffer_make(h, m.block, out);
	if (error) { /* a block behind the end is damage to e2fsck */
		if (!map_unmake(h, dir, *at, m.block))
			h->half = half;
		return error;
	}
	dir_leaf_init(dir, *out);
	dir_leaf_csum_set(dir, *out);
	__atomic_fetch_or(&(*out)->flags, BUFFER_VERIFIED, __ATOMIC_RELAXED);
	dir->inode.size += s->block_bytes;
	dir->disk_size = dir->inode.size;
	error = ext4_inode_write(h, dir);
	if (error)
		buffer_put(*out);
	return error;
}

int dir_init(struct ext4_handle *h, struct ext4_inode *dir, uint32_t parent)
{
	const struct dir_name dot = { &(struct vfs_name){ ".", 1 }, (uint32_t)dir->inode.ino,
				      S_IFDIR };
	const struct dir_name dots = { &(struct vfs_name){ "..", 2 }, parent, S_IFDIR };
	struct buffer *b;
	uint32_t at;
	int error = dir_append(h, dir, &at, &b);

	if (error)
		return error;
	error = dir_leaf_add(h, dir, at, b, &dot, NULL);
	if (!error)
		error = dir_leaf_add(h, dir, at, b, &dots, NULL);
	buffer_put(b);
	dir->parent_ino = parent;
	return error;
}

/* ---- adding a name to a directory without an index ---- */

/* -ENOSPC: no block has room. */
static int add_somewhere(struct ext4_handle *h, struct ext4_inode *dir, const struct dir_name *n,
			 struct dir_spot *spot)
{
	int error = -ENOSPC;

	for (uint32_t at = 0; at < dir_blocks(dir) && error == -ENOSPC; at++) {
		struct buffer *b;

		error = dir_read(dir, at, &b);
		if (error)
			return error;
		error = dir_leaf_add(h, dir, at, b, n, spot);
		buffer_put(b);
	}
	return error;
}

static int add_behind(struct ext4_handle *h, struct ext4_inode *dir, const struct dir_name *n,
		      struct dir_spot *spot)
{
	struct buffer *b;
	uint32_t at;
	int error = dir_append(h, dir, &at, &b);

	if (error)
		return error;
	error = dir_leaf_add(h, dir, at, b, n, spot);
	buffer_put(b);
	return error;
}

static int add(struct ext4_handle *h, struct ext4_inode *dir, const struct dir_name *n,
	       struct dir_spot *spot)
{
	int error;

	if (dir_is_indexed(dir))
		return dx_add(h, dir, n, spot);
	error = add_somewhere(h, dir, n, spot);
	if (error != -ENOSPC)
		return error;
	if (dir_blocks(dir) > 1 || !ext4_has_compat(h->super, EXT4_COMPAT_DIR_INDEX))
		return add_behind(h, dir, n, spot);
	error = dx_make(h, dir);
	return error ? error : dx_add(h, dir, n, spot);
}

/* Each step, a split for example, leaves a whole directory, if not a larger one. */
int dir_add(struct ext4_handle *h, struct ext4_inode *dir, const struct dir_name *n,
	    struct dir_spot *spot)
{
	bool half = h->half;
	int error = add(h, dir, n, spot);

	if (error)
		h->half = half;
	return error;
}

/*
 * A block may be new for the leaf, at each level below the root, and for a level more; what they
 * are split from; the inode.
 */
unsigned dir_add_credits(const struct ext4_inode *dir)
{
	return (dx_depth_max(ext4_super_of(&dir->inode)) + 1) * (ext4_map_credits(dir, 1) + 1) +
	       DX_DEPTH_MAX + 2;
}
