/*
 * Extended attributes (attributes.rst): those in inodes, and the blocks that several inodes may
 * share. A block is looked at once, after pass 1 has found out who refers to it.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "../ext4/bits.h"
#include "../ext4/xattr.h"
#include "fsck.h"

/*
 * As Linux computes it, over the name's characters and the value's words, with what lies behind the
 * value in the last one.
 */
static uint32_t hash_of(const struct xattr_area *a, const struct ext4_disk_xattr *x, bool is_signed)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < x->name_len; i++)
		hash = (hash << 5 | hash >> 27) ^
		       (is_signed ? (uint32_t)(int8_t)x->name[i] : (uint8_t)x->name[i]);
	for (uint32_t at = 0; !x->value_inum && at < x->value_size; at += 4) {
		uint32_t word;

		memcpy(&word, a->base + x->value_offset + at, sizeof(word));
		hash = (hash << 16 | hash >> 16) ^ word;
	}
	return hash;
}

/*
 * Bytes of the area that a name or value takes, a bit for each four; false: something has them
 * already.
 */
static bool take(uint8_t *taken, const struct xattr_area *a, const uint8_t *from, size_t len)
{
	uint32_t first = (uint32_t)(from - a->base) / 4, count = (uint32_t)DIV_ROUND_UP(len, 4u);

	if (!bits_are(taken, first, count, false))
		return false;
	bits_set(taken, first, count);
	return true;
}

static const char *entry_fault(const struct fsck *f, const struct xattr_area *a,
			       const struct ext4_disk_xattr *x, uint8_t *taken)
{
	if (!x->name_index ||
	    (!x->name_len && x->name_index != 2 && x->name_index != 3 && x->name_index != 8))
		return "an attribute without a name";
	if (x->value_inum && !ext4_has_incompat(f->s, EXT4_INCOMPAT_EA_INODE))
		return "an attribute's value lies elsewhere, which this file system does not do";
	if (!take(taken, a, (const uint8_t *)x, sizeof(*x) + x->name_len))
		return "attributes overlap";
	if (x->value_inum)
		return NULL;
	if (x->value_size &&
	    (x->value_offset % 4 || !take(taken, a, a->base + x->value_offset, x->value_size)))
		return "attributes' values overlap";
	if (x->hash && x->hash != hash_of(a, x, false) && x->hash != hash_of(a, x, true))
		return "an attribute's hash is wrong";
	return NULL;
}

static const char *area_fault(struct fsck *f, const struct xattr_area *a)
{
	uint64_t taken[4096 / 4 / 64 + 1] = { 0 };
	struct ext4_disk_xattr *x = NULL;
	const char *fault = NULL;

	bits_set((uint8_t *)taken, 0, (uint32_t)(a->first - a->base) / 4);
	while (!fault && xattr_next(a, &x, &fault))
		fault = fault ? fault : entry_fault(f, a, x, (uint8_t *)taken);
	return fault;
}

void check_inode_attrs(struct fsck *f, uint32_t ino, const struct ext4_disk_inode *raw)
{
	struct xattr_area a;
	const char *fault;

	if (xattr_in_inode(f->s, raw, &a))
		return;
	fault = area_fault(f, &a);
	if (fault)
		damage(f, "Inode %u: %s.", ino, fault);
}

/* ---- blocks ---- */

static void sift(struct attr_ref *r, size_t at, size_t count)
{
	for (size_t next; (next = 2 * at + 1) < count; at = next) {
		struct attr_ref was = r[at];

		if (next + 1 < count && r[next + 1].block > r[next].block)
			next++;
		if (r[next].block <= was.block)
			return;
		r[at] = r[next];
		r[next] = was;
	}
}

/* By block (heapsort: no input makes it slow). */
static void sort(struct attr_ref *r, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		sift(r, i, count);
	for (size_t n = count; n > 1;) {
		struct attr_ref was = r[--n];

		r[n] = r[0];
		r[0] = was;
		sift(r, 0, n);
	}
}

static const char *block_fault(struct fsck *f, struct buffer *b, size_t refs)
{
	const struct ext4_disk_xattr_header
		*h = (const struct ext4_disk_xattr_header *)(const void *)b->data;
	struct xattr_area a = xattr_in_block(f->s, b);

	if (h->magic != EXT4_XATTR_MAGIC || h->blocks != 1)
		return "it holds no attributes";
	if (f->s->has_csum && h->checksum != xattr_block_csum(f->s, b->block, h))
		return "its checksum is wrong";
	if (h->refcount != refs)
		return "its reference count is wrong";
	return area_fault(f, &a);
}

static void check_block(struct fsck *f, const struct attr_ref *r, size_t refs)
{
	const char *fault = claim(f, r->block, 1);
	struct buffer *b;

	if (!fault) {
		b = fsck_read(f, r->block);
		if (!b)
			return;
		fault = block_fault(f, b, refs);
		buffer_put(b);
	}
	if (fault)
		damage(f, "The block of attributes %llu (inode %u): %s.",
		       (unsigned long long)r->block, r->ino, fault);
}

void check_attr_blocks(struct fsck *f)
{
	struct attr_ref *r = f->attrs.at;
	size_t from = 0;

	if (!r)
		return;
	sort(r, f->attrs.count);
	for (size_t i = 1; i <= f->attrs.count && !f->error; i++) {
		if (i < f->attrs.count && r[i].block == r[from].block)
			continue;
		check_block(f, &r[from], i - from);
		from = i;
	}
}
