/*
 * epoll: one descriptor that tells which of many are ready.
 *
 * An item joins an epoll and a file: it watches the file's poll queue, lies in the epoll's table
 * (by descriptor and file) and on the file's list, so that either end can go first. When the file
 * notifies, the item joins the ready list and the epoll's own queue is notified, which wakes those
 * who wait and the epolls around. epoll_wait() takes items off the ready list, asks each file what
 * holds now, and puts level-triggered items back that are still ready.
 *
 * An item's file holds no reference from here: its end removes the item (epoll_file_gone). While
 * epoll_wait() looks at an item it holds a reference, taken only if the file is not already ending.
 *
 * EPOLLEXCLUSIVE is accepted; all who wait on one epoll share its ready list, so each event wakes
 * one of them, and several epolls are all woken.
 *
 * Locks: epoll_lock (a mutex, for tables, the files' lists and nesting) -> queues of files ->
 * ready_lock (interrupts off) -> the epoll's own queue's lock.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/thread.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "blocking.h"
#include "fd.h"
#include "signal.h"
#include "syscalls.h"
#include "time.h"

#define EPOLL_CTL_ADD  1
#define EPOLL_CTL_DEL  2
#define EPOLL_CTL_MOD  3

#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET        (1u << 31)
#define EPOLL_EVENTS   0xffffu

#define NESTING_MAX 4

struct epoll {
	struct list items;            /* [epoll_lock] all */
	struct list buckets[64];      /* [epoll_lock] items by descriptor */
	struct spinlock ready_lock;
	struct list ready;            /* [ready_lock] */
	struct poll_queue queue;
	struct waitq sleepers;        /* threads in epoll_wait(), woken one per event */
};

struct epoll_item {
	struct poll_watch watch;      /* on the file's queue */
	struct epoll *epoll;          /* [I] */
	struct file *file;            /* [I] */
	int fd;                       /* [I] */
	/* [epoll_lock; flags read under ready_lock] wanted, with EPOLLET and its like */
	uint32_t events;
	uint64_t data;                /* [epoll_lock] */
	bool disarmed;                /* [ready_lock] a one-shot that has shot */
	struct list ready_link;       /* [ready_lock] */
	struct list epoll_link;       /* [epoll_lock] epoll->items */
	struct list bucket_link;      /* [epoll_lock] */
	struct list file_link;        /* [epoll_lock] file->epoll_items */
};

static struct mutex epoll_lock = MUTEX_INIT(epoll_lock);

static const struct file_ops epoll_ops;

/* ---- readiness ---- */

static void item_make_ready(struct epoll_item *item)
{
	struct epoll *ep = item->epoll;
	irqflags_t flags = spin_lock_irq(&ep->ready_lock);
	bool added = !item->disarmed && !list_is_linked(&item->ready_link);

	if (added)
		list_push_back(&ep->ready, &item->ready_link);
	spin_unlock_irq(&ep->ready_lock, flags);
	if (added) {
		waitq_wake_one(&ep->sleepers);
		poll_notify(&ep->queue, POLL_IN);
	}
}

static void item_notify(struct poll_watch *w, uint32_t events)
{
	(void)events;
	item_make_ready(container_of(w, struct epoll_item, watch));
}

static uint32_t item_events_now(const struct epoll_item *item)
{
	uint32_t wanted = (item->events & EPOLL_EVENTS) | POLL_ERR | POLL_HUP;

	return item->file->ops->poll(item->file) & wanted;
}

static void item_unready(struct epoll_item *item)
{
	irqflags_t flags = spin_lock_irq(&item->epoll->ready_lock);

	list_remove(&item->ready_link);
	spin_unlock_irq(&item->epoll->ready_lock, flags);
}

/* ---- items ---- */

static struct list *epoll_bucket(struct epoll *ep, int fd)
{
	return &ep->buckets[(unsigned)fd % ARRAY_SIZE(ep->buckets)];
}

static struct epoll_item *item_find(struct epoll *ep, int fd, const struct file *f)
{
	struct epoll_item *item;

	list_for_each(item, epoll_bucket(ep, fd), bucket_link)
		if (item->fd == fd && item->file == f)
			return item;
	return NULL;
}

static void item_remove_locked(struct epoll_item *item)
{
	assert(mutex_is_held(&epoll_lock));
	poll_watch_remove(&item->watch);
	item_unready(item);
	list_remove(&item->epoll_link);
	list_remove(&item->bucket_link);
	list_remove(&item->file_link);
	kfree(item);
}

/*
 * How many epolls deep `f` is, watching epolls; more than NESTING_MAX or a loop through `around`:
 * too many.
 */
static int epoll_depth_locked(const struct file *f, const struct epoll *around, int depth)
{
	const struct epoll *ep = f->object;
	const struct epoll_item *item;
	int deepest = depth;

	if (f->ops != &epoll_ops)
		return depth;
	if (ep == around || depth > NESTING_MAX)
		return NESTING_MAX + 1;
	list_for_each(item, &ep->items, epoll_link)
		deepest = MAX(deepest, epoll_depth_locked(item->file, around, depth + 1));
	return deepest;
}

