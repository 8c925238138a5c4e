/*
 * Old block maps, as ext2 and ext3 made them: twelve blocks named in the inode, and then one tree
 * each of one, two and three levels, whose blocks hold numbers of blocks. Zero is a hole. They are
 * read, and written within what they map; nothing is added to them, since new files have extents.
 *
 * The format: Linux, Documentation/filesystems/ext4/ifork.rst, "Direct/Indirect Block Addressing".
 * Nothing protects the numbers, so each is checked where it is used.
 */
#include "indirect.h"

#define DIRECT 12u
#define TREES  3u

/*
 * Where a block's number stands: in the tree with `levels` levels (0: in the inode), as its entry
 * `at`.
 */
struct place {
	unsigned levels;
	uint64_t at;
};

/*
 * Blocks of the file below one entry that has `levels` levels below itself: as a power of two, and
 * how many.
 */
static unsigned span_shift(const struct ext4_super *s, unsigned levels)
{
	return levels * (s->block_shift - 2);
}

static uint64_t span(const struct ext4_super *s, unsigned levels)
{
	return 1ull << span_shift(s, levels);
}

static bool find_place(const struct ext4_super *s, uint32_t at, struct place *p)
{
	*p = (struct place){ .at = at };
	if (at < DIRECT)
		return true;
	p->at -= DIRECT;
	for (p->levels = 1; p->levels <= TREES; p->levels++) {
		if (p->at < span(s, p->levels))
			return true;
		p->at -= span(s, p->levels);
	}
	return false;
}

static int check(struct ext4_inode *i, uint64_t block, uint32_t count)
{
	if (!block || ext4_blocks_may_be_files(i, block, count))
		return 0;
	return ext4_damaged(ext4_super_of(&i->inode), "block map", (uint32_t)i->inode.ino, block,
			    "a block outside the file system, or one of its own");
}

/* A run from the number `v` on, which is one of `left` in its block. */
static void run_from(const struct ext4_super *s, const uint32_t *v, uint32_t left,
		     struct ext4_mapping *m)
{
	uint32_t n = 1;

	while (n < left && v[n] == (v[0] ? v[0] + n : 0))
		n++;
	if (v[0])
		n = (uint32_t)MIN(n, s->blocks - v[0]);
	*m = (struct ext4_mapping){
		.kind = v[0] ? EXT4_MAPPED : EXT4_HOLE, .block = v[0], .len = n
	};
}

/*
 * Down a tree, until its lowest level or a hole: *b and *v are where the number is found, `levels`
 * what is below.
 */
static int walk(struct ext4_inode *i, const struct place *p, struct buffer **b, const uint32_t **v,
		unsigned *levels)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	int error = check(i, **v, 1);

	for (*levels = p->levels; !error && *levels && **v; error = check(i, **v, 1)) {
		struct buffer *below;

		error = buffer_read(&s->buffers, **v, &below);
		if (error)
			return error;
		buffer_put(*b);
		*b = below;
		--*levels;
		*v = (const uint32_t *)below->data +
		     (p->at >> span_shift(s, *levels) & (span(s, 1) - 1));
	}
	return error;
}

int indirect_map(struct ext4_inode *i, uint32_t at, uint32_t max, struct ext4_mapping *m)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	struct buffer *b = NULL;
	struct place p;
	const uint32_t *v;
	unsigned levels;
	int error;

	*m = (struct ext4_mapping){ .kind = EXT4_HOLE, .len = max };
	if (!find_place(s, at, &p))
		return 0;
	v = i->block + (p.levels ? DIRECT + p.levels - 1 : at);
	error = walk(i, &p, &b, &v, &levels);
	if (!error && levels) /* a whole tree is not there */
		m->len = (uint32_t)MIN(max, span(s, levels) - (p.at & (span(s, levels) - 1)));
	else if (!error)
		run_from(s, v,
			 (uint32_t)MIN(max,
				       b ? span(s, 1) - (p.at & (span(s, 1) - 1)) : DIRECT - at),
			 m);
	buffer_put(b);
	if (!error && m->kind == EXT4_MAPPED)
		error = check(i, m->block, m->len);
	return error;
}
