/*
 * Changing extended attributes: a set of them (of the inode, or of its block) is built anew beside
 * the old one, with one attribute put in, replaced or left out, and takes its place when everything
 * fits. The inode's own room comes first.
 *
 * A block that other inodes share is not changed: it loses a reference, and the inode gets a block
 * of its own. New ones are never shared, so who sees a single reference has the block for himself.
 * Entries are sorted and have the hashes by which Linux finds blocks to share (attributes.rst).
 *
 * Locks: the inode's; sharing_lock, in a handle and before a group's, for how many inodes have a
 * block.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "map.h"
#include "xattr.h"

#define XATTR_CREATE  1
#define XATTR_REPLACE 2
#define CREDITS (2 + EXT4_CREDITS_INODE + 2 * EXT4_CREDITS_BALLOC + 2)

struct setting {
	struct xattr_name name;
	const void *value;               /* NULL: the attribute goes */
	size_t size;
};

/* ---- a new set: entries grow upwards, values downwards ---- */

struct builder {
	uint8_t *bytes;                  /* zeroes at first; value offsets count from here */
	uint32_t size, at, values;       /* where the next entry goes; where values begin */
	uint32_t count;
	uint32_t hash;                   /* of all entries */
};

static uint32_t hash_of(const struct ext4_disk_xattr *x, const uint8_t *value)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < x->name_len; i++)
		hash = (hash << 5 | hash >> 27) ^ (uint8_t)x->name[i];
	for (uint32_t at = 0; at < x->value_size; at += 4) {
		uint32_t word;

		memcpy(&word, value + at, 4);
		hash = (hash << 16 | hash >> 16) ^ word;
	}
	return hash;
}

static int put(struct builder *b, const struct xattr_name *n, const void *value, size_t size)
{
	struct ext4_disk_xattr *x = (struct ext4_disk_xattr *)(void *)(b->bytes + b->at);
	uint32_t entry = (uint32_t)ALIGN_UP(sizeof(*x) + n->len, 4u),
		 room = (uint32_t)ALIGN_UP(size, 4u);

	if (size > b->size || b->at + entry + 4 + room > b->values)
		return -ENOSPC;
	b->values -= room;
	x->name_len = (uint8_t)n->len;
	x->name_index = n->index;
	x->value_offset = (uint16_t)(size ? b->values : 0);
	x->value_size = (uint32_t)size;
	memcpy(x->name, n->text, n->len);
	if (size)
		memcpy(b->bytes + b->values, value, size);
	x->hash = hash_of(x, b->bytes + b->values);
	b->hash = (b->hash << 16 | b->hash >> 16) ^ x->hash;
	b->at += entry;
	b->count++;
	return 0;
}

static int order(const struct xattr_name *a, const struct xattr_name *b)
{
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->text, b->text, a->len);
}

/* What `old` holds (NULL: nothing), with the setting made. */
static int build(struct builder *b, const struct xattr_area *old, const struct setting *set,
		 const char **fault)
{
	bool done = !set->value;
	struct ext4_disk_xattr *x = NULL;
	int error = 0;

	while (!error && old && xattr_next(old, &x, fault)) {
		struct xattr_name n = { x->name_index, x->name, x->name_len };
		int where = order(&n, &set->name);

		if (x->value_inum)
			*fault =
				"a value lies in an inode of its own, which the disk's features do not tell";
		if (*fault)
			break;
		if (!done && where >= 0) {
			error = put(b, &set->name, set->value, set->size);
			done = true;
		}
		if (!error && where)
			error = put(b, &n, old->base + x->value_offset, x->value_size);
	}
	if (*fault)
		return -EUCLEAN;
	return error || done ? error : put(b, &set->name, set->value, set->size);
}

static int damaged(struct ext4_inode *i, const char *fault)
{
	return ext4_damaged(ext4_super_of(&i->inode), "attributes", (uint32_t)i->inode.ino,
			    i->xattr_block, "%s", fault);
}

/* ---- in the inode ---- */

/* The inode's new set, built and touched. */
struct in_inode {
	struct buffer *buffer;           /* NULL: nothing changes there */
	uint8_t *at;                     /* in it */
	struct builder built;
};

static void drop_in_inode(struct in_inode *p)
{
	kfree(p->built.bytes);
	buffer_put(p->buffer);
}

static int build_in_inode(struct ext4_handle *h, struct ext4_inode *i,
			  const struct ext4_disk_inode *raw, const struct setting *set,
			  struct in_inode *p)
{
	struct xattr_area old;
	bool has = !xattr_in_inode(h->super, raw, &old);
	const char *fault = NULL;
	int error = -ENOMEM;

	p->built.bytes = kzalloc(p->built.size);
	if (p->built.bytes)
		error = build(&p->built, has ? &old : NULL, set, &fault);
	if (fault)
		error = damaged(i, fault);
	return error ? error : ext4_touch(h, p->buffer);
}

