/*
 * Directories, between dir.c, dir_iterate.c, dir_change.c, htree.c and htree_split.c. The
 * directory's lock is held.
 *
 * Entries are checked each time they are walked over, not once per block: a damaged disk may use
 * one block for two structures, and what the other one's code writes there must not lead us astray.
 */
#ifndef EXT4_DIR_H
#define EXT4_DIR_H

#include "ext4.h"

struct dir_hash {
	/* even: the lowest bit of an index entry says that it goes on from the entry before */
	uint32_t major;
	uint32_t minor;
};

/* hash.c. `version` is below EXT4_HASH_LEGACY_UNSIGNED. */
struct dir_hash ext4_hash(const uint32_t seed[4], uint8_t version, bool is_unsigned,
			  const char *name, size_t len);

/* ---- dir.c: blocks and entries ---- */

static inline unsigned dirent_bytes(size_t name_len)
{
	return (unsigned)ALIGN_UP(EXT4_DIRENT_BYTES + name_len, 4u);
}

/* The entries of a block, or of a piece of an inode. */
struct dir_bytes {
	uint8_t *at;
	uint32_t len;     /* without a checksum's tail */
};

/*
 * What is wrong with an entry that has `left` bytes before the end and fails the checks of
 * dirent_next().
 */
const char *dirent_fault(const struct ext4_disk_dirent *e, uint32_t left);

/* Entry by entry: `e` starts NULL. False at the end, or *fault when an entry is impossible. */
static inline bool dirent_next(const struct ext4_super *s, const struct dir_bytes *d,
			       struct ext4_disk_dirent **e, const char **fault)
{
	uint8_t *at = *e ? (uint8_t *)*e + (*e)->rec_len : d->at;
	uint32_t left = (uint32_t)(d->at + d->len - at);
	struct ext4_disk_dirent *next = (struct ext4_disk_dirent *)(void *)at;

	if (!left)
		return false;
	if (unlikely(left < dirent_bytes(1) || next->rec_len > left || next->rec_len % 4 ||
		     next->rec_len < dirent_bytes(1) ||
		     next->rec_len < EXT4_DIRENT_BYTES + next->name_len ||
		     next->inode > s->inodes || (next->inode && !next->name_len))) {
		*fault = dirent_fault(next, left);
		return false;
	}
	*e = next;
	return true;
}

/* The entry of a name, or NULL; *before is the one before it in its block, or NULL. */
struct ext4_disk_dirent *dirent_find(const struct ext4_super *s, const struct dir_bytes *d,
				     const struct vfs_name *n, struct ext4_disk_dirent **before,
				     const char **fault);
struct dir_bytes dir_bytes_of(const struct ext4_super *s, struct buffer *b);

uint32_t dir_blocks(const struct ext4_inode *dir);
/*
 * A block of the directory: 0 and *out with a reference; its checksum has been checked. -EUCLEAN,
 * -EIO.
 */
int dir_read(struct ext4_inode *dir, uint32_t at, struct buffer **out);
int dir_damaged(struct ext4_inode *dir, uint32_t at, const char *what);
bool dir_is_indexed(const struct ext4_inode *dir);

/* ---- dir_csum.c; all of it right, too, without metadata_csum ---- */

bool dir_block_is_right(struct ext4_inode *dir, uint32_t at, struct buffer *b);
/* Anew: of a leaf; of any block. */
void dir_leaf_csum_set(struct ext4_inode *dir, struct buffer *b);
void dir_block_csum_set(struct ext4_inode *dir, uint32_t at, struct buffer *b);

/*
 * `len` bytes of entries change, a multiple of four, and nothing else of the block does between
 * begin and end.
 */
struct dir_edit {
	struct ext4_inode *dir;
	struct buffer *b;
	uint32_t at;                     /* the block's place in the directory */
	const uint8_t *bytes;
	uint32_t len, before;            /* the latter: their sum */
	bool is_leaf;
};
struct dir_edit dir_edit_begin(struct ext4_inode *dir, uint32_t at, struct buffer *b,
			       const void *bytes, uint32_t len);
void dir_edit_end(const struct dir_edit *e);

/* Where a name was found. The caller puts the buffer. */
struct dir_spot {
	struct buffer *b;
	uint32_t at;                     /* the block's place in the directory */
	struct ext4_disk_dirent *e, *before;
};
/* 0, -ENOENT, -EUCLEAN, -EIO, -ENOMEM. */
int dir_find(struct ext4_inode *dir, const struct vfs_name *n, struct dir_spot *out);

/* ---- htree.c: the index ---- */

#define DX_DEPTH_MAX 3u

/* Nodes on the way to a leaf: with large_dir one more. */
static inline unsigned dx_depth_max(const struct ext4_super *s)
{
	return DX_DEPTH_MAX - !ext4_has_incompat(s, EXT4_INCOMPAT_LARGEDIR);
}

