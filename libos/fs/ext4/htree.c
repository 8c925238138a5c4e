/*
 * The index of a directory (directory.rst, "Hash Tree Directories"): a tree of blocks, at most
 * three deep, whose leaves are ordinary blocks of entries, each with the names of one range of
 * hashes. Block 0 is the root: "." and "..", whose record covers the rest, then the index. Other
 * nodes look like one unused entry.
 *
 * The first entry of a node has no hash, since it has no lower bound; its place holds how many
 * entries there are and may be. An entry with an odd hash goes on with names of the same hash as
 * the leaf before it.
 */
#include <core/crc.h>
#include <core/errno.h>
#include <core/string.h>

#include "dir.h"

static const struct ext4_disk_dx_info *root_info(const struct buffer *b)
{
	return (const struct ext4_disk_dx_info *)(const void *)(b->data + EXT4_DX_ROOT_INFO);
}

bool dx_block_is_node(const struct ext4_super *s, const struct buffer *b)
{
	const struct ext4_disk_dirent *e = (const struct ext4_disk_dirent *)(const void *)b->data;

	return !e->inode && e->rec_len == s->block_bytes && !e->name_len;
}

/* Where the block's index entries begin; 0: it is a leaf. */
uint32_t dx_entries_offset(const struct ext4_inode *dir, uint32_t at_block, const struct buffer *b)
{
	if (!dir_is_indexed(dir))
		return 0;
	if (!at_block)
		return EXT4_DX_ROOT_INFO + sizeof(struct ext4_disk_dx_info);
	return dx_block_is_node(ext4_super_of(&dir->inode), b) ? EXT4_DX_NODE_ENTRIES : 0;
}

uint32_t dx_limit(const struct ext4_super *s, uint32_t entries_offset)
{
	uint32_t tail = s->has_csum ? sizeof(struct ext4_disk_dx_tail) : 0;

	return (s->block_bytes - entries_offset - tail) / sizeof(struct ext4_disk_dx_entry);
}

static struct ext4_disk_dx_entry *entries_of(const struct buffer *b, uint32_t offset)
{
	return (struct ext4_disk_dx_entry *)(void *)(b->data + offset);
}

/* ---- checksums: of what is used of the block, and of the tail ---- */

static uint32_t node_csum(struct ext4_inode *dir, struct buffer *b, uint32_t offset,
			  struct ext4_disk_dx_tail **tail)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	struct ext4_disk_dx_entry *entries = entries_of(b, offset);
	uint32_t limit = dx_limit(s, offset), crc, zero = 0;

	*tail = (struct ext4_disk_dx_tail *)(void *)(entries + limit);
	crc = crc32c(dir->csum_seed, b->data,
		     offset + MIN(dx_count(entries), limit) * sizeof(*entries));
	return crc32c(crc32c(crc, &(*tail)->reserved, 4), &zero, 4);
}

bool dx_csum_is_right(struct ext4_inode *dir, struct buffer *b, uint32_t entries_offset)
{
	struct ext4_disk_dx_tail *tail;
	uint32_t crc = node_csum(dir, b, entries_offset, &tail);

	return tail->checksum == crc;
}

void dx_csum_set(struct ext4_inode *dir, struct buffer *b, uint32_t entries_offset)
{
	struct ext4_disk_dx_tail *tail;
	uint32_t crc;

	if (!ext4_super_of(&dir->inode)->has_csum)
		return;
	crc = node_csum(dir, b, entries_offset, &tail);
	tail->checksum = crc;
}

/* ---- the way down ---- */

static int check_node(struct ext4_inode *dir, const struct dx_frame *f)
{
	if ((f->entries[0].hash & 0xffff) != f->limit)
		return dir_damaged(dir, f->at_block,
				   "the index has room for an impossible number of entries");
	if (!f->count || f->count > f->limit)
		return dir_damaged(dir, f->at_block,
				   "the index has an impossible number of entries");
	return 0;
}

static int enter(struct ext4_inode *dir, uint32_t at_block, struct dx_frame *f)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	uint32_t offset;
	int error = dir_read(dir, at_block, &f->b);

	if (error)
		return error;
	offset = dx_entries_offset(dir, at_block, f->b);
	f->at_block = at_block;
	if (!offset) {
		error = dir_damaged(dir, at_block, "it should be a node of the index");
	} else {
		f->entries = entries_of(f->b, offset);
		f->limit = dx_limit(s, offset);
		f->count = dx_count(f->entries);
		error = check_node(dir, f);
	}
	if (error) {
		buffer_put(f->b);
		f->b = NULL;
	}
	return error;
}

static int check_root(struct ext4_inode *dir, const struct ext4_disk_dx_info *info)
{
	if (info->zero || info->info_length != sizeof(*info) || info->flags & 1)
		return dir_damaged(dir, 0, "the index is of an unknown kind");
	if (info->hash_version > EXT4_HASH_TEA)
		return dir_damaged(dir, 0, "the index uses an unknown hash");
	if (info->levels >= dx_depth_max(ext4_super_of(&dir->inode)))
		return dir_damaged(dir, 0, "the index is too deep");
	return 0;
}

/* The last entry that is not above `hash`. */
static uint32_t follow(const struct dx_frame *f, uint32_t hash)
{
	uint32_t low = 1, high = f->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (f->entries[middle].hash > hash)
			high = middle;
		else
			low = middle + 1;
	}
	return low - 1;
}

