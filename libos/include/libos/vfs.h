/*
 * The virtual file system: inodes, names, mounts, and what a file system implements.
 *
 * An inode is a file of whatever type; a dentry is a name in a directory, remembered, with its
 * inode or, when negative, the knowledge that there is none. A mount puts the root of a file system
 * over a dentry. A struct path is a dentry seen through a mount. All three are counted.
 *
 * Callers (system calls) resolve paths with vfs_walk() and act with the vfs_*() functions, which
 * check permission, lock, keep the name cache right, and call the file system's operations. A file
 * system trusts what it is called with: names have 1 to 255 bytes, are no "." or "..", hold no '/';
 * the directory is locked, is one, and the caller may do what is asked.
 *
 * Names and errnos are Linux's. All functions: threads; they may wait for a disk (libos/file.h).
 *
 * Locks, in order: rename_lock, the locks of directories (an ancestor before a descendant, else by
 * address), a file's lock, tree_lock (a spinlock: the name cache, mounts, and all counts of them).
 * That directories are a tree does not depend on the disk: one that has a name in memory is not
 * found under another (dentry.c).
 */
#ifndef LIBOS_VFS_H
#define LIBOS_VFS_H

#include <core/list.h>
#include <core/sync.h>
#include <core/types.h>
#include <libos/abi.h>
#include <libos/file.h>

#define VFS_NAME_MAX  255u
#define VFS_PATH_MAX  4096u   /* with the terminating zero */
#define VFS_GROUPS_MAX 32u
#define VFS_LINKS_MAX 40u     /* symbolic links followed in one walk */

struct inode;
struct dentry;
struct mount;
struct super;
struct watch;

struct vfs_name {
	const char *text;  /* not terminated */
	size_t len;
};

struct path {
	struct mount *mount;
	struct dentry *dentry;
};

/* ---- what a file system implements ---- */

enum attr_mask {
	ATTR_MODE = 1,
	ATTR_UID = 2,
	ATTR_GID = 4,
	ATTR_SIZE = 8,
	ATTR_ATIME = 16,
	ATTR_MTIME = 32,
	ATTR_NOW = 64,    /* both times are now: whoever may write may set them */
	ATTR_OWNED = 128, /* as chown() does even if it changes nothing: set-id bits go */
};

struct attr_change {
	uint32_t mask;            /* enum attr_mask */
	uint32_t mode, uid, gid;
	int64_t size;
	struct abi_timespec atime, mtime;
};

/*
 * Called for each entry of a directory; false: no room, and the position stays before this entry.
 */
struct dir_sink {
	bool (*add)(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint32_t mode,
		    uint64_t next);
};

struct inode_ops {
	/*
	 * Directories; each operation sets the times that it changes. *out gets a new reference.
	 * -ENOENT: no such name.
	 */
	int (*lookup)(struct inode *dir, const struct vfs_name *n, struct inode **out);
	/*
	 * A new inode with its first name; a symbolic link with its target. *out gets a reference.
	 */
	int (*create)(struct inode *dir, const struct vfs_name *n, uint32_t mode, uint64_t rdev,
		      const char *target, struct inode **out);
	/* A new inode without a name yet. */
	int (*make)(struct inode *dir, uint32_t mode, uint64_t rdev, const char *target,
		    struct inode **out);
	int (*link)(struct inode *dir, const struct vfs_name *n, struct inode *inode);
	/* rmdir, too: it is empty */
	int (*unlink)(struct inode *dir, const struct vfs_name *n, struct inode *inode);
	bool (*is_empty)(struct inode *dir);
	/* `replaced` may be NULL, and goes; with `exchange` the two change places. */
	int (*rename)(struct inode *from, const struct vfs_name *n, struct inode *inode,
		      struct inode *to, const struct vfs_name *m, struct inode *replaced,
		      bool exchange);
	/* Entries after *position (0: the first), until the sink is full; moves *position. */
	int (*iterate)(struct inode *dir, struct dir_sink *s, uint64_t *position);
	/* Any. */
	/* the inode's lock is held */
	int (*change)(struct inode *inode, const struct attr_change *a);
	kssize_t (*read_link)(struct inode *inode, char *buf, size_t size);
	/*
	 * Symbolic links that lead to a place, whatever they say: true, and the place. NULL: there
	 * are none.
	 */
	bool (*leads)(struct inode *inode);
	int (*jump)(struct inode *inode, struct path *out);
	kssize_t (*xattr_get)(struct inode *inode, const char *name, void *buf, size_t size);
	int (*xattr_set)(struct inode *inode, const char *name, const void *value, size_t size,
			 int flags);
	kssize_t (*xattr_list)(struct inode *inode, char *buf, size_t size);
	int (*allocate)(struct inode *inode, int mode, int64_t offset, int64_t len); /* fallocate */
	int (*sync)(struct inode *inode, bool data_only);
	/* The last reference is gone: frees the inode's own memory, and the file if nlink is 0. */
	void (*forget)(struct inode *inode);
};

