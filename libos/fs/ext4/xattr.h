/* Extended attributes, between xattr.c (lists of them), xattr_change.c and inline.c. */
#ifndef EXT4_XATTR_H
#define EXT4_XATTR_H

#include "ext4.h"

/*
 * Attributes in one piece: of an inode or a block. Values lie in it, too, from its end downwards.
 */
struct xattr_area {
	uint8_t *first;          /* entry */
	uint8_t *end;
	uint8_t *base;           /* what value_offset counts from */
};

struct xattr_name {
	uint8_t index;           /* of the prefix */
	const char *text;        /* behind the prefix */
	size_t len;
};

/* -EOPNOTSUPP: no prefix that ext4 has a number for. */
int xattr_name_parse(const char *name, struct xattr_name *out);

/* The area in the inode, or -ENODATA: it has none. */
int xattr_in_inode(const struct ext4_super *s, const struct ext4_disk_inode *raw,
		   struct xattr_area *out);
struct xattr_area xattr_in_block(const struct ext4_super *s, struct buffer *b);
/* Entry by entry, as dirent_next(). */
bool xattr_next(const struct xattr_area *a, struct ext4_disk_xattr **x, const char **fault);
struct ext4_disk_xattr *xattr_find(const struct xattr_area *a, const struct xattr_name *n,
				   const char **fault);
/* The block of attributes, checked: 0, -ENODATA (there is none), -EUCLEAN, -EIO. */
int xattr_block_read(struct ext4_inode *i, struct buffer **out);
uint32_t xattr_block_csum(const struct ext4_super *s, uint64_t block,
			  const struct ext4_disk_xattr_header *header);
/* The value of system.data in the inode: where and how long. */
int xattr_inline_data(struct ext4_super *s, struct ext4_inode *i, struct ext4_disk_inode *raw,
		      uint8_t **value, size_t *len);

#endif
