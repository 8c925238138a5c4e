/*
 * Names and mounts, for the files of this directory. libos/vfs.h has the story and the order of
 * locks.
 */
#ifndef VFS_NAMEI_H
#define VFS_NAMEI_H

#include <libos/vfs.h>

/*  Locks:  I set once   t tree_lock   d t, and the lock of the directory that holds the name */
struct dentry {
	struct list hash;        /* [t] among the names of one bucket; linked: it can be found */
	struct list lru;         /* [t] while nobody has a reference */
	struct list sibling;     /* [t] among the names of its directory that are in memory */
	struct list children;    /* [t] */
	struct dentry *parent;   /* [d] with a reference; NULL: a root */
	struct super *super;     /* [I] */
	struct inode *inode;     /* [d] with a reference, set once; NULL: there is no such name */
	uint32_t refs;           /* [t] */
	uint32_t covers;         /* [t] mounts over it */
	uint32_t name_hash;      /* [d] */
	uint16_t len;            /* [d] */
	char *name;              /* [d] */
};

struct mount {
	struct list link;        /* [t] linked: it is in the tree */
	struct path at;          /* [t] what it covers; mount NULL: the first root */
	struct dentry *root;     /* [I] with a reference */
	struct super *super;     /* [I] */
	uint32_t refs;           /* [t] the list's, one for each path */
	uint32_t flags;          /* [t] MOUNT_FLAGS; read without it */
	uint32_t writers;        /* atomic: regular files that are open for writing */
	unsigned id;             /* [I] */
	struct mount *next_gone; /* while it is being detached, with others */
};

/* What a mount decides, and what its file system does. */
#define MOUNT_FLAGS                                                                                \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW | MS_NOATIME |              \
	 MS_NODIRATIME | MS_RELATIME)
#define SUPER_FLAGS (MS_RDONLY | MS_SYNCHRONOUS | MS_DIRSYNC)

extern struct spinlock tree_lock;
extern struct mutex mount_lock;
extern struct list mounts;

/* ---- dentry.c ---- */

/* for s->root, whose reference it takes over; or NULL */
struct dentry *dentry_root(struct super *s);
void dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);                       /* no spinlock held */
/*
 * The name in a directory that the caller has locked, from the cache or the file system: 0 and
 * *out, errno.
 */
int dentry_lookup_locked(struct dentry *dir, const struct vfs_name *n, struct dentry **out);
int dentry_lookup(struct dentry *dir, const struct vfs_name *n, struct dentry **out);
/* a negative name gets an inode (and a reference) */
void dentry_attach(struct dentry *d, struct inode *inode);
/* cannot be found any more, nor what was below it; holders keep it */
void dentry_drop(struct dentry *d);
/* After the file system has renamed. Both directories are locked. */
void dentry_move(struct dentry *d, struct dentry *to_dir, struct dentry *target);
void dentry_exchange(struct dentry *a, struct dentry *b);
/* O_TMPFILE: takes the inode over */
struct dentry *dentry_nameless(struct dentry *dir, struct inode *inode);
/* or the same; rename_lock is held */
bool dentry_is_above(struct dentry *above, struct dentry *d);
/*
 * No path leads into the file system any more: its names go; waits for those that others are about
 * to forget.
 */
void dentries_end(struct super *s);

/* ---- inode.c ---- */

/* it is read-only, or about to become so */
bool super_stops(const struct super *s);
/*
 * Around what may take an inode's last name (or makes one without): 0, or -EROFS. `inode` NULL:
 * none has lost any.
 */
int removal_begin(struct super *s);
void removal_end(struct super *s, struct inode *inode);
void inode_got_name(struct inode *inode);                /* its first, perhaps */
void inode_end(struct inode *inode);                     /* the last reference is gone */

/* ---- mount.c ---- */

/* The topmost mount over a path, which is put and replaced by that mount's root. */
void path_enter_mounts(struct path *p);
/* From a mount's root to what it covers. False: this is no root, or the first one. */
bool path_leave_mount(struct path *p);

/*
 * With mount_lock: a further mount of a file system, outside of the tree; takes over `root`. NULL:
 * no memory.
 */
struct mount *mount_new(struct super *s, struct dentry *root, uint32_t flags);
void mount_attach(struct mount *m, const struct path *at);
/* mount_lock and tree_lock: out of the tree; then mount_put() */
void mount_leave_locked(struct mount *m);
void mount_put(struct mount *m);

/* ---- open_file.c ---- */

/* p gets a reference of its own */
int open_inode(const struct path *p, uint32_t flags, struct file **out);

#endif
