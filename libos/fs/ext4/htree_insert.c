/*
 * Names into a directory with an index: a full leaf is split at the middle of its hashes, a full
 * node of the index at its middle entry, and a full root is put into a node of its own, which makes
 * the tree one level deeper.
 *
 * Nodes are split from the root downwards, one at each walk, until the leaf's parent has room for
 * one more; so each step leaves a whole tree, in the same handle.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "dir.h"

static void frame_csum_set(struct ext4_inode *dir, struct dx_frame *f)
{
	dx_csum_set(dir, f->b, (uint32_t)((uint8_t *)f->entries - f->b->data));
}

/* Behind the entry that was followed. There is room, and the buffer was touched. */
static void frame_insert(struct ext4_inode *dir, struct dx_frame *f, uint32_t hash, uint32_t block)
{
	struct ext4_disk_dx_entry *e = &f->entries[f->at + 1];

	memmove(e + 1, e, (f->count - f->at - 1) * sizeof(*e));
	*e = (struct ext4_disk_dx_entry){ hash, block };
	f->count++;
	dx_count_set(f->entries, f->limit, f->count);
	frame_csum_set(dir, f);
}

/* ---- nodes ---- */

/*
 * A node with `count` of the entries at `from`, the first one's hash being known to whoever leads
 * here.
 */
static int node_make(struct ext4_handle *h, struct ext4_inode *dir,
		     const struct ext4_disk_dx_entry *from, uint32_t count, uint32_t *at)
{
	struct ext4_super *s = h->super;
	struct ext4_disk_dx_entry *entries;
	struct ext4_disk_dirent *unused;
	struct buffer *b;
	int error = dir_append(h, dir, at, &b);

	if (error)
		return error;
	memset(b->data, 0, s->block_bytes);
	unused = (struct ext4_disk_dirent *)(void *)b->data;
	unused->rec_len = (uint16_t)s->block_bytes;
	entries = (struct ext4_disk_dx_entry *)(void *)(b->data + EXT4_DX_NODE_ENTRIES);
	memcpy(entries, from, count * sizeof(*entries));
	dx_count_set(entries, dx_limit(s, EXT4_DX_NODE_ENTRIES), count);
	dx_csum_set(dir, b, EXT4_DX_NODE_ENTRIES);
	buffer_put(b);
	return 0;
}

/* The root's entries move into a node. */
static int deepen(struct ext4_handle *h, struct ext4_inode *dir, struct dx_path *p)
{
	struct dx_frame *root = &p->frame[0];
	struct ext4_disk_dx_info *info = (struct ext4_disk_dx_info *)(void *)(root->b->data +
									      EXT4_DX_ROOT_INFO);
	uint32_t at;
	int error;

	if (p->depth >= dx_depth_max(h->super)) /* as Linux: the directory is full */
		return -ENOSPC;
	error = ext4_touch(h, root->b);
	if (!error)
		error = node_make(h, dir, root->entries, root->count, &at);
	if (error)
		return error;
	info->levels++;
	root->entries[0].block = at;
	dx_count_set(root->entries, root->limit, 1);
	frame_csum_set(dir, root);
	return 0;
}

/* The upper half of a node moves into a new one. Its parent has room. */
static int split_node(struct ext4_handle *h, struct ext4_inode *dir, struct dx_frame *parent,
		      struct dx_frame *node)
{
	uint32_t keep = node->count / 2, at, hash = node->entries[keep].hash;
	int error = ext4_touch(h, parent->b);

	if (!error)
		error = ext4_touch(h, node->b);
	if (!error)
		error = node_make(h, dir, &node->entries[keep], node->count - keep, &at);
	if (error)
		return error;
	dx_count_set(node->entries, node->limit, keep);
	frame_csum_set(dir, node);
	frame_insert(dir, parent, hash, at);
	return 0;
}

/* 0: the leaf's parent has room. 1: something was split, and the way down is another. */
static int make_room(struct ext4_handle *h, struct ext4_inode *dir, struct dx_path *p)
{
	unsigned level = p->depth - 1;
	int error;

	if (p->frame[level].count < p->frame[level].limit)
		return 0;
	while (level && p->frame[level - 1].count >= p->frame[level - 1].limit)
		level--;
	error = level ? split_node(h, dir, &p->frame[level - 1], &p->frame[level])
		      : deepen(h, dir, p);
	return error ? error : 1;
}

/* ---- leaves ---- */

struct item {
	uint32_t hash;
	uint16_t offset, bytes;
};

struct items {
	uint8_t *old;                    /* the leaf before */
	struct item *list;
	uint32_t count, bytes;
};

static void items_free(struct items *s)
{
	kfree(s->old);
	kfree(s->list);
}