/*
 * All that may fail: 0 and *p, for change_in_inode() and drop_in_inode(); -ENOSPC, it does not fit;
 * or another error.
 */
static int prepare_in_inode(struct ext4_handle *h, struct ext4_inode *i, const struct setting *set,
			    struct in_inode *p)
{
	uint32_t from = EXT4_INODE_BYTES_OLD + i->extra_isize + 4, end = h->super->inode_bytes;
	struct ext4_disk_inode *raw;
	int error;

	if (from + 4 > end)
		return -ENOSPC;
	error = ext4_inode_raw(h->super, (uint32_t)i->inode.ino, &p->buffer, &raw);
	if (error)
		return error;
	p->at = (uint8_t *)raw + from;
	p->built = (struct builder){ .size = end - from, .values = end - from };
	error = build_in_inode(h, i, raw, set, p);
	if (error)
		drop_in_inode(p);
	return error;
}

static void change_in_inode(struct ext4_inode *i, const struct in_inode *p)
{
	const uint32_t magic = EXT4_XATTR_MAGIC;

	mutex_lock(&i->raw_lock);
	memcpy(p->at - 4, &magic, 4);
	memcpy(p->at, p->built.bytes, p->built.size);
	mutex_unlock(&i->raw_lock);
}

/* ---- in a block ---- */

static struct ext4_disk_xattr_header *header_of(struct buffer *b)
{
	return (struct ext4_disk_xattr_header *)(void *)b->data;
}

static void block_csum_set(struct ext4_super *s, struct buffer *b)
{
	if (s->has_csum)
		header_of(b)->checksum = xattr_block_csum(s, b->block, header_of(b));
}

/* [sharing_lock] One inode less has the block. */
static int drop_reference(struct ext4_handle *h, struct ext4_inode *i, struct buffer *b)
{
	int error;

	if (header_of(b)->refcount <= 1)
		return ext4_bfree(h, i, b->block, 1, true);
	error = ext4_touch(h, b);
	if (error)
		return error;
	header_of(b)->refcount--;
	block_csum_set(h->super, b);
	return 0;
}

/* The inode has this block no longer. */
static int block_release(struct ext4_handle *h, struct ext4_inode *i, struct buffer *b)
{
	struct ext4_super *s = h->super;
	int error;

	mutex_lock(&s->sharing_lock);
	error = drop_reference(h, i, b);
	mutex_unlock(&s->sharing_lock);
	if (error)
		return error;
	if (i->inode.blocks >= s->block_bytes / 512)
		map_count_blocks(i, -1);
	return 0;
}

/*
 * A block of the inode's own, or nothing. What was set aside for the inode is its map's
 * (reserve.c).
 */
static int block_make(struct ext4_handle *h, struct ext4_inode *i, struct buffer **out)
{
	int error;

	mutex_lock(&i->map_lock);
	error = ext4_block_make(h, i, ext4_inode_goal(i), out);
	mutex_unlock(&i->map_lock);
	if (error)
		return error;
	__atomic_fetch_or(&(*out)->flags, BUFFER_VERIFIED, __ATOMIC_RELAXED);
	map_count_blocks(i, 1);
	return 0;
}

static void fill(struct ext4_super *s, struct buffer *b, const struct builder *built)
{
	memcpy(b->data, built->bytes, built->size);
	*header_of(b) = (struct ext4_disk_xattr_header){
		.magic = EXT4_XATTR_MAGIC, .refcount = 1, .blocks = 1, .hash = built->hash,
	};
	block_csum_set(s, b);
}

static int block_remove(struct ext4_handle *h, struct ext4_inode *i, struct buffer *old)
{
	int error = old ? block_release(h, i, old) : 0;

	if (!error)
		i->xattr_block = 0;
	return error;
}

/* From a block that others have, too, to one of the inode's own; `old` NULL: there was none. */
static int block_part(struct ext4_handle *h, struct ext4_inode *i, struct buffer *old,
		      const struct builder *built)
{
	bool half = h->half;
	int error = old ? ext4_touch(h, old) : 0;
	struct buffer *b;

	if (!error)
		error = block_make(h, i, &b); /* before the old one goes: the disk may be full */
	if (error) {
		h->half = half;
		return error;
	}
	fill(h->super, b, built);
	i->xattr_block = b->block;
	buffer_put(b);
	return old ? block_release(h, i, old) : 0;
}

/* Or nothing. */
static int block_replace(struct ext4_handle *h, struct ext4_inode *i, struct buffer *old,
			 const struct builder *built)
{
	int error;

	if (!built->count)
		return block_remove(h, i, old);
	if (!old || header_of(old)->refcount > 1)
		return block_part(h, i, old, built);
	error = ext4_touch(h, old);
	if (!error)
		fill(h->super, old, built);
	return error;
}

