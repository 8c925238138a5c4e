/*
 * The orphan file (orphan.rst): each block has numbers of inodes, magic and checksum. Whoever
 * mounts the disk next believes the superblock that nothing is in it, and writes numbers into
 * blocks that it takes to be right; so they have to be right, and empty.
 */
#include "../ext4/orphan.h"
#include "fsck.h"

static bool is_empty(const struct fsck *f, const struct buffer *b)
{
	const uint32_t *entries = (const uint32_t *)(const void *)b->data;
	uint32_t n = 0;

	while (n < orphan_block_entries(f->s) && !entries[n])
		n++;
	return n == orphan_block_entries(f->s);
}

/* A run of the file's blocks; w->arg: which should come next. */
static bool visit_blocks(struct walk *w, uint64_t first, uint64_t block, uint32_t len,
			 bool unwritten)
{
	uint64_t *next = w->arg;
	bool right = first == *next && !unwritten;

	for (uint32_t i = 0; i < len && right; i++) {
		struct buffer *b = fsck_read(w->f, block + i);

		right = b && orphan_block_is_right(w->f->s, w->seed, b) && is_empty(w->f, b);
		buffer_put(b);
	}
	*next = first + len;
	return right;
}

static const char *contents_fault(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw)
{
	uint64_t blocks = 0;
	struct walk w = {
		.f = f, .ino = ino, .raw = raw, .seed = ext4_inode_seed(f->s, ino, raw->generation),
		.visit = visit_blocks, .arg = &blocks,
	};

	if ((raw->mode & S_IFMT) != S_IFREG || !raw->links_count)
		return "it should be the file of orphans, and is no such file";
	if (seen(f, ino)->broken) /* which has been told */
		return NULL;
	if (walk_blocks(&w))
		return "a block of the file of orphans is damaged, or not empty";
	return blocks && blocks << f->s->block_shift == inode_size(raw)
		       ? NULL
		       : "the file of orphans has another size than blocks";
}

void check_orphan_file(struct fsck *f)
{
	uint32_t ino = f->s->disk->orphan_file_inum;
	struct ext4_disk_inode *raw;
	const char *fault;
	struct buffer *b;

	if (!ext4_has_compat(f->s, EXT4_COMPAT_ORPHAN_FILE) || needs_recovery(f->s->disk))
		return;
	if (!ino || ino > f->s->inodes) {
		damage(f, "The file of orphans cannot be inode %u.", ino);
		return;
	}
	if (has_failed(f, ext4_inode_raw(f->s, ino, &b, &raw)))
		return;
	fault = contents_fault(f, ino, raw);
	if (fault && !f->error)
		inode_fault(f, ino, fault);
	buffer_put(b);
}
