/*
 * inotify: files that are watched, and a queue of what happened to them.
 *
 * An instance has watches, each with a number of its own that is never given twice, and events in
 * order. An event equal to the last one in the queue is not added: the reader learns nothing from
 * it. A queue that is full, or for which there is no memory, takes one last event that says so.
 *
 * Format and rules: inotify(7). Locks: w watch_lock (libos/notify.h).
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/tree.h>
#include <libos/abi.h>
#include <libos/notify.h>
#include <libos/uio.h>

#include "fd.h"
#include "syscalls.h"
#include "where.h"

#define ALL_EVENTS      0x00000fffu
#define IN_ONLYDIR      0x01000000u
#define IN_DONT_FOLLOW  0x02000000u
#define IN_EXCL_UNLINK  0x04000000u
#define IN_MASK_CREATE  0x10000000u
#define IN_MASK_ADD     0x20000000u
#define IN_ONESHOT      0x80000000u
#define KNOWN_BITS                                                                                 \
	(ALL_EVENTS | NOTIFY_UNMOUNT | NOTIFY_OVERFLOW | NOTIFY_IGNORED | NOTIFY_DIR |             \
	 IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ONESHOT)

#define INSTANCES_MAX 128u
#define EVENTS_MAX    16384u /* in one queue */
#define WATCHES_MAX   65536u

struct abi_inotify_event {
	int32_t wd;
	/* of the name behind it, with zeroes to a multiple of this structure's size */
	uint32_t mask, cookie, len;
};

struct queued {
	struct list link;            /* [w] in the queue */
	struct abi_inotify_event abi;
	size_t name_len;
	char name[];
};

struct instance {
	struct list queue;           /* [w] struct queued, oldest first */
	unsigned events;             /* [w] */
	size_t bytes;                /* [w] what read() would give */
	struct queued overflow;       /* [w] the last event of a full queue */
	struct tree watches;         /* [w] struct inotify_watch by number */
	int last_wd;                 /* [w] */
	struct poll_queue readers;
};

struct inotify_watch {
	struct watch watch;
	struct tree_node node;       /* [w] by wd */
	struct instance *instance;   /* [I] */
	int wd;                      /* [I] */
	bool oneshot;                /* [w] */
};

static unsigned instances; /* atomic */

/* ---- the queue ---- */

static size_t event_bytes(const struct queued *e)
{
	return sizeof(e->abi) + e->abi.len;
}

static void push_locked(struct instance *i, struct queued *e)
{
	list_push_back(&i->queue, &e->link);
	i->events++;
	i->bytes += event_bytes(e);
	poll_notify(&i->readers, POLL_IN);
}

static bool says_the_same(const struct queued *e, int wd, uint32_t mask, const char *name,
			  size_t len)
{
	return e->abi.wd == wd && e->abi.mask == mask && e->name_len == len &&
	       mask != NOTIFY_IGNORED && !memcmp(e->name, name, len);
}

static void add_event_locked(struct instance *i, int wd, uint32_t mask, uint32_t cookie,
			     const char *name, size_t len)
{
	struct queued *e = list_is_empty(&i->queue)
				   ? NULL
				   : list_entry(i->queue.prev, struct queued, link);

	if (e && says_the_same(e, wd, mask, name ? name : "", len))
		return;
	e = i->events < EVENTS_MAX ? kmalloc(sizeof(*e) + len) : NULL;
	if (!e) {
		if (!list_is_linked(&i->overflow.link))
			push_locked(i, &i->overflow);
		return;
	}
	e->abi = (struct abi_inotify_event){ wd, mask, cookie, 0 };
	if (len)
		e->abi.len = (uint32_t)ALIGN_UP(len + 1, sizeof(e->abi));
	e->name_len = len;
	if (len)
		memcpy(e->name, name, len);
	push_locked(i, e);
}

/*
 * The oldest event, taken off the queue: 0 and *out, -EAGAIN (there is none), -EINVAL (it does not
 * fit).
 */
static int take(struct instance *i, size_t room, struct queued **out)
{
	int error = -EAGAIN;

	spin_lock(&watch_lock);
	if (!list_is_empty(&i->queue)) {
		*out = list_first(&i->queue, struct queued, link);
		error = event_bytes(*out) <= room ? 0 : -EINVAL;
	}
	if (!error) {
		list_remove(&(*out)->link);
		i->events--;
		i->bytes -= event_bytes(*out);
	}
	spin_unlock(&watch_lock);
	return error;
}

