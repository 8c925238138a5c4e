/* tmpfs: files in memory. See tmpfs.c. */
#ifndef TMPFS_H
#define TMPFS_H

#include <core/list.h>
#include <core/tree.h>
#include <libos/cache.h>
#include <libos/vfs.h>

#define TMPFS_INODES_MAX UINT32_MAX

struct tmpfs_super {
	struct cache_budget budget;
	uint64_t inodes, next_ino;   /* atomic */
	uint64_t inodes_max;         /* atomic */
};

struct tmpfs_options {
	uint64_t pages, inodes;      /* no more than these */
	uint32_t mode, uid, gid;     /* of the root directory, when it is mounted */
};

struct tmpfs_inode {
	struct inode inode;          /* its lock guards the rest */
	union {
		struct cache bytes;          /* regular files */
		char *target;                /* symbolic links */
		struct {                     /* directories: the same entries twice */
			struct tree names, places;
			uint64_t
				next_place; /* of the next entry; places 0 and 1 are "." and ".." */
			uint64_t parent_ino;
		} dir;
	};
	struct list xattrs;
};

static inline struct tmpfs_inode *tmpfs_of(struct inode *inode)
{
	return container_of(inode, struct tmpfs_inode, inode);
}

/* options.c */
void tmpfs_options_default(struct tmpfs_options *o);
/* 0, or -EINVAL: *o is as it was, and a line of the log names what is wrong. `text` may be NULL. */
int tmpfs_options_parse(struct tmpfs_options *o, const char *text);

/* tmpfs_dir.c */
int tmpfs_lookup(struct inode *dir, const struct vfs_name *n, struct inode **out);
int tmpfs_link(struct inode *dir, const struct vfs_name *n, struct inode *inode);
int tmpfs_unlink(struct inode *dir, const struct vfs_name *n, struct inode *inode);
bool tmpfs_is_empty(struct inode *dir);
int tmpfs_rename(struct inode *from, const struct vfs_name *n, struct inode *inode,
		 struct inode *to, const struct vfs_name *m, struct inode *replaced, bool exchange);
int tmpfs_iterate(struct inode *dir, struct dir_sink *s, uint64_t *position);
void tmpfs_dir_empty(struct inode *dir); /* forgets every entry, when the file system goes */

/* tmpfs_xattr.c */
kssize_t tmpfs_xattr_get(struct inode *inode, const char *name, void *buf, size_t size);
int tmpfs_xattr_set(struct inode *inode, const char *name, const void *value, size_t size,
		    int flags);
kssize_t tmpfs_xattr_list(struct inode *inode, char *buf, size_t size);
void tmpfs_xattr_forget(struct tmpfs_inode *t);

#endif