static uint32_t target_of(const struct dx_frame *f)
{
	return f->entries[f->at].block & 0x0fffffff; /* the upper bits are not the number's */
}

void dx_release(struct dx_path *p)
{
	while (p->depth)
		buffer_put(p->frame[--p->depth].b);
}

/* From the frame at `level`, whose entry is chosen, down to a leaf, by `hash`. */
static int descend(struct ext4_inode *dir, struct dx_path *p, unsigned level, unsigned levels,
		   uint32_t hash)
{
	for (; level + 1 < levels; level++) {
		struct dx_frame *f = &p->frame[level + 1];
		uint32_t block = target_of(&p->frame[level]);
		int error = block ? enter(dir, block, f)
				  : dir_damaged(dir, 0, "the index leads back to its root");

		if (error)
			return error;
		f->at = follow(f, hash);
		p->depth = level + 2;
	}
	p->leaf = target_of(&p->frame[p->depth - 1]);
	return p->leaf ? 0 : dir_damaged(dir, 0, "the index leads back to its root");
}

int dx_walk(struct ext4_inode *dir, uint32_t hash, struct dx_path *p)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	const struct ext4_disk_dx_info *info;
	unsigned levels;
	int error;

	*p = (struct dx_path){ 0 };
	error = enter(dir, 0, &p->frame[0]);
	if (error)
		return error;
	p->depth = 1;
	info = root_info(p->frame[0].b);
	error = check_root(dir, info);
	if (!error) {
		levels = info->levels + 1u;
		p->version = info->hash_version;
		p->is_unsigned = s->hash_unsigned;
		p->frame[0].at = follow(&p->frame[0], hash);
		error = descend(dir, p, 0, levels, hash);
	}
	if (error)
		dx_release(p);
	return error;
}

int dx_next(struct ext4_inode *dir, struct dx_path *p, uint32_t *first)
{
	unsigned levels = p->depth, level = levels;
	int error;

	while (level && p->frame[level - 1].at + 1 >= p->frame[level - 1].count)
		level--;
	if (!level)
		return 0;
	level--;
	while (p->depth > level + 1)
		buffer_put(p->frame[--p->depth].b);
	*first = p->frame[level].entries[++p->frame[level].at].hash;
	error = descend(dir, p, level, levels, 0);
	return error ? error : 1;
}

int dx_hash(struct ext4_inode *dir, const struct vfs_name *n, struct dir_hash *out)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	uint8_t version = s->hash_version;

	if (dir_is_indexed(dir)) {
		struct buffer *b;
		int error = dir_read(dir, 0, &b);

		if (error)
			return error;
		error = check_root(dir, root_info(b));
		version = root_info(b)->hash_version;
		buffer_put(b);
		if (error)
			return error;
	}
	*out = ext4_hash(s->hash_seed, version, s->hash_unsigned, n->text, n->len);
	return 0;
}

/* 1: found; 0: not in this leaf. */
static int find_in_leaf(struct ext4_inode *dir, const struct vfs_name *n, uint32_t at,
			struct dir_spot *out)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	const char *fault = NULL;
	int error = dir_read(dir, at, &out->b);

	if (error)
		return error;
	struct dir_bytes d = dir_bytes_of(s, out->b);
	out->at = at;
	if (dx_entries_offset(dir, at, out->b) && s->has_csum)
		fault = "it should be a leaf";
	else
		out->e = dirent_find(s, &d, n, &out->before, &fault);
	if (out->e)
		return 1;
	buffer_put(out->b);
	out->b = NULL;
	return fault ? dir_damaged(dir, at, fault) : 0;
}

static bool is_dots(const struct vfs_name *n)
{
	return n->text[0] == '.' && (n->len == 1 || (n->len == 2 && n->text[1] == '.'));
}

/* "." and "..": in the root, past which no entry reaches. */
static int find_dots(struct ext4_inode *dir, const struct vfs_name *n, struct dir_spot *out)
{
	struct ext4_super *s = ext4_super_of(&dir->inode);
	const char *fault = NULL;
	int error = dir_read(dir, 0, &out->b);

	if (error)
		return error;
	struct dir_bytes d = { out->b->data, s->block_bytes };
	out->at = 0;
	out->e = dirent_find(s, &d, n, &out->before, &fault);
	if (out->e)
		return 0;
	buffer_put(out->b);
	out->b = NULL;
	return fault ? dir_damaged(dir, 0, fault) : -ENOENT;
}

int dx_find(struct ext4_inode *dir, const struct vfs_name *n, struct dir_spot *out)
{
	struct dir_hash hash;
	struct dx_path p;
	uint32_t first;
	int ret;

	if (is_dots(n))
		return find_dots(dir, n, out);
	ret = dx_hash(dir, n, &hash);
	if (!ret)
		ret = dx_walk(dir, hash.major, &p);
	if (ret)
		return ret;
	do {
		ret = find_in_leaf(dir, n, p.leaf, out);
		if (!ret)
			ret = dx_next(dir, &p, &first) == 1 && first == (hash.major | 1) ? 2
											 : -ENOENT;
	} while (ret == 2);
	dx_release(&p);
	return ret == 1 ? 0 : ret;
}