/*  Locks:  I set once   i inode's lock   a atomic */
struct inode {
	struct super *super;           /* [I] */
	const struct inode_ops *ops;   /* [I] */
	const struct file_ops *file;   /* [I] of regular files; f->object is the inode */
	uint64_t ino;                  /* [I] */
	uint32_t refs;                 /* [a] */
	uint32_t mode, uid, gid, nlink;/* [i] */
	uint64_t rdev;                 /* [I] */
	int64_t size;                  /* [i] */
	uint64_t blocks;               /* [i] of 512 bytes */
	struct abi_timespec atime, mtime, ctime, btime; /* [i] */
	bool dead;                     /* [i] a directory that has been removed */
	bool named;                    /* [tree_lock] a directory that a name in memory leads to */
	/* [I] a directory whose names come and go by themselves: none is remembered */
	bool transient;
	bool linkable;                 /* [i] O_TMPFILE: it may get its first name */
	/* [a] it has no name any more, or not yet: it counts in its super */
	uint32_t nameless;
	bool immutable, append_only;   /* [I] flags that some file systems have */
	struct watch *watches;         /* libos/notify.h */
	struct mutex lock;
};

struct blkdev;

/* What a file system on a disk is called, whatever the disk's place. */
struct fs_identity {
	uint8_t uuid[16];
	char label[17];  /* or "" */
};

struct fs_type {
	const char *name;
	bool on_disk; /* it needs a block device */
	/* Does the disk hold one? Threads; waits for the disk. NULL: they have no such names. */
	bool (*identify)(struct blkdev *d, struct fs_identity *out);
	/* Fills in s->root (an inode with one reference) and s->ops. */
	int (*mount)(struct super *s, const char *source, const char *options);
};

struct super_ops {
	void (*statfs)(struct super *s, struct abi_statfs *st);
	int (*sync)(struct super *s);         /* NULL: there is nothing to write */
	/*
	 * Before other flags (MS_RDONLY, ...) and options hold: 0, or why not. NULL: flags may
	 * change, options do not.
	 */
	int (*remount)(struct super *s, uint32_t flags, const char *options);
	/*
	 * Tells the disk which of the bytes [from, from + len) nobody uses, in runs of at least
	 * `least`: how many bytes. NULL: it cannot.
	 */
	int (*trim)(struct super *s, uint64_t from, uint64_t len, uint64_t least,
		    uint64_t *trimmed);
	/*
	 * A lookup in `dir` found a directory that has another name, or is the root: the errno.
	 * NULL: -EUCLEAN.
	 */
	int (*aliased)(struct inode *dir, struct inode *found);
	void (*unmount)(struct super *s);     /* no inode has a reference any more */
};

struct super {
	const struct fs_type *type;     /* [I] */
	const struct super_ops *ops;    /* [I] */
	struct inode *root;             /* [I] */
	uint64_t dev;                   /* [I] st_dev */
	uint32_t flags;                 /* [a] MS_RDONLY, MS_SYNCHRONOUS, MS_DIRSYNC */
	uint32_t turns;                 /* [a] it is about to become read-only */
	/* [a] inodes without a name, whose end is a write; and what may make one just now */
	uint32_t nameless;
	uint32_t mounts, names;         /* [tree_lock] the latter in the name cache */
	bool ends;                      /* [tree_lock] it waits for its last name to go */
	char *source, *options;         /* [I] as mount() had them */
	void *own;                      /* [I] the file system's */
};