static void event_free(struct instance *i, struct queued *e)
{
	if (e != &i->overflow)
		kfree(e);
}

static kssize_t copy_event(struct uio *u, const struct queued *e)
{
	size_t bytes = event_bytes(e);
	bool copied = uio_copy_out(u, &e->abi, sizeof(e->abi)) == (kssize_t)sizeof(e->abi);

	if (copied && e->abi.len)
		copied = uio_copy_out(u, e->name, e->name_len) == (kssize_t)e->name_len &&
			 uio_zero_out(u, e->abi.len - e->name_len) ==
				 (kssize_t)(e->abi.len - e->name_len);
	return copied ? (kssize_t)bytes : -EFAULT;
}

/* ---- the file ---- */

static kssize_t inotify_read(struct file *f, struct uio *u)
{
	struct instance *i = f->object;
	kssize_t done = 0, n;
	struct queued *e = NULL;

	while (!(n = take(i, u->left, &e))) {
		n = copy_event(u, e);
		event_free(i, e);
		if (n < 0)
			break;
		done += n;
	}
	return done ? done : n;
}

static uint32_t inotify_poll(struct file *f)
{
	struct instance *i = f->object;

	return __atomic_load_n(&i->events, __ATOMIC_RELAXED) ? POLL_IN : 0;
}

static struct poll_queue *inotify_queue(struct file *f)
{
	return &((struct instance *)f->object)->readers;
}

static int inotify_ioctl(struct file *f, unsigned long request, uintptr_t arg)
{
	struct instance *i = f->object;
	int bytes;

	if (request != FIONREAD)
		return -ENOTTY;
	spin_lock(&watch_lock);
	bytes = (int)i->bytes;
	spin_unlock(&watch_lock);
	return user_write((void *)arg, &bytes, sizeof(bytes));
}

static void inotify_release(struct file *f)
{
	struct instance *i = f->object;
	struct list gone = LIST_INIT(gone), *link;
	struct tree_node *node;

	poll_queue_destroy(&i->readers);
	spin_lock(&watch_lock);
	while ((node = tree_first(&i->watches))) {
		tree_remove(&i->watches, node);
		watch_remove_locked(&tree_entry(node, struct inotify_watch, node)->watch, &gone);
	}
	spin_unlock(&watch_lock);
	watches_free(&gone);
	while ((link = list_pop_front(&i->queue)))
		event_free(i, list_entry(link, struct queued, link));
	kfree(i);
	kfree(f);
	__atomic_fetch_sub(&instances, 1, __ATOMIC_RELAXED);
}

static const struct file_ops inotify_ops = {
	.kind = "inotify", .read = inotify_read, .poll = inotify_poll, .poll_queue = inotify_queue,
	.ioctl = inotify_ioctl, .release = inotify_release,
};

static struct instance *instance_create(void)
{
	struct instance *i = kzalloc(sizeof(*i));

	if (!i)
		return NULL;
	list_init(&i->queue);
	list_init(&i->overflow.link);
	i->overflow.abi = (struct abi_inotify_event){ -1, NOTIFY_OVERFLOW, 0, 0 };
	tree_init(&i->watches);
	poll_queue_init(&i->readers);
	return i;
}