static int epoll_add_locked(struct epoll *ep, int fd, struct file *f,
			    const struct abi_epoll_event *event)
{
	struct epoll_item *item;

	if (item_find(ep, fd, f))
		return -EEXIST;
	if (epoll_depth_locked(f, ep, 0) > NESTING_MAX)
		return -ELOOP;
	item = kzalloc(sizeof(*item));
	if (!item)
		return -ENOMEM;
	item->epoll = ep;
	item->file = f;
	item->fd = fd;
	item->events = event->events;
	item->data = event->data;
	list_init(&item->ready_link);
	list_push_back(&ep->items, &item->epoll_link);
	list_push_back(epoll_bucket(ep, fd), &item->bucket_link);
	list_push_back(&f->epoll_items, &item->file_link);
	item->watch.notify = item_notify;
	item->watch.events = event->events & EPOLL_EVENTS;
	poll_watch_add(f->ops->poll_queue(f), &item->watch);
	if (item_events_now(item))
		item_make_ready(item);
	return 0;
}

static int epoll_modify_locked(struct epoll_item *item, const struct abi_epoll_event *event)
{
	poll_watch_remove(&item->watch);
	item_unready(item);
	item->events = event->events;
	item->data = event->data;
	item->disarmed = false;
	item->watch.events = event->events & EPOLL_EVENTS;
	poll_watch_add(item->file->ops->poll_queue(item->file), &item->watch);
	if (item_events_now(item))
		item_make_ready(item);
	return 0;
}

void epoll_file_gone(struct file *f)
{
	struct epoll_item *item, *next;

	mutex_lock(&epoll_lock);
	list_for_each_safe(item, next, &f->epoll_items, file_link)
		item_remove_locked(item);
	mutex_unlock(&epoll_lock);
}

/* ---- the file ---- */

static uint32_t epoll_poll(struct file *f)
{
	struct epoll *ep = f->object;
	struct epoll_item *item;
	uint32_t ready = 0;
	irqflags_t flags;

	/* What is on the list may have been read since; so the files are asked. */
	flags = spin_lock_irq(&ep->ready_lock);
	list_for_each(item, &ep->ready, ready_link) {
		if (item_events_now(item)) {
			ready = POLL_IN;
			break;
		}
	}
	spin_unlock_irq(&ep->ready_lock, flags);
	return ready;
}

static struct poll_queue *epoll_queue(struct file *f)
{
	return &((struct epoll *)f->object)->queue;
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->object;
	struct epoll_item *item, *next;

	mutex_lock(&epoll_lock);
	list_for_each_safe(item, next, &ep->items, epoll_link)
		item_remove_locked(item);
	mutex_unlock(&epoll_lock);
	poll_queue_destroy(&ep->queue);
	kfree(ep);
	kfree(f);
}

static const struct file_ops epoll_ops = {
	.kind = "epoll", .poll = epoll_poll, .poll_queue = epoll_queue, .release = epoll_release,
};

long sys_epoll_create1(int flags)
{
	struct epoll *ep;
	struct file *f;

	if (flags & ~O_CLOEXEC)
		return -EINVAL;
	ep = kzalloc(sizeof(*ep));
	if (!ep)
		return -ENOMEM;
	list_init(&ep->items);
	list_init(&ep->ready);
	for (size_t i = 0; i < ARRAY_SIZE(ep->buckets); i++)
		list_init(&ep->buckets[i]);
	poll_queue_init(&ep->queue);
	waitq_init(&ep->sleepers);
	f = file_create(&epoll_ops, ep, O_RDWR);
	if (!f) {
		kfree(ep);
		return -ENOMEM;
	}
	return fd_install(f, flags & O_CLOEXEC, 0);
}

static int epoll_control(struct epoll *ep, int op, int fd, struct file *f,
			 const struct abi_epoll_event *event)
{
	struct epoll_item *item = item_find(ep, fd, f);

	if (op == EPOLL_CTL_ADD)
		return epoll_add_locked(ep, fd, f, event);
	if (op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL)
		return -EINVAL;
	if (!item)
		return -ENOENT;
	if (op == EPOLL_CTL_MOD) {
		if ((item->events | event->events) & EPOLLEXCLUSIVE)
			return -EINVAL;
		return epoll_modify_locked(item, event);
	}
	item_remove_locked(item);
	return 0;
}

/* The two files of an epoll_ctl(); 0 with references to both. */
static int epoll_get_files(int epfd, int fd, struct file **ep, struct file **f)
{
	*ep = fd_get(epfd);
	if (!*ep)
		return -EBADF;
	*f = fd_get(fd);
	if (!*f) {
		file_put(*ep);
		return -EBADF;
	}
	if ((*ep)->ops == &epoll_ops && *f != *ep && (*f)->ops->poll_queue)
		return 0;
	int ret = (*ep)->ops == &epoll_ops && *f != *ep ? -EPERM : -EINVAL;
	file_put(*f);
	file_put(*ep);
	return ret;
}

