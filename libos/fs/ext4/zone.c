/*
 * The file system's own blocks: superblocks and their copies, descriptors, bitmaps, inode tables,
 * the journal. No file has them, so a map that leads there is damaged, whatever its checksum says:
 * what was written through it would spoil the disk, and what was freed through it would be given to
 * others.
 *
 * Every mapping that is found is compared with them. That is a search among few ranges: neighbours
 * are one, and with flex_bg sixteen groups have theirs side by side. The ranges are put together at
 * mounting and remain as they are, so nobody needs a lock. Blocks of the journal belong to its
 * inode, which alone may have them.
 *
 * Before this, and for checkers, which count every block's owners themselves, everything on the
 * disk is allowed.
 */
#include <core/errno.h>
#include <core/kmem.h>

#include "bits.h"
#include "group.h"

struct zone {
	struct tree_node node; /* in s->zones, by first */
	uint64_t first, end;
	uint32_t ino;          /* whose they are; 0: no inode's */
};

struct wanted { uint64_t first, end; };

static const struct zone *zone_of(const struct tree_node *n)
{
	return tree_entry(n, struct zone, node);
}

/* Equal: they overlap. */
static int compare(const void *key, const struct tree_node *n)
{
	const struct wanted *w = key;
	const struct zone *z = zone_of(n);

	return w->end <= z->first ? -1 : w->first >= z->end;
}

static bool comes_before(const struct tree_node *a, const struct tree_node *b)
{
	return zone_of(a)->first < zone_of(b)->first;
}

bool ext4_blocks_may_be_files(const struct ext4_inode *i, uint64_t block, uint64_t count)
{
	const struct ext4_super *s = ext4_super_of(&i->inode);
	struct wanted w = { block, block + count };
	const struct tree_node *n;

	if (!ext4_blocks_are_valid(s, block, count))
		return false;
	n = tree_find(&s->zones, &w, compare);
	return !n || zone_of(n)->ino == i->inode.ino;
}

bool zones_are_used(const struct ext4_super *s, uint32_t group, const uint8_t *bitmap)
{
	uint64_t first = ext4_group_first_block(s, group),
		 end = first + ext4_group_blocks(s, group);
	struct wanted w = { first, end };
	const struct tree_node *n = tree_find(&s->zones, &w, compare);

	while (n && tree_prev(n) && !compare(&w, tree_prev(n)))
		n = tree_prev(n);
	for (; n && !compare(&w, n); n = tree_next(n)) {
		uint32_t from = (uint32_t)(MAX(first, zone_of(n)->first) - first),
			 to = (uint32_t)(MIN(end, zone_of(n)->end) - first);

		if (bits_next(bitmap, from, to, false) < to)
			return false;
	}
	return true;
}

/* ---- putting them together ---- */

/*
 * Neighbours that are found one after the other are one zone; `first` == `end`: there is none yet.
 */
struct gathering {
	struct ext4_super *s;
	uint64_t first, end;
	uint32_t ino;
};

/* On a damaged disk some may overlap: what is there already remains as it is. */
static int zone_end(struct gathering *g)
{
	struct wanted w = { g->first, g->end };
	struct zone *z;

	if (g->first == g->end || tree_find(&g->s->zones, &w, compare))
		return 0;
	z = kmalloc(sizeof(*z));
	if (!z)
		return -ENOMEM;
	*z = (struct zone){ .first = g->first, .end = g->end, .ino = g->ino };
	tree_node_init(&z->node);
	tree_insert(&g->s->zones, &z->node, comes_before);
	return 0;
}

static int zone_add(struct gathering *g, uint64_t first, uint64_t count)
{
	int error = 0;

	if (!count)
		return 0;
	if (first != g->end) {
		error = zone_end(g);
		g->first = first;
	}
	g->end = first + count;
	return error;
}

enum part { BASE, BLOCK_BITMAP, INODE_BITMAP, INODE_TABLE, PARTS };

static int add_part(struct gathering *g, uint32_t n, enum part part)
{
	const struct ext4_group *group = &g->s->group[n];

	switch (part) {
	case BASE: return zone_add(g, ext4_group_first_block(g->s, n), group_base_blocks(g->s, n));
	case BLOCK_BITMAP: return zone_add(g, group->block_bitmap, 1);
	case INODE_BITMAP: return zone_add(g, group->inode_bitmap, 1);
	default:
		return zone_add(g, group->inode_table,
				DIV_ROUND_UP(g->s->inodes_per_group, g->s->inodes_per_block));
	}
}

/* One kind after the other, since with flex_bg those of one kind are neighbours. */
static int add_groups(struct ext4_super *s)
{
	int error = 0;

	for (enum part part = BASE; part < PARTS && !error; part++) {
		struct gathering g = { .s = s };

		for (uint32_t n = 0; n < s->groups && !error; n++)
			error = add_part(&g, n, part);
		if (!error)
			error = zone_end(&g);
	}
	return error;
}

static int add_file(struct ext4_inode *i)
{
	struct gathering g = { .s = ext4_super_of(&i->inode), .ino = (uint32_t)i->inode.ino };
	uint64_t blocks = MIN((uint64_t)i->inode.size >> g.s->block_shift, (uint64_t)UINT32_MAX);
	struct ext4_mapping m;
	int error = 0;

	for (uint64_t at = 0; at < blocks && !error; at += m.len) {
		error = ext4_map(i, (uint32_t)at, (uint32_t)(blocks - at), &m);
		if (!error && m.kind != EXT4_HOLE)
			error = zone_add(&g, m.block, m.len);
	}
	return error ? error : zone_end(&g);
}

/* With noload nothing depends on the journal, so it may be as it likes. */
static int add_journal(struct ext4_super *s)
{
	uint32_t ino = s->disk->journal_inum;
	struct ext4_inode *i;
	int error;

	if (!ext4_has_compat(s, EXT4_COMPAT_HAS_JOURNAL) || s->options.noload || !ino ||
	    ino >= s->first_ino)
		return 0;
	error = ext4_iget(s, ino, EXT4_IGET_SPECIAL, &i);
	if (error)
		return error;
	error = add_file(i);
	inode_put(&i->inode);
	return error;
}

int zones_open(struct ext4_super *s)
{
	int error = add_groups(s);

	return error ? error : add_journal(s);
}

void zones_close(struct ext4_super *s)
{
	struct tree_node *n;

	while ((n = tree_first(&s->zones))) {
		tree_remove(&s->zones, n);
		kfree(tree_entry(n, struct zone, node));
	}
}
