/*
 * Extended attributes (attributes.rst): behind the fields of a large inode, and in a block that
 * inodes with the same attributes share. Names are stored as a number for their prefix and the
 * rest. Reading; xattr_change.c writes.
 */
#include <core/crc.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "xattr.h"

static const char *const prefixes[] = {
	[1] = "user.", [2] = "system.posix_acl_access", [3] = "system.posix_acl_default",
	[4] = "trusted.", [6] = "security.", [7] = "system.", [8] = "system.richacl",
};

int xattr_name_parse(const char *name, struct xattr_name *out)
{
	size_t best = 0;

	for (uint8_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t len = prefixes[i] ? str_length(prefixes[i]) : 0;
		bool whole = len && prefixes[i][len - 1] != '.';

		if (len <= best || !str_starts_with(name, prefixes[i]) || (whole && name[len]))
			continue;
		best = len;
		*out = (struct xattr_name){ i, name + len, str_length(name) - len };
	}
	if (!best)
		return -EOPNOTSUPP;
	return out->len > 255 ? -ERANGE : 0;
}

/* ---- where they lie ---- */

int xattr_in_inode(const struct ext4_super *s, const struct ext4_disk_inode *raw,
		   struct xattr_area *out)
{
	uint32_t from = EXT4_INODE_BYTES_OLD + raw->extra_isize;
	uint8_t *bytes = (uint8_t *)(uintptr_t)raw;

	if (s->inode_bytes == EXT4_INODE_BYTES_OLD || raw->extra_isize % 4 ||
	    from + 8 > s->inode_bytes ||
	    *(const uint32_t *)(const void *)(bytes + from) != EXT4_XATTR_MAGIC)
		return -ENODATA;
	*out = (struct xattr_area){ bytes + from + 4, bytes + s->inode_bytes, bytes + from + 4 };
	return 0;
}

struct xattr_area xattr_in_block(const struct ext4_super *s, struct buffer *b)
{
	return (struct xattr_area){ b->data + sizeof(struct ext4_disk_xattr_header),
				    b->data + s->block_bytes, b->data };
}

uint32_t xattr_block_csum(const struct ext4_super *s, uint64_t block,
			  const struct ext4_disk_xattr_header *header)
{
	const uint8_t *bytes = (const uint8_t *)header;
	const size_t at = offsetof(struct ext4_disk_xattr_header, checksum);
	uint32_t zero = 0, crc = crc32c(s->csum_seed, &block, 8);

	crc = crc32c(crc32c(crc, bytes, at), &zero, 4);
	return crc32c(crc, bytes + at + 4, s->block_bytes - at - 4);
}

static int block_damaged(struct ext4_inode *i, const char *what)
{
	return ext4_damaged(ext4_super_of(&i->inode), "attributes", (uint32_t)i->inode.ino,
			    i->xattr_block, "%s", what);
}

int xattr_block_read(struct ext4_inode *i, struct buffer **out)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	const struct ext4_disk_xattr_header *header;
	const char *fault = NULL;
	int error;

	if (!i->xattr_block)
		return -ENODATA;
	error = buffer_read(&s->buffers, i->xattr_block, out);
	if (error)
		return error;
	header = (const struct ext4_disk_xattr_header *)(const void *)(*out)->data;
	if (header->magic != EXT4_XATTR_MAGIC || header->blocks != 1)
		fault = "the block is of another kind";
	else if (!((*out)->flags & BUFFER_VERIFIED) && s->has_csum &&
		 header->checksum != xattr_block_csum(s, i->xattr_block, header))
		fault = "their checksum is wrong";
	if (fault) {
		buffer_put(*out);
		return block_damaged(i, fault);
	}
	__atomic_fetch_or(&(*out)->flags, BUFFER_VERIFIED, __ATOMIC_RELAXED);
	return 0;
}

/* ---- entries ---- */

bool xattr_next(const struct xattr_area *a, struct ext4_disk_xattr **x, const char **fault)
{
	uint8_t *at = *x ? (uint8_t *)*x + ALIGN_UP(sizeof(**x) + (*x)->name_len, 4u) : a->first;
	struct ext4_disk_xattr *next = (struct ext4_disk_xattr *)(void *)at;

	if (at + 4 > a->end || !*(const uint32_t *)(const void *)at)
		return false;
	if (at + sizeof(*next) > a->end || at + sizeof(*next) + next->name_len > a->end) {
		*fault = "a name reaches beyond its place";
		return false;
	}
	if (!next->value_inum && next->value_size &&
	    ((size_t)next->value_offset > (size_t)(a->end - a->base) ||
	     next->value_size > (size_t)(a->end - a->base) - next->value_offset)) {
		*fault = "a value reaches beyond its place";
		return false;
	}
	*x = next;
	return true;
}

struct ext4_disk_xattr *xattr_find(const struct xattr_area *a, const struct xattr_name *n,
				   const char **fault)
{
	struct ext4_disk_xattr *x = NULL;

	while (xattr_next(a, &x, fault)) {
		if (x->name_index == n->index && x->name_len == n->len &&
		    !memcmp(x->name, n->text, n->len))
			return x;
	}
	return NULL;
}