struct dx_frame {
	struct buffer *b;
	uint32_t at_block;               /* of the directory */
	struct ext4_disk_dx_entry *entries;
	uint32_t count, limit;
	uint32_t at;                     /* the entry that was followed */
};

struct dx_path {
	struct dx_frame frame[DX_DEPTH_MAX];
	unsigned depth;                  /* frames */
	uint8_t version;                 /* of the hash */
	bool is_unsigned;
	uint32_t leaf;                   /* block of the directory */
};

/* The hash of a name as this directory has it; a directory without an index: as new ones would. */
int dx_hash(struct ext4_inode *dir, const struct vfs_name *n, struct dir_hash *out);
/*
 * The way down to the leaf where `hash` belongs: 0, -EUCLEAN, -EIO. dx_release() in any case but
 * error.
 */
int dx_walk(struct ext4_inode *dir, uint32_t hash, struct dx_path *p);
void dx_release(struct dx_path *p);
/*
 * On to the next leaf: 1 with *first its lowest hash (odd: goes on from the leaf before), 0: there
 * is none, or errno.
 */
int dx_next(struct ext4_inode *dir, struct dx_path *p, uint32_t *first);
int dx_find(struct ext4_inode *dir, const struct vfs_name *n, struct dir_spot *out);
bool dx_block_is_node(const struct ext4_super *s, const struct buffer *b);
bool dx_csum_is_right(struct ext4_inode *dir, struct buffer *b, uint32_t entries_offset);
void dx_csum_set(struct ext4_inode *dir, struct buffer *b, uint32_t entries_offset);
uint32_t dx_entries_offset(const struct ext4_inode *dir, uint32_t at_block, const struct buffer *b);
uint32_t dx_limit(const struct ext4_super *s, uint32_t entries_offset);
static inline uint32_t dx_count(const struct ext4_disk_dx_entry *entries)
{
	return entries[0].hash >> 16;
}
static inline void dx_count_set(struct ext4_disk_dx_entry *entries, uint32_t limit, uint32_t count)
{
	entries[0].hash = limit | count << 16;
}

/* ---- dir_change.c, htree_insert.c ---- */

/* A name to come, and what it leads to. */
struct dir_name {
	const struct vfs_name *name;
	uint32_t ino, mode;
};

/*
 * Adds a name that is not there: 0, -ENOSPC, ... or nothing, but perhaps room for more. *spot,
 * unless it is NULL, is where it stands then: to be put, and good for dir_remove() alone.
 * dir_add_credits().
 */
int dir_add(struct ext4_handle *h, struct ext4_inode *dir, const struct dir_name *n,
	    struct dir_spot *spot);
/* Removes what dir_find() found, whose buffer was touched. */
void dir_remove(struct ext4_inode *dir, struct dir_spot *spot);
/* The entry leads to another inode from now on; its buffer was touched. */
void dir_redirect(struct ext4_inode *dir, struct dir_spot *spot, const struct ext4_inode *to);
/* A new directory's first block. */
int dir_init(struct ext4_handle *h, struct ext4_inode *dir, uint32_t parent);
/*
 * Puts the entry into this leaf: 0, -ENOSPC (nothing has changed), -EUCLEAN, an error of the
 * journal. One credit.
 */
int dir_leaf_add(struct ext4_handle *h, struct ext4_inode *dir, uint32_t at, struct buffer *leaf,
		 const struct dir_name *n, struct dir_spot *spot);
/* A block more, or nothing: *at its place, the buffer new and part of the handle. */
int dir_append(struct ext4_handle *h, struct ext4_inode *dir, uint32_t *at, struct buffer **out);
/* An empty leaf's tail. */
void dir_leaf_init(struct ext4_inode *dir, struct buffer *b);
int dx_add(struct ext4_handle *h, struct ext4_inode *dir, const struct dir_name *n,
	   struct dir_spot *spot);
/* A directory of one full block gets an index. */
int dx_make(struct ext4_handle *h, struct ext4_inode *dir);

unsigned dir_add_credits(const struct ext4_inode *dir);

/* ---- inline.c ---- */

/*
 * The two pieces of a directory that lies in its inode; the second may be empty. The caller puts
 * the buffer.
 */
int inline_dir(struct ext4_inode *dir, struct dir_bytes pieces[2], struct buffer **b);

static inline uint32_t mode_of_type(uint8_t type)
{
	static const uint32_t modes[EXT4_FT_COUNT] = { 0,       S_IFREG, S_IFDIR,  S_IFCHR,
						       S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK };

	return type < EXT4_FT_COUNT ? modes[type] : 0;
}
uint8_t dirent_type(const struct ext4_super *s, uint32_t mode);

#endif