/* All the memory that a split takes: later it could no longer be given up. */
static int items_alloc(struct items *out, const struct dir_bytes *d)
{
	*out = (struct items){ .old = kmalloc(d->len),
			       .list = kmalloc(d->len / dirent_bytes(1) * sizeof(struct item)) };
	if (out->old && out->list) {
		memcpy(out->old, d->at, d->len);
		return 0;
	}
	items_free(out);
	return -ENOMEM;
}

static int collect(struct ext4_inode *dir, const struct dx_path *p, uint32_t at,
		   const struct dir_bytes *d, struct items *out)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	struct ext4_disk_dirent *e = NULL;
	const char *fault = NULL;
	int error = items_alloc(out, d);

	if (error)
		return error;
	while (dirent_next(s, d, &e, &fault)) {
		if (!e->inode)
			continue;
		struct item *i = &out->list[out->count++];
		i->hash = ext4_hash(s->hash_seed, p->version, p->is_unsigned, e->name, e->name_len)
				  .major;
		i->offset = (uint16_t)((uint8_t *)e - d->at);
		i->bytes = (uint16_t)dirent_bytes(e->name_len);
		out->bytes += i->bytes;
	}
	if (!fault && out->count >= 2)
		return 0;
	items_free(out);
	return dir_damaged(dir, at, fault ? fault : "a leaf without names has no room");
}

static void sort(struct items *s)
{
	for (uint32_t i = 1; i < s->count; i++) {
		struct item one = s->list[i];
		uint32_t j = i;

		for (; j && s->list[j - 1].hash > one.hash; j--)
			s->list[j] = s->list[j - 1];
		s->list[j] = one;
	}
}

/* The first item of the upper half, by bytes; both halves have at least one. */
static uint32_t middle(const struct items *s)
{
	uint32_t bytes = 0, i = 0;

	while (i < s->count - 1 && bytes + s->list[i].bytes <= s->bytes / 2)
		bytes += s->list[i++].bytes;
	return MAX(i, 1u);
}

/* The items [from, to) one behind the other, the last reaching to the end. */
static void pack(struct dir_bytes *d, const struct items *s, uint32_t from, uint32_t to)
{
	uint32_t at = 0;

	for (uint32_t i = from; i < to; i++) {
		struct ext4_disk_dirent *e = (struct ext4_disk_dirent *)(void *)(d->at + at);

		memcpy(e, s->old + s->list[i].offset, s->list[i].bytes);
		e->rec_len = i + 1 < to ? s->list[i].bytes : (uint16_t)(d->len - at);
		at += e->rec_len;
	}
}

/* The lowest hash of the new leaf, odd when the old one ends with it, too. */
static uint32_t move_half(struct ext4_inode *dir, struct items *s, struct buffer *leaf,
			  struct buffer *fresh)
{
	struct ext4_super *super = ext4_super_of(&dir->inode);
	struct dir_bytes low = dir_bytes_of(super, leaf), high = dir_bytes_of(super, fresh);
	uint32_t at;

	sort(s);
	at = middle(s);
	pack(&low, s, 0, at);
	pack(&high, s, at, s->count);
	dir_leaf_csum_set(dir, leaf);
	dir_leaf_csum_set(dir, fresh);
	return s->list[at].hash + (s->list[at - 1].hash == s->list[at].hash);
}

static int split_with(struct ext4_handle *h, struct ext4_inode *dir, struct dx_path *p,
		      struct items *items, struct buffer *leaf)
{
	struct dx_frame *parent = &p->frame[p->depth - 1];
	struct buffer *fresh;
	uint32_t at;
	int error = ext4_touch(h, parent->b);

	if (!error)
		error = ext4_touch(h, leaf);
	if (!error)
		error = dir_append(h, dir, &at, &fresh);
	if (error)
		return error;
	frame_insert(dir, parent, move_half(dir, items, leaf, fresh), at);
	buffer_put(fresh);
	return 0;
}

static int split_leaf(struct ext4_handle *h, struct ext4_inode *dir, struct dx_path *p,
		      struct buffer *leaf)
{
	struct dir_bytes d = dir_bytes_of(h->super, leaf);
	struct items items;
	int error = collect(dir, p, p->leaf, &d, &items);

	if (error)
		return error;
	error = split_with(h, dir, p, &items, leaf);
	items_free(&items);
	return error;
}