long sys_inotify_init1(int flags)
{
	struct instance *i;
	struct file *f;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (__atomic_add_fetch(&instances, 1, __ATOMIC_RELAXED) > INSTANCES_MAX) {
		__atomic_fetch_sub(&instances, 1, __ATOMIC_RELAXED);
		return -EMFILE;
	}
	i = instance_create();
	f = i ? file_create(&inotify_ops, i, O_RDONLY | ((uint32_t)flags & O_NONBLOCK)) : NULL;
	if (!f) {
		kfree(i);
		__atomic_fetch_sub(&instances, 1, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	return fd_install(f, flags & O_CLOEXEC, 0);
}

/* ---- watches ---- */

static struct inotify_watch *of_watch(struct watch *w)
{
	return container_of(w, struct inotify_watch, watch);
}

static bool watch_tell(struct watch *watch, uint32_t event, uint32_t cookie, const char *name,
		       size_t len)
{
	struct inotify_watch *w = of_watch(watch);

	add_event_locked(w->instance, w->wd, event, cookie, name, len);
	return !w->oneshot;
}

static void watch_ended(struct watch *watch)
{
	struct inotify_watch *w = of_watch(watch);

	tree_remove(&w->instance->watches, &w->node);
	add_event_locked(w->instance, w->wd, NOTIFY_IGNORED, 0, NULL, 0);
}

static void watch_free(struct watch *watch)
{
	kfree(of_watch(watch));
}

static bool wd_less(const struct tree_node *a, const struct tree_node *b)
{
	return tree_entry(a, struct inotify_watch, node)->wd <
	       tree_entry(b, struct inotify_watch, node)->wd;
}

static int wd_compare(const void *key, const struct tree_node *node)
{
	int wd = *(const int *)key, at = tree_entry(node, struct inotify_watch, node)->wd;

	return wd < at ? -1 : wd > at;
}

static void set_mask_locked(struct inotify_watch *w, uint32_t mask)
{
	uint32_t events = (mask & ALL_EVENTS) | NOTIFY_UNMOUNT;

	w->watch.events = mask & IN_MASK_ADD ? w->watch.events | events : events;
	w->oneshot = mask & IN_ONESHOT || (mask & IN_MASK_ADD && w->oneshot);
	w->watch.skips_unlinked = mask & IN_EXCL_UNLINK ||
				  (mask & IN_MASK_ADD && w->watch.skips_unlinked);
}

/* The instance's watch of an inode, changed: its number, or -ENOENT. */
static int change_locked(struct instance *i, struct inode *inode, uint32_t mask)
{
	for (struct watch *w = inode->watches; w; w = w->next) {
		if (w->free != watch_free || of_watch(w)->instance != i)
			continue;
		if (mask & IN_MASK_CREATE)
			return -EEXIST;
		set_mask_locked(of_watch(w), mask);
		return of_watch(w)->wd;
	}
	return -ENOENT;
}

static int watch_inode(struct instance *i, struct inode *inode, uint32_t mask)
{
	struct inotify_watch *w = kzalloc(sizeof(*w));
	int wd;

	if (!w)
		return -ENOMEM;
	w->watch.tell = watch_tell;
	w->watch.ended = watch_ended;
	w->watch.free = watch_free;
	list_init(&w->watch.all);
	tree_node_init(&w->node);
	w->instance = i;
	spin_lock(&watch_lock);
	wd = change_locked(i, inode, mask);
	if (wd == -ENOENT && watch_count >= WATCHES_MAX) {
		wd = -ENOSPC;
	} else if (wd == -ENOENT) {
		wd = w->wd = ++i->last_wd;
		set_mask_locked(w, mask & ~IN_MASK_ADD);
		tree_insert(&i->watches, &w->node, wd_less);
		watch_add_locked(&w->watch, inode);
		w = NULL;
	}
	spin_unlock(&watch_lock);
	kfree(w);
	return wd;
}

/* 0 and the instance's file, to be put; -EBADF, -EINVAL. */
static int instance_file(int fd, struct file **out)
{
	*out = fd_get(fd);
	if (!*out)
		return -EBADF;
	if ((*out)->ops == &inotify_ops)
		return 0;
	file_put(*out);
	return -EINVAL;
}

long sys_inotify_add_watch(int fd, const char *user_path, uint32_t mask)
{
	struct file *f;
	struct path p;
	int error;

	if (!(mask & KNOWN_BITS) || mask & ~KNOWN_BITS)
		return -EINVAL;
	error = instance_file(fd, &f);
	if (error)
		return error;
	if (mask & IN_MASK_ADD && mask & IN_MASK_CREATE)
		error = -EINVAL;
	else
		error = where_find(AT_FDCWD, user_path,
				   mask & IN_DONT_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &p);
	if (!error) {
		if (mask & IN_ONLYDIR && !inode_is_dir(path_inode(&p)))
			error = -ENOTDIR;
		else
			error = inode_permission(path_inode(&p), 4);
		if (!error)
			error = watch_inode(f->object, path_inode(&p), mask);
		path_put(&p);
	}
	file_put(f);
	return error;
}

long sys_inotify_rm_watch(int fd, int wd)
{
	struct list gone = LIST_INIT(gone);
	struct tree_node *node;
	struct instance *i;
	struct file *f;
	int error = instance_file(fd, &f);

	if (error)
		return error;
	i = f->object;
	spin_lock(&watch_lock);
	node = tree_find(&i->watches, &wd, wd_compare);
	if (node) {
		struct watch *w = &tree_entry(node, struct inotify_watch, node)->watch;

		watch_ended(w);
		watch_remove_locked(w, &gone);
	}
	spin_unlock(&watch_lock);
	watches_free(&gone);
	file_put(f);
	return node ? 0 : -EINVAL;
}