/*
 * For mount(): the next of the options in *list, which stand between commas; NULL when there is
 * none. It has *len bytes, more than none, and no end of its own. Moves *list behind it; *list may
 * be NULL.
 */
const char *mount_option_next(const char **list, size_t *len);

/* File systems join by linker set: FS_TYPE(tmpfs_type). */
#define FS_TYPE(symbol)                                                       \
	static const struct fs_type *const fs_type_##symbol                   \
	    __attribute__((used, section("fs_types"), aligned(8))) = &symbol

/* ---- inodes ---- */

/*
 * A new inode's common part: owner and set-gid by `dir` (NULL: root's), times now, one reference.
 */
void inode_init(struct inode *inode, struct super *s, const struct inode *dir, uint32_t mode);
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode);
static inline uint32_t inode_kind(const struct inode *inode) { return inode->mode & S_IFMT; }
/* What is immutable, or only grows, keeps its names and attributes. */
static inline bool inode_is_kept(const struct inode *inode)
{
	return inode->immutable || inode->append_only;
}
static inline bool inode_is_dir(const struct inode *inode) { return inode_kind(inode) == S_IFDIR; }
/* Devices, pipes and sockets: writing to one writes nothing to its file system. */
static inline bool inode_is_special(const struct inode *inode)
{
	uint32_t kind = inode_kind(inode);

	return kind != S_IFREG && kind != S_IFDIR && kind != S_IFLNK;
}

#define TOUCH_A 1u
#define TOUCH_M 2u
#define TOUCH_C 4u
#define TOUCH_A_ALWAYS 8u
/* relatime: news since the last change, or a day old */
bool inode_atime_is_due(const struct inode *inode);
/* times are now; TOUCH_A as relatime has it */
void inode_touch(struct inode *inode, unsigned which);
struct abi_timespec vfs_now(void);

/* May the caller read (4), write (2), execute or search (1)? 0, -EACCES, -EROFS. */
int inode_permission(const struct inode *inode, unsigned wanted);
int inode_permission_real(const struct inode *inode, unsigned wanted); /* by the real ids */
/*
 * What a write or truncation by others than root takes away of the set-id bits: the mode that is
 * left.
 */
uint32_t inode_mode_written(const struct inode *inode);
void inode_stat(struct inode *inode, struct kstat *st);
/* What every file system's change() does with the fields other than the size. */
void inode_apply(struct inode *inode, const struct attr_change *a);

/* ---- the caller: one for an appliance, one for each process in the shell image ---- */

struct vfs_context {
	struct path root, cwd;         /* [tree_lock] */
	uint32_t umask, uid, gid;      /* those that count: the effective ones */
	uint32_t real_uid, real_gid;   /* for access() */
	uint32_t groups[VFS_GROUPS_MAX];
	unsigned group_count;
};
struct vfs_context *vfs_context(void);
bool vfs_in_group(uint32_t gid);                      /* the caller's, or one of his others */
bool vfs_owns(const struct inode *inode);             /* his, or he is root */

/* ---- paths ---- */

void path_get(const struct path *p);
void path_put(struct path *p);
struct inode *path_inode(const struct path *p);       /* of a path that is held and positive */
/* of a context: with a reference */
void vfs_get_context_path(const struct path *which, struct path *out);
void vfs_set_path(struct path *which, struct path *p); /* of a context: the two change places */
bool path_is_read_only(const struct path *p);         /* its mount, or the file system */

#define WALK_FOLLOW 1u    /* a symbolic link at the end is followed */
#define WALK_DIR    2u    /* what is found is a directory */
/* `base` NULL: the working directory. 0 and *out, to be put, or the errno. */
int vfs_walk(const struct path *base, const char *text, unsigned flags, struct path *out);
/*
 * To the directory that holds the last name. *slash: the text ended in '/'. -EEXIST: there is no
 * last name.
 */