/* 0: it is there. 1: something was split; once more. */
static int try_add(struct ext4_handle *h, struct ext4_inode *dir, struct dx_path *p,
		   const struct dir_name *n, struct dir_spot *spot)
{
	struct buffer *leaf;
	int ret = dir_read(dir, p->leaf, &leaf);

	if (ret)
		return ret;
	if (h->super->has_csum && dx_block_is_node(h->super, leaf))
		ret = dir_damaged(dir, p->leaf, "it should be a leaf");
	if (!ret)
		ret = dir_leaf_add(h, dir, p->leaf, leaf, n, spot);
	if (ret == -ENOSPC) {
		ret = make_room(h, dir, p);
		if (!ret) {
			ret = split_leaf(h, dir, p, leaf);
			ret = ret ? ret : 1;
		}
	}
	buffer_put(leaf);
	return ret;
}

/* a node at each level, a level, the leaf, and the leaf of names of one hash once more */
#define TRIES_MAX 8

int dx_add(struct ext4_handle *h, struct ext4_inode *dir, const struct dir_name *n,
	   struct dir_spot *spot)
{
	struct dir_hash hash;
	struct dx_path p;
	int ret = dx_hash(dir, n->name, &hash);

	for (unsigned tries = 0; !ret && tries < TRIES_MAX; tries++) {
		ret = dx_walk(dir, hash.major, &p);
		if (ret)
			return ret;
		ret = try_add(h, dir, &p, n, spot);
		dx_release(&p);
		if (ret <= 0)
			return ret;
		ret = 0;
	}
	return ret ? ret : -ENOSPC;
}

/* ---- the first index ---- */

/* Everything but "." and ".." moves to the new leaf; the root is what remains. */
static int move_names(struct ext4_handle *h, struct ext4_inode *dir, struct buffer *root,
		      struct buffer *leaf)
{
	struct ext4_super *s = h->super;
	struct dir_bytes from = dir_bytes_of(s, root), to = dir_bytes_of(s, leaf);
	struct ext4_disk_dirent *e = NULL, *last = NULL;
	const char *fault = NULL;
	uint32_t at = 0, n = 0;

	while (dirent_next(s, &from, &e, &fault)) {
		if (n++ < 2 || !e->inode)
			continue;
		last = (struct ext4_disk_dirent *)(void *)(to.at + at);
		memcpy(last, e, dirent_bytes(e->name_len));
		last->rec_len = (uint16_t)dirent_bytes(e->name_len);
		at += last->rec_len;
	}
	if (fault || !last)
		return dir_damaged(dir, 0, fault ? fault : "a full block has no names");
	last->rec_len = (uint16_t)(last->rec_len + to.len - at);
	return 0;
}

static void make_root(struct ext4_inode *dir, struct buffer *b, uint32_t leaf)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	const uint32_t offset = EXT4_DX_ROOT_INFO + sizeof(struct ext4_disk_dx_info);
	struct ext4_disk_dirent *dots = (struct ext4_disk_dirent *)(void *)(b->data +
									    dirent_bytes(1));
	struct ext4_disk_dx_info *info = (struct ext4_disk_dx_info *)(void *)(b->data +
									      EXT4_DX_ROOT_INFO);
	struct ext4_disk_dx_entry *entries = (struct ext4_disk_dx_entry *)(void *)(b->data +
										   offset);

	dots->rec_len = (uint16_t)(s->block_bytes - dirent_bytes(1));
	memset(info, 0, s->block_bytes - EXT4_DX_ROOT_INFO);
	info->hash_version = s->hash_version;
	info->info_length = sizeof(*info);
	entries[0].block = leaf;
	dx_count_set(entries, dx_limit(s, offset), 1);
	dx_csum_set(dir, b, offset);
}

static bool begins_with_dots(const struct buffer *b)
{
	const struct ext4_disk_dirent *dot = (const struct ext4_disk_dirent *)(const void *)b->data;
	const struct ext4_disk_dirent
		*dots = (const struct ext4_disk_dirent *)(const void *)(b->data + dirent_bytes(1));

	return dot->rec_len == dirent_bytes(1) && dot->name_len == 1 && dot->name[0] == '.' &&
	       dots->name_len == 2 && dots->name[0] == '.' && dots->name[1] == '.';
}

int dx_make(struct ext4_handle *h, struct ext4_inode *dir)
{
	struct buffer *root, *leaf;
	uint32_t at;
	int error = dir_read(dir, 0, &root);

	if (error)
		return error;
	error = begins_with_dots(root)
			? ext4_touch(h, root)
			: dir_damaged(dir, 0, "it does not begin with \".\" and \"..\"");
	if (!error)
		error = dir_append(h, dir, &at, &leaf);
	if (!error) {
		error = move_names(h, dir, root, leaf);
		if (!error) {
			dir_leaf_csum_set(dir, leaf);
			dir->flags |= EXT4_FL_INDEX;
			make_root(dir, root, at);
			error = ext4_inode_write(h, dir);
		}
		buffer_put(leaf);
	}
	buffer_put(root);
	return error;
}
