/*
 * Telling of what happens to files: who watches, and the hooks in those functions that act.
 *
 * A watch is on an inode, and holds a reference to it. It is told of what happens to the inode
 * itself and, when that is a directory, to the names in it and to the files behind those names.
 * When the inode goes, by its last name and last use or with its file system, so does the watch,
 * after it was told.
 *
 * Each hook is one load and a branch while nobody watches anything, and nothing without
 * CONFIG_POSIX_INOTIFY. The events are Linux's of inotify(7).
 *
 * Threads; the hooks may be called with directories locked. Locks: watch_lock, a spinlock beneath
 * tree_lock; under it only the allocator and poll_notify().
 */
#ifndef LIBOS_NOTIFY_H
#define LIBOS_NOTIFY_H

#include <core/list.h>
#include <core/sync.h>
#include <core/types.h>
#include <libos/vfs.h>

#define NOTIFY_ACCESS        0x00000001u
#define NOTIFY_MODIFY        0x00000002u
#define NOTIFY_ATTRIB        0x00000004u
#define NOTIFY_CLOSE_WRITE   0x00000008u
#define NOTIFY_CLOSE_NOWRITE 0x00000010u
#define NOTIFY_OPEN          0x00000020u
#define NOTIFY_MOVED_FROM    0x00000040u
#define NOTIFY_MOVED_TO      0x00000080u
#define NOTIFY_CREATE        0x00000100u
#define NOTIFY_DELETE        0x00000200u
#define NOTIFY_DELETE_SELF   0x00000400u
#define NOTIFY_MOVE_SELF     0x00000800u
#define NOTIFY_UNMOUNT       0x00002000u
#define NOTIFY_OVERFLOW      0x00004000u
#define NOTIFY_IGNORED       0x00008000u
#define NOTIFY_DIR           0x40000000u /* beside another: it happened to a directory */

/*  Locks:  I set once   w watch_lock */
struct watch {
	struct watch *next;     /* [w] of the same inode */
	struct list all;        /* [w] */
	struct inode *inode;    /* [I] with a reference */
	uint32_t events;        /* [w] NOTIFY_* that are wanted */
	bool skips_unlinked;    /* [w] nothing of files whose name has been removed */
	/*
	 * One event; a name where it happened to a name. watch_lock is held. False: the watch ends
	 * with it.
	 */
	bool (*tell)(struct watch *w, uint32_t event, uint32_t cookie, const char *name,
		     size_t len);
	/* It has ended; nothing refers to it any more. watch_lock is held. */
	void (*ended)(struct watch *w);
	void (*free)(struct watch *w); /* frees the watch; no lock is held */
};

extern struct spinlock watch_lock;
extern uint32_t watch_count; /* [w], read without it: those that have an inode */

void watch_add_locked(struct watch *w, struct inode *inode); /* takes a reference to the inode */
/*
 * Ends a watch, by its owner, who has unlinked it from what he has: it goes to `gone`, and soon to
 * watches_free().
 */
void watch_remove_locked(struct watch *w, struct list *gone);
/*
 * watch_lock is not held. Nothing in between may end a mount: its file system waits for watches
 * that have been removed.
 */
void watches_free(struct list *gone);

static inline bool somebody_watches(void)
{
	return IS_ENABLED(CONFIG_POSIX_INOTIFY) &&
	       unlikely(__atomic_load_n(&watch_count, __ATOMIC_RELAXED));
}

/* ---- the hooks; those with _now are for notify.c ---- */

void notify_path_now(const struct path *p, uint32_t event);
void notify_inode_now(struct inode *inode, uint32_t event);
void notify_name_now(struct inode *dir, const struct vfs_name *n, uint32_t event, bool is_dir);
void notify_move_now(struct inode *from, const struct vfs_name *n, struct inode *to,
		     const struct vfs_name *m, struct inode *moved, struct inode *replaced);
void notify_unmount_now(struct super *s);
/* Puts a reference to an inode that is watched, whose end the watches must learn of. */
void notify_inode_put_now(struct inode *inode);

/* To what lies at the path: told to who watches it, or the directory that has its name. */
static inline void notify_path(const struct path *p, uint32_t event)
{
	if (somebody_watches())
		notify_path_now(p, event);
}

/* To the inode, whatever its name. */
static inline void notify_inode(struct inode *inode, uint32_t event)
{
	if (somebody_watches())
		notify_inode_now(inode, event);
}

/* To a name in a directory: NOTIFY_CREATE, NOTIFY_DELETE. */
static inline void notify_name(struct inode *dir, const struct vfs_name *n, uint32_t event,
			       bool is_dir)
{
	if (somebody_watches())
		notify_name_now(dir, n, event, is_dir);
}

/* A rename: both ends share a cookie. `replaced` lost a name by it, or is NULL. */
static inline void notify_move(struct inode *from, const struct vfs_name *n, struct inode *to,
			       const struct vfs_name *m, struct inode *moved,
			       struct inode *replaced)
{
	if (somebody_watches())
		notify_move_now(from, n, to, m, moved, replaced);
}

static inline void notify_unmount(struct super *s)
{
	if (somebody_watches())
		notify_unmount_now(s);
}

/* An open file; those without a place have no watchers. */
static inline void notify_file(const struct file *f, uint32_t event)
{
	if (somebody_watches() && f->place)
		notify_path_now(file_path(f), event);
}

#endif