int vfs_walk_parent(const struct path *base, const char *text, struct path *parent,
		    struct vfs_name *last, bool *slash,
		    char **memory); /* kfree(*memory) when done with `last` */

/* ---- acting ---- */

int vfs_open(const struct path *base, const char *text, uint32_t flags, uint32_t mode,
	     struct file **out);
int vfs_create(const struct path *base, const char *text, uint32_t mode, uint64_t rdev,
	       const char *target);
int vfs_link(const struct path *of, const struct path *base, const char *text);
int vfs_unlink(const struct path *base, const char *text, bool directory);
#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE  2u
int vfs_rename(const struct path *from_base, const char *from, const struct path *to_base,
	       const char *to, unsigned flags);
int vfs_change(const struct path *p, struct attr_change *a); /* a size: >= 0, of a regular file */
/* By name: who may write to the file may. -EISDIR, -EINVAL (not regular), -EROFS, -EACCES. */
int vfs_truncate(const struct path *p, int64_t size);
int vfs_drop_set_id(const struct path *p); /* before a write to a file that has such bits */
/* getcwd(): bytes with the zero */
kssize_t vfs_get_path(const struct path *p, char *buf, size_t size);

/*
 * The disk that a mount's source means: "vda", "/dev/vda", or a path that leads to its special
 * file. NULL: there is none.
 */
struct blkdev *vfs_disk(const char *source);
/*
 * `at` NULL: the first root, once. 0, -ENODEV (no such type), -ENOTDIR, -EBUSY, or what the file
 * system says.
 */
int vfs_mount(const char *type, const char *source, const struct path *at, uint32_t flags,
	      const char *options);
int vfs_unmount(const struct path *at); /* 0: `at`, which was the mount's root, has been put */
/*
 * Takes what is mounted at `at`, and below it, out of the tree; it ends with its last use. 0,
 * -EINVAL, -EBUSY.
 */
int vfs_detach(const struct path *at);
/* Shows what lies at `from` at `at`, too; with everything mounted below it. */
int vfs_bind(const struct path *from, const struct path *at, bool recursive);
int vfs_move_mount(const struct path *from, const struct path *at);
/* Other flags and options for the mount at `at`; for that alone, or for its file system as well. */
int vfs_remount(const struct path *at, uint32_t flags, const char *options, bool mount_only);
unsigned vfs_mount_id(const struct path *p);
uint32_t vfs_mount_flags(const struct path *p);
bool vfs_is_mount_root(const struct path *p);

struct mount_info {
	unsigned id, parent_id;
	uint64_t dev;
	const char *root, *at;          /* which part of the file system, and where */
	const char *type, *source;
	const char *options;            /* "rw,nosuid,relatime" */
	const char *super_options;      /* "", or ",size=64k" */
	bool read_only_super;
};
/*
 * Calls visit for each mount that can be seen from the root, in threads; it may sleep. 0 or
 * -ENOMEM.
 */
int vfs_for_each_mount(void (*visit)(const struct mount_info *m, void *arg), void *arg);
const struct fs_type *vfs_type(unsigned i); /* NULL: no more */

int vfs_sync_all(void);
/*
 * The machine ends: every file system goes to its disk and is read-only from then on, whoever has
 * files open.
 */
void vfs_end(void);
void vfs_statfs(const struct path *p, struct abi_statfs *st);

/* A file has been read: its time of access, as its mount has it. */
void file_accessed(struct file *f);
/* a read now is to be noted, by flags, mount and relatime */
bool file_access_is_due(const struct file *f);

/* Where an open file lies: NULL for pipes, sockets and their like. */
const struct path *file_path(const struct file *f);

/*
 * Opens what a character or block special file stands for. vfs.c knows no device; devices.c does.
 */
int special_open(uint32_t kind, uint64_t rdev, uint32_t flags, struct file **out);

#endif
