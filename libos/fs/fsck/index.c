/*
 * The index of a directory (directory.rst, "Hash Tree Directories"): from the root over its nodes
 * to every leaf once, and the hashes of each leaf's names within the bounds that the index gives
 * it.
 */
#include <core/string.h>

#include "fsck.h"

static const struct ext4_disk_dx_info *info_of(const struct buffer *root)
{
	return (const struct ext4_disk_dx_info *)(const void *)(root->data + EXT4_DX_ROOT_INFO);
}

bool index_begin(struct dir_scan *d, const struct buffer *root)
{
	const struct ext4_disk_dx_info *info = info_of(root);
	unsigned levels = dx_depth_max(d->f->s);

	if (info->zero || info->info_length != sizeof(*info) || info->flags & 1 ||
	    info->hash_version > EXT4_HASH_TEA || info->levels >= levels) {
		dir_fault(d, 0, "the index is of a kind that cannot be");
		return false;
	}
	d->version = info->hash_version;
	d->leaves[0].block = root->block;
	return true;
}

/*
 * A leaf whose hashes should be in [low, high); `high` itself when its successor goes on with it.
 */
static void check_leaf(struct dir_scan *d, uint32_t at, uint32_t low, uint64_t high, bool goes_on)
{
	const struct leaf *l = &d->leaves[at];

	if (l->seen && (l->low < low || l->high > high || (l->high == high && !goes_on)))
		dir_fault(d, at, "names whose hash belongs elsewhere");
}

static const struct ext4_disk_dx_entry *entries_of(struct dir_scan *d, uint32_t at,
						   const struct buffer *b, uint32_t *count)
{
	uint32_t offset = dx_entries_offset(d->f->scratch, at, b);
	const struct ext4_disk_dx_entry
		*e = (const struct ext4_disk_dx_entry *)(const void *)(b->data + offset);

	*count = dx_count(e);
	if ((e->hash & 0xffff) != dx_limit(d->f->s, offset) || !*count ||
	    *count > (e->hash & 0xffff)) {
		dir_fault(d, at, "the index has an impossible number of entries");
		return NULL;
	}
	return e;
}

/* An entry may be followed: NULL; then it counts as found. */
static const char *follow_fault(struct dir_scan *d, uint32_t to, unsigned level)
{
	if (!to || to >= d->blocks || !d->leaves[to].block)
		return "the index leads behind the end";
	if (d->leaves[to].found)
		return "the index leads to a block twice";
	if (d->leaves[to].node != (level > 0))
		return "the index leads to a leaf as if it were a node, or the reverse";
	d->leaves[to].found = true;
	return NULL;
}

/*
 * Block `at`, `level` above the leaves; hashes in [low, high). Recurses as deep as the root's
 * levels, two at most.
 */
static void check_node(struct dir_scan *d, uint32_t at, unsigned level, uint32_t low, uint64_t high,
		       bool goes_on)
{
	struct buffer *b = fsck_read(d->f, d->leaves[at].block);
	const struct ext4_disk_dx_entry *e;
	uint32_t count;

	e = b ? entries_of(d, at, b, &count) : NULL;
	for (uint32_t i = 0; e && i < count && !d->broken && !d->f->error; i++) {
		uint32_t to = e[i].block & 0x0fffffff, from = i ? e[i].hash & ~1u : low;
		uint64_t end = i + 1 < count ? e[i + 1].hash & ~1u : high;
		bool next_goes_on = i + 1 < count ? e[i + 1].hash & 1 : goes_on;
		const char *fault = from < low || end > high || from > end
					    ? "the index is out of order"
					    : NULL;

		fault = fault ? fault : follow_fault(d, to, level);
		if (fault)
			dir_fault(d, at, fault);
		else if (level)
			check_node(d, to, level - 1, from, end, next_goes_on);
		else
			check_leaf(d, to, from, end, next_goes_on);
	}
	buffer_put(b);
}

void index_end(struct dir_scan *d)
{
	struct buffer *root = fsck_read(d->f, d->leaves[0].block);
	unsigned levels = root ? info_of(root)->levels : 0;

	buffer_put(root);
	if (!root)
		return;
	check_node(d, 0, levels, 0, 1ull << 32, false);
	for (uint32_t at = 1; at < d->blocks && !d->broken; at++) {
		if (!d->leaves[at].found)
			dir_fault(d, at, "the index does not lead to it");
	}
}
