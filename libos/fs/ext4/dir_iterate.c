/*
 * Reading directories. A position must survive changes between two calls: entries that stay are
 * seen exactly once.
 *
 * Where the file system has dir_index, positions are made of the name's hash, whether or not this
 * directory has an index yet, so that it may get one meanwhile: entries come in the order of
 * hashes, and a split of a leaf moves none of them. Names with the same hash are numbered in the
 * order they lie in. Elsewhere entries never move, and a position is the offset in the directory.
 *
 * Positions 0 and 1 are "." and ".."; what follows begins at 2.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "dir.h"

#define FIRST_PLACE 2u
#define MINOR_SHIFT 8u           /* room for the number among names of one hash */
#define LEAVES_MAX  64u          /* that hold names of one hash */

static bool emit(struct dir_sink *s, const struct ext4_disk_dirent *e, uint64_t next)
{
	return s->add(s, e->name, e->name_len, e->inode, mode_of_type(e->file_type), next);
}

static bool is_dots(const struct ext4_disk_dirent *e)
{
	return e->name[0] == '.' && (e->name_len == 1 || (e->name_len == 2 && e->name[1] == '.'));
}

static int emit_dots(struct inode *dir, struct dir_sink *s, uint64_t *position)
{
	uint32_t parent;
	int error = 0;

	if (*position == 0 && s->add(s, ".", 1, dir->ino, S_IFDIR, 1))
		*position = 1;
	if (*position != 1)
		return 0;
	error = ext4_dir_parent(ext4_of(dir), &parent);
	if (!error && s->add(s, "..", 2, parent, S_IFDIR, FIRST_PLACE))
		*position = FIRST_PLACE;
	return error;
}

/* ---- by offset ---- */

static int iterate_bytes(struct ext4_inode *dir, const struct dir_bytes *d, uint64_t base,
			 struct dir_sink *s, uint64_t *position, bool *full)
{
	struct ext4_disk_dirent *e = NULL;
	const char *fault = NULL;

	while (!*full && dirent_next(ext4_super_of(&dir->inode), d, &e, &fault)) {
		uint64_t place = FIRST_PLACE + base + (uint64_t)((uint8_t *)e - d->at);

		if (place < *position || !e->inode || is_dots(e))
			continue;
		*full = !emit(s, e, place + 1);
		if (!*full)
			*position = place + 1;
	}
	return fault ? dir_damaged(dir, (uint32_t)(base >> ext4_super_of(&dir->inode)->block_shift),
				   fault)
		     : 0;
}

static int iterate_offsets(struct ext4_inode *dir, struct dir_sink *s, uint64_t *position)
{
	struct ext4_super *super = ext4_super_of(&dir->inode);
	uint64_t at = (*position - FIRST_PLACE) >> super->block_shift;
	bool full = false;
	int error = 0;

	for (; at < dir_blocks(dir) && !full && !error; at++) {
		struct buffer *b;

		error = dir_read(dir, (uint32_t)at, &b);
		if (error)
			return error;
		struct dir_bytes d = dir_bytes_of(super, b);
		error = iterate_bytes(dir, &d, at << super->block_shift, s, position, &full);
		buffer_put(b);
	}
	return error;
}

static int iterate_inline(struct ext4_inode *dir, struct dir_sink *s, uint64_t *position)
{
	struct dir_bytes pieces[2];
	struct buffer *b;
	bool full = false;
	int error = inline_dir(dir, pieces, &b);

	if (error)
		return error;
	error = iterate_bytes(dir, &pieces[0], 0, s, position, &full);
	if (!error && !full)
		error = iterate_bytes(dir, &pieces[1], EXT4_INODE_BLOCK_BYTES, s, position, &full);
	buffer_put(b);
	return error;
}

/* ---- by hash ---- */

struct place {
	uint64_t position;
	const struct ext4_disk_dirent *e;
};

/* The entries of the leaves that share a range of hashes, sorted. */
struct gathering {
	struct place *places;
	uint32_t count, room;
	struct buffer *leaves[LEAVES_MAX];
	unsigned leaf_count;
};

static void gathering_free(struct gathering *g)
{
	while (g->leaf_count)
		buffer_put(g->leaves[--g->leaf_count]);
	kfree(g->places);
}

static int make_room(struct gathering *g)
{
	uint32_t room = g->room ? g->room * 2 : 128;
	struct place *places;

	if (g->count < g->room)
		return 0;
	places = kmalloc(room * sizeof(*places));
	if (!places)
		return -ENOMEM;
	if (g->count)
		memcpy(places, g->places, g->count * sizeof(*places));
	kfree(g->places);
	g->places = places;
	g->room = room;
	return 0;
}

static uint64_t position_of(const struct dir_hash *h)
{
	return FIRST_PLACE +
	       ((uint64_t)(h->major >> 1) << 32 | (uint64_t)(h->minor >> 8) << MINOR_SHIFT);
}