int xattr_inline_data(struct ext4_super *s, struct ext4_inode *i, struct ext4_disk_inode *raw,
		      uint8_t **value, size_t *len)
{
	static const struct xattr_name data = { 7, "data", 4 };
	struct xattr_area a;
	struct ext4_disk_xattr *x;
	const char *fault = NULL;
	int error = xattr_in_inode(s, raw, &a);

	if (error)
		return error;
	x = xattr_find(&a, &data, &fault);
	if (fault)
		return block_damaged(i, fault);
	if (!x || x->value_inum)
		return -ENODATA;
	*value = a.base + x->value_offset;
	*len = x->value_size;
	return 0;
}

/* ---- reading values and names ---- */

/* A value in an inode of its own (ea_inode). */
static kssize_t read_value_inode(struct ext4_inode *i, const struct ext4_disk_xattr *x, void *buf,
				 size_t size)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	struct ext4_inode *holder;
	size_t done = 0;
	int error = ext4_iget(s, x->value_inum, 0, &holder);

	if (error)
		return error;
	if (!(holder->flags & EXT4_FL_EA_INODE) || holder->inode.size != x->value_size)
		error = block_damaged(i, "an inode that should hold a value does not");
	while (!error && done < size) {
		size_t n = MIN(size - done, s->block_bytes);
		struct ext4_mapping m;
		struct buffer *b;

		error = ext4_map(holder, (uint32_t)(done >> s->block_shift), 1, &m);
		if (!error && m.kind != EXT4_MAPPED)
			error = block_damaged(i, "a value has no place on the disk");
		if (!error)
			error = buffer_read(&s->buffers, m.block, &b);
		if (error)
			break;
		memcpy((uint8_t *)buf + done, b->data, n);
		buffer_put(b);
		done += n;
	}
	inode_put(&holder->inode);
	return error ? error : (kssize_t)done;
}

static kssize_t copy_value(struct ext4_inode *i, const struct xattr_area *a,
			   const struct ext4_disk_xattr *x, void *buf, size_t size)
{
	if (size && size < x->value_size)
		return -ERANGE;
	if (!size || !x->value_size)
		return (kssize_t)x->value_size;
	if (x->value_inum)
		return read_value_inode(i, x, buf, x->value_size);
	memcpy(buf, a->base + x->value_offset, x->value_size);
	return (kssize_t)x->value_size;
}

/* Calls use() with the inode's area, and while that answers -ENODATA, with the block's. */
static kssize_t
with_areas(struct ext4_inode *i,
	   kssize_t (*use)(struct ext4_inode *i, const struct xattr_area *a, void *arg), void *arg)
{
	struct ext4_super *s = ext4_super_of(&i->inode);
	struct ext4_disk_inode *raw;
	struct xattr_area a;
	struct buffer *b;
	kssize_t ret = ext4_inode_raw(s, (uint32_t)i->inode.ino, &b, &raw);

	if (ret)
		return ret;
	ret = xattr_in_inode(s, raw, &a);
	if (!ret)
		ret = use(i, &a, arg);
	buffer_put(b);
	if (ret != -ENODATA)
		return ret;
	ret = xattr_block_read(i, &b);
	if (ret)
		return ret;
	a = xattr_in_block(s, b);
	ret = use(i, &a, arg);
	buffer_put(b);
	return ret;
}

struct wanted {
	struct xattr_name name;
	void *buf;
	size_t size;
};

static kssize_t get_from(struct ext4_inode *i, const struct xattr_area *a, void *arg)
{
	struct wanted *w = arg;
	const char *fault = NULL;
	struct ext4_disk_xattr *x = xattr_find(a, &w->name, &fault);

	if (fault)
		return block_damaged(i, fault);
	return x ? copy_value(i, a, x, w->buf, w->size) : -ENODATA;
}

kssize_t ext4_xattr_get(struct inode *inode, const char *name, void *buf, size_t size)
{
	struct wanted w = { .buf = buf, .size = size };
	int error = xattr_name_parse(name, &w.name);

	return error ? error : with_areas(ext4_of(inode), get_from, &w);
}

struct listing {
	char *buf;
	size_t size, used;
};

static bool list_one(struct listing *l, const struct ext4_disk_xattr *x)
{
	const char *prefix = x->name_index < ARRAY_SIZE(prefixes) ? prefixes[x->name_index] : NULL;
	size_t len = prefix ? str_length(prefix) : 0;

	if (!prefix || (x->name_index == 7 && x->name_len == 4 && !memcmp(x->name, "data", 4)))
		return true;
	if (l->size && l->used + len + x->name_len + 1 > l->size)
		return false;
	if (l->size) {
		memcpy(l->buf + l->used, prefix, len);
		memcpy(l->buf + l->used + len, x->name, x->name_len);
		l->buf[l->used + len + x->name_len] = '\0';
	}
	l->used += len + x->name_len + 1;
	return true;
}

/* Answers -ENODATA when all is well, so that the next area comes. */
static kssize_t list_from(struct ext4_inode *i, const struct xattr_area *a, void *arg)
{
	struct ext4_disk_xattr *x = NULL;
	const char *fault = NULL;

	while (xattr_next(a, &x, &fault)) {
		if (!list_one(arg, x))
			return -ERANGE;
	}
	return fault ? block_damaged(i, fault) : -ENODATA;
}

kssize_t ext4_xattr_list(struct inode *inode, char *buf, size_t size)
{
	struct listing l = { buf, size, 0 };
	kssize_t ret = with_areas(ext4_of(inode), list_from, &l);

	return ret && ret != -ENODATA ? ret : (kssize_t)l.used;
}