static int set_in_block(struct ext4_handle *h, struct ext4_inode *i, const struct setting *set)
{
	struct ext4_super *s = h->super;
	struct builder b = { .size = s->block_bytes,
			     .at = sizeof(struct ext4_disk_xattr_header),
			     .values = s->block_bytes };
	const char *fault = NULL;
	struct xattr_area area;
	struct buffer *old = NULL;
	int error = xattr_block_read(i, &old);

	if (error == -ENODATA)
		old = NULL;
	else if (error)
		return error;
	b.bytes = kzalloc(b.size);
	if (old)
		area = xattr_in_block(s, old);
	error = b.bytes ? build(&b, old ? &area : NULL, set, &fault) : -ENOMEM;
	if (fault)
		error = damaged(i, fault);
	if (!error)
		error = block_replace(h, i, old, &b);
	kfree(b.bytes);
	buffer_put(old);
	return error;
}

int ext4_xattr_drop(struct ext4_inode *i)
{
	struct ext4_handle h;
	struct buffer *b;
	int error = xattr_block_read(i, &b);

	if (error)
		return error == -ENODATA ? 0 : error;
	error = map_start(i, CREDITS, &h);
	if (!error) {
		error = block_remove(&h, i, b);
		if (!error)
			error = ext4_inode_write(&h, i);
		error = ext4_stop_with(&h, error);
	}
	buffer_put(b);
	return error;
}

/* ---- setting ---- */

struct presence { bool in_inode, in_block; };

static int look(struct ext4_inode *i, const struct xattr_name *n, struct presence *p)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	struct ext4_disk_inode *raw;
	const char *fault = NULL;
	struct xattr_area a;
	struct buffer *b;
	int error = ext4_inode_raw(s, (uint32_t)i->inode.ino, &b, &raw);

	if (error)
		return error;
	p->in_inode = !xattr_in_inode(s, raw, &a) && xattr_find(&a, n, &fault);
	buffer_put(b);
	error = fault ? damaged(i, fault) : xattr_block_read(i, &b);
	if (error)
		return error == -ENODATA ? 0 : error;
	a = xattr_in_block(s, b);
	p->in_block = xattr_find(&a, n, &fault);
	buffer_put(b);
	return fault ? damaged(i, fault) : 0;
}

/*
 * The settings of both places, or nothing; NULL: that place stays as it is. -ENOSPC: there is no
 * room for one of them.
 */
static int set_both(struct ext4_handle *h, struct ext4_inode *i, const struct setting *in_inode,
		    const struct setting *in_block)
{
	struct in_inode fresh = { 0 };
	bool half = h->half;
	int error = in_inode ? prepare_in_inode(h, i, in_inode, &fresh) : 0;

	if (!error && in_block) {
		error = set_in_block(h, i, in_block);
		if (error)
			drop_in_inode(&fresh);
	}
	if (error) {
		h->half = half;
		return error;
	}
	if (in_inode) {
		change_in_inode(i, &fresh);
		drop_in_inode(&fresh);
	}
	return 0;
}

/* Where it fits; whatever there was elsewhere goes. */
static int set_in(struct ext4_handle *h, struct ext4_inode *i, const struct setting *set,
		  const struct presence *was)
{
	const struct setting none = { set->name, NULL, 0 };
	int error;

	if (!set->value)
		return was->in_inode ? set_both(h, i, set, NULL) : set_both(h, i, NULL, set);
	error = set_both(h, i, set, was->in_block ? &none : NULL);
	return error != -ENOSPC ? error : set_both(h, i, was->in_inode ? &none : NULL, set);
}

static int set_once(struct ext4_inode *i, const struct setting *set, const struct presence *was)
{
	struct ext4_handle h;
	int error = map_start(i, CREDITS, &h);

	if (error)
		return error;
	error = set_in(&h, i, set, was);
	if (!error) {
		inode_touch(&i->inode, TOUCH_C);
		error = ext4_inode_write(&h, i);
	}
	return ext4_stop_with(&h, error);
}

int ext4_xattr_set(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
	struct setting set = { .value = value, .size = size };
	struct presence was = { false, false };
	int error = xattr_name_parse(name, &set.name);

	if (error)
		return error;
	/* what "system." names means something, which nothing here acts upon */
	if (!str_starts_with(name, "user.") && !str_starts_with(name, "trusted.") &&
	    !str_starts_with(name, "security."))
		return -EOPNOTSUPP;
	if (!set.name.len)
		return -EINVAL;
	error = look(ext4_of(inode), &set.name, &was);
	if (error)
		return error;
	if ((was.in_inode || was.in_block) && flags & XATTR_CREATE)
		return -EEXIST;
	if (!was.in_inode && !was.in_block && (flags & XATTR_REPLACE || !value))
		return -ENODATA;
	return set_once(ext4_of(inode), &set, &was);
}
