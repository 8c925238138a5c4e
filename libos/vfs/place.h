/* Where a name is to be changed, for the files that change the tree. */
#ifndef VFS_PLACE_H
#define VFS_PLACE_H

#include "namei.h"

/* The directory is held, and locked after place_open(); `d` is what it has under the name. */
struct place {
	struct path dir;
	struct vfs_name last;
	struct dentry *d;
	bool slash;
	char *memory;
};

static inline struct inode *place_dir(const struct place *p)
{
	return path_inode(&p->dir);
}

static inline bool place_is_dots(const struct place *p)
{
	return p->last.text[0] == '.' &&
	       (p->last.len == 1 || (p->last.len == 2 && p->last.text[1] == '.'));
}

/* change.c. The errnos of vfs_walk_parent(); after 0, place_forget(). */
int place_find(struct place *p, const struct path *base, const char *text);
void place_forget(struct place *p);
/*
 * Locks the directory and looks the name up, unless it is one of the dots; after 0, place_close().
 */
int place_open(struct place *p, const struct path *base, const char *text);
void place_close(struct place *p);

int dir_may_change(const struct path *dir);            /* 0, -EACCES, -EROFS */
/* the same, or -EPERM for somebody else's in a sticky directory */
int place_may_remove(const struct place *p);
int place_create(struct place *p, uint32_t mode, uint64_t rdev, const char *target);
/* Marks an empty directory, not locked by the caller, as dead: 0 or -ENOTEMPTY. */
int dir_kill(struct inode *inode);

#endif