long sys_epoll_ctl(int epfd, int op, int fd, const void *user_event)
{
	struct abi_epoll_event event = { 0 };
	struct file *ep, *f;
	int ret;

	if (op != EPOLL_CTL_DEL && user_read(&event, user_event, sizeof(event)) < 0)
		return -EFAULT;
	ret = epoll_get_files(epfd, fd, &ep, &f);
	if (ret)
		return ret;
	mutex_lock(&epoll_lock);
	ret = epoll_control(ep->object, op, fd, f, &event);
	mutex_unlock(&epoll_lock);
	file_put(f);
	file_put(ep);
	return ret;
}

/* ---- waiting ---- */

static struct epoll_item *epoll_pop_ready(struct epoll *ep)
{
	irqflags_t flags = spin_lock_irq(&ep->ready_lock);
	struct list *link = list_pop_front(&ep->ready);

	spin_unlock_irq(&ep->ready_lock, flags);
	return link ? list_entry(link, struct epoll_item, ready_link) : NULL;
}

/* After an item was reported: one-shots rest, level-triggered ones go on `again`. */
static void item_reported(struct epoll_item *item, struct list *again)
{
	irqflags_t flags = spin_lock_irq(&item->epoll->ready_lock);

	if (item->events & EPOLLONESHOT) {
		item->disarmed = true;
		list_remove(&item->ready_link);
	} else if (!(item->events & EPOLLET)) {
		list_remove(&item->ready_link);
		list_push_back(again, &item->ready_link);
	}
	spin_unlock_irq(&item->epoll->ready_lock, flags);
}

/* What one look at the ready list yields: a count, or -EFAULT. */
static int epoll_collect(struct epoll *ep, struct abi_epoll_event *out, int max)
{
	struct list again = LIST_INIT(again);
	struct epoll_item *item;
	irqflags_t flags;
	int count = 0;
	bool more;

	mutex_lock(&epoll_lock); /* no item goes while we look */
	while (count >= 0 && count < max && (item = epoll_pop_ready(ep))) {
		struct abi_epoll_event event = { item_events_now(item), item->data };

		if (!event.events)
			continue;
		item_reported(item, &again);
		count = user_write(&out[count], &event, sizeof(event)) < 0 ? -EFAULT : count + 1;
	}
	flags = spin_lock_irq(&ep->ready_lock);
	more = !list_is_empty(&ep->ready);
	list_splice_back(&ep->ready, &again);
	spin_unlock_irq(&ep->ready_lock, flags);
	mutex_unlock(&epoll_lock);
	if (more)
		waitq_wake_one(&ep->sleepers);
	return count;
}

static bool epoll_may_be_ready(const struct epoll *ep)
{
	return !list_is_empty(&ep->ready);
}

static long epoll_wait(struct epoll *ep, struct abi_epoll_event *out, int max, uint64_t deadline_ns)
{
	bool waits = deadline_ns != 0;

	for (;;) {
		int count = epoll_may_be_ready(ep) ? epoll_collect(ep, out, max) : 0, ret;

		if (count || !waits)
			return count;
		ret = waitq_wait(&ep->sleepers, epoll_may_be_ready(ep), deadline_ns, true);
		if (ret == -ETIMEDOUT)
			waits = false;
		else if (ret)
			return -EINTR;
	}
}

static long epoll_wait_fd(int epfd, void *events, int max, uint64_t deadline_ns)
{
	struct file *f;
	long ret;

	if (max <= 0 || max > (int)(INT32_MAX / sizeof(struct abi_epoll_event)))
		return -EINVAL;
	f = fd_get(epfd);
	if (!f)
		return -EBADF;
	ret = f->ops == &epoll_ops ? epoll_wait(f->object, events, max, deadline_ns) : -EINVAL;
	file_put(f);
	return ret;
}

/* As epoll_wait_fd(), under another signal mask when one is given. */
static long epoll_wait_masked(int epfd, void *events, int max, uint64_t deadline_ns,
			      const void *mask, size_t mask_size)
{
	uint64_t value;
	long ret = mask ? signal_read_mask(&value, mask, mask_size) : 0;

	if (ret)
		return ret;
	if (mask)
		signal_mask_for_call(value);
	ret = epoll_wait_fd(epfd, events, max, deadline_ns);
	if (ret == -EINTR)
		return -ERESTARTNOHAND;
	if (mask)
		signal_mask_restore();
	return ret;
}

long sys_epoll_pwait(int epfd, void *events, int max, int timeout_ms, const void *mask,
		     size_t mask_size)
{
	uint64_t deadline_ns = timeout_ms < 0 ? DEADLINE_NEVER : 0;

	if (timeout_ms > 0)
		deadline_ns = deadline_after((uint64_t)timeout_ms * NSEC_PER_MSEC);
	return epoll_wait_masked(epfd, events, max, deadline_ns, mask, mask_size);
}

long sys_epoll_pwait2(int epfd, void *events, int max, const void *timeout, const void *mask,
		      size_t mask_size)
{
	uint64_t deadline_ns;
	int ret = deadline_read_relative(&deadline_ns, timeout);

	return ret ? ret : epoll_wait_masked(epfd, events, max, deadline_ns, mask, mask_size);
}