static int gather_leaf(struct ext4_inode *dir, uint32_t at, uint8_t version, struct gathering *g)
{
	struct ext4_super *super = ext4_super_of(&dir->inode);
	struct ext4_disk_dirent *e = NULL;
	const char *fault = NULL;
	struct buffer *b;
	int error = dir_read(dir, at, &b);

	if (error)
		return error;
	g->leaves[g->leaf_count++] = b;
	struct dir_bytes d = dir_bytes_of(super, b);
	while (!error && dirent_next(super, &d, &e, &fault)) {
		if (!e->inode || (!at && is_dots(e)))
			continue;
		struct dir_hash h = ext4_hash(super->hash_seed, version, super->hash_unsigned,
					      e->name, e->name_len);
		error = make_room(g);
		if (!error)
			g->places[g->count++] = (struct place){ position_of(&h), e };
	}
	return fault ? dir_damaged(dir, at, fault) : error;
}

static bool comes_before(const struct place *a, const struct place *b)
{
	return a->position != b->position ? a->position < b->position : a->e < b->e;
}

static void sift_down(struct place *p, uint32_t top, uint32_t count)
{
	for (uint32_t child; (child = 2 * top + 1) < count; top = child) {
		if (child + 1 < count && comes_before(&p[child], &p[child + 1]))
			child++;
		if (!comes_before(&p[top], &p[child]))
			return;
		struct place t = p[top];
		p[top] = p[child];
		p[child] = t;
	}
}

/* Heapsort: no memory, no worst case. Then those of one position are numbered. */
static void sort(struct gathering *g)
{
	struct place *p = g->places;

	for (uint32_t i = g->count / 2; i-- > 0;)
		sift_down(p, i, g->count);
	for (uint32_t i = g->count; i-- > 1;) {
		struct place t = p[0];
		p[0] = p[i];
		p[i] = t;
		sift_down(p, 0, i);
	}
	for (uint32_t i = 1; i < g->count; i++) {
		if (p[i].position >> MINOR_SHIFT == p[i - 1].position >> MINOR_SHIFT &&
		    (p[i].position & 255) != 255)
			p[i].position = p[i - 1].position + 1;
	}
}

/* True: the sink is full. */
static bool emit_gathered(const struct gathering *g, struct dir_sink *s, uint64_t *position)
{
	for (uint32_t i = 0; i < g->count; i++) {
		if (g->places[i].position < *position)
			continue;
		if (!emit(s, g->places[i].e, g->places[i].position + 1))
			return true;
		*position = g->places[i].position + 1;
	}
	return false;
}

/*
 * A leaf, and those behind it that go on with its last hash. 1 and *first: the next begins there;
 * 0: the end.
 */
static int gather(struct ext4_inode *dir, struct dx_path *p, struct gathering *g, uint32_t *first)
{
	int ret;

	do {
		ret = gather_leaf(dir, p->leaf, p->version, g);
		if (!ret)
			ret = dx_next(dir, p, first);
	} while (ret == 1 && *first & 1 && g->leaf_count < LEAVES_MAX);
	return ret;
}

/* As gather(), of a directory that is one block without an index. */
static int gather_single(struct ext4_inode *dir, struct gathering *g)
{
	return dir_blocks(dir) ? gather_leaf(dir, 0, ext4_super_of(&dir->inode)->hash_version, g)
			       : 0;
}

static int iterate_leaves(struct ext4_inode *dir, struct dx_path *p, struct dir_sink *s,
			  uint64_t *position)
{
	uint32_t first;
	int ret;

	do {
		struct gathering g = { 0 };

		ret = p ? gather(dir, p, &g, &first) : gather_single(dir, &g);
		if (ret >= 0) {
			sort(&g);
			if (emit_gathered(&g, s, position))
				ret = 0;
		}
		gathering_free(&g);
	} while (ret == 1);
	return ret;
}

static int iterate_hashes(struct ext4_inode *dir, struct dir_sink *s, uint64_t *position)
{
	struct dx_path p;
	int error;

	if (!dir_is_indexed(dir))
		return iterate_leaves(dir, NULL, s, position);
	error = dx_walk(dir, (uint32_t)((*position - FIRST_PLACE) >> 32) << 1, &p);
	if (error)
		return error;
	error = iterate_leaves(dir, &p, s, position);
	dx_release(&p);
	return error;
}

int ext4_iterate(struct inode *inode, struct dir_sink *s, uint64_t *position)
{
	struct ext4_inode *dir = ext4_of(inode);
	int error = emit_dots(inode, s, position);

	if (error || *position < FIRST_PLACE)
		return error;
	if (dir->flags & EXT4_FL_INLINE_DATA)
		return iterate_inline(dir, s, position);
	if (dir_is_indexed(dir) ||
	    (ext4_has_compat(ext4_super_of(inode), EXT4_COMPAT_DIR_INDEX) && dir_blocks(dir) <= 1))
		return iterate_hashes(dir, s, position);
	return iterate_offsets(dir, s, position);
}
